"""Tasks, batches of them, and the sources they are drawn from."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.errors import DataError
from netwright.splits import SPLITS as SPLITS
from netwright.splits import Split as Split

Source = Literal["architecture", "context", "description", "examples"]


@dataclass(frozen=True)
class TaskBatch:
    """T tasks at once: what each network is written from, and what it is scored on."""

    condition: Condition
    query: ExampleSet

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return self.query.tasks

    @property
    def trial_steps(self) -> int:
        """Steps that were acted in each task to find out, at most, before it is scored."""
        return 0

    @property
    def inputs(self) -> Tensor:
        """What children see of the queries at first, [T, N, *]."""
        return self.query.x

    def to(self, device: torch.device | str) -> "TaskBatch":
        """The same tasks on another device."""
        return replace(self, condition=self.condition.to(device), query=self.query.to(device))

    def rows(self, index: torch.Tensor | slice) -> "TaskBatch":
        """The tasks that `index` selects; the task axis stays."""
        return replace(self, condition=self.condition.rows(index), query=self.query.rows(index))


@dataclass(frozen=True)
class TaskShape:
    """What every task of a family has in common.

    Args:
        x: Shape of one input, without task and example axes, such as (1, 28, 28); (None, D) for sequences
            of D numbers per step and of any length, (None,) for rows of tables of any number of columns.
        outputs: C, the number of classes or of predicted values; the most classes where tables differ.
        kind: What y is. `exchangeable-classes`: class c of one task has nothing to do with class c
            of another; `fixed-classes`: it means the same in all tasks; `values`: real numbers; `actions`:
            there is no y, outputs act on an environment.
        context: Smallest and largest value of each number of the context vector, if there is one.
        sources: Fields of the condition, such as `examples` and `description`.
        labels: Names of fixed classes or of predicted values, where there are any.
        examples: Widths of x and y of support examples, where they are of another kind than queries.
    """

    x: tuple[int | None, ...]
    outputs: int
    kind: Literal["exchangeable-classes", "fixed-classes", "values", "actions"]
    context: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("examples",)
    examples: tuple[int, int] | None = None


class TaskFamily(ABC):
    """A source of tasks with three splits that share no task.

    A family holds its data and no iterator state: `sample` is a pure function of its arguments.
    """

    shape: TaskShape

    @abstractmethod
    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split, all randomness taken from `rng`.

        Args:
            rng: Source of all randomness, such as `netwright.rng.stream(seed, "train", step)`.
            tasks: T, at least 1.
            split: Which tasks: `train`, `validation` or `test`.

        Raises:
            DataError: If the split has too few classes or examples for one task.
        """

    @abstractmethod
    def members(self, split: Split) -> tuple[str, ...]:
        """Names of what tasks of a split are made of (alphabets, scripts, stores, ranges ...), sorted.

        No name stands in two splits; the fingerprint and the test of disjointness read them.
        """

    @abstractmethod
    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again, without its data root."""

    def preparation(self) -> Mapping[str, Any] | None:
        """How raw inputs become rows, JSON-able, so that a network can serve without this family."""
        return None

    def fingerprint(self, split: Split) -> str:
        """A digest of what tasks of the split are made of: equal fingerprints, equal tasks."""
        text = "\n".join([repr(sorted(self.record().items())), *self.members(split)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_sources(
    sources: Sequence[Source], known: Sequence[Source] = ("description", "examples")
) -> tuple[Source, ...]:
    """Refuse no source, one twice, and those that a family does not have.

    Raises:
        DataError: If there is a reason.
    """
    if isinstance(sources, str) or not sources or not set(sources) <= set(known):
        given = sources if isinstance(sources, str) else list(sources)
        raise DataError(f"`sources` is {given!r}, expected one or more of {list(known)}.")
    return tuple(dict.fromkeys(sources))


def check_split(split: str) -> None:
    """Refuse a split that is not one of the three.

    Raises:
        DataError: If the split is unknown.
    """
    if split not in SPLITS:
        raise DataError(f"Split {split!r} is not known, expected one of {list(SPLITS)}.")
