"""Sine waves from 0 to 50 noisy points, with and without a description, by one hypernetwork.

    python benchmarks/sine_sources.py            # about 5 CPU-minutes a seed

Points have noise of standard deviation 0.3; a description says amplitude and phase to one decimal. The
hypernetwork is trained with either left out at random and is asked for every combination.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

import netwright as nw
from netwright.evaluation.evaluate import fixed_batches
from netwright.evaluation.statistics import mean_estimate
from netwright.process import keep_freed_memory
from netwright.training.recipe import default_conditioner, seeded_weights

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TEST_TASKS, NOISE, MOST = 1_000, 0.3, 50
SHOTS = (0, 1, 2, 5, 10, 20, MOST)


def train(seed: int, steps: int) -> tuple[nw.Hypernetwork, float]:
    """A hypernetwork that reads points, a description or both, and the CPU-seconds that it took."""
    tasks = nw.tasks.Sine(shots=(1, MOST), noise=NOISE, sources=("examples", "description"))
    with seeded_weights(seed):
        child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(40, 40), outputs=1))
        hypernetwork = nw.Hypernetwork(child, default_conditioner(tasks.shape), "dense")
    result = nw.train(
        hypernetwork, tasks, steps=steps, tasks=64, learning_rate=1e-3, average=0.998, weight_decay=0.0,
        validate_every=max(1, steps // 10), validation_tasks=400, seed=seed, progress=False,
    )  # fmt: skip
    return hypernetwork, result.cpu_seconds


@torch.no_grad()
def errors(hypernetwork: nw.Hypernetwork, shots: int, described: bool) -> torch.Tensor:
    """Mean squared error per test task; the same tasks and points in every combination."""
    family = nw.tasks.Sine(shots=MOST, noise=NOISE, sources=("examples", "description"))
    objective = nw.objectives.Regression()
    found = []
    for batch in fixed_batches(family, "test", TEST_TASKS, 0):
        points = batch.condition.examples
        assert points is not None
        first = nw.ExampleSet.of(points.x[:, :shots], points.y[:, :shots]) if shots else None
        text = batch.condition.description if described else None
        condition = replace(batch.condition, examples=first, description=text)
        params = hypernetwork(condition)
        found.append(objective(hypernetwork.child, params, batch).metrics["mse"])
    return torch.cat(found)


def rows_of(seed: int, steps: int) -> Iterator[Row]:
    """Every combination with one seed, and what each source takes off the error."""
    hypernetwork, seconds = train(seed, steps)
    hypernetwork.eval()
    found = {
        (shots, described): errors(hypernetwork, shots, described)
        for shots in SHOTS
        for described in (False, True)
        if shots or described
    }
    for (shots, described), each in found.items():
        estimate = mean_estimate(each)
        notes = []
        for other, name in (((shots, False), "points alone"), ((0, True), "the description alone")):
            if described and other in found and other != (shots, described):
                less = mean_estimate(each - found[other])
                notes.append(f"minus {name}: {less.value:+.4g} [{less.low:+.4g}, {less.high:+.4g}]")
        yield Row(
            f"sine-sources-{shots:02d}-{'described' if described else 'plain'}-seed{seed}",
            estimate.value, estimate.low, estimate.high, "mean squared error", False, TEST_TASKS, [seed],
            round(seconds), f"python benchmarks/sine_sources.py --seeds {seed}",
            "; ".join(notes) or f"{steps} steps of 64 tasks",
        )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=10_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        write_rows("sine_sources", list(rows_of(seed, arguments.steps)))


if __name__ == "__main__":
    main()
