"""Sine waves from ten points, in one forward pass.

python benchmarks/sine.py          # about 4 CPU-minutes a seed
"""

import argparse
import sys
from pathlib import Path

import torch

import netwright as nw

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TEST_TASKS = 1_000


def row_of(seed: int, steps: int) -> Row:
    """Train and evaluate one seed."""
    tasks = nw.tasks.Sine(shots=10, queries=50)
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=seed)
    result = nw.train(
        hypernetwork, tasks, steps=steps, tasks=64, learning_rate=1e-3, weight_decay=0.0,
        validate_every=1_000, validation_tasks=500, seed=seed,
    )  # fmt: skip
    found = nw.evaluate(hypernetwork, tasks, tasks=TEST_TASKS)
    mse, shuffled = found.metrics["mse"], found.shuffled["mse"]
    note = (
        f"child of {found.parameters} parameters, written in {found.generate_ms:.2f} ms; shuffled "
        f"condition {shuffled.value:.2f}; {steps} steps of 64 tasks"
    )
    return Row(
        f"sine-k10-mse-seed{seed}", mse.value, mse.low, mse.high, "mean squared error", False,
        TEST_TASKS, [seed], round(result.cpu_seconds), f"python benchmarks/sine.py --seeds {seed}", note,
    )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=20_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        write_rows("sine", [row_of(seed, arguments.steps)])


if __name__ == "__main__":
    main()
