"""Two threads, on a machine of one's own and with one core taken by another process.

    python benchmarks/threads.py           # about a minute; nothing else should run

Each measurement is a process of its own, since OpenMP reads its settings when torch is imported. `bounded` is what
the command line sets; `default` is OpenMP's long spin.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/threads.py"
MEASURE = """
import json, sys
sys.path.insert(0, {folder!r})
from netwright.process import bound_spinning, keep_freed_memory
if {bounded}: bound_spinning()
keep_freed_memory()
import torch, execution, time, statistics
torch.set_num_threads({threads})
bench = execution.Bench(next(w for w in execution.works(["mlp"]) if w.tasks == 64))
for _ in range(5): bench.ours()
times = []
started = time.perf_counter()
while len(times) < 15 or (time.perf_counter() - started < 4 and len(times) < 400):
    start = time.perf_counter()
    bench.ours()
    times.append(time.perf_counter() - start)
print(json.dumps(statistics.median(times)))
"""
SPIN = "while True: pass"


def seconds(threads: int, *, bounded: bool, busy: bool) -> float:
    """Median step of MLP children at T = 64, in a fresh process."""
    code = MEASURE.format(folder=str(Path(__file__).parent), threads=threads, bounded=bounded)
    rival = subprocess.Popen([sys.executable, "-c", SPIN]) if busy else None
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "MKL_"))
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
    finally:
        if rival is not None:
            rival.kill()
            rival.wait()
    return float(json.loads(done.stdout))


def main() -> None:
    """Run and write."""
    rounds = 3
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, options in {
            "one": {"threads": 1, "bounded": True, "busy": False},
            "two": {"threads": 2, "bounded": True, "busy": False},
            "two-default": {"threads": 2, "bounded": False, "busy": False},
            "one-busy": {"threads": 1, "bounded": True, "busy": True},
            "two-busy": {"threads": 2, "bounded": True, "busy": True},
            "two-busy-default": {"threads": 2, "bounded": False, "busy": True},
        }.items():
            found.setdefault(name, []).append(seconds(**options))
    middle = {name: statistics.median(values) for name, values in found.items()}
    note = "MLP children, T = 64, full training step; " + ", ".join(
        f"{name} {1000 * value:.1f} ms" for name, value in middle.items()
    )
    pairs = {
        "exec-threads-idle": ("one", "two", "times faster than one thread", True),
        "exec-threads-idle-default": ("one", "two-default", "times faster than one thread", True),
        "exec-threads-busy": ("two-busy", "one-busy", "times slower than one thread", False),
        "exec-threads-busy-default": (
            "two-busy-default", "one-busy", "times slower than one thread", False
        ),
    }  # fmt: skip
    rows = []
    for name, (above, below, unit, higher) in pairs.items():
        ratios = sorted(a / b for a, b in zip(found[above], found[below], strict=True))
        rows.append(
            Row(name, statistics.median(ratios), ratios[0], ratios[-1], unit, higher, rounds, [], 0,
                COMMAND, note)
        )  # fmt: skip
    write_rows("threads", rows)


if __name__ == "__main__":
    main()
