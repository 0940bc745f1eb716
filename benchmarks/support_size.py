"""Support sets of a hundred to ten thousand rows, with and without inducing points.

python benchmarks/support_size.py             # about 4 CPU-minutes: cost
python benchmarks/support_size.py --quality   # about 4 CPU-minutes more: what it does to a regression
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import netwright as nw
from netwright.evaluation import mean_estimate
from netwright.rng import stream
from netwright.tasks import Sine
from netwright.training import seeded_weights

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows
from timing import peak_mb

SIZES, POINTS = (100, 1_000, 10_000), (0, 32)
ROUNDS = 7
STEPS, TASKS, SEEDS, NOISE, TEST_TASKS = 1_500, 8, (0, 1, 2), 1.0, 500


def hypernetwork_of(points: int) -> nw.Hypernetwork:
    """Reads rows of 8 numbers and two values, writes an MLP."""
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=8, outputs=2))
    reader = nw.conditioners.Examples((8,), outputs=2, inducing=points)
    return nw.Hypernetwork(child, reader, "dense")


def condition_of(size: int) -> nw.Condition:
    """One task of so many rows."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(1, size, 8, generator=rng), torch.randn(1, size, 2, generator=rng)
    return nw.Condition(nw.ExampleSet.of(x, y))


@torch.no_grad()
def write(hypernetwork: nw.Hypernetwork, condition: nw.Condition) -> None:
    """One network."""
    hypernetwork(condition)


def differentiate(hypernetwork: nw.Hypernetwork, condition: nw.Condition) -> None:
    """One network, and the gradient of all its numbers."""
    hypernetwork.zero_grad(set_to_none=True)
    torch.stack(
        [value.square().sum() for value in hypernetwork(condition).values()]
    ).sum().backward()


WORK: dict[str, Callable[[nw.Hypernetwork, nw.Condition], None]] = {
    "write": write,
    "differentiate": differentiate,
}


def cpu_seconds_of() -> dict[tuple[int, int, str], list[float]]:
    """CPU-seconds by size, points and work, in turns."""
    made = {points: hypernetwork_of(points) for points in POINTS}
    found: dict[tuple[int, int, str], list[float]] = {}
    for size in SIZES:
        condition = condition_of(size)
        for work in WORK.values():
            for hypernetwork in made.values():
                work(hypernetwork, condition)
        for _ in range(ROUNDS):
            for points, hypernetwork in made.items():
                for name, work in WORK.items():
                    calls = max(1, 2_000 // size)
                    start = time.process_time()
                    for _ in range(calls):
                        work(hypernetwork, condition)
                    seconds = (time.process_time() - start) / calls
                    found.setdefault((size, points, name), []).append(seconds)
    return found


def megabytes_of(size: int, points: int | None, work: str) -> tuple[float, float]:
    """Memory on top of what the process held before, and CPU-seconds, in a process of its own."""
    kind = "pictures" if points is None else str(points)
    command = [sys.executable, __file__, "--memory", str(size), kind, work]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes, seconds = done.stdout.split()
    return float(megabytes), float(seconds)


def memory(size: int, kind: str, work: str) -> tuple[float, float]:
    """The same, in this process."""
    if kind == "pictures":
        hypernetwork, condition, few = pictures(size)
    else:
        hypernetwork, condition = hypernetwork_of(int(kind)), condition_of(size)
        few = condition_of(10)
    WORK[work](hypernetwork, few)
    before, started = peak_mb(), time.process_time()
    WORK[work](hypernetwork, condition)
    return peak_mb() - before, time.process_time() - started


def pictures(size: int) -> tuple[nw.Hypernetwork, nw.Condition, nw.Condition]:
    """Reads pictures of five classes, writes a convolutional child; a condition of so many, and a small one."""
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.conv(channels=8, depth=4, classes=5))
    hypernetwork = nw.Hypernetwork(child, nw.conditioners.Examples((1, 28, 28)))
    x, y = torch.rand(1, size, 1, 28, 28), torch.arange(size)[None] % 5
    few = nw.ExampleSet.of(x[:, :10], y[:, :10])
    return hypernetwork, nw.Condition(nw.ExampleSet.of(x, y)), nw.Condition(few)


