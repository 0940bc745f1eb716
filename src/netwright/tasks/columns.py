"""Columns of a CSV or Parquet file, and how they become numbers."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from netwright.errors import DataError, MissingExtraError

TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".pq")
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]
# Beyond this many standard deviations a value is as extreme as it gets: heavy tails must not explode.
_CLIP = 8.0
MOST_CATEGORIES = 32


@dataclass(frozen=True)
class Column:
    """Values of one column: float64 with NaN for missing, or text (object) with None for missing."""

    kind: Literal["numeric", "categorical"]
    values: np.ndarray


Columns = dict[str, Column]


def read_columns(path: str | Path, *, categorical: Sequence[str] = ()) -> Columns:
    """All columns of a CSV, TSV or Parquet file; dates become hour, weekday, day and month.

    Args:
        path: The file.
        categorical: Numeric columns to be read as categories.

    Raises:
        DataError: If the file is missing, empty, no table, or holds infinity or doubled names.
        MissingExtraError: If pyarrow is not installed.
    """
    path = Path(path)
    table = _read_table(path)
    names = Counter(table.column_names)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise DataError(f"{path} has columns of the same name {doubled}, expected each name once.")
    if table.num_rows == 0:
        raise DataError(f"{path} has a header and no rows, expected rows. Export it again.")
    columns: Columns = {}
    for name in table.column_names:
        columns.update(_columns_of(name, table.column(name), name in categorical))
    for name, column in columns.items():
        if column.kind == "numeric" and np.isinf(column.values).any():
            row = int(np.isinf(column.values).argmax())
            raise DataError(
                f"{path} holds infinity in column {name!r}, row {row + 1}, expected finite numbers. "
                "Replace it or leave the cell empty."
            )
    return columns


def _read_table(path: Path) -> Any:
    try:
        import pyarrow as pa
        from pyarrow import csv, parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "table", "Reading tables") from None
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise DataError(f"{path} {what}, expected a CSV or Parquet file. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty, expected a table with a header row.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return parquet.read_table(path)
        convert = csv.ConvertOptions(null_values=_MISSING, strings_can_be_null=True)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        return csv.read_csv(
            path,
            convert_options=convert,
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        )
    except (pa.ArrowInvalid, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path} cannot be read as a table: {reason} Expected CSV or Parquet."
        ) from None


def _columns_of(name: str, data: Any, is_categorical: bool) -> Columns:
    import pyarrow as pa
    from pyarrow import compute

    kind = data.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        parts = {
            "hour": compute.hour, "weekday": compute.day_of_week,
            "day": compute.day, "month": compute.month,
        }  # fmt: skip
        if pa.types.is_date(kind):
            del parts["hour"]
        return {f"{name}.{part}": _numeric(take(data)) for part, take in parts.items()}
    is_number = (
        pa.types.is_integer(kind) or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    )  # fmt: skip
    if is_number and not is_categorical:
        return {name: _numeric(data)}
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise DataError(
            f"Column {name!r} holds {kind}, expected numbers, text or dates. Leave it out."
        )
    values = np.array([None if v is None else str(v) for v in data.to_pylist()], dtype=object)
    return {name: Column("categorical", values)}


def _numeric(data: Any) -> Column:
    import pyarrow as pa

    values = data.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return Column("numeric", np.asarray(values, dtype=np.float64))


def require(columns: Mapping[str, Column], name: str, purpose: str) -> Column:
    """A column by name.

    Raises:
        DataError: If it is not there; the message lists those that are.
    """
    if name in columns:
        return columns[name]
    near = difflib.get_close_matches(name, list(columns), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"There is no column {name!r} ({purpose}), expected one of {list(columns)}.{hint}"
    )


@dataclass(frozen=True)
class Numeric:
    """A numeric column, centred and scaled; whether it is missing stands beside it."""

    name: str
    centre: float
    scale: float
    has_missing: bool

    @property
    def width(self) -> int:
        """Numbers per row."""
        return 1 + self.has_missing


@dataclass(frozen=True)
class Categorical:
    """A column of categories, one number each, and one for all others."""

    name: str
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers per row."""
        return len(self.categories) + 1


