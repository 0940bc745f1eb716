"""What a network is written from, as tensors with a leading task axis.

A `Condition` holds one field per kind of condition; a kind that a task lacks is None.
`T` tasks are padded to a common number of examples and masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.errors import ConditionError
from netwright.shapes import check_dtype, check_shape


@dataclass(frozen=True)
class ExampleSet:
    """Pairs (x, y) of T tasks, padded to N pairs.

    Args:
        x: Inputs, [T, N, *], float.
        y: Classes, [T, N], int64; or values, [T, N, C], float.
        mask: True where a pair is real and not padding, [T, N], bool.
        classes: C, the number of classes that `y` counts, for tasks of classification.
        labelled: True where y is known, [T, N], bool; None if it is for every pair. Elsewhere only x
            counts, and y may hold anything, NaN included.

    Raises:
        ShapeError: If mask or labelled is not bool, or classes are not int64.
    """

    x: Tensor
    y: Tensor
    mask: Tensor
    classes: int | None = None
    labelled: Tensor | None = None

    def __post_init__(self) -> None:
        check_dtype("mask", self.mask, torch.bool, hint="Convert it: `mask.bool()`.")
        if self.labelled is not None:
            hint = "Convert it: `labelled.bool()`."
            check_dtype("labelled", self.labelled, torch.bool, hint=hint)
        if self.classes is not None:
            hint = "Classes are whole numbers. Convert them: `y.long()`."
            check_dtype("y", self.y, torch.int64, hint=hint)

    @classmethod
    def of(
        cls,
        x: Tensor,
        y: Tensor,
        *,
        classes: int | None = None,
        labelled: Tensor | None = None,
    ) -> "ExampleSet":
        """A set without padding; classes are counted from `y` when it is of an integer type.

        Raises:
            ConditionError: If classes are to be counted and no example is labelled.
            ShapeError: If labelled is not bool, [T, N].
        """
        if labelled is not None:
            check_shape("labelled", labelled, "T N", T=x.shape[0], N=x.shape[1])
            check_dtype("labelled", labelled, torch.bool, hint="Convert it: `labelled.bool()`.")
        if not y.is_floating_point():
            y = y.long()
            if classes is None:
                known = y if labelled is None else y[labelled]
                if not known.numel():
                    raise ConditionError(
                        "No example is labelled, expected one to count classes from. Pass `classes`."
                    )
                classes = int(known.max()) + 1
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return cls(x, y, mask, classes, labelled)

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return self.x.shape[0]

    @property
    def has_label(self) -> Tensor:
        """True where a pair is real and its y is known, [T, N]."""
        return self.mask if self.labelled is None else self.mask & self.labelled

    def to(self, target: torch.device | str | torch.dtype) -> "ExampleSet":
        """The same set on another device, or with x and values in another floating type."""
        x, y = (_to(t, target) for t in (self.x, self.y))
        labelled = None if self.labelled is None else _to(self.labelled, target)
        return replace(self, x=x, y=y, mask=_to(self.mask, target), labelled=labelled)

    def rows(self, index: Tensor | slice) -> "ExampleSet":
        """The tasks that `index` selects; the task axis stays."""
        labelled = None if self.labelled is None else self.labelled[index]
        return replace(
            self, x=self.x[index], y=self.y[index], mask=self.mask[index], labelled=labelled
        )

    def cleared(self) -> "ExampleSet":
        """The same set with zeros where nothing is known: x of padding, y of padding and unlabelled rows.

        Whatever stands there must not reach a sum, not even as 0 * infinity.
        """
        x = self.x.masked_fill(~_along(self.mask, self.x), 0)
        y = self.y.masked_fill(~_along(self.has_label, self.y), 0)
        return replace(self, x=x, y=y)

    def with_shifts(self, pixels: int) -> "ExampleSet":
        """Each picture five times: as it is, and shifted up, down, left and right.

        Args:
            pixels: How far; zeros come in from outside.

        Raises:
            ShapeError: If x is not [T, N, C, H, W].
            ConditionError: If nothing of a picture would be left.
        """
        check_shape("x", self.x, "T N C H W", hint="Only pictures can be shifted.")
        height, width = self.x.shape[-2:]
        if not 0 <= pixels < min(height, width):
            raise ConditionError(
                f"Pictures of {height} x {width} cannot be shifted by {pixels} pixels, expected 0 to "
                f"{min(height, width) - 1}."
            )
        padded = F.pad(self.x, [pixels] * 4)
        moves = [(0, 0), (-pixels, 0), (pixels, 0), (0, -pixels), (0, pixels)]
        corners = [(pixels + down, pixels + right) for down, right in moves]
        views = [padded[..., r : r + height, c : c + width] for r, c in corners]
        count = len(views)
        y = self.y.repeat(1, count, *[1] * (self.y.dim() - 2))
        labelled = None if self.labelled is None else self.labelled.repeat(1, count)
        mask = self.mask.repeat(1, count)
        return replace(self, x=torch.cat(views, dim=1), y=y, mask=mask, labelled=labelled)

    def check(self, name: str = "support") -> None:
        """Refuse what no network can be written from.

        Raises:
            ShapeError: If the axes of x, y, mask and labelled do not agree.
            ConditionError: If a real value is not finite, a class is out of range, or a task is empty.
        """
        tasks, count = self.x.shape[:2]
        check_shape(f"{name}.mask", self.mask, "T N", T=tasks, N=count)
        if self.labelled is not None:
            check_shape(f"{name}.labelled", self.labelled, "T N", T=tasks, N=count)
        if self.classes is None:
            check_shape(f"{name}.y", self.y, "T N C", T=tasks, N=count)
        else:
            check_shape(f"{name}.y", self.y, "T N", T=tasks, N=count)
            wrong = self.has_label & ((self.y < 0) | (self.y >= self.classes))
            if wrong.any():
                t, n = wrong.nonzero()[0].tolist()
                raise ConditionError(
                    f"`{name}.y` holds class {int(self.y[t, n])} at task {t}, example {n}, "
                    f"expected 0 to {self.classes - 1}. Number the classes from 0."
                )
        # Two axes per example: a sequence, and NaN is how shorter ones are often padded.
        hint = _HINT_OF_SEQUENCES if self.x.dim() == 4 else _HINT_OF_FINITE
        _check_finite(f"{name}.x", self.x, self.mask, hint)
        if self.y.is_floating_point():
            _check_finite(f"{name}.y", self.y, self.has_label)
        empty = ~self.mask.any(dim=1)
        if empty.any():
            raise ConditionError(
                f"`{name}` has no example for task {int(empty.nonzero()[0])}, expected at least one. "
                "Give each task an example, or leave such tasks out."
            )


@dataclass(frozen=True)
class Texts:
    """A text per task.

    Args:
        values: T texts.

    Raises:
        ConditionError: If they are one text, or something else than texts.
    """

    values: tuple[str, ...]

    def __init__(self, values: Sequence[str]) -> None:
        if isinstance(values, str) or not all(isinstance(value, str) for value in values):
            raise ConditionError(
                f"The texts are {shorten(repr(values), 60)}, expected a list with one text per task. "
                "Put a single text in brackets."
            )
        object.__setattr__(self, "values", tuple(values))

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return len(self.values)

    def to(self, target: torch.device | str | torch.dtype) -> "Texts":
        """The same: texts are on no device and of no type."""
        return self

    def rows(self, index: Tensor | slice) -> "Texts":
        """The texts that `index` selects."""
        return Texts(_chosen(self.values, index))

    def check(self, name: str = "description") -> None:
        """Refuse a text without any word.

        Raises:
            ConditionError: If there is one.
        """
        for t, value in enumerate(self.values):
            if not value.strip():
                raise ConditionError(
                    f"`{name}` of task {t} is empty, expected a text. Describe what the network should "
                    "do, or leave the description out for all tasks."
                )


@dataclass(frozen=True)
class Architectures:
    """What each of T networks is to look like.

    Args:
        values: T architectures (see `netwright.architectures`), or modules of the user's own.

    Raises:
        ConditionError: If they are one architecture, or texts.
    """

    values: tuple[Any, ...]

    def __init__(self, values: Sequence[Any]) -> None:
        if (
            isinstance(values, str)
            or not isinstance(values, Sequence)
            or any(isinstance(value, str) for value in values)
        ):
            raise ConditionError(
                f"The architectures are {shorten(repr(values), 60)}, expected a list with one architecture per "
                "task. Put a single one in brackets."
            )
        object.__setattr__(self, "values", tuple(values))

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return len(self.values)

    def to(self, target: torch.device | str | torch.dtype) -> "Architectures":
        """The same: architectures are on no device and of no type."""
        return self

    def rows(self, index: Tensor | slice) -> "Architectures":
        """The architectures that `index` selects."""
        return Architectures(_chosen(self.values, index))

    def check(self, name: str = "architecture") -> None:
        """Nothing to refuse: an architecture has checked itself."""

    def groups(self) -> dict[Any, list[int]]:
        """The tasks of each architecture, in the order in which architectures first appear."""
        found: dict[Any, list[int]] = {}
        for task, value in enumerate(self.values):
            found.setdefault(value, []).append(task)
        return found


@dataclass(frozen=True)
class Condition:
    """What T networks are written from; a kind of condition that is absent is None.

    Args:
        examples: A support set per task.
        context: Numbers that describe a task, [T, D], float.
        identity: Which known task it is, [T], int64.
        description: A text per task.
        preference: Shares of K objectives, [T, K], float, sum 1.
        hyperparameters: Settings of a training, [T, D], float.
        input: What the network is to be run on itself, one per task, [T, *], float.
        noise: Standard normal numbers that tell networks of one condition apart, [T, D], float.
        architecture: What each network is to look like.
    """

    examples: ExampleSet | None = None
    context: Tensor | None = None
    identity: Tensor | None = None
    description: Texts | None = None
    preference: Tensor | None = None
    hyperparameters: Tensor | None = None
    input: Tensor | None = None
    noise: Tensor | None = None
    architecture: Architectures | None = None

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                return len(value) if isinstance(value, Tensor) else int(value.tasks)
        raise ConditionError(
            "The condition is empty, expected at least one of "
            f"{[field.name for field in fields(self)]}. Give a support set, for instance."
        )

    def to(self, target: torch.device | str | torch.dtype) -> "Condition":
        """The same condition on another device, or with all real numbers in another floating type."""
        moved: dict[str, Any] = {
            name: _to(value, target) if isinstance(value, Tensor) else value.to(target)
            for name, value in self.present().items()
        }
        return replace(self, **moved)

    def rows(self, index: Tensor | slice) -> "Condition":
        """The tasks that `index` selects; the task axis stays."""
        chosen: dict[str, Any] = {
            name: value[index] if isinstance(value, Tensor) else value.rows(index)
            for name, value in self.present().items()
        }
        return replace(self, **chosen)

    def present(self) -> dict[str, "ExampleSet | Texts | Architectures | Tensor"]:
        """The kinds of condition that are there, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def check(self) -> None:
        """Refuse NaN, infinity, empty tasks and axes that do not agree, naming the place.

        Raises:
            ShapeError: If the kinds of condition disagree on T, or axes do not fit.
            ConditionError: If a value is not finite or a task has no example.
        """
        tasks = self.tasks
        for name, value in self.present().items():
            if isinstance(value, ExampleSet):
                check_shape(f"{name}.x", value.x, "T N *", T=tasks)
                value.check(name)
            elif not isinstance(value, Tensor):
                if value.tasks != tasks:
                    what = "texts" if isinstance(value, Texts) else "architectures"
                    raise ConditionError(
                        f"`{name}` holds {value.tasks} {what} for {tasks} tasks, expected one for each."
                    )
                value.check(name)
            else:
                check_shape(name, value, "T *", T=tasks)
                _check_finite(name, value)


