"""One head per tensor writes all its numbers at once."""

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
from netwright.space import ParameterSpace, TensorSpec


class Dense(WeightGenerator):
    """An MLP from the global token to all numbers.

    Its heads have hidden x P weights: for children of more than about 50,000 numbers use `chunked`,
    `low-rank` or `layer-tokens`.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        hidden: Width of the two hidden layers.
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        hidden: int = 128,
    ) -> None:
        super().__init__(space, embedding_size)
        self.hidden = hidden
        self.trunk = trunk_of(embedding_size, hidden)
        self.heads = nn.ModuleList(_Head(spec, hidden, base[spec.name]) for spec in space.tensors)

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"hidden": self.hidden}

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        scale_weights(self.heads, factor)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from the global token [T, E]."""
        h = self.trunk(embedding.z)
        return {
            spec.name: head(h).reshape(len(h), *spec.shape)
            for spec, head in zip(self.space.tensors, self.heads, strict=True)
        }


class _Head(nn.Module):
    """base + scale * weight @ h: the scale goes to h, which is small, and not to what is written."""

    def __init__(self, spec: TensorSpec, hidden: int, base: Tensor) -> None:
        super().__init__()
        self.scale = scale_of(spec)
        self.weight = unit_linear(hidden, spec.size, INITIAL_DELTA, bias=False).weight
        self.base = nn.Parameter(base.detach().reshape(-1).float().clone())

    def forward(self, h: Tensor) -> Tensor:
        return torch.addmm(self.base, h * self.scale, self.weight.T)


def trunk_of(embedding_size: int, hidden: int) -> nn.Sequential:
    """Two hidden layers; outputs have unit variance."""
    return nn.Sequential(
        nn.Linear(embedding_size, hidden), nn.GELU(),
        nn.Linear(hidden, hidden), nn.GELU(),
        nn.LayerNorm(hidden),
    )  # fmt: skip
