"""Omniglot with a child of 8 channels: train once, test on unseen alphabets.

    python benchmarks/omniglot.py                      # the headline runs, about 60 CPU-minutes a seed
    python benchmarks/omniglot.py --heads --steps 4000 # anchored, anchor only, residual only

Hyperparameters were chosen on validation alphabets (see docs/benchmarks.md); test alphabets were
looked at with the final weights. A run that was stopped goes on where it was.
"""

import argparse
import sys
from pathlib import Path

import torch

import netwright as nw
from netwright.evaluation import Evaluation
from netwright.training import Checkpoints, TrainingResult

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

EPISODES = 1_000
# Evaluated sizes: id, ways, shots.
SIZES = [("20w1s", 20, 1), ("5w1s", 5, 1), ("5w5s", 5, 5)]


def train(
    seed: int, steps: int, head: str, runs: Path, weight_decay: float
) -> tuple[nw.Hypernetwork, TrainingResult]:
    """Train on 20-way 1-shot tasks; the number of classes is free afterwards."""
    tasks = nw.tasks.Omniglot(ways=20, shots=1, queries=5, jitter=2, warps=5)
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=seed, head=head)
    folder = runs / f"omniglot-20w1s-{head}-{steps}-decay{weight_decay:g}-seed{seed}"
    result = nw.train(
        hypernetwork,
        tasks,
        folder=folder,
        resume=bool(Checkpoints(folder).steps()),
        steps=steps,
        tasks=16,
        learning_rate=LEARNING_RATE,
        weight_decay=weight_decay,
        validate_every=max(1, steps // 20),
        validation_tasks=400,
        checkpoint_every=1_000,
        seed=seed,
    )
    return hypernetwork, result


LEARNING_RATE = 3e-3


def evaluate(hypernetwork: nw.Hypernetwork, ways: int, shots: int) -> Evaluation:
    """1,000 fixed episodes of unseen alphabets."""
    tasks = nw.tasks.Omniglot(ways=ways, shots=shots, queries=15)
    return nw.evaluate(hypernetwork, tasks, tasks=EPISODES, seed=0)


def rows_of(seed: int, steps: int, head: str, runs: Path, weight_decay: float) -> list[Row]:
    """Train and evaluate one seed."""
    hypernetwork, result = train(seed, steps, head, runs, weight_decay)
    command = f"python benchmarks/omniglot.py --seeds {seed} --steps {steps} --weight-decay {weight_decay:g}"
    if head != "anchored":
        command += " --heads"
    suffix = "" if head == "anchored" and steps >= 20_000 else f"-{head}-{steps}"
    rows = []
    for name, ways, shots in SIZES:
        found = evaluate(hypernetwork, ways, shots)
        accuracy, shuffled = found.metrics["accuracy"], found.shuffled["accuracy"]
        note = (
            f"trained 20-way 1-shot, {steps} steps; validation {result.best_value:.4f}; shuffled "
            f"condition {shuffled.value:.3f}; calibration error {found.calibration_error:.3f}; "
            f"{found.parameters} parameters"
        )
        rows.append(
            Row(
                f"omniglot-{name}-8ch{suffix}-seed{seed}",
                100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high,
                "% accuracy", True, EPISODES, [seed], round(result.cpu_seconds), command, note,
            )
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=22_000)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--heads", action="store_true", help="compare the three kinds of head")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    heads = ["anchored", "anchor-only", "residual-only"] if arguments.heads else ["anchored"]
    for seed in arguments.seeds:
        for head in heads:
            write_rows(
                "omniglot",
                rows_of(seed, arguments.steps, head, arguments.runs, arguments.weight_decay),
            )


if __name__ == "__main__":
    main()
