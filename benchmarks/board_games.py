"""Policies written for board games of rules that were never met: against chance, minimax, and each other.

    python benchmarks/board_games.py train --folder runs/boards
    python benchmarks/board_games.py chance --folder runs/boards
    python benchmarks/board_games.py minimax --folder runs/boards
    python benchmarks/board_games.py written --folder runs/boards

Trainings go on where they were stopped; those that are done are not repeated. Settings were chosen on validation rules.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from control import trained

from netwright.tasks import Control

STEPS = 4_800
# Of each kind of learner, how many seeds, in the order of importance.
RUNS = (
    ("hypernetwork", "context", 0), ("joint", "context", 0), ("film", "context", 0),
    ("hypernetwork", "context", 1), ("concat", "context", 0), ("hypernetwork", "description", 0),
    ("hypernetwork", "context", 2),
)  # fmt: skip


def writer_of(folder: Path, kind: str, source: str, seed: int):
    """What writes policies, and CPU-seconds of its training against opponents that look ahead to some extent."""
    family = Control("connect-k-looking-ahead", sources=(source,), training_episodes=16)
    return trained(
        folder / source, family, seed, STEPS, kind=kind, objective={"discount": 0.99}, hidden=(48,),
        tasks=64, learning_rate=2e-3, validate_every=1_200, checkpoint_every=1_200,
    )  # fmt: skip


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train"])
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for kind, source, seed in RUNS:
        _, spent = writer_of(args.folder, kind, source, seed)
        print(kind, source, seed, f"{spent:.0f} CPU-seconds", flush=True)


if __name__ == "__main__":
    main()
