"""Runs, support sets and inputs from what a person has: folders, pictures, tables, arrays."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.conditioners import Examples
from netwright.conditions import Condition, ExampleSet, Texts
from netwright.environments import ENVIRONMENTS, Environment
from netwright.errors import DataError
from netwright.hypernetwork import Hypernetwork
from netwright.runs import Run
from netwright.tasks.columns import TABLE_ENDINGS
from netwright.tasks.control import told_of
from netwright.tasks.images import read_pictures, read_support
from netwright.tasks.table import TablePreparation
from netwright.training import load_hypernetwork


def trained(folder: Path, weights: str, shifts: int | None) -> tuple[Hypernetwork, Run]:
    """The hypernetwork of a run folder, and how it is to read support pictures."""
    hypernetwork, run = load_hypernetwork(folder, weights=weights)
    if shifts is not None:
        hypernetwork.shifts = shifts
    return hypernetwork, run


def support_of(
    path: Path,
    input_shape: tuple[int, ...],
    preparation: Mapping[str, Any] | None,
    reader: Examples | None,
) -> tuple[ExampleSet, tuple[str, ...]]:
    """The support set of one task, T = 1, and names of its outputs.

    Args:
        path: A folder of <class>/pictures, a CSV or Parquet file, or an .npz with x and y.
        input_shape: Shape of one input of the child.
        preparation: How rows of a table become inputs, where the run has one.
        reader: What reads support sets in the hypernetwork, if anything does; says what y must be.

    Raises:
        DataError: If it cannot be read, or is not what the hypernetwork was trained with.
    """
    if path.suffix.lower() in TABLE_ENDINGS:
        prepared = _table(preparation, path)
        return prepared.support(path), prepared.labels or (prepared.target,)
    if path.suffix.lower() == ".npz":
        if (preparation or {}).get("kind") == "control" and path.is_file():
            return probe_of(path, ENVIRONMENTS[preparation["environment"]]()), ()  # type: ignore[index]
        return _arrays(path, reader)
    _check_pictures(path, input_shape)
    return read_support(path, image_size=input_shape[1], channels=input_shape[0])


def labelled_rows(path: Path, input_shape: tuple[int, ...], classes: int) -> ExampleSet:
    """Rows of a data set whose classes are fixed, T = 1.

    Args:
        path: An .npz with x [N, *] and y [N], or a CSV with a head, the class last and inputs before it.
        input_shape: Shape of one input.
        classes: C; y counts from 0.

    Raises:
        DataError: If it cannot be read, or rows or classes are others.
    """
    if path.suffix.lower() == ".csv":
        try:
            cells = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, dtype=np.float32)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{path} cannot be read ({reason}), expected a head and then numbers with commas between, the "
                "class last."
            ) from None
        x, y = torch.from_numpy(cells[:, :-1]), torch.from_numpy(cells[:, -1])
        if x.shape[1] == np.prod(input_shape):
            x = x.reshape(len(x), *input_shape)
    else:
        arrays = _read_npz(path, "x", "y")
        x, y = arrays["x"], arrays["y"]
    if len(x) == 0 or tuple(x.shape[1:]) != input_shape or y.shape != x.shape[:1]:
        raise DataError(
            f"{path} has x {list(x.shape)} and y {list(y.shape)}, expected rows of {list(input_shape)} and a class "
            "for each."
        )
    if not torch.equal(y, y.round()) or y.min() < 0 or y.max() >= classes or not x.isfinite().all():
        raise DataError(
            f"{path} has classes from {y.min():g} to {y.max():g}, expected whole numbers from 0 to {classes - 1}, and "
            "inputs that are finite."
        )
    return ExampleSet.of(x[None], y.long()[None], classes=classes)


def probe_of(path: Path, environment: Environment) -> ExampleSet:
    """A probe of one machine, T = 1, from what was logged of it.

    Args:
        path: An .npz with `seen` [S + 1, O], what was seen before each step and after the last; `action` [S, A]; `reward` [S].
        environment: The machine's kind.

    Raises:
        DataError: If an array is missing, of another shape, or not finite.
    """
    arrays = _read_npz(path, optional=("seen", "action", "reward"))
    shapes = {"seen": environment.observations, "action": environment.actions}
    steps = len(arrays["action"]) if "action" in arrays else 0
    expected = {"seen": [steps + 1, shapes["seen"]], "action": [steps, shapes["action"]], "reward": [steps]}  # fmt: skip
    for name, shape in expected.items():
        found = list(arrays[name].shape) if name in arrays else None
        if found != shape or not steps:
            raise DataError(
                f"{path} has {name} {found}, expected {shape}: a probe is seen [S + 1, {shapes['seen']}], "
                f"action [S, {shapes['action']}] and reward [S]."
            )
    seen, action, reward = (arrays[name].float() for name in expected)
    x, y = told_of(
        seen[:-1],
        environment.decide(action) if environment.discrete else action.clamp(-1, 1),
        seen[1:],
        reward,
    )
    return ExampleSet.of(x[None], y[None])


def conditions_of(
    path: Path, preparation: Mapping[str, Any] | None, reader: Examples | None
) -> tuple[Condition, Sequence[str | int]]:
    """The conditions of many tasks, and an id of each.

    Args:
        path: An .npz with `x` [T, S, *] and `y` [T, S] or [T, S, C], perhaps `mask` and `labelled` [T, S];
            or `context` [T, D]; or `description` [T], texts; perhaps `noise` [T, D] and `ids` [T]. Or a table
            with the task column.
        preparation: How rows of a table become inputs, where the run has one.
        reader: What reads support sets in the hypernetwork, if anything does; says what y must be.

    Raises:
        DataError: If it cannot be read.
    """
    if path.suffix.lower() in TABLE_ENDINGS:
        examples, names = _table(preparation, path).supports(path)
        return Condition(examples=examples), names
    arrays = _read_npz(
        path, optional=("x", "y", "mask", "labelled", "context", "identity", "noise")
    )
    kinds = ("context", "identity", "noise")
    given: dict[str, Any] = {n: arrays[n] for n in kinds if n in arrays}
    if "identity" in given:
        given["identity"] = given["identity"].long()
    if "x" in arrays:
        given["examples"] = _many_examples(path, arrays, reader)
    if texts := _read_names(path, "description", "U", "text"):
        given["description"] = Texts([str(text) for text in texts])
    if not given:
        raise DataError(
            f"{path} holds neither x and y nor context nor description, expected one of them."
        )
    condition = Condition(**given)
    ids = _read_names(path, "ids", "iuU", "text or whole numbers")
    return condition, ids or list(range(condition.tasks))


def _read_names(path: Path, name: str, kinds: str, expected: str) -> list[str | int]:
    """What an .npz names tasks or describes them by, [T]; empty if there is no such array."""
    with np.load(path, allow_pickle=False) as file:
        if name not in file.files:
            return []
        found = file[name]
    if found.ndim != 1 or found.dtype.kind not in kinds:
        raise DataError(
            f"{path} has {name} {list(found.shape)} of {found.dtype}, expected [T], {expected}."
        )
    values: list[str | int] = found.tolist()
    return values


def _many_examples(path: Path, arrays: Mapping[str, Tensor], reader: Examples | None) -> ExampleSet:
    if "y" not in arrays:
        raise DataError(f"{path} holds x and lacks y, expected both.")
    x, y = arrays["x"], arrays["y"]
    if x.dim() < 3 or y.shape[:2] != x.shape[:2]:
        raise DataError(
            f"{path} has x {list(x.shape)} and y {list(y.shape)}, expected [T, S, *] and [T, S] or "
            "[T, S, C]."
        )
    mask = arrays.get("mask")
    is_real = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
    if is_real.shape != x.shape[:2]:
        raise DataError(f"{path} has mask {list(is_real.shape)}, expected {list(x.shape[:2])}.")
    labelled = _labelled(path, arrays, x.shape[:2])
    if reader is not None and reader.labels != "values":
        known = y if labelled is None else y[labelled]
        return ExampleSet(x, y.long(), is_real, reader.outputs or int(known.max()) + 1, labelled)
    return ExampleSet(x, y if y.dim() > 2 else y.unsqueeze(2), is_real, None, labelled)


def _labelled(path: Path, arrays: Mapping[str, Tensor], shape: Sequence[int]) -> Tensor | None:
    """Which examples have a label, where an .npz says so; at least one has."""
    if "labelled" not in arrays:
        return None
    labelled = arrays["labelled"].bool()
    if labelled.shape != tuple(shape):
        raise DataError(f"{path} has labelled {list(labelled.shape)}, expected {list(shape)}.")
    if not labelled.any():
        raise DataError(f"{path} has no labelled example, expected at least one. Label some.")
    return labelled


def inputs_of(
    path: Path, input_shape: tuple[int, ...], preparation: Mapping[str, Any] | None
) -> tuple[Tensor, tuple[str, ...]]:
    """Inputs [N, *] and a name per row.

    Raises:
        DataError: If they cannot be read, or are not what the network was written for.
    """
    if path.suffix.lower() in TABLE_ENDINGS:
        rows = _table(preparation, path).inputs(path)
        return rows, tuple(f"row {i + 1}" for i in range(len(rows)))
    if path.suffix.lower() == ".npz":
        x = _read_npz(path, "x")["x"]
        return x, tuple(f"row {i + 1}" for i in range(len(x)))
    _check_pictures(path, input_shape)
    pictures, paths = read_pictures(path, image_size=input_shape[1], channels=input_shape[0])
    return pictures, tuple(map(str, paths))


def _table(preparation: Mapping[str, Any] | None, path: Path) -> TablePreparation:
    if preparation is None or preparation.get("kind") != "table":
        raise DataError(
            f"{path} is a table, expected what this hypernetwork was trained with: no table."
        )
    return TablePreparation.from_json(preparation)


def _check_pictures(path: Path, input_shape: tuple[int, ...]) -> None:
    if len(input_shape) != 3:
        raise DataError(
            f"{path} is no table and no .npz, expected rows of {input_shape[0]} numbers: "
            "this hypernetwork was not trained with pictures."
        )


def _arrays(path: Path, reader: Examples | None) -> tuple[ExampleSet, tuple[str, ...]]:
    arrays = _read_npz(path, "x", "y", optional=("labelled",))
    x, y = arrays["x"], arrays["y"]
    if len(x) != len(y):
        raise DataError(f"{path} has {len(x)} rows in x and {len(y)} in y, expected as many.")
    if len(x) == 0:
        raise DataError(f"{path} has no example, expected at least one.")
    labelled = _labelled(path, arrays, x.shape[:1])
    of_task = None if labelled is None else labelled[None]
    if reader is None or reader.labels == "values":
        values = y if y.dim() > 1 else y[:, None]
        return ExampleSet.of(x[None], values.float()[None], labelled=of_task), ()
    if y.dim() != 1 or not torch.equal(y, y.round()):
        raise DataError(f"{path} has y {list(y.shape)}, expected classes [S], whole numbers.")
    if reader.labels == "fixed-classes":
        examples = ExampleSet.of(x[None], y.long()[None], classes=reader.outputs, labelled=of_task)
        return examples, ()
    names = torch.unique(y if labelled is None else y[labelled])
    if len(names) < 2:
        raise DataError(f"{path} has one class only, expected at least 2.")
    # Whatever stands beside an unlabelled example gets a number too, and is not looked at.
    classes = torch.searchsorted(names, y)
    examples = ExampleSet.of(x[None], classes[None], classes=len(names), labelled=of_task)
    return examples, tuple(str(int(name)) for name in names)


def _read_npz(path: Path, *names: str, optional: Sequence[str] = ()) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = (*names, *(name for name in optional if name in file.files))
            if missing := [name for name in names if name not in file.files]:
                raise DataError(
                    f"{path} holds {file.files} and lacks {missing}, expected {list(names)}."
                )
            arrays = {name: file[name] for name in names}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path} cannot be read as .npz ({reason}), expected arrays x and y."
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path} has {name} of {array.dtype}, expected numbers.")
        if not np.isfinite(array).all():
            place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise DataError(
                f"{path} has {array[tuple(place)]} in {name} at {place}, expected finite numbers. "
                "Replace or leave out what is missing."
            )
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
