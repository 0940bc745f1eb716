"""Damage and forge files of every kind: how many are refused by a typed error, how long that takes, how much memory.

    python benchmarks/file_corruption.py    # about five minutes

2,000 flipped bits over all files; every truncation of files up to 3,000 bytes, 300 of larger ones; 62 safetensors headers,
30 names that lead elsewhere and 10 pickles in disguise, each in every kind of folder, with manifests that are right about them.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from netwright.errors import NetwrightError

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import corruption
from records import Row, write_rows

COMMAND = "python benchmarks/file_corruption.py"
FLIPS, SMALL, CUTS, SECONDS = 2_000, 3_000, 300, 10


@dataclass
class Tally:
    """What came of cases of one kind."""

    cases: int = 0
    missed: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0
    growth_mb: float = 0.0


def memory_mb(what: str) -> float:
    """A line of this process's status: VmRSS now, or VmHWM, the most since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def try_to_load(tally: Tally, name: str, load: Callable[[], object]) -> None:
    """Load what is damaged: anything but an error of netwright's is a miss."""
    Path("/proc/self/clear_refs").write_text("5")
    before, started = memory_mb("VmRSS"), time.perf_counter()
    signal.alarm(SECONDS)
    try:
        load()
        tally.missed.append(f"{name}: loaded")
    except NetwrightError:
        pass
    except BaseException as error:
        tally.missed.append(f"{name}: {type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
    tally.cases += 1
    tally.slowest_ms = max(tally.slowest_ms, 1000 * (time.perf_counter() - started))
    tally.growth_mb = max(tally.growth_mb, memory_mb("VmHWM") - before)


def damage(subject: corruption.Subject, path: Path, data: bytes, tally: Tally) -> None:
    """Load with one file changed, and put it back."""
    whole = path.read_bytes()
    path.write_bytes(data)
    try_to_load(tally, f"{subject.name}/{path.name}", subject.load)
    path.write_bytes(whole)


def forge(subject: corruption.Subject, cases: object, tally: Tally) -> None:
    """Load each forged folder, and put the true one back."""
    folder, _, _ = corruption.artifact_files(subject)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, make in cases:  # type: ignore[attr-defined]
        make()
        try_to_load(tally, f"{subject.name}: {name}", subject.load)
    corruption.fill(folder, whole)


def measure(root: Path, seed: int) -> dict[str, Tally]:
    """All cases, by what is done."""
    rng = random.Random(seed)
    canary = root / "canary"
    canary.write_text("alive")
    touched = canary.stat().st_mtime_ns
    subjects = corruption.subjects(root)
    for subject in subjects:
        subject.load()
    tallies = {n: Tally() for n in ("flips", "truncations", "headers", "traversals", "pickles")}
    files = sum(len(subject.files) for subject in subjects)
    for i, subject in enumerate(subjects):
        count = FLIPS * len(subject.files) // files if i else 0
        if not i:
            count = FLIPS - sum(FLIPS * len(s.files) // files for s in subjects[1:])
        for path, data in corruption.flips(subject, count, rng):
            damage(subject, path, data, tallies["flips"])
        for path in subject.files:
            most = SMALL if path.stat().st_size <= SMALL else CUTS
            for data in corruption.truncations(path, most, rng):
                damage(subject, path, data, tallies["truncations"])
        if subject.name == "registry":
            continue
        forge(subject, corruption.traversals(subject), tallies["traversals"])
        if subject.name == "adapter":
            continue  # PEFT reads it, and not this library
        forge(subject, corruption.crafted_headers(subject), tallies["headers"])
        forge(subject, corruption.disguises(subject, canary), tallies["pickles"])
        print(f"{subject.name}: done", file=sys.stderr, flush=True)
    for subject in subjects:
        subject.load()
    if canary.stat().st_mtime_ns != touched or canary.read_text() != "alive":
        tallies["pickles"].missed.append("the canary was touched")
    return tallies


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        tallies = measure(Path(folder), args.seed)
    spent = time.process_time() - started
    cases = sum(tally.cases for tally in tallies.values())
    missed = [line for tally in tallies.values() for line in tally.missed]
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    told = ", ".join(f"{tally.cases:,} {name}" for name, tally in tallies.items())
    same = {"low": None, "high": None, "n": cases, "seeds": [args.seed], "cpu_seconds": round(spent, 1), "command": COMMAND}  # fmt: skip
    slowest = max(tally.slowest_ms for tally in tallies.values())
    growth = max(tally.growth_mb for tally in tallies.values())
    write_rows(
        "file_corruption",
        [
            Row("file-corruption", 100 * (cases - len(missed)) / cases, unit="% refused by a typed error", higher_is_better=True, note=f"{told}; canary not touched", **same),  # type: ignore[arg-type]
            Row("file-corruption-slowest", round(slowest, 1), unit="ms", higher_is_better=False, note="slowest refusal, wall clock", **same),  # type: ignore[arg-type]
            Row("file-corruption-memory", round(growth, 1), unit="MB", higher_is_better=False, note="largest growth of resident memory in one load", **same),  # type: ignore[arg-type]
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
