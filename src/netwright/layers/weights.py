"""Weights of T tasks that are never formed: a base that all tasks share, and a correction per task.

A layer's kernel takes a `Weight`: a tensor that all tasks share [*shape], one per task [T, *shape], or
one of the pairs below, which it runs as the base over all tasks' rows and the correction beside it.
Memory for T tasks then grows by the corrections only.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class LowRankWeight:
    """weight[t] = base + up[t] @ down[t], with all axes of base but the first laid end to end.

    Args:
        base: Shared by all tasks, [O, *rest].
        down: [T, r, I], I the product of `rest`.
        up: [T, O, r].

    References:
        Hu et al., LoRA, arXiv:2106.09685.
    """

    base: Tensor
    down: Tensor
    up: Tensor

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.down)

    def dense(self) -> Tensor:
        """The weights themselves, [T, O, *rest]."""
        base = self.base.flatten(1).expand(self.tasks, -1, -1)
        weight = torch.baddbmm(base, self.up, self.down)
        return weight.reshape(self.tasks, *self.base.shape)

    def split(self, tasks: int) -> list["LowRankWeight"]:
        """Parts of at most so many tasks."""
        parts = zip(self.down.split(tasks), self.up.split(tasks), strict=True)
        return [LowRankWeight(self.base, down, up) for down, up in parts]


@dataclass(frozen=True)
class FilmWeight:
    """weight[t] = (1 + scale[t]) * base, one factor per output.

    Args:
        base: Shared by all tasks, [*shape].
        scale: [T, O].
        axis: Which axis of base counts outputs.

    References:
        Perez et al., FiLM, arXiv:1709.07871.
    """

    base: Tensor
    scale: Tensor
    axis: int = 0

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.scale)

    def dense(self) -> Tensor:
        """The weights themselves, [T, *shape]."""
        shape = [1] * self.base.dim()
        shape[self.axis] = -1
        return self.base * (1 + self.scale.reshape(self.tasks, *shape))

    def split(self, tasks: int) -> list["FilmWeight"]:
        """Parts of at most so many tasks."""
        return [FilmWeight(self.base, scale, self.axis) for scale in self.scale.split(tasks)]


@dataclass(frozen=True)
class TableWeight:
    """weight[t] = table[slots[t]].T: one of many networks' in a table, read where it lies.

    Args:
        table: Inputs by outputs, [S, I, O].
        slots: Which network's, [T], int64.
        lookups: Places of rows in the table, and where those of each task start, by I; shared by the
            layers of one call.
    """

    table: Tensor
    slots: Tensor
    lookups: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.slots)

    def dense(self) -> Tensor:
        """The weights themselves, [T, O, I]."""
        return self.table.index_select(0, self.slots).transpose(1, 2)

    def split(self, tasks: int) -> list["TableWeight"]:
        """Parts of at most so many tasks."""
        return [TableWeight(self.table, slots) for slots in self.slots.split(tasks)]

    def times(self, x: Tensor) -> Tensor:
        """table[slots[t]].T @ x[t] for one row per task, x [T, I]: [T, O].

        A weighted sum of rows of the table, which `embedding_bag` takes without a copy of them: several
        times faster than to gather weights and multiply.
        """
        inputs = self.table.shape[1]
        if inputs not in self.lookups:
            places = torch.arange(inputs, device=x.device) + self.slots.unsqueeze(1) * inputs
            starts = torch.arange(0, places.numel(), inputs, device=x.device)
            self.lookups[inputs] = places.flatten(), starts
        places, starts = self.lookups[inputs]
        rows = self.table.flatten(0, 1)
        y, *_ = torch.embedding_bag(rows, places, starts, False, 0, False, x.flatten(), False, None)
        return y


Weight = Tensor | LowRankWeight | FilmWeight | TableWeight


def dense(weight: Weight) -> Tensor:
    """The weights themselves, [T, *shape]; a tensor as it is."""
    return weight if isinstance(weight, Tensor) else weight.dense()


def split_weight(weight: Weight, tasks: int) -> "list[Weight]":
    """Parts of at most so many tasks.

    One `split`: an index per part would fill a whole gradient buffer each time.
    """
    return list(weight.split(tasks))


def padded_weight(weight: Weight, tasks: int) -> Weight:
    """The same weight for so many tasks, at least as many as it has: the last one again and again."""
    if isinstance(weight, Tensor):
        return padded_tasks(weight, tasks)
    shared = ("base", "table")
    padded = {
        name: padded_tasks(value, tasks)
        for name, value in vars(weight).items()
        if isinstance(value, Tensor) and name not in shared
    }
    return replace(weight, **padded)  # type: ignore[arg-type]


def padded_tasks(value: Tensor, tasks: int) -> Tensor:
    """[T, *] to [tasks, *], the last task again and again."""
    return value.index_select(0, torch.arange(tasks, device=value.device).clamp(max=len(value) - 1))


def dtype_of(weight: Weight) -> torch.dtype:
    """Of the numbers that differ between tasks."""
    if isinstance(weight, Tensor):
        return weight.dtype
    first = next(value for name, value in vars(weight).items() if name != "base")
    dtype: torch.dtype = first.dtype
    return dtype
