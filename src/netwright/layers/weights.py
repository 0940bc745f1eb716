"""Weights of T tasks that are never formed: a base that all tasks share, and a correction per task.

A layer's kernel takes a `Weight`: a tensor that all tasks share [*shape], one per task [T, *shape], or
one of the pairs below, which it runs as the base over all tasks' rows and the correction beside it.
Memory for T tasks then grows by the corrections only.
"""

from dataclasses import dataclass

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


Weight = Tensor | LowRankWeight | FilmWeight


def dense(weight: Weight) -> Tensor:
    """The weights themselves, [T, *shape]; a tensor as it is."""
    return weight if isinstance(weight, Tensor) else weight.dense()


def split_weight(weight: Weight, tasks: int) -> "list[Weight]":
    """Parts of at most so many tasks.

    One `split`: an index per part would fill a whole gradient buffer each time.
    """
    return list(weight.split(tasks))


def tasks_of(weight: Weight) -> int:
    """T of a weight with a task axis."""
    return len(weight) if isinstance(weight, Tensor) else weight.tasks
