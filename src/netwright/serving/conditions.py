"""Conditions as they are sent: checked by hand, then as tensors of one task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.architectures import Architecture, Cost
from netwright.conditions import Architectures, Condition, ExampleSet, Texts
from netwright.serving.limits import ServerLimits
from netwright.serving.problems import invalid
from netwright.serving.requested import architecture_of, check_network_cost
from netwright.serving.served import VECTORS, Served
from netwright.serving.strict import (
    array_of,
    check_length,
    numbers_of,
    only_keys,
    text_of,
    texts_of,
)

__all__ = ["Asked", "array_of", "asked_of", "inputs_of"]


@dataclass(frozen=True)
class Asked:
    """What one request asks a hypernetwork for.

    Args:
        served: The hypernetwork.
        condition: Of one task, T = 1.
        labels: Names of the outputs.
        architecture: Of the network that will be written.
        cost: Of it.
    """

    served: Served
    condition: Condition
    labels: tuple[str, ...]
    architecture: Architecture
    cost: Cost


def asked_of(served: Served, condition: Any, labels: Any, limits: ServerLimits) -> Asked:
    """The condition of one task, from JSON or from arrays by the same names.

    Args:
        served: The hypernetwork that is to write.
        condition: {"examples": {"x", "y"}, "context", "description", "architecture"}, such as it accepts.
        labels: Names of the outputs, or None.
        limits: What is too much.

    Raises:
        RequestError: If anything in it is other than the hypernetwork reads, or more than the server takes.
    """
    given = only_keys(condition, served.accepts, "condition")
    if not given:
        raise invalid(f"`condition` is empty, expected at least one of {list(served.accepts)}.")
    if served.kind == "values" and labels is not None:
        raise invalid("This hypernetwork's outputs are values, expected no `labels`.")
    names = None if labels is None else tuple(texts_of(labels, "labels", limits.classes))
    parts: dict[str, Any] = {}
    architecture = served.architecture
    if "architecture" in served.accepts:
        if "architecture" in given:
            architecture = architecture_of(given["architecture"], served)
        parts["architecture"] = Architectures([architecture])
    if "examples" in given:
        examples = only_keys(given["examples"], ("x", "y"), "condition.examples")
        if len(examples) < 2:
            raise invalid("`condition.examples` must have `x` and `y`.")
        parts["examples"], names = _examples(served, examples, names, limits)
        if served.kind == "exchangeable-classes":
            architecture = architecture.with_classes(parts["examples"].classes)
    if "description" in given:
        text = text_of(given["description"], "condition.description", limits.text)
        parts["description"] = Texts([text])
    for name in VECTORS:
        if name in given:
            parts[name] = _vector(given[name], f"condition.{name}")
    size = served.context_size
    # The conditioner checks it only when it reads it: then it would spoil a batch.
    if "context" in parts and size is not None and parts["context"].shape[1] != size:
        raise invalid(f"`condition.context` must be {size} numbers.")
    names = names or served.labels
    if served.kind == "fixed-classes" and served.outputs is not None:
        names = names or tuple(map(str, range(served.outputs)))
        if len(names) != served.outputs:
            raise invalid(f"`labels` must be {served.outputs} texts, one per output.")
    names = () if served.kind == "values" else names
    examples_count = parts["examples"].x.shape[1] if "examples" in parts else 1
    cost = served.cost if architecture is served.architecture else architecture.cost
    check_network_cost(cost, served, examples_count, limits)
    return Asked(served, Condition(**parts), names, architecture, cost)


def inputs_of(x: Any, input_shape: tuple[int, ...], limits: ServerLimits) -> Tensor:
    """Inputs [N, *] of a network.

    Raises:
        RequestError: If they are no finite numbers, of another shape, or too many.
    """
    rows = x if isinstance(x, np.ndarray) else numbers_of(x, "x")
    if rows.shape[1:] != tuple(input_shape):
        raise invalid(f"`x` must be rows of shape {list(input_shape)}.")
    check_length(len(rows), limits.rows, "rows in `x`")
    return torch.from_numpy(rows)


def _examples(
    served: Served, given: Mapping[str, Any], names: tuple[str, ...] | None, limits: ServerLimits
) -> tuple[ExampleSet, tuple[str, ...] | None]:
    x, y = given["x"], given["y"]
    if isinstance(x, list):
        check_length(len(x), limits.examples, "examples")
    rows = x if isinstance(x, np.ndarray) else numbers_of(x, "condition.examples.x")
    check_length(len(rows), limits.examples, "examples")
    assert served.reader is not None
    shape = served.reader.x
    fits = len(rows.shape) == len(shape) + 1 and all(
        size is None or size == own for size, own in zip(shape, rows.shape[1:], strict=True)
    )
    if not fits:
        told = [("any" if size is None else size) for size in shape]
        raise invalid(f"`condition.examples.x` must be examples of shape {told}.")
    inputs = torch.from_numpy(rows)[None]
    if not isinstance(y, (list, np.ndarray)) or len(y) != len(rows):
        raise invalid("`condition.examples.y` must be a list with an entry per example.")
    if served.kind == "values":
        values = y if isinstance(y, np.ndarray) else numbers_of(y, "condition.examples.y")
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != served.reader.outputs:
            raise invalid(f"`condition.examples.y` must be {served.reader.outputs} values each.")
        if values.dtype != np.float32:
            raise invalid("`condition.examples.y` must be real numbers.")
        return ExampleSet.of(inputs, torch.from_numpy(values)[None]), names
    classes, found = _classes(served, y.tolist() if isinstance(y, np.ndarray) else y, names, limits)
    count = len(found) if served.kind == "exchangeable-classes" else served.reader.outputs
    y_of_task = torch.tensor(classes, dtype=torch.int64)[None]
    return ExampleSet.of(inputs, y_of_task, classes=count), found or names


def _classes(
    served: Served, y: list[Any], names: tuple[str, ...] | None, limits: ServerLimits
) -> tuple[list[int], tuple[str, ...]]:
    """A number per example, and the classes' names; of fixed classes none unless they were given."""
    kinds = set(map(type, y))
    fixed = served.kind == "fixed-classes"
    labels: tuple[Any, ...]
    if kinds == {str}:
        labels = names or (served.labels if fixed else tuple(sorted(set(y))))
        texts_of(list(labels), "condition.examples.y", limits.classes)
    elif kinds == {int}:
        if fixed and served.reader is not None:
            labels = tuple(range(served.reader.outputs or 0))
        else:
            labels = tuple(range(len(names))) if names else tuple(sorted(set(y)))
    else:
        raise invalid("`condition.examples.y` must be whole numbers, or texts, one per example.")
    check_length(len(labels), limits.classes, "classes")
    place = {label: i for i, label in enumerate(labels)}
    if not set(y) <= place.keys():
        raise invalid("`condition.examples.y` names a class that `labels` has not.")
    if not fixed and (len(labels) < 2 or len(set(y)) < len(labels)):
        raise invalid("Each class must have an example, and there must be at least 2 classes.")
    if fixed:
        return [place[label] for label in y], names or ()
    if any(isinstance(label, int) and not abs(label) < 2**53 for label in labels):
        raise invalid("`condition.examples.y` must be whole numbers below 2^53.")
    return [place[label] for label in y], names or tuple(map(str, labels))


def _vector(value: Any, name: str) -> Tensor:
    numbers = value if isinstance(value, np.ndarray) else numbers_of(value, name)
    if numbers.ndim != 1 or numbers.dtype != np.float32:
        raise invalid(f"`{name}` must be a list of numbers.")
    return torch.from_numpy(numbers)[None]
