"""Sine waves from 0 to 50 noisy points, with and without a description, by one hypernetwork.

    python benchmarks/sine_sources.py            # about 6 CPU-minutes a seed

Points have noise of standard deviation 0.3; a description says amplitude and phase to one decimal. The
hypernetwork is trained with either left out at random and is asked for every combination. How many points there
are is drawn log-uniformly, so that few are as common as many, and tokens are told of it (`counts`). With
`--uniform` neither is so, as in a first run: then one or two points beside a description do harm.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import netwright as nw
from netwright.conditioners import Compose, Description, Examples
from netwright.evaluation.evaluate import fixed_batches
from netwright.evaluation.statistics import mean_estimate
from netwright.process import keep_freed_memory
from netwright.training.recipe import seeded_weights

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TEST_TASKS, NOISE, MOST = 1_000, 0.3, 50
SHOTS = (0, 1, 2, 5, 10, 20, MOST)


class LogSine(nw.tasks.Sine):
    """Sine waves with a log-uniform number of points."""

    def _draw_shots(self, rng: np.random.Generator) -> int:
        return min(int((MOST + 1) ** rng.random()), MOST)


def train(seed: int, steps: int, uniform: bool) -> tuple[nw.Hypernetwork, float]:
    """A hypernetwork that reads points, a description or both, and the CPU-seconds that it took."""
    family = nw.tasks.Sine if uniform else LogSine
    tasks = family(shots=(1, MOST), noise=NOISE, sources=("examples", "description"))
    with seeded_weights(seed):
        child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(40, 40), outputs=1))
        reader = Compose(
            [Examples((1,), outputs=1, channels=128, counts=not uniform), Description()],
            dropout=0.25,
        )
        hypernetwork = nw.Hypernetwork(child, reader, "dense")
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


def rows_of(seed: int, steps: int, uniform: bool) -> Iterator[Row]:
    """Every combination with one seed, and what each source takes off the error."""
    hypernetwork, seconds = train(seed, steps, uniform)
    hypernetwork.eval()
    name = "uniform-" * uniform
    found = {
        (shots, described): errors(hypernetwork, shots, described)
        for shots in SHOTS
        for described in (False, True)
        if shots or described
    }
    for (shots, described), each in found.items():
        estimate = mean_estimate(each)
        notes = []
        for other, what in (((shots, False), "points alone"), ((0, True), "the description alone")):
            if described and other in found and other != (shots, described):
                less = mean_estimate(each - found[other])
                notes.append(f"minus {what}: {less.value:+.4g} [{less.low:+.4g}, {less.high:+.4g}]")
        yield Row(
            f"sine-sources-{name}{shots:02d}-{'described' if described else 'plain'}-seed{seed}",
            estimate.value, estimate.low, estimate.high, "mean squared error", False, TEST_TASKS, [seed],
            round(seconds), f"python benchmarks/sine_sources.py --seeds {seed}" + " --uniform" * uniform,
            "; ".join(notes) or f"{steps} steps of 64 tasks",
        )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--uniform", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        write_rows("sine_sources", list(rows_of(seed, arguments.steps, arguments.uniform)))


if __name__ == "__main__":
    main()
