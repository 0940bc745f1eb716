"""Rows of benchmark results, as JSON beside the script that made them."""

import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One number with everything needed to believe it and to make it again."""

    id: str
    value: float
    low: float | None
    high: float | None
    unit: str
    higher_is_better: bool
    n: int
    seeds: list[int]
    cpu_seconds: float
    command: str
    note: str = ""


def write_rows(benchmark: str, rows: list[Row]) -> Path:
    """Replace rows of the same id in benchmarks/results/<benchmark>.json, keep the others."""
    path = RESULTS / f"{benchmark}.json"
    there = json.loads(path.read_text()) if path.exists() else []
    new = [{**asdict(row), "machine": machine(), "commit": commit()} for row in rows]
    ids = {row["id"] for row in new}
    path.parent.mkdir(exist_ok=True)
    kept = [row for row in there if row["id"] not in ids]
    path.write_text(json.dumps(sorted([*kept, *new], key=lambda row: row["id"]), indent=2) + "\n")
    for row in new:
        interval = "" if row["low"] is None else f" [{row['low']:.5g}, {row['high']:.5g}]"
        print(
            f"{row['id']:34} {row['value']:.5g}{interval} {row['unit']}  {row['note']}", flush=True
        )
    return path


def machine() -> str:
    """Processor and versions, without names of hosts."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return f"{model or platform.processor()}, one thread, torch {torch.__version__}"


def commit() -> str:
    """The commit that was measured; marked if the tree had changes."""
    root = Path(__file__).parent.parent
    run = {"cwd": root, "capture_output": True, "text": True, "check": False}
    revision = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **run).stdout.strip()  # type: ignore[call-overload]
    changed = subprocess.run(["git", "status", "--porcelain", "src"], **run).stdout.strip()  # type: ignore[call-overload]
    return revision + ("+changes" if changed else "")