@dataclass(frozen=True)
class ColumnEncoder:
    """How columns become D numbers per row, decided by the rows of training tasks alone."""

    encodings: tuple[Numeric | Categorical, ...]

    @classmethod
    def fit(cls, columns: Mapping[str, Column]) -> "ColumnEncoder":
        """Statistics of these rows; columns that never vary are left out."""
        found = [_encoding(name, column) for name, column in columns.items()]
        return cls(tuple(encoding for encoding in found if encoding is not None))

    @property
    def width(self) -> int:
        """D, numbers per row."""
        return sum(encoding.width for encoding in self.encodings)

    def encode(self, columns: Mapping[str, Column]) -> np.ndarray:
        """Rows as numbers, float32 [N, D]; columns that are not known are ignored.

        Raises:
            DataError: If a column is missing, or holds text where numbers were.
        """
        blocks = []
        for encoding in self.encodings:
            column = require(columns, encoding.name, "an input of this network")
            if isinstance(encoding, Numeric):
                blocks.append(_encode_numeric(encoding, column))
            else:
                blocks.append(_encode_categories(encoding, column))
        return np.concatenate(blocks, axis=1).astype(np.float32)

    def to_json(self) -> list[dict[str, Any]]:
        """The same as plain values."""
        kinds = {Numeric: "numeric", Categorical: "categorical"}
        return [{"kind": kinds[type(encoding)], **asdict(encoding)} for encoding in self.encodings]

    @classmethod
    def from_json(cls, record: Sequence[Mapping[str, Any]]) -> "ColumnEncoder":
        """The inverse of `to_json`."""
        encodings: list[Numeric | Categorical] = []
        for entry in record:
            options = {name: value for name, value in entry.items() if name != "kind"}
            if entry["kind"] == "numeric":
                encodings.append(Numeric(**options))
            else:
                encodings.append(Categorical(options["name"], tuple(options["categories"])))
        return cls(tuple(encodings))


def _encoding(name: str, column: Column) -> Numeric | Categorical | None:
    if column.kind == "categorical":
        counts = Counter(value for value in column.values if value is not None)
        if len(counts) < 2:
            return None
        frequent = sorted(value for value, _ in counts.most_common(MOST_CATEGORIES))
        return Categorical(name, tuple(frequent))
    known = column.values[~np.isnan(column.values)]
    if not len(known) or known.min() == known.max():
        return None
    has_missing = len(known) < len(column.values)
    return Numeric(name, *_robust(known), has_missing)


def _robust(known: np.ndarray) -> tuple[float, float]:
    """Median and a spread that a few extreme values do not move."""
    low, centre, high = np.quantile(known, [0.1, 0.5, 0.9])
    # 2.563 standard deviations lie between these quantiles of a normal distribution.
    scale = (high - low) / 2.563
    return float(centre), float(scale if scale > 0 else known.std())


def _encode_numeric(encoding: Numeric, column: Column) -> np.ndarray:
    if column.kind != "numeric":
        raise DataError(f"Column {encoding.name!r} holds text, expected numbers as in training.")
    is_missing = np.isnan(column.values)
    values = np.where(is_missing, 0.0, (column.values - encoding.centre) / encoding.scale)
    block = [np.clip(values, -_CLIP, _CLIP)]
    if encoding.has_missing:
        block.append(is_missing.astype(np.float64))
    return np.stack(block, axis=1)


def _encode_categories(encoding: Categorical, column: Column) -> np.ndarray:
    place = {category: i for i, category in enumerate(encoding.categories)}
    other = len(encoding.categories)
    values = as_text(column)
    index = np.array([place.get(value, other) if value is not None else -1 for value in values])
    block = np.zeros((len(values), other + 1))
    known = index >= 0
    block[np.flatnonzero(known), index[known]] = 1.0
    return block


def as_text(column: Column) -> np.ndarray:
    """Values as text, None for missing; whole numbers without a decimal point."""
    if column.kind == "categorical":
        return column.values
    return np.array(
        [
            None if np.isnan(v) else str(int(v)) if v == int(v) else repr(float(v))
            for v in column.values
        ],
        dtype=object,
    )
