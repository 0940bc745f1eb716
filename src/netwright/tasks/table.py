"""The user's own table: one task, and later one network, per value of a column."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.columns import Column, ColumnEncoder, Columns, as_text, read_columns, require
from netwright.tasks.episodes import choose_examples

log = logging.getLogger(__name__)

# An integer target with at most this many values is taken for classes.
_MOST_INTEGER_CLASSES = 20


@dataclass(frozen=True)
class TablePreparation:
    """How rows of a table become inputs and targets: enough to serve a new task's table.

    Args:
        task: Column that names the task.
        target: Column to predict.
        encoder: How the other columns become numbers.
        labels: Class names in order; empty for values.
        mean: Of the target over rows of training tasks; 0 for classes.
        std: Of the same; 1 for classes.
        categorical: Other columns that are read as text.
    """

    task: str
    target: str
    encoder: ColumnEncoder
    labels: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    categorical: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """C, the number of classes, or 1 for a value."""
        return len(self.labels) or 1

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "kind": "table",
            "task": self.task,
            "target": self.target,
            "encoder": self.encoder.to_json(),
            "labels": list(self.labels),
            "mean": self.mean,
            "std": self.std,
            "categorical": list(self.categorical),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "TablePreparation":
        """The inverse of `to_json`."""
        options = {name: value for name, value in record.items() if name != "kind"}
        options["encoder"] = ColumnEncoder.from_json(options["encoder"])
        options["labels"] = tuple(options["labels"])
        options["categorical"] = tuple(options["categorical"])
        return cls(**options)

    def inputs(self, path: str | Path) -> Tensor:
        """Rows of a table as inputs, float32 [N, D]; the target need not be there.

        Raises:
            DataError: If the file or a column is missing, or holds something else than in training.
        """
        return torch.from_numpy(self.encoder.encode(self._read(path)))

    def support(self, path: str | Path) -> ExampleSet:
        """The support set of one new task, T = 1; rows with a missing target are left out.

        Raises:
            DataError: If a column is missing, there are several tasks, or no row has a target.
        """
        columns = self._read(path, required=(self.target,))
        if self.task in columns:
            tasks = {value for value in as_text(columns[self.task]) if value is not None}
            if len(tasks) > 1:
                raise DataError(
                    f"{path} has {len(tasks)} values of {self.task!r}, expected the rows of one task. "
                    "Split it into a file per task, or write a network for each with --many."
                )
        x, y = self._known_rows(path, columns)[:2]
        classes = len(self.labels) or None
        return ExampleSet.of(x[None], y[None], classes=classes)

    def supports(self, path: str | Path) -> tuple[ExampleSet, tuple[str, ...]]:
        """A support set per value of the task column, T of them, padded; and these values in order.

        Raises:
            DataError: If a column is missing, or no row has a target.
        """
        columns = self._read(path, required=(self.task, self.target))
        x, y, is_known = self._known_rows(path, columns)
        names = np.array([name or "" for name in as_text(columns[self.task])])[is_known]
        if (names == "").any():
            raise DataError(
                f"{path} has rows without {self.task!r}, expected to know whose they are. "
                "Fill it in or leave them out."
            )
        tasks, owner, counts = np.unique(names, return_inverse=True, return_counts=True)
        order = owner.argsort(kind="stable")
        place = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
        rows = torch.from_numpy(order)
        at = torch.from_numpy(owner[order]), torch.from_numpy(place)
        padded_x = x.new_zeros(len(tasks), counts.max(), x.shape[1])
        padded_y = y.new_zeros(len(tasks), counts.max(), *y.shape[1:])
        mask = torch.zeros(len(tasks), counts.max(), dtype=torch.bool)
        padded_x[at], padded_y[at], mask[at] = x[rows], y[rows], True
        return ExampleSet(padded_x, padded_y, mask, len(self.labels) or None), tuple(tasks.tolist())

    def _known_rows(self, path: str | Path, columns: Columns) -> tuple[Tensor, Tensor, np.ndarray]:
        """Inputs and targets of rows whose target is known, and which rows these are."""
        y, is_known = self.encode_target(require(columns, self.target, "the target"))
        if not is_known.any():
            raise DataError(
                f"{path} has no row with a known {self.target!r}, expected at least one."
            )
        x = self.encoder.encode(columns)[is_known]
        return torch.from_numpy(x), torch.from_numpy(y[is_known]), is_known

    def _read(self, path: str | Path, required: Sequence[str] = ()) -> Columns:
        # A small file may hold digits only where training saw text: types are training's.
        categorical = {self.task, *self.categorical, *self.encoder.categorical}
        needed = {self.task, self.target, *self.encoder.names}
        return read_columns(path, categorical=categorical, needed=needed, required=required)

    def encode_target(self, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """Classes int64 [N] or standardised values float32 [N, 1], and which are known.

        Raises:
            DataError: If a class was not in training, or text stands where numbers were.
        """
        if not self.labels:
            if column.kind != "numeric":
                raise DataError(f"The target {self.target!r} holds text, expected numbers.")
            is_known = ~np.isnan(column.values)
            values = np.where(is_known, (column.values - self.mean) / self.std, 0.0)
            return values[:, None].astype(np.float32), is_known
        place = {label: i for i, label in enumerate(self.labels)}
        values = as_text(column)
        unknown = sorted({v for v in values if v is not None and v not in place})
        if unknown:
            raise DataError(
                f"The target {self.target!r} holds {unknown[0]!r}, expected one of {list(self.labels)}."
            )
        is_known = np.array([value is not None for value in values])
        return np.array([place.get(value, 0) for value in values], dtype=np.int64), is_known


class Table(TaskFamily):
    """One task per value of a column (store, device, customer): few rows in, a network out.

    Tasks are split by a seeded permutation of the column's values; statistics for encoding come
    from training tasks alone. Rows with a missing target and tasks with one row are left out.

    Args:
        path: CSV, TSV or Parquet file.
        task: Column that names the task.
        target: Column to predict.
        kind: `classification`, `regression`, or `auto`: text, booleans and integers with at most 20
            values are classes.
        shots: Support rows per task, or a range that each batch draws from.
        queries: Query rows per task, at most.
        validation: Fraction of tasks for validation.
        test: Fraction for testing.
        seed: Decides the split.
        ignore: Columns to leave out.
        categorical: Numeric columns to be read as categories.

    Raises:
        DataError: If the file or a column is missing or useless; each message says how to mend it.
        MissingExtraError: If pyarrow is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        task: str,
        target: str,
        kind: Literal["auto", "classification", "regression"] = "auto",
        shots: int | Sequence[int] = (8, 64),
        queries: int = 32,
        validation: float = 0.15,
        test: float = 0.15,
        seed: int = 0,
        ignore: Sequence[str] = (),
        categorical: Sequence[str] = (),
    ) -> None:
        _check_options(task, target, kind, ignore)
        self.path = Path(path)
        low_high = (shots, shots) if isinstance(shots, int) else tuple(map(int, shots))
        if len(low_high) != 2 or not 1 <= low_high[0] <= low_high[1] or queries < 1:
            raise DataError(
                f"shots={shots} and queries={queries}, expected at least 1, low before high."
            )
        self.shots, self.queries = (low_high[0], low_high[1]), queries
        self._options = {
            "task": task, "target": target, "kind": kind, "validation": validation, "test": test,
            "seed": seed, "ignore": list(ignore), "categorical": list(categorical),
        }  # fmt: skip
        columns = read_columns(self.path, categorical={task, *categorical}, ignore=ignore)
        names = as_text(require(columns, task, "the task column"))
        target_column = require(columns, target, "the target column")
        for name in categorical:
            require(columns, name, "named in `categorical`")
        is_usable = _is_known(target_column) & np.array([name is not None for name in names])
        _check_target(target, target_column, is_usable)
        rows = _rows_by_task(names, is_usable, task)
        self._tasks = _split_tasks(sorted(rows), validation, test, seed)
        features = {n: c for n, c in columns.items() if n not in (task, target)}
        train_rows = np.concatenate([rows[name] for name in self._tasks["train"]])
        self._preparation = _prepare(
            features, target_column, train_rows, task, target, kind, tuple(categorical)
        )
        self.x = torch.from_numpy(self._preparation.encoder.encode(features))
        self.y = torch.from_numpy(self._preparation.encode_target(target_column)[0])
        self._index = {split: _padded([rows[n] for n in self._tasks[split]]) for split in SPLITS}
        is_classes = bool(self._preparation.labels)
        self.shape = TaskShape(
            (self.x.shape[1],),
            self._preparation.outputs,
            "fixed-classes" if is_classes else "values",
            labels=self._preparation.labels or (target,),
        )

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split and rows of each; small tasks give fewer rows, the rest is padding."""
        check_split(split)
        index, counts = self._index[split]
        chosen = rng.integers(0, len(counts), tasks)
        shots = int(rng.integers(self.shots[0], self.shots[1] + 1))
        count = counts[chosen]
        order = _draw_rows(count, rng, shots + self.queries)
        # A task with few rows keeps a third of them for queries, and at least one.
        own_shots = np.minimum(shots, np.maximum(1, count - np.maximum(1, count // 3)))[:, None]
        support = np.arange(shots)[None].repeat(tasks, 0)
        query = own_shots + np.arange(self.queries)[None]
        return TaskBatch(
            Condition(examples=self._rows(index[chosen], order, support, support < own_shots)),
            self._rows(index[chosen], order, query, query < count[:, None]),
        )

    def _rows(
        self, index: np.ndarray, order: np.ndarray, places: np.ndarray, is_real: np.ndarray
    ) -> ExampleSet:
        tasks = np.arange(len(order))[:, None]
        rows = index[tasks, np.where(is_real, order[tasks, places], 0)]
        flat = torch.from_numpy(rows)
        classes = len(self._preparation.labels) or None
        return ExampleSet(self.x[flat], self.y[flat], torch.from_numpy(is_real), classes)

    def members(self, split: Split) -> tuple[str, ...]:
        """Names of the tasks of a split."""
        check_split(split)
        return tuple(sorted(self._tasks[split]))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {
            "path": str(self.path),
            "shots": list(self.shots),
            "queries": self.queries,
            **self._options,
        }

    def fingerprint(self, split: Split) -> str:
        """A digest of the split's tasks and the values of their rows, wherever the file lies."""
        rows, counts = self._index[split]
        own = torch.from_numpy(rows[np.arange(rows.shape[1]) < counts[:, None]])
        options = {name: value for name, value in self.record().items() if name != "path"}
        parts = [repr(sorted(options.items())), *self.members(split), str(counts.tolist())]
        digest = hashlib.sha256("\n".join(parts).encode())
        digest.update(self.x[own].numpy().tobytes() + self.y[own].numpy().tobytes())
        return digest.hexdigest()[:16]

    def preparation(self) -> dict[str, Any]:
        """How rows become inputs and targets, JSON-able; see `TablePreparation`."""
        return self._preparation.to_json()


