"""What writes children from conditions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from netwright.child import Child
from netwright.conditions import Condition

B = TypeVar("B")


class Writer(nn.Module, ABC):
    """A hypernetwork, or a rival that is trained in the same loop: weights of T children from T conditions.

    `child` is what is written. `run_digest` and `preparation` are set when a run has trained it; the networks
    that it writes carry both. `run_folder` is where that run lies, if it was saved.
    """

    child: Child

    def __init__(self) -> None:
        super().__init__()
        self.run_digest = ""
        self.run_folder = ""
        self.preparation: Mapping[str, Any] | None = None

    def _shares_child_of(self, writer: "Writer") -> None:
        """Have the child of a writer that this one wraps, without holding its weights a second time."""
        self.__dict__["child"] = writer.child

    def tries(self, batch: B, *, seed: int = 0) -> B:
        """The same tasks, with what the writer found out in them by itself in their conditions; by default there is nothing of that.

        Whoever is to write for tasks that can be acted in calls it first: training, evaluation, comparison.

        Args:
            batch: A `TaskBatch` of T tasks.
            seed: Of all randomness in finding out.
        """
        return batch

    @abstractmethod
    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write params, each [T, *shape], from the conditions of T tasks.

        Raises:
            ConditionError: If the condition lacks what is read.
            ShapeError: If it is of another shape than in training.
        """

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """The JSON-able description that it can be built from again, untrained."""
