"""Timing of rivals in turns, so that what drifts on a shared machine hits all alike; and peak memory."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Of one rival: seconds of one call, and ratios to the reference in the same round."""

    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def in_turns(
    rivals: Mapping[str, Callable[[], object]],
    reference: str,
    *,
    budget_s: float,
    least_rounds: int = 5,
    call_s: float = 0.03,
) -> dict[str, Timing]:
    """Time each rival once per round, in rotating order.

    Args:
        rivals: Callables by name.
        reference: Name of the one that ratios are taken to.
        budget_s: Seconds to spend in all, about.
        least_rounds: Rounds, however long they take.
        call_s: A rival is called in a row until so many seconds have passed.
    """
    calls = {}
    for name, rival in rivals.items():
        rival()
        calls[name] = max(1, int(call_s / max(_seconds(rival, 1), 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in rivals}
    names = list(rivals)
    started = time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        while (
            len(found[reference]) < least_rounds or time.perf_counter() - started < budget_s
        ) and len(found[reference]) < 101:
            for name in names:
                found[name].append(_seconds(rivals[name], calls[name]))
            names = [*names[1:], names[0]]
    finally:
        gc.enable()
    return {name: _timing(values, found[reference]) for name, values in found.items()}


def peak_mb() -> float:
    """Most memory that this process has held so far.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _seconds(work: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def _timing(values: list[float], reference: list[float]) -> Timing:
    ratios = sorted(a / b for a, b in zip(values, reference, strict=True))
    quarter = len(ratios) // 4
    return Timing(
        statistics.median(values),
        statistics.median(ratios),
        ratios[quarter],
        ratios[-1 - quarter],
        len(ratios),
    )
