"""Ways to turn a support set into a predictor, all used in the same manner."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from netwright.conditions import Condition

Predictor = Callable[[Tensor], Tensor]
"""Logits or values [T, Q, C] for queries [T, Q, *] of the T tasks that were adapted to."""


class Learner(ABC):
    """Adapts to T tasks at once; tasks never see each other."""

    @abstractmethod
    def adapt(self, condition: Condition) -> Predictor:
        """A predictor for the T tasks of a condition."""
