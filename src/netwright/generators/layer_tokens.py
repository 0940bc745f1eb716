"""A transformer over one token per output channel of every layer."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.attention import SetBlock
from netwright.conditioners.base import Embedding
from netwright.generators.base import (
    INITIAL_DELTA,
    WeightGenerator,
    scale_of,
    scale_weights,
    unit_linear,
)
from netwright.space import ParameterSpace, TensorSpec


class LayerTokens(WeightGenerator):
    """Tokens of the child's layers attend to each other and to the condition, then write slices.

    A tensor of two or more axes has one token per output channel, up to `max_slices`; a vector has
    one. A slice is written from its token by a linear layer per tensor.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        depth: Number of attention blocks.
        max_slices: Largest number of tokens per tensor; rows are grouped to stay below it.

    References:
        Zhmoginov et al., HyperTransformer, arXiv:2201.04182.
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        depth: int = 2,
        max_slices: int = 64,
    ) -> None:
        super().__init__(space, embedding_size)
        self.depth, self.max_slices = depth, max_slices
        self.slices = [_slices_of(spec, max_slices) for spec in space.tensors]
        self.tokens = nn.Parameter(torch.randn(sum(self.slices), embedding_size))
        self.read_global = nn.Linear(embedding_size, embedding_size)
        self.blocks = nn.ModuleList(SetBlock(embedding_size, cross=True) for _ in range(depth))
        self.norm = nn.LayerNorm(embedding_size)
        self.heads = nn.ModuleList(
            _SliceHead(spec, count, embedding_size, base[spec.name])
            for spec, count in zip(space.tensors, self.slices, strict=True)
        )

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"depth": self.depth, "max_slices": self.max_slices}

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        scale_weights(self.heads, factor)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from z [T, E] and tokens [T, M, E]."""
        tokens = self.tokens + self.read_global(embedding.z).unsqueeze(1)
        for block in self.blocks:
            tokens = block(tokens, context=embedding.tokens, context_mask=embedding.mask)
        parts = self.norm(tokens).split(self.slices, dim=1)
        return {
            spec.name: head(part).reshape(len(tokens), *spec.shape)
            for spec, head, part in zip(self.space.tensors, self.heads, parts, strict=True)
        }


class _SliceHead(nn.Module):
    """base + scale * weight @ token, the same weight for every slice of a tensor."""

    def __init__(self, spec: TensorSpec, slices: int, size: int, base: Tensor) -> None:
        super().__init__()
        self.scale = scale_of(spec)
        self.weight = unit_linear(size, spec.size // slices, INITIAL_DELTA, bias=False).weight
        self.base = nn.Parameter(base.detach().reshape(slices, -1).float().clone())

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(tokens * self.scale, self.weight) + self.base


def _slices_of(spec: TensorSpec, max_slices: int) -> int:
    """The largest number of equal slices of whole rows, at most `max_slices`; 1 for a vector."""
    if len(spec.shape) < 2:
        return 1
    rows = spec.shape[0]
    return next(count for count in range(min(rows, max_slices), 0, -1) if rows % count == 0)
