"""Rows as users hold them (arrays, lists, data frames) as named columns."""

from collections import Counter
from typing import Any

import numpy as np

from netwright.errors import DataError
from netwright.tasks.columns import Column, Columns


def columns_of(x: Any) -> Columns:
    """Columns of an array [N, D] or a data frame, by name; those of an array are named x0, x1, ...

    Numbers and booleans are numeric; text, categories and mixed values are categorical; dates become hour, weekday,
    day, month and year, durations seconds. What is missing (NaN, None, NaT) is missing.

    Raises:
        DataError: If names are doubled, or a value is infinite or no plain value.
    """
    if hasattr(x, "iloc"):
        return _of_frame(x)
    array = np.asarray(x)
    return {
        name: column
        for d in range(array.shape[1])
        for name, column in _column(f"x{d}", array[:, d]).items()
    }


def check_names(frame: Any) -> list[str]:
    """Names of a data frame's columns, each of which must stand there once.

    Raises:
        DataError: If one stands there twice.
    """
    counts = Counter(str(name) for name in frame.columns)
    if doubled := sorted(name for name, count in counts.items() if count > 1):
        raise DataError(
            f"The table has columns of the same name {doubled}, expected each name once. Rename them."
        )
    return list(counts)


def _of_frame(frame: Any) -> Columns:
    names = check_names(frame)
    columns: Columns = {}
    for place, name in enumerate(names):
        series = frame.iloc[:, place]
        if series.dtype.kind == "M":
            columns.update(_dates(name, series))
            continue
        if series.dtype.kind == "m":
            columns[name] = Column("numeric", np.asarray(series.dt.total_seconds(), np.float64))
            continue
        # Nullable and categorical types hand out objects, with their own marks of what is missing.
        values = series.to_numpy()
        if values.dtype.kind not in "biuf":
            values = np.where(series.isna(), None, series.astype(object))
        columns.update(_column(name, np.asarray(values)))
    return columns


def _column(name: str, values: np.ndarray) -> Columns:
    kind = values.dtype.kind
    if kind in "biuf":
        return {name: _numeric(name, values.astype(np.float64), is_boolean=kind == "b")}
    if kind in "US":
        values = values.astype(object)
    if kind not in "USO":
        raise DataError(
            f"Column {name!r} holds {values.dtype}, expected numbers, text, categories or dates. Leave it out."
        )
    known = [v for v in values if not _is_missing(v)]
    if all(isinstance(v, bool | np.bool_) for v in known) and known:
        numbers = np.array([np.nan if _is_missing(v) else float(v) for v in values])
        return {name: _numeric(name, numbers, is_boolean=True)}
    if all(isinstance(v, int | float | np.integer | np.floating) for v in known):
        numbers = np.array([np.nan if _is_missing(v) else float(v) for v in values])
        return {name: _numeric(name, numbers)}
    if odd := next((v for v in known if isinstance(v, dict | list | tuple | set | complex)), None):
        raise DataError(
            f"Column {name!r} holds {type(odd).__name__}, expected numbers, text, categories or dates. Leave it out."
        )
    texts = [None if _is_missing(v) else str(v) for v in values]
    return {name: Column("categorical", np.array(texts, dtype=object))}


def _numeric(name: str, values: np.ndarray, *, is_boolean: bool = False) -> Column:
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise DataError(
            f"Column {name!r} holds infinity at row {row}, expected finite numbers. Replace it by a number or by NaN."
        )
    return Column("numeric", values, is_boolean)


def _dates(name: str, series: Any) -> Columns:
    parts = {
        "hour": series.dt.hour,
        "weekday": series.dt.day_of_week,
        "day": series.dt.day,
        "month": series.dt.month,
        "year": series.dt.year,
    }
    return {
        f"{name}.{part}": Column("numeric", np.asarray(values, dtype=np.float64))
        for part, values in parts.items()
    }


def _is_missing(value: object) -> bool:
    # NaN and NaT are not themselves; pandas' NA refuses to say.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and value != value


__all__ = ["check_names", "columns_of"]
