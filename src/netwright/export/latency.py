"""How fast and how large a network is in each format, side by side."""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from netwright.conditions import ExampleSet
from netwright.errors import ExportError, MissingExtraError
from netwright.export.checking import Runner
from netwright.export.formats import FORMATS, export_network, files_of
from netwright.export.native import run_c, run_numpy
from netwright.export.onnx import run_onnx
from netwright.export.onnx_weights import run_onnx_weights
from netwright.export.torch_program import run_torch
from netwright.export.tracing import sample_inputs, standing

BATCH = 32
TORCH = "torch"
# A call is repeated for about so long per round: what drifts hits all formats alike, and on a busy machine few turns are cut
# into by other processes, so that the median is none of these.
_SECONDS_PER_TURN = 0.0005


@dataclass(frozen=True)
class Speed:
    """One format of one network.

    Args:
        format: Name in `FORMATS`, or `torch`, the module itself.
        bytes: Of its files; of `torch`, of its weights in float32.
        single_us: Median microseconds for one input.
        batch_us: Median microseconds for 32 inputs in one call; of C, in 32 calls.
        gap: Largest difference from torch's answers, relative to the largest answer where that is above 1.
        reason: Why there are no numbers, if there are none.
    """

    format: str
    bytes: int | None = None
    single_us: float | None = None
    batch_us: float | None = None
    gap: float | None = None
    reason: str = ""


def compare_formats(
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    formats: Sequence[str] = tuple(FORMATS),
    calibration: ExampleSet | Tensor | None = None,
    class_head: str | None = None,
    rounds: int = 101,
) -> list[Speed]:
    """Export a network in each format, run each file in turns on one thread, and compare its answers.

    Args:
        network: Any module that maps [N, *] to [N, *].
        input_shape: Shape of one input.
        formats: Names in `FORMATS`; `torch`, the module itself, is always the first row.
        calibration: For `onnx-int8`.
        class_head: For `onnx-weights`.
        rounds: How often each format has its turn.

    Raises:
        ExportError: If a format is not known.
    """
    for name in formats:
        if name not in FORMATS:
            raise ExportError(
                f"Format {name!r} is not known, expected one of {', '.join(FORMATS)}."
            )
    own = standing(network)
    x = sample_inputs(BATCH, input_shape).numpy()
    expected = _run_module(own)(x)
    runners: dict[str, Runner] = {TORCH: _run_module(own)}
    sizes, reasons = {TORCH: sum(4 * each.numel() for each in own.parameters())}, {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="netwright-formats-") as folder:
            for name in formats:
                path = Path(folder) / f"{name.replace('-', '_')}{FORMATS[name].endings[0]}"
                given = calibration if "calibration" in FORMATS[name].options else None
                try:
                    export_network(
                        own,
                        input_shape,
                        path,
                        format=name,
                        calibration=given,
                        class_head=class_head,
                    )
                    runners[name] = open_exported(name, path, own, expected.shape[1:])
                    sizes[name] = sum(each.stat().st_size for each in files_of(path, name))
                except (ExportError, MissingExtraError) as error:
                    reasons[name] = str(error)
            single = _medians(runners, x[:1], rounds)
            batch = _medians(runners, x, rounds)
    finally:
        torch.set_num_threads(threads)
    scale = max(1.0, float(np.abs(expected).max()))
    found = []
    for name in (TORCH, *formats):
        if name in reasons:
            found.append(Speed(name, reason=reasons[name]))
            continue
        gap = float(np.abs(runners[name](x) - expected).max()) / scale
        found.append(Speed(name, sizes[name], single[name], batch[name], gap))
    return found


def open_exported(name: str, path: Path, network: nn.Module, output_shape: Sequence[int]) -> Runner:
    """What runs a file."""
    if name == "torch-export":
        return run_torch(path)
    if name == "numpy":
        return run_numpy(path)
    if name == "c":
        return run_c(path, output_shape)
    if name == "onnx-weights":
        return run_onnx_weights(str(path), network.state_dict())
    return run_onnx(str(path))


def _run_module(network: nn.Module) -> Runner:
    def run(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            answer: np.ndarray = network(torch.from_numpy(x)).numpy()
        return answer

    return run


def _medians(runners: dict[str, Runner], x: np.ndarray, rounds: int) -> dict[str, float]:
    """Microseconds of one call, of each runner, in rotating order."""
    calls: dict[str, int] = {}
    found: dict[str, list[float]] = {name: [] for name in runners}
    for name, run in runners.items():
        run(x)
        calls[name] = max(1, int(_SECONDS_PER_TURN / max(_seconds(run, x, 2), 1e-7)))
    names = list(runners)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in names:
                found[name].append(1e6 * _seconds(runners[name], x, calls[name]))
            names = [*names[1:], names[0]]
    finally:
        gc.enable()
    return {name: statistics.median(each) for name, each in found.items()}


def _seconds(run: Callable[[np.ndarray], object], x: np.ndarray, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        run(x)
    return (time.perf_counter() - started) / calls


__all__ = ["BATCH", "TORCH", "Speed", "compare_formats", "open_exported"]
