"""Real small tables of the data folder, as data frames: `tabular/index.csv` says what they are."""

import csv
import gzip
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

# Families of tables, in an order that has nothing to do with them: the first are for choices.
VALIDATION_FAMILIES = 15
_MISSING = ("?", "")


@dataclass(frozen=True)
class SmallTable:
    """One table.

    Args:
        name: Of the set.
        family: Tables of one family come from one source: they stand on one side of a split.
        x: Columns; missing values are missing.
        y: Classes from 0, [N].
    """

    name: str
    family: str
    x: pd.DataFrame
    y: np.ndarray


def small_tables(which: str) -> Iterator[SmallTable]:
    """Tables of the `validation` or the `test` families."""
    root = Path(os.environ["NETWRIGHT_DATA"]) / "tabular"
    with (root / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["small_task"] == "1"]
    families = sorted(
        {row["family"] for row in rows}, key=lambda f: hashlib.sha256(f.encode()).hexdigest()
    )
    wanted = set(
        families[:VALIDATION_FAMILIES] if which == "validation" else families[VALIDATION_FAMILIES:]
    )
    for row in rows:
        if row["family"] in wanted:
            yield _read(root, row)


def half_splits(y: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """`count` halvings within each class; a class of one row is for training."""
    splits = []
    for seed in range(count):
        rng = np.random.default_rng([seed, len(y)])
        train: list[int] = []
        test: list[int] = []
        for c in np.unique(y):
            rows = rng.permutation(np.flatnonzero(y == c)).tolist()
            half = max(1, (len(rows) + seed % 2) // 2)
            train += rows[:half]
            test += rows[half:]
        splits.append((np.array(sorted(train)), np.array(sorted(test))))
    return splits


def _read(root: Path, row: dict[str, str]) -> SmallTable:
    raw = (root / row["archive"]).read_bytes()
    if row["archive"].endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            raw = archive.read(row["member"])
    text = (gzip.decompress(raw) if row["format"].endswith("gzip") else raw).decode("latin-1")
    if row["format"] == "arff":
        names, numeric, rows = _arff(text)
    else:
        delimiter = ";" if "semicolon" in row["format"] else ","
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter) if line]
        if "noheader" in row["format"]:
            names = [f"c{i}" for i in range(len(lines[0]))]
            names[-1], rows = row["target"], lines
        else:
            names, rows = lines[0], lines[1:]
        numeric = [all(_is_number(line[i]) for line in rows) for i in range(len(names))]
    place = names.index(row["target"])
    labels = np.array([_plain(line[place]) for line in rows])
    keep = labels != "?"
    dropped = {*filter(None, row["id_columns"].split(";")), row["target"]}
    columns = {}
    for i, name in enumerate(names):
        if name in dropped:
            continue
        cells = [_plain(line[i]) for line, kept in zip(rows, keep, strict=True) if kept]
        if numeric[i]:
            columns[name] = np.array([np.nan if c in _MISSING else float(c) for c in cells])
        else:
            columns[name] = np.array([None if c in _MISSING else c for c in cells], dtype=object)
    return SmallTable(
        row["name"],
        row["family"],
        pd.DataFrame({name: pd.Series(values) for name, values in columns.items()}),
        np.unique(labels[keep], return_inverse=True)[1],
    )


def _arff(text: str) -> tuple[list[str], list[bool], list[list[str]]]:
    names: list[str] = []
    numeric: list[bool] = []
    rows: list[list[str]] = []
    in_data = False
    for line in (raw.strip() for raw in text.splitlines()):
        if not line or line.startswith("%"):
            continue
        if in_data:
            rows.append(next(csv.reader([line], quotechar="'", skipinitialspace=True)))
        elif line.lower().startswith("@attribute"):
            rest = line[len("@attribute") :].strip()
            if rest[0] in "'\"":
                end = rest.index(rest[0], 1)
                name, kind = rest[1:end], rest[end + 1 :]
            else:
                name, kind = rest.split(None, 1)
            names.append(name)
            numeric.append(kind.strip().lower().startswith(("num", "real", "int")))
        elif line.lower().startswith("@data"):
            in_data = True
    return names, numeric, rows


def _plain(cell: str) -> str:
    return cell.strip().strip("'\"")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip() in _MISSING
    return True