def _chosen(values: tuple[Any, ...], index: Tensor | slice) -> tuple[Any, ...]:
    """The values that an index of tensors selects."""
    if isinstance(index, slice):
        return values[index]
    if index.dtype == torch.bool:
        index = index.nonzero().flatten()
    return tuple(values[i] for i in index.tolist())


_HINT_OF_FINITE = "Replace or leave out what is missing before a network is written from it."
_HINT_OF_SEQUENCES = (
    "Sequences of one call are of one length: cut them to it, or give tasks whose sequences are of "
    "another length in a call of their own."
)


def _check_finite(
    name: str, value: Tensor, mask: Tensor | None = None, hint: str = _HINT_OF_FINITE
) -> None:
    if not value.is_floating_point():
        return
    wrong = ~value.isfinite()
    if mask is not None:
        wrong = wrong & _along(mask, value)
    if wrong.any():
        place = tuple(wrong.nonzero()[0].tolist())
        raise ConditionError(
            f"`{name}` is {value[place].item()} at {list(place)}, expected finite numbers. {hint}"
        )


def _along(mask: Tensor, value: Tensor) -> Tensor:
    """A mask [T, N] with axes for those of value [T, N, *]."""
    return mask.reshape(*mask.shape, *[1] * (value.dim() - 2))


def _to(value: Tensor, target: torch.device | str | torch.dtype) -> Tensor:
    """On another device, or, if it holds real numbers, in another floating type."""
    if not isinstance(target, torch.dtype):
        # To a CPU only when it has arrived: what comes late would be read as it is.
        return value.to(target, non_blocking=torch.device(target).type != "cpu")
    return value.to(target) if value.is_floating_point() else value
