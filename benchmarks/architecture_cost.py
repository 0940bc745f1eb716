"""What it takes to say what architectures cost, without building them.

    python benchmarks/architecture_cost.py         # about ten seconds

Candidates are of all five spaces, as many of each, drawn before the clock starts.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from netwright.architectures import (
    MLP,
    Limits,
    conv_space,
    mlp_space,
    recurrent_space,
    residual_space,
    transformer_space,
)

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/architecture_cost.py"
CANDIDATES, ROUNDS, SEED = 10_000, 5, 0
SPACES = [
    mlp_space(64, outputs=10),
    conv_space((1, 28, 28), outputs=10),
    residual_space(64, outputs=10),
    recurrent_space(8, 32, outputs=10),
    transformer_space(8, 32, outputs=10),
]


def row(name: str, work: Callable[[], object], unit: str, per: float, note: str) -> Row:
    """Median, smallest and largest wall-clock time of some rounds, and their CPU time together."""
    work()
    taken, cpu = [], time.process_time()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) / per)
    cpu = round(time.process_time() - cpu, 2)
    low, high = min(taken), max(taken)
    note = f"{note}; median, least and most of {ROUNDS} rounds"
    return Row(
        name, statistics.median(taken), low, high, unit, False, ROUNDS, [SEED], cpu, COMMAND, note
    )


def main() -> None:
    """Write the rows."""
    rng = np.random.default_rng(SEED)
    candidates = [space.sample(rng) for space in SPACES for _ in range(CANDIDATES // len(SPACES))]
    large = MLP(inputs=1000, hidden=(22_000, 44_000, 300), outputs=10)
    assert large.parameters > 10**9
    small = Limits(bytes=4096)
    rows = [
        row(
            "arch-cost-costed",
            lambda: [candidate.cost for candidate in candidates],
            "s",
            1,
            f"{CANDIDATES:,} candidates of five families costed",
        ),
        row(
            "arch-cost-billion",
            lambda: [large.cost for _ in range(1000)],
            "ms",
            1,
            f"one MLP of {large.parameters:,} parameters costed",
        ),
        row(
            "arch-cost-sampled",
            lambda: [
                SPACES[0].sample(np.random.default_rng(SEED), most=small, split="test")
                for _ in range(100)
            ],
            "ms",
            0.1,
            "one test MLP of at most 4,096 bytes drawn, the rest rejected",
        ),
    ]
    write_rows("architecture_cost", rows)


if __name__ == "__main__":
    main()
