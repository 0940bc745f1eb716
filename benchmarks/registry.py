"""What it costs to keep a network: milliseconds per network, by how many are added at once, in SQLite and PostgreSQL.

    python benchmarks/registry.py    # about a minute; PostgreSQL where its programs are installed

Durable: each batch is a synced file and a committed row per network. Beside it what the disk takes to sync one small file.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import torch

import netwright as nw
from netwright.registry import Registry

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from databases import Postgres, new_database, programs
from records import Row, write_rows

COMMAND = "python benchmarks/registry.py"
ROUNDS = {1: 60, 32: 30, 256: 10}


def networks(count: int) -> list[nw.GeneratedNetwork]:
    """Networks of 2,015 parameters."""
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=16, hidden=(40, 31), outputs=2))
    reader = nw.conditioners.Context([0.0], [1.0])
    hypernetwork = nw.Hypernetwork(child, reader, "dense")
    return hypernetwork.generate_many(nw.Condition(context=torch.rand(count, 1)))


def milliseconds(work: object, rounds: int) -> list[float]:
    """Of each round, wall clock: waiting for the disk is what it is about."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()  # type: ignore[operator]
        times.append(1000 * (time.perf_counter() - started))
    return times


def row(name: str, times: list[float], each: int, note: str, spent: float) -> Row:
    """Median per network, with quartiles."""
    low, _, high = quantiles(times, n=4)
    return Row(
        f"registry-{name}", round(median(times) / each, 4), round(low / each, 4), round(high / each, 4), "ms per network",
        False, len(times), [0], round(spent, 1), COMMAND, note,
    )  # fmt: skip


def measure(url: str, folder: Path, kind: str, kept: list[nw.GeneratedNetwork]) -> list[Row]:
    """Rows of one kind of database."""
    registry = Registry(url, folder / f"artifacts-{kind}")
    registry.add_many(kept[:2])
    rows = []
    for count, rounds in ROUNDS.items():
        started = time.process_time()
        times = milliseconds(lambda n=count: registry.add_many(kept[:n]), rounds)  # type: ignore[misc]
        spent = time.process_time() - started
        cpu = 1000 * spent / (rounds * count)
        note = (
            f"{count} at once, {rounds} rounds, wall clock, quartiles; {cpu:.2f} CPU-ms per network"
        )
        rows.append(row(f"add-{kind}-{count}", times, count, note, spent))
    entries = registry.list(limit=256, after=100)
    ids = [entry.network_id for entry in entries]
    started = time.process_time()
    times = milliseconds(lambda: registry.get(ids[0]), 60)
    rows.append(row(f"get-{kind}", times, 1, "checked and built", time.process_time() - started))
    started = time.process_time()
    each = iter(ids)
    times = milliseconds(lambda: registry.remove(next(each)), 40)
    note = "of packs with others: zeros are written over it"
    rows.append(row(f"remove-{kind}", times, 1, note, time.process_time() - started))
    assert not registry.verify_all().damaged
    registry.close()
    return rows


def sync_one(folder: Path) -> None:
    """Write a file of 10 kB, synced."""
    descriptor = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, bytes(10_000))
    os.fsync(descriptor)
    os.close(descriptor)


def main() -> None:
    """Run and write."""
    torch.set_num_threads(1)
    kept = networks(256)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        rows = [row("disk", milliseconds(lambda: sync_one(folder), 60), 1, "one file of 10 kB, written and synced: what the disk takes", 0.0)]  # fmt: skip
        rows += measure(f"sqlite:///{folder}/registry.db", folder, "sqlite", kept)
        where = programs()
        if where is not None:
            (folder / "postgres").mkdir()
            server = Postgres(where, folder / "postgres", durable=True)
            server.start()
            try:
                rows += measure(new_database(server), folder, "postgresql", kept)
            finally:
                server.stop()
    write_rows("registry", rows)


if __name__ == "__main__":
    main()