def _check_options(task: str, target: str, kind: str, ignore: Sequence[str]) -> None:
    if task == target or task in ignore or target in ignore:
        raise DataError(
            f"task={task!r}, target={target!r} and ignore={list(ignore)} overlap, expected different "
            "columns. Name each column once."
        )
    if kind not in ("auto", "classification", "regression"):
        raise DataError(f"`kind` is {kind!r}, expected 'auto', 'classification' or 'regression'.")


def _is_known(column: Column) -> np.ndarray:
    if column.kind == "numeric":
        return np.asarray(np.isfinite(column.values))
    return np.array([value is not None for value in column.values])


def _check_target(name: str, column: Column, is_usable: np.ndarray) -> None:
    distinct = len(set(column.values[is_usable].tolist()))
    if distinct < 2:
        found = "one value only" if distinct else "no known value"
        raise DataError(
            f"The target {name!r} has {found}, expected at least two. Choose another column."
        )


def _rows_by_task(names: np.ndarray, is_usable: np.ndarray, task: str) -> dict[str, np.ndarray]:
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(is_usable):
        rows.setdefault(names[row], []).append(int(row))
    enough = {name: np.array(own) for name, own in rows.items() if len(own) > 1}
    if dropped := len(names) - int(is_usable.sum()):
        log.warning("left out %d rows without target or task", dropped)
    if single := len(rows) - len(enough):
        log.warning(
            "left out %d tasks with one row, which cannot be learned from and tested", single
        )
    if len(enough) < 3:
        raise DataError(
            f"Column {task!r} names {len(enough)} tasks with at least two rows ({len(rows)} in all), "
            "expected at least 3: one each for training, validation and testing. "
            "Choose another task column."
        )
    return enough


