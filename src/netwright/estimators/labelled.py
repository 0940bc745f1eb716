"""A table whose rows have classes, read from a file and checked."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from netwright.errors import DataError
from netwright.tasks.columns import Columns, as_text, read_columns, require

FEWEST_ROWS = 10


def read_labelled(
    path: Path, target: str, *, ignore: tuple[str, ...] = ()
) -> tuple[Columns, np.ndarray]:
    """Columns of a file without the target, and the class of each row, as text, [N]; rows without one are left out.

    Args:
        path: A CSV, TSV or Parquet file.
        target: Column with the classes.
        ignore: Columns to leave out.

    Raises:
        DataError: If it cannot be read, or the target holds no classes, or nothing stands beside it.
    """
    columns = read_columns(path, ignore=ignore, required=(target,))
    labels = as_text(require(columns, target, "the target"))
    known = np.array([label is not None for label in labels])
    if known.sum() < FEWEST_ROWS:
        raise DataError(
            f"{path} has {known.sum()} rows with a target, expected at least {FEWEST_ROWS}. Add rows."
        )
    kinds = len(set(labels[known]))
    if kinds < 2:
        raise DataError(
            f"Column {target!r} holds one class only, {labels[known][0]!r}, expected at least two classes."
        )
    if kinds > max(20, known.sum() // 4):
        raise DataError(
            f"Column {target!r} has {kinds} different values in {known.sum()} rows, expected classes. "
            "Numbers to be forecast are no classes: `netwright regress` is for them."
        )
    if len(columns) < 2:
        raise DataError(
            f"{path} has no column beside {target!r}, expected at least one to predict it from."
        )
    kept = {
        name: replace(column, values=column.values[known])
        for name, column in columns.items()
        if name != target
    }
    return kept, labels[known].astype(str)


__all__ = ["FEWEST_ROWS", "read_labelled"]
