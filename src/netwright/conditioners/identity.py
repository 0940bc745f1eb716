"""Reads which known task it is: one learned embedding per task."""

from typing import Any

import torch
from torch import nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError
from netwright.shapes import check_shape


class Identity(Conditioner):
    """A learned embedding per known task; -1 stands for an unknown one, which gets the mean of all.

    Args:
        tasks: How many tasks are known.
        size: E, the width of the embedding.
    """

    reads = ("identity",)

    def __init__(self, tasks: int, *, size: int = 64) -> None:
        super().__init__()
        self.tasks, self.size = tasks, size
        self.table = nn.Embedding(tasks, size)
        self.norm = nn.LayerNorm(size)

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {"tasks": self.tasks, "size": self.size}

    def forward(self, condition: Condition) -> Embedding:
        """Look up identities [T], from 0 to `tasks` - 1, or -1."""
        identity = condition.identity
        if identity is None:
            raise self._missing(condition, "Say which known task it is.")
        check_shape("identity", identity, "T")
        if identity.is_floating_point():
            raise ConditionError(
                f"`identity` is {identity.dtype}, expected whole numbers. Convert it: `identity.long()`."
            )
        unknown = (identity < -1) | (identity >= self.tasks)
        if unknown.any():
            raise ConditionError(
                f"Identity {int(identity[unknown][0])} is not known, expected 0 to {self.tasks - 1}. "
                "Give -1 for an unseen task: it gets the mean of those that are known."
            )
        known = self.table(identity.clamp(min=0))
        mean = self.table.weight.mean(dim=0)
        z = self.norm(torch.where(identity.unsqueeze(1) < 0, mean, known))
        return Embedding.single(z)
