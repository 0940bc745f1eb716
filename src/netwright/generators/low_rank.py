"""Each tensor as a product of two thin matrices, both written per task."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.generators.base import (
    INITIAL_DELTA,
    WeightGenerator,
    scale_of,
    scale_weights,
    unit_linear,
)
from netwright.generators.dense import trunk_of
from netwright.space import ParameterSpace, TensorSpec


class LowRankGenerator(WeightGenerator):
    """theta[t] = base + scale * left[t] @ right[t], tensor by tensor; vectors are written as they are.

    A tensor [O, *rest] costs r * (O + I) numbers of the heads' output in place of O * I, I the product
    of rest. What is written is still the whole tensor: for children that are run without ever forming
    it, give the child the emission `LowRank`.

    Args:
        space: The child's parameter space.
        embedding_size: E.
        base: Initial child parameters by name.
        rank: r.
        hidden: Width of the two hidden layers.
        learns_base: Whether the base is learned, which costs as many numbers as the child has, or kept.
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        rank: int = 4,
        hidden: int = 128,
        learns_base: bool = True,
    ) -> None:
        super().__init__(space, embedding_size)
        self.rank, self.hidden, self.learns_base = rank, hidden, learns_base
        self.trunk = trunk_of(embedding_size, hidden)
        self.heads = nn.ModuleList(
            _ProductHead(spec, hidden, base[spec.name], rank, learns_base) for spec in space.tensors
        )

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"rank": self.rank, "hidden": self.hidden, "learns_base": self.learns_base}

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        # Products of two factors, each of which takes half.
        scale_weights(self.heads, factor**0.5)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from the global token [T, E]."""
        h = self.trunk(embedding.z)
        return {
            spec.name: head(h).reshape(len(h), *spec.shape)
            for spec, head in zip(self.space.tensors, self.heads, strict=True)
        }


class _ProductHead(nn.Module):
    """base + scale * left @ right, with both factors from one linear map of h."""

    def __init__(
        self, spec: TensorSpec, hidden: int, base: Tensor, rank: int, learns_base: bool
    ) -> None:
        super().__init__()
        outputs = spec.shape[0] if len(spec.shape) > 1 else 1
        inputs = spec.size // max(outputs, 1)
        self.rank = min(rank, outputs, inputs)
        self.sizes = [self.rank * outputs, self.rank * inputs]
        # A product of r pairs of numbers of this spread has the spread of a correction.
        spread = (INITIAL_DELTA * self.rank**-0.5) ** 0.5
        self.out = unit_linear(hidden, sum(self.sizes), spread)
        self.scale = scale_of(spec)
        start = base.detach().reshape(outputs, inputs).float().clone()
        self.base: Tensor
        if learns_base:
            self.base = nn.Parameter(start)
        else:
            self.register_buffer("base", start)

    def forward(self, h: Tensor) -> Tensor:
        left, right = self.out(h).split(self.sizes, dim=1)
        left = left.reshape(len(h), -1, self.rank) * self.scale
        base = self.base.expand(len(h), -1, -1)
        return torch.baddbmm(base, left, right.reshape(len(h), self.rank, -1))
