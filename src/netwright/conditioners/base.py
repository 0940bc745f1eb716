"""What reads a condition."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from netwright.conditions import Condition


@dataclass(frozen=True)
class Embedding:
    """What a conditioner has read.

    Args:
        z: One global token per task, [T, E].
        tokens: Tokens of what the condition is made of (classes, examples, sources), [T, M, E].
        mask: True where a token is real, [T, M].
        classes: Tokens of exchangeable classes, [T, C, E], where the condition has classes.
    """

    z: Tensor
    tokens: Tensor
    mask: Tensor
    classes: Tensor | None = None


class Conditioner(nn.Module, ABC):
    """Reads one kind of condition and returns an `Embedding` of width `size`."""

    size: int

    @abstractmethod
    def forward(self, condition: Condition) -> Embedding:
        """Read the conditions of T tasks.

        Raises:
            ConditionError: If the kind of condition that this conditioner reads is absent or misfits.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
