"""Reads which known task it is: one learned embedding per task."""

from typing import Any

from torch import nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError
from netwright.shapes import check_shape


class Identity(Conditioner):
    """A learned embedding per known task; it knows nothing of tasks it was not trained on.

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
        """Look up identities [T], from 0 to `tasks` - 1."""
        identity = condition.identity
        if identity is None:
            raise self._missing(condition, "Say which known task it is.")
        check_shape("identity", identity, "T")
        unknown = (identity < 0) | (identity >= self.tasks)
        if unknown.any():
            raise ConditionError(
                f"Identity {int(identity[unknown][0])} is not known, expected 0 to {self.tasks - 1}. "
                "Describe an unseen task by examples or a context instead."
            )
        z = self.norm(self.table(identity))
        return Embedding.single(z)
