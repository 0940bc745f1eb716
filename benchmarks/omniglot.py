"""Omniglot with a child of 8 channels: train once, test on unseen alphabets.

    python benchmarks/omniglot.py                      # the headline runs, about 55 CPU-minutes a seed
    python benchmarks/omniglot.py --heads --steps 4000 # anchored, anchor only, residual only

Hyperparameters were chosen with 5 or 10 of the 30 background alphabets kept for validation (see
docs/benchmarks.md). These runs keep 2, so that 28 are learned from, and take the last weights, a
running average, rather than the best by so few alphabets. A run that was stopped goes on where it was.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

import netwright as nw
from netwright.evaluation import Evaluation
from netwright.process import keep_freed_memory
from netwright.tasks import Split
from netwright.training import Checkpoints, curves

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

EPISODES = 1_000
# Evaluated sizes: id, ways, shots.
SIZES = [("20w1s", 20, 1), ("5w1s", 5, 1), ("5w5s", 5, 5)]


# Background alphabets kept for validation; the other 28 are learned from.
KEPT = 2
LEARNING_RATE = 3e-3
# Candidates for reading the support with shifted copies, chosen on validation alphabets.
SHIFTS = (0, 1, 2)


def train(seed: int, steps: int, head: str, runs: Path, weight_decay: float) -> Path:
    """Train on 20-way 1-shot tasks, unless that is done already; the run folder."""
    folder = runs / f"omniglot-20w1s-{head}-{steps}-decay{weight_decay:g}-seed{seed}"
    there = Checkpoints(folder).steps()
    if there and there[-1] == steps:
        return folder
    tasks = nw.tasks.Omniglot(
        ways=20, shots=1, queries=5, jitter=2, warps="fresh", validation_alphabets=KEPT
    )
    result = nw.train(
        nw.make_hypernetwork(tasks.shape, seed=seed, head=head),
        tasks,
        folder=folder,
        resume=bool(there),
        steps=steps,
        tasks=16,
        learning_rate=LEARNING_RATE,
        weight_decay=weight_decay,
        average=0.999,
        validate_every=max(1, steps // 20),
        validation_tasks=400,
        checkpoint_every=1_000,
        seed=seed,
    )
    curves.draw(folder, result.log)
    return folder


def evaluate(
    hypernetwork: nw.Hypernetwork, ways: int, shots: int, split: Split, n: int
) -> Evaluation:
    """Fixed episodes of unseen alphabets."""
    tasks = nw.tasks.Omniglot(ways=ways, shots=shots, queries=15, validation_alphabets=KEPT)
    return nw.evaluate(hypernetwork, tasks, tasks=n, seed=0, split=split)


def choose_shifts(hypernetwork: nw.Hypernetwork) -> dict[int, float]:
    """Validation accuracy by shift; the hypernetwork is left with the best one."""
    found = {}
    for shifts in SHIFTS:
        hypernetwork.shifts = shifts
        found[shifts] = evaluate(hypernetwork, 20, 1, "validation", 300).metrics["accuracy"].value
    hypernetwork.shifts = max(found, key=lambda shifts: found[shifts])
    return found


def rows_of(seed: int, steps: int, head: str, runs: Path, weight_decay: float) -> list[Row]:
    """Train one seed, choose how the support is read, evaluate on test alphabets."""
    folder = train(seed, steps, head, runs, weight_decay)
    hypernetwork, _ = nw.load_hypernetwork(folder, weights="last")
    last = json.loads(Checkpoints(folder).newest().files["progress.json"])
    shifts = choose_shifts(hypernetwork)
    command = f"python benchmarks/omniglot.py --seeds {seed} --steps {steps} --weight-decay {weight_decay:g}"
    if head != "anchored":
        command += " --heads"
    suffix = "" if head == "anchored" and steps >= 20_000 else f"-{head}-{steps}"
    rows = []
    for name, ways, shots in SIZES:
        found = evaluate(hypernetwork, ways, shots, "test", EPISODES)
        accuracy, shuffled = found.metrics["accuracy"], found.shuffled["accuracy"]
        note = (
            f"{steps} steps on 20-way 1-shot, weight decay {weight_decay:g}, {KEPT} alphabets "
            f"kept for validation, last weights; validation by shifts of the support "
            f"{ {k: round(v, 4) for k, v in shifts.items()} }; shuffled condition {shuffled.value:.3f}; "
            f"calibration error {found.calibration_error:.3f}; {found.parameters} parameters, "
            f"{found.generate_ms:.1f} ms"
        )
        rows.append(
            Row(
                f"omniglot-{name}-8ch{suffix}-seed{seed}",
                100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high,
                "% accuracy", True, EPISODES, [seed], round(last["cpu_seconds"]), command, note,
            )
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=34_000)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--heads", action="store_true", help="compare the three kinds of head")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    heads = ["anchored", "anchor-only", "residual-only"] if arguments.heads else ["anchored"]
    for seed in arguments.seeds:
        for head in heads:
            write_rows(
                "omniglot",
                rows_of(seed, arguments.steps, head, arguments.runs, arguments.weight_decay),
            )


if __name__ == "__main__":
    main()
