"""Columns of a CSV or Parquet file, and how they become numbers."""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
# Exports write whole numbers beside empty cells as 3.0: the same category as 3.
_WHOLE = re.compile(r"(-?\d+)\.0+")
_PART = re.compile(r"\.(hour|weekday|day|month)$")


@dataclass(frozen=True)
class Column:
    """Values of one column: float64 with NaN for missing, or text (object) with None for missing.

    Booleans are numeric, 0 and 1, and remember that their names are `false` and `true`.
    """

    kind: Literal["numeric", "categorical"]
    values: np.ndarray
    is_boolean: bool = False


Columns = dict[str, Column]


def read_columns(
    path: str | Path,
    *,
    categorical: Collection[str] = (),
    ignore: Collection[str] = (),
    needed: Collection[str] | None = None,
    required: Collection[str] = (),
) -> Columns:
    """Columns of a CSV, TSV or Parquet file.

    A date `d` becomes `d.hour`, `d.weekday` (Monday is 0), `d.day` and `d.month`; a time of day `t`
    becomes `t.hour`. These may be named wherever a column may.

    Args:
        path: The file.
        categorical: Columns to be read as text whatever they look like: `007` stays `007`.
        ignore: Columns to leave out.
        needed: Names of the result that are wanted, so that others may hold anything; None for all.
        required: Columns that the file must have.

    Raises:
        DataError: If the file is missing, empty, no table, or holds infinity or doubled names, or
            if a column to ignore or a required one is not there.
        MissingExtraError: If pyarrow is not installed.
    """
    path = Path(path)
    table = _read_table(path, categorical)
    names = Counter(table.column_names)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise DataError(f"{path} has columns of the same name {doubled}, expected each name once.")
    if table.num_rows == 0:
        raise DataError(f"{path} has a header and no rows, expected rows. Export it again.")
    for name in required:
        _check_there(names, name, "the target")
    columns: Columns = {}
    for name in table.column_names:
        if name not in ignore and (needed is None or _is_needed(name, needed)):
            columns.update(_columns_of(name, table.column(name), name in categorical))
    for name in ignore:
        _check_there([*names, *columns], name, "named in `ignore`")
        columns.pop(name, None)
    _check_finite(path, columns)
    parts = {n: c for n, c in columns.items() if n in categorical and c.kind == "numeric"}
    return columns | {n: Column("categorical", as_text(c)) for n, c in parts.items()}


def _check_finite(path: Path, columns: Columns) -> None:
    for name, column in columns.items():
        if column.kind == "numeric" and np.isinf(column.values).any():
            row = int(np.isinf(column.values).argmax())
            raise DataError(
                f"{path} holds infinity in column {name!r}, row {row + 1}, expected finite numbers. "
                "Replace it or leave the cell empty."
            )


def _is_needed(name: str, needed: Collection[str]) -> bool:
    return any(other == name or other.startswith(f"{name}.") for other in needed)


def _read_table(path: Path, categorical: Collection[str]) -> Any:
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
        table = csv.read_csv(
            path,
            convert_options=csv.ConvertOptions(
                null_values=_MISSING,
                strings_can_be_null=True,
                column_types={name: pa.string() for name in categorical},
            ),
            parse_options=csv.ParseOptions(
                delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
            ),
        )
        _ = table.column_names  # decoded only when asked for, and may not be UTF-8
        return table
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        line = str(error).splitlines()[0][:120]
        reason = "".join(letter if letter.isprintable() else "?" for letter in line).rstrip(". ")
        raise DataError(
            f"{path} cannot be read as a table ({reason}), expected CSV in UTF-8, or Parquet. "
            "Export it again."
        ) from None


def _columns_of(name: str, data: Any, is_categorical: bool) -> Columns:
    import pyarrow as pa

    types, kind = pa.types, data.type
    is_number = (
        types.is_integer(kind) or types.is_floating(kind)
        or types.is_boolean(kind) or types.is_decimal(kind) or types.is_null(kind)
    )  # fmt: skip
    if is_number and not is_categorical:
        return {name: _numeric(data)}
    if is_number and not types.is_integer(kind):
        return {name: Column("categorical", as_text(_numeric(data)))}
    if not is_categorical and types.is_temporal(kind) and not types.is_duration(kind):
        return {f"{name}.{part}": _numeric(values) for part, values in _parts(data).items()}
    if types.is_nested(kind) or _is_binary(types, kind) or types.is_duration(kind):
        raise DataError(
            f"Column {name!r} holds {kind}, expected numbers, text in UTF-8 or dates. Leave it out."
        )
    texts = [None if v is None else _as_category(v) for v in data.to_pylist()]
    return {name: Column("categorical", np.array(texts, dtype=object))}


