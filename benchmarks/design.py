"""Ways to propose architectures, for the same hypernetwork, budget and number of candidates.

netwright train digits --sizes mlp --folder runs/digits-mlp-1
python benchmarks/design.py --run runs/digits-mlp-1
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netwright.architectures import Limits
from netwright.conditions import ExampleSet
from netwright.search import Design, design
from netwright.tasks import Sized
from netwright.training import build_family, load_hypernetwork

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

BUDGETS = (4, 32)  # kB
COMMAND = "python benchmarks/design.py --run runs/digits-mlp-1"
METHODS = ("random", "evolution", "nsga2", "tpe")
# TPE takes far longer than all else.
SLOW = {"tpe": 2}


def rows_of(data: Any, split: str) -> ExampleSet:
    """All rows of a split as those of one task."""
    places = torch.from_numpy(data.rows[split])
    return ExampleSet.of(data.x[places][None], data.y[places][None], classes=10)


@torch.no_grad()
def accuracy(found: Design, rows: ExampleSet) -> float:
    """Of the chosen network on rows that had no part in the search."""
    return float((found.network(rows.x[0]).argmax(dim=-1) == rows.y[0]).float().mean())


def volume(found: Design, budget: int) -> float:
    """Mean over log bytes, from the smallest network to the budget, of the best accuracy that these bytes can have."""
    edges = [*(np.log(each.cost.bytes) for each in found.front), np.log(budget)]
    best = np.maximum.accumulate([each.value or 0.0 for each in found.front])
    return float(np.dot(np.diff(edges), best) / (edges[-1] - edges[0]))


def row(
    name: str, values: list[float], unit: str, cpu: float, note: str, *, higher: bool = True
) -> Row:
    """The mean over seeds, with the least and the largest."""
    each = ", ".join(f"{v:.4g}" for v in values)
    return Row(
        name, float(np.mean(values)), min(values), max(values), unit, higher, len(values),
        list(range(len(values))), cpu, COMMAND, f"{note}; least and largest of the seeds of the search: {each}",
    )  # fmt: skip


def main() -> None:
    """Search, score, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    hypernetwork, run = load_hypernetwork(arguments.run)
    family = build_family(run.family)
    assert isinstance(family, Sized)
    validation, test, train = (rows_of(family.family, s) for s in ("validation", "test", "train"))
    rows: list[Row] = []
    for kilobytes in BUDGETS:
        most = 1024 * kilobytes
        asked: dict[str, Any] = {
            "limits": Limits(bytes=most), "held_out": validation, "rows": train, "by": ("bytes",),
            "candidates": arguments.candidates,
        }  # fmt: skip
        about = f"MLPs of at most {most:,} bytes for digits, {arguments.candidates} candidates, one hypernetwork"
        for method, polish in [("evolution", 300), *((method, 0) for method in METHODS)]:
            if method in SLOW and kilobytes != BUDGETS[0]:
                continue
            chosen, reached, fronts, spent = [], [], [], []
            for seed in range(min(arguments.seeds, SLOW.get(method, arguments.seeds))):
                started = time.process_time()
                found = design(
                    hypernetwork, family.space, method=method, seed=seed, polish=polish, **asked
                )
                spent.append(time.process_time() - started)
                chosen.append(accuracy(found, test))
                reached.append(found.chosen.value or 0.0)
                fronts.append(volume(found, most))
                print(kilobytes, method, polish, seed, found.chosen.architecture, reached[-1], chosen[-1], f"{fronts[-1]:.4f} {spent[-1]:.1f} s", flush=True)  # fmt: skip
            name = f"design-digits-{kilobytes}kb-{method}{'-polished' if polish else ''}"
            note = about + (f", the best five polished by {polish} steps" if polish else "")
            cpu = sum(spent)
            rows += [
                row(f"{name}-chosen", chosen, "share", cpu, f"{note}: accuracy of the chosen network on 359 test rows"),
                row(f"{name}-validation", reached, "share", cpu, f"{note}: accuracy on the 359 rows that it was chosen by"),
                row(f"{name}-front", fronts, "share", cpu, f"{note}: mean over log bytes of the best accuracy on these rows"),
                row(f"{name}-cost", spent, "CPU-s", cpu, f"{note}: one search", higher=False),
            ]  # fmt: skip
            write_rows("design", rows)


if __name__ == "__main__":
    main()
