"""Learn from one family of tasks, be tested on another."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import DataError
from netwright.tasks.base import Split, TaskBatch, TaskFamily, check_split


class Transfer(TaskFamily):
    """Training and validation tasks of one family, test tasks of another: fonts to handwriting, say.

    Choices that are made on validation tasks never see the kind of tasks that count in the end.

    Args:
        learn: Record of a family, {"name": name in `FAMILIES`, **options}: its `train` and `validation` tasks.
        test: Record of another: its `test` tasks.
        data_root: Folder with the data sets, for the families that read one.

    Raises:
        DataError: If a family is not known, or tasks of the two do not have the same shape.
    """

    def __init__(
        self,
        *,
        learn: Mapping[str, Any],
        test: Mapping[str, Any],
        data_root: str | Path | None = None,
    ) -> None:
        self._records = {"learn": dict(learn), "test": dict(test)}
        self.learn, self.test = (family_of(record, data_root) for record in self._records.values())
        if self.learn.shape != self.test.shape:
            raise DataError(
                f"Tasks to learn from are {self.learn.shape} and to test on {self.test.shape}, expected one shape. "
                "Give both the same options of inputs and classes."
            )
        self.shape = self.learn.shape
        # Classes of training tasks, for a joint classifier, where the family has such.
        pools = getattr(self.learn, "pools", None)
        if pools is not None:
            self.pools = pools

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split."""
        return self._of(split).sample(rng, tasks, split)

    def members(self, split: Split) -> tuple[str, ...]:
        """Those of the family that the split is drawn from, its name before them."""
        name = self._records["test" if split == "test" else "learn"]["name"]
        return tuple(f"{name}/{member}" for member in self._of(split).members(split))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return dict(self._records)

    def preparation(self) -> Mapping[str, Any] | None:
        """That of the family to learn from."""
        return self.learn.preparation()

    def _of(self, split: Split) -> TaskFamily:
        check_split(split)
        return self.test if split == "test" else self.learn


def family_of(record: Mapping[str, Any], data_root: str | Path | None) -> TaskFamily:
    """The family of a record within that of another.

    Raises:
        DataError: If there is none of that name, or without such an option.
    """
    from netwright.tasks import FAMILIES

    options = dict(record)
    name = options.pop("name", None)
    if name not in FAMILIES or name in _WRAPPERS:
        known = [other for other in FAMILIES if other not in _WRAPPERS]
        raise DataError(f"Task family {name!r} is not known, expected one of {known}.")
    takes = inspect.signature(FAMILIES[name]).parameters
    if unknown := sorted(options.keys() - takes.keys()):
        raise DataError(
            f"Task family {name!r} has no option {unknown[0]!r}, expected some of {list(takes)}."
        )
    if data_root is not None and "data_root" in takes:
        options["data_root"] = data_root
    return FAMILIES[name](**options)


# Families of other families.
_WRAPPERS = ("transfer", "sized")

__all__ = ["Transfer", "family_of"]
