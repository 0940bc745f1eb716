"""Closed-form class heads in the child's own feature space."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from netwright.conditions import ExampleSet


class Anchor(nn.Module, ABC):
    """A classical answer, differentiable, that a generated residual corrects.

    Args:
        features: F, the width of features.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    @abstractmethod
    def forward(self, features: Tensor, examples: ExampleSet) -> tuple[Tensor, Tensor]:
        """Weight [T, C, F] and bias [T, C] of a linear head, from features [T, S, F]; unlabelled rows do not count."""