def _split_tasks(
    names: list[str], validation: float, test: float, seed: int
) -> dict[Split, tuple[str, ...]]:
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise DataError(
            f"validation={validation} and test={test}, expected fractions with a sum below 1."
        )
    order = stream(seed, "table", "split").permutation(names).tolist()
    held_out = max(1, round(validation * len(names)))
    tested = max(1, round(test * len(names)))
    if held_out + tested >= len(names):
        raise DataError(
            f"validation={validation} and test={test} of {len(names)} tasks leave none to train on, "
            "expected at least one. Lower them."
        )
    return {
        "validation": tuple(order[:held_out]),
        "test": tuple(order[held_out : held_out + tested]),
        "train": tuple(order[held_out + tested :]),
    }


def _prepare(
    features: Columns,
    target: Column,
    train_rows: np.ndarray,
    task_name: str,
    target_name: str,
    kind: str,
    categorical: tuple[str, ...],
) -> TablePreparation:
    encoder = ColumnEncoder.fit(
        {n: Column(c.kind, c.values[train_rows]) for n, c in features.items()}
    )
    if constant := sorted(set(features) - set(encoder.names)):
        log.warning("left out columns that never vary in training tasks: %s", constant)
    if encoder.width == 0:
        raise DataError(
            f"No column beside {task_name!r} and {target_name!r} varies, expected inputs to predict "
            "from. Add a column, or ignore fewer."
        )
    if kind == "classification" or (kind == "auto" and _looks_like_classes(target)):
        labels = tuple(sorted(set(as_text(target)[_is_known(target)])))
        if target.kind == "categorical":
            categorical = (*categorical, target_name)
        return TablePreparation(task_name, target_name, encoder, labels, categorical=categorical)
    if target.kind != "numeric":
        raise DataError(
            f"The target {target_name!r} holds text, expected numbers for regression. "
            "Ask for classification."
        )
    values = target.values[train_rows]
    mean, std = float(values.mean()), float(values.std())
    if std == 0:
        raise DataError(
            f"The target {target_name!r} has one value in all training tasks, expected at least two."
        )
    return TablePreparation(
        task_name, target_name, encoder, mean=mean, std=std, categorical=categorical
    )


def _looks_like_classes(target: Column) -> bool:
    if target.kind == "categorical":
        return True
    known = target.values[~np.isnan(target.values)]
    return bool((known == np.round(known)).all() and len(np.unique(known)) <= _MOST_INTEGER_CLASSES)


def _draw_rows(counts: np.ndarray, rng: np.random.Generator, wanted: int) -> np.ndarray:
    """Distinct row numbers [T, wanted], random order; too large ones, last, where there are too few."""
    order = choose_examples(np.maximum(counts, wanted), rng, wanted)
    real_first = (order >= counts[:, None]).argsort(axis=1, kind="stable")
    return order[np.arange(len(order))[:, None], real_first]


def _padded(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers [tasks, most rows], padded with 0, and how many are real."""
    counts = np.array([len(own) for own in rows])
    index = np.zeros((len(rows), counts.max()), dtype=np.int64)
    for place, own in zip(index, rows, strict=True):
        place[: len(own)] = own
    return index, counts
