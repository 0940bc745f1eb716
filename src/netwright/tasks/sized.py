"""Tasks of any family, each of which asks for a network of its own architecture."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from netwright.architectures import Architecture, Limits, SearchSpace
from netwright.conditions import Architectures
from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks.base import Split, TaskBatch, TaskFamily, check_split
from netwright.tasks.ready_space import ready_space
from netwright.tasks.transfer import family_of


class Sized(TaskFamily):
    """The tasks of a family, with the architecture that each task's network is to have in its condition.

    Architectures of training, validation and test share none. A hypernetwork with a generator that reads graphs
    is then trained on many of them at once, and writes others.

    Args:
        family: Record of a family, {"name": name in `FAMILIES`, **options}.
        space: Record of a `SearchSpace`, or a space, or the name of a ready one (`ready_space`).
        each: How many tasks of a batch share an architecture.
        pool: How many training architectures there are, drawn once: what is made for each is kept. 0 draws new ones in
            every step.
        ends: Whether the smallest and the largest of the pool are among every step's (the sandwich rule): what lies
            between is then seldom worse than both, and units that only the widest networks have are trained in every step.
        even: Share of the pool whose layers are all alike, which random ones hardly ever are.
        most: What each network may cost at most: `Limits`, or their record, {"bytes": 32768, "flops": 2000000}.
        data_root: Folder with the data sets, for families that read one.

    Raises:
        DataError: If the family is not known, a number is out of range, or networks of the space do not fit the tasks.
        RunError: If the space is none.

    References:
        Yu and Huang, Universally slimmable networks (the sandwich rule), arXiv:1903.05134.
    """

    def __init__(
        self,
        *,
        family: Mapping[str, Any],
        space: Mapping[str, Any] | SearchSpace | str,
        each: int = 1,
        pool: int = 1_000,
        ends: bool = False,
        even: float = 0.0,
        most: Mapping[str, int] | Limits | None = None,
        data_root: str | Path | None = None,
    ) -> None:
        for name, value, least in (("each", each, 1), ("pool", pool, 0)):
            if not isinstance(value, int) or value < least:
                raise DataError(
                    f"`{name}` is {value!r}, expected a whole number of at least {least}."
                )
        if not 0 <= even <= 1:
            raise DataError(f"`even` is {even!r}, expected a share from 0 to 1.")
        if ends and pool < 2:
            raise DataError(
                f"`ends` asks for the smallest and the largest of a pool, and `pool` is {pool}, expected at least 2."
            )
        self._record = dict(family)
        self.family = family_of(family, data_root)
        inner = self.family.shape
        if isinstance(space, str):
            space = ready_space(space, inner)
        self.space = space if isinstance(space, SearchSpace) else SearchSpace.from_record(space)
        self.each, self.pool = each, pool
        self.ends, self.even = ends, even
        self.most = most if isinstance(most, Limits) else Limits.from_record(most or {})
        smallest = self.space.smallest()
        if smallest.input_shape != inner.x:
            raise DataError(
                f"Networks of the space read inputs of {smallest.input_shape} and tasks have {inner.x}, expected one "
                "shape. Make a space with the inputs of the tasks."
            )
        self.shape = replace(inner, sources=(*inner.sources, "architecture"))

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split, and an architecture for every `each` of them."""
        batch = self.family.sample(rng, tasks, split)
        wanted = [self._draw(rng, split) for _ in range(-(-tasks // self.each))]
        if self.ends and split == "train" and len(wanted) > 1:
            wanted[:2] = self._ends
        whole = Architectures([wanted[t // self.each] for t in range(tasks)])
        return replace(batch, condition=replace(batch.condition, architecture=whole))

    def members(self, split: Split) -> tuple[str, ...]:
        """Those of the family; of the architectures, which part of the space."""
        own = self.family.members(split)
        return (*own, f"{split} part of {self.space.record()}")

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {
            "family": self._record,
            "space": self.space.record(),
            "each": self.each,
            "pool": self.pool,
            # Left out where they are the default, as in records of earlier versions.
            **({"ends": True} if self.ends else {}),
            **({"even": self.even} if self.even else {}),
            **({"most": self.most.record()} if self.most != Limits() else {}),
        }

    def preparation(self) -> Mapping[str, Any] | None:
        """That of the family."""
        return self.family.preparation()

    def _draw(self, rng: np.random.Generator, split: Split) -> Architecture:
        check_split(split)
        if split == "train" and self.pool:
            return self._pool[int(rng.integers(self.pool))]
        return self.space.sample(rng, split=split, most=self.most)

    @cached_property
    def _pool(self) -> list[Architecture]:
        rng = stream(0, "architectures")
        alike = round(self.even * self.pool)
        return [
            self.space.sample(rng, split="train", most=self.most, is_even=i < alike)
            for i in range(self.pool)
        ]

    @cached_property
    def _ends(self) -> list[Architecture]:
        by_size = sorted(self._pool, key=lambda architecture: architecture.cost.parameters)
        return [by_size[0], by_size[-1]]


__all__ = ["Sized"]