def picture_rows() -> list[Row]:
    """Memory to read thousands of pictures: beyond their features it does not grow with them."""
    rows = []
    for size in (1_000, 10_000):
        written, backward = (
            megabytes_of(size, None, "write"),
            megabytes_of(size, None, "differentiate"),
        )
        note = (
            f"{size:,} pictures of 28 x 28 ({size * 784 * 4 / 1e6:.0f} MB, of which a copy is made) in "
            f"{written[1]:.2g} CPU-s; with its gradient {backward[0]:.0f} MB, {backward[1]:.2g} CPU-s"
        )
        rows.append(
            Row(f"support-size-pictures-{size}", written[0], None, None, "MB on top to write one network",
                False, 1, [0], round(written[1] + backward[1], 1),
                "python benchmarks/support_size.py", note)
        )  # fmt: skip
    return rows


def cost_rows() -> list[Row]:
    """One row per size and number of points."""
    times, rows = cpu_seconds_of(), []
    for size in SIZES:
        for points in POINTS:
            seconds = sorted(times[size, points, "write"])
            backward = statistics.median(times[size, points, "differentiate"])
            held = {work: megabytes_of(size, points, work)[0] for work in WORK}
            note = (
                f"{size:,} rows, {f'{points} inducing points' if points else 'attention of all to all'}; "
                f"{held['write']:.0f} MB on top; with its gradient {1000 * backward:.3g} CPU-ms and "
                f"{held['differentiate']:.0f} MB"
            )
            rows.append(
                Row(f"support-size-{size}-{points}", 1000 * statistics.median(seconds),
                    1000 * seconds[1], 1000 * seconds[-2], "CPU-ms to write one network", False, ROUNDS,
                    [0], round(sum(seconds), 1), "python benchmarks/support_size.py", note)
            )  # fmt: skip
    return rows


def quality_row(points: int) -> Row:
    """Sine waves from noisy points: trained with up to 100 of them, tested with 100 and with 1,000."""
    losses: dict[int, list[torch.Tensor]] = {100: [], 1_000: []}
    seconds = 0.0
    for seed in SEEDS:
        family = Sine(shots=(50, 100), queries=50, noise=NOISE)
        with seeded_weights(seed):
            reader = nw.conditioners.Examples((1,), outputs=1, channels=64, inducing=points)
        hypernetwork = nw.make_hypernetwork(family.shape, seed=seed, conditioner=reader)
        result = nw.train(
            hypernetwork, family, steps=STEPS, tasks=TASKS, learning_rate=1e-3, weight_decay=0.0,
            validate_every=500, validation_tasks=200, seed=seed, progress=False,
        )  # fmt: skip
        seconds += result.cpu_seconds
        for shots, found in losses.items():
            test = Sine(shots=shots, queries=50, noise=NOISE)
            objective = nw.objectives.Regression()
            parts = []
            for i in range(TEST_TASKS // 20):
                batch = test.sample(stream(0, "support-size", i), 20, "test")
                with torch.no_grad():
                    params = hypernetwork.eval()(batch.condition)
                    parts.append(objective(hypernetwork.child, params, batch).loss)
            found.append(torch.cat(parts))
    few, many = (mean_estimate(torch.stack(losses[shots]).mean(dim=0)) for shots in losses)
    name = f"{points} inducing points" if points else "attention of all to all"
    note = f"{name}; {STEPS:,} steps of {TASKS} tasks; with 1,000 rows, ten times those of training: {many.value:.3g}"
    return Row(
        f"support-size-quality-{points}", few.value, few.low, few.high,
        f"mean squared error, 100 rows with noise {NOISE:g}", False, TEST_TASKS, list(SEEDS),
        round(seconds), "python benchmarks/support_size.py --quality", note,
    )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--memory", nargs=3, metavar=("S", "M", "WORK"), help="for its own use")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        size, kind, work = arguments.memory
        print(*memory(int(size), kind, work))
    elif arguments.quality:
        for points in POINTS:
            write_rows("support_size", [quality_row(points)])
    else:
        write_rows("support_size", [*cost_rows(), *picture_rows()])


if __name__ == "__main__":
    main()
