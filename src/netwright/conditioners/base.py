"""What reads a condition."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditions import Condition
from netwright.errors import ConditionError


@dataclass(frozen=True)
class Embedding:
    """What a conditioner has read.

    Args:
        z: One global token per task, [T, E].
        tokens: Tokens of what the condition is made of (classes, examples, sources), [T, M, E].
        mask: True where a token is real, [T, M].
        classes: Tokens of exchangeable classes, [T, C, E], where the condition has classes.
        operations: Tokens of the operations of the children that are to be written, [T, M, E], where a generator
            that reads graphs has made them already.
    """

    z: Tensor
    tokens: Tensor
    mask: Tensor
    classes: Tensor | None = None
    operations: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Embedding":
        """With every tensor changed; the mask only where it is indexed, for it has no gradient."""
        mask = change(self.mask.float()).detach() > 0.5
        more = [None if t is None else change(t) for t in (self.classes, self.operations)]
        return Embedding(change(self.z), change(self.tokens), mask, *more)

    def pairs(self, other: "Embedding") -> list[tuple[Tensor, Tensor]]:
        """Tensors that have gradients, beside those of another embedding of the same kind."""
        names = ("z", "tokens", "classes", "operations")
        both = [(getattr(self, name), getattr(other, name)) for name in names]
        return [(a, b) for a, b in both if a is not None]

    @classmethod
    def single(cls, z: Tensor) -> "Embedding":
        """Of a condition that is one token, z [T, E]."""
        return cls(z, z.unsqueeze(1), torch.ones(len(z), 1, dtype=torch.bool, device=z.device))


class Conditioner(nn.Module, ABC):
    """Reads one kind of condition and returns an `Embedding` of width `size`.

    `reads` names the fields of a condition that are read; where it is `optional`, a condition may lack them,
    and what is absent then has a meaning of its own.
    """

    size: int
    reads: tuple[str, ...]
    optional: bool = False

    @abstractmethod
    def forward(self, condition: Condition) -> Embedding:
        """Read the conditions of T tasks.

        Raises:
            ConditionError: If the kind of condition that this conditioner reads is absent or misfits.
        """

    def check(self, condition: Condition) -> None:
        """Refuse a condition that no network should be written from, though it could be read.

        Raises:
            ConditionError: If there is a reason.
        """
        for name in condition.present():
            if name not in self.reads:
                raise ConditionError(
                    f"The condition has `{name}`, which this hypernetwork does not read; it reads "
                    f"{list(self.reads)}. Leave `{name}` out, or train with it."
                )

    def _missing(self, condition: Condition, hint: str) -> ConditionError:
        """That the condition lacks what is read."""
        return ConditionError(
            f"The condition has {sorted(condition.present())}, expected `{self.reads[0]}`. {hint}"
        )

    def _as_weights(self, value: Tensor) -> Tensor:
        """Few numbers per task, in the floating type of this conditioner's weights."""
        return value.to(next(self.parameters()).dtype)

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
