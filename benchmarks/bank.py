"""Rows of many resident networks in one call, and networks written by the hundred thousand.

python benchmarks/bank.py              # about two minutes
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import netwright as nw
from netwright.bank import AtRest, NetworkBank, write_shard
from netwright.process import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows
from timing import in_turns

COMMAND = "python benchmarks/bank.py"
NETWORKS, ROWS, IDS = 10_000, 1_024, 256
# Mass generation: children of about 1,200 numbers.
CONDITIONS = 200_000


def filled_bank(child: nw.Child, at_rest: AtRest) -> NetworkBank:
    """Ten thousand different networks."""
    bank = NetworkBank(child, at_rest=at_rest)
    for first in range(0, NETWORKS, 1_000):
        params = child.initial_params(1_000)
        bank.add(
            range(first, first + 1_000),
            {name: value + 0.1 * torch.randn_like(value) for name, value in params.items()},
        )
    return bank


def mixed_rows(budget_s: float) -> list[Row]:
    """Throughput of 1,024 rows over 256 of the networks, over that of one network for all rows."""
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=64, hidden=(64, 64), outputs=10))
    alone = child.materialise(child.initial_params(1)).eval()
    x = torch.randn(ROWS, 64)
    rng = np.random.default_rng(0)
    asked = rng.permutation(NETWORKS)[:IDS][rng.integers(0, IDS, ROWS)].tolist()
    # What memory allows: the weights that are asked for read once, and nothing done with them.
    weights = torch.randn(NETWORKS, child.space.size)
    once = torch.tensor(sorted(set(asked))).unsqueeze(0)
    rows = []
    for at_rest in ("float32", "float16", "int8"):
        bank = filled_bank(child, at_rest)
        rivals = {"alone": lambda: alone(x), "bank": lambda bank=bank: bank.run(asked, x)}
        if at_rest == "float32":
            rivals["read"] = lambda: F.embedding_bag(once, weights, mode="sum")
        with torch.inference_mode():
            timed = in_turns(rivals, "alone", budget_s=budget_s)
        found = timed["bank"]
        if at_rest == "float32":
            read, note = (
                timed["read"],
                f"{once.shape[1]} networks' weights read once, and no product",
            )
            rows.append(
                Row("bank-mixed-reading-only", 1 / read.ratio, 1 / read.high, 1 / read.low,
                    "of one shared network's throughput", True, read.rounds, [0], 0, COMMAND, note)
            )  # fmt: skip
        name = "bank-mixed" if at_rest == "float32" else f"bank-mixed-{at_rest}"
        note = (
            f"{1000 * found.seconds:.2f} ms; {NETWORKS:,} networks of 8,970 parameters, "
            f"{bank.nbytes / 1e6:.0f} MB at rest"
        )
        rows.append(
            Row(name, 1 / found.ratio, 1 / found.high, 1 / found.low,
                "of one shared network's throughput", True, found.rounds, [0], 0, COMMAND, note)
        )  # fmt: skip
    return rows


def mass_rows() -> list[Row]:
    """Networks written per second, in memory and committed to disk, on one thread."""
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=16, hidden=(32, 18), outputs=4))
    reader = nw.conditioners.Context([0.0] * 8, [1.0] * 8, size=32, hidden=64)
    hypernetwork = nw.Hypernetwork(child, reader, "dense", hidden=64).eval()
    condition = nw.Condition(context=torch.rand(CONDITIONS, 8))
    size = child.space.size
    times = []
    for _ in range(5):
        start = time.perf_counter()
        with torch.no_grad():
            for first in range(0, CONDITIONS, 2_048):
                hypernetwork(condition.rows(slice(first, first + 2_048)))
        times.append(time.perf_counter() - start)
    rates = sorted(CONDITIONS / t for t in times)
    rows = [
        Row("mass-generation-memory", rates[2], rates[0], rates[-1], "networks per second", True, 5, [0],
            0, COMMAND, f"children of {size:,} numbers, 2,048 at a time")
    ]  # fmt: skip
    for at_rest in ("float32", "float16"):
        rates = []
        for _ in range(3):
            with tempfile.TemporaryDirectory(dir=".") as folder:
                start = time.perf_counter()
                write_shard(hypernetwork, condition, range(CONDITIONS), folder, at_rest=at_rest)
                rates.append(CONDITIONS / (time.perf_counter() - start))
        rates.sort()
        name = "mass-generation-disk" + ("" if at_rest == "float32" else f"-{at_rest}")
        rows.append(
            Row(name, rates[1], rates[0], rates[-1], "networks per second", True, 3, [0], 0, COMMAND,
                f"{at_rest}, sha256, synced and renamed")
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    write_rows("bank", [*mixed_rows(arguments.budget), *mass_rows()])


if __name__ == "__main__":
    main()