def _is_binary(types: Any, kind: Any) -> bool:
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _as_category(value: object) -> str:
    text = str(value)
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _parts(data: Any) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_time(data.type):
        return {"hour": compute.hour(data)}
    # Dates too have an hour, 0: a file where no row has a time must fit one where some have.
    moments = data.cast(pa.timestamp("s")) if pa.types.is_date(data.type) else data
    take = {
        "hour": compute.hour, "weekday": compute.day_of_week,
        "day": compute.day, "month": compute.month,
    }  # fmt: skip
    return {part: of(moments) for part, of in take.items()}


def _numeric(data: Any) -> Column:
    import pyarrow as pa

    # Unsafe: identifiers beyond 2**53 round, where a checked cast would fail.
    values = data.cast(pa.float64(), safe=False).to_numpy()
    is_boolean = bool(pa.types.is_boolean(data.type))
    return Column("numeric", np.asarray(values, dtype=np.float64), is_boolean)


def require(columns: Mapping[str, Column], name: str, purpose: str) -> Column:
    """A column by name.

    Raises:
        DataError: If it is not there; the message lists those that are.
    """
    _check_there(columns, name, purpose)
    return columns[name]


def _check_there(names: Collection[str], name: str, purpose: str) -> None:
    if name in names:
        return
    if f"{name}.hour" in names:
        raise DataError(
            f"Column {name!r} ({purpose}) holds dates or times, expected numbers or text. "
            "Name it in `categorical`, or choose another column."
        )
    near = difflib.get_close_matches(name, list(names), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"There is no column {name!r} ({purpose}), expected one of {list(names)}.{hint}"
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
    def names(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return tuple(encoding.name for encoding in self.encodings)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Those of them that it reads as text."""
        return tuple(e.name for e in self.encodings if isinstance(e, Categorical))

    @property
    def width(self) -> int:
        """D, numbers per row."""
        return sum(encoding.width for encoding in self.encodings)

    def encode(self, columns: Mapping[str, Column]) -> np.ndarray:
        """Rows as numbers, float32 [N, D]; columns that are not known are ignored.

        Raises:
            DataError: If a column is missing, or holds text where numbers were.
        """
        self._check_all_there(columns)
        blocks = []
        for encoding in self.encodings:
            column = columns[encoding.name]
            if isinstance(encoding, Numeric):
                blocks.append(_encode_numeric(encoding, column))
            else:
                blocks.append(_encode_categories(encoding, column))
        return np.concatenate(blocks, axis=1).astype(np.float32)

    def _check_all_there(self, columns: Mapping[str, Column]) -> None:
        missing = [name for name in self.names if name not in columns]
        if undated := next((s for n in missing if (s := _PART.sub("", n)) in columns), None):
            raise DataError(
                f"Column {undated!r} holds no dates or times, expected them as in training. "
                "Write them as 2024-05-31 13:00:00."
            )
        if missing:
            raise DataError(
                f"There is no column {', '.join(map(repr, missing))} (an input of this network), "
                f"expected all of {list(self.names)}. Add it; its cells may be empty."
            )

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
        # One value or none at all: which of them is known of a row.
        has_missing = counts.total() < len(column.values)
        if len(counts) + (has_missing and bool(counts)) < 2:
            return None
        frequent = sorted(value for value, _ in counts.most_common(MOST_CATEGORIES))
        return Categorical(name, tuple(frequent))
    known = column.values[~np.isnan(column.values)]
    has_missing = len(known) < len(column.values)
    if not len(known) or (known.min() == known.max() and not has_missing):
        return None
    return Numeric(name, *_robust(known), has_missing)


def _robust(known: np.ndarray) -> tuple[float, float]:
    """Median and a spread that a few extreme values do not move."""
    low, centre, high = np.quantile(known, [0.1, 0.5, 0.9])
    # 2.563 standard deviations lie between these quantiles of a normal distribution.
    scale = (high - low) / 2.563
    return float(centre), float(scale if scale > 0 else known.std() or 1.0)


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
    spell = _spell_boolean if column.is_boolean else _spell_number
    texts = [None if np.isnan(value) else spell(value) for value in column.values.tolist()]
    return np.array(texts, dtype=object)


def _spell_boolean(value: float) -> str:
    return "true" if value else "false"


def _spell_number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
