"""One small head writes all numbers, chunk by chunk."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.generators.base import (
    INITIAL_DELTA,
    WeightGenerator,
    flat_base,
    scale_of,
    unit_linear,
)
from netwright.space import ParameterSpace


class Chunked(WeightGenerator):
    """The same MLP writes every chunk, told by a learned embedding which chunk it is.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        chunk: Numbers per chunk; the last one is cut to fit.
        hidden: Width of the hidden layers.

    References:
        von Oswald et al., Continual learning with hypernetworks, arXiv:1906.00695.
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        chunk: int = 512,
        hidden: int = 128,
    ) -> None:
        super().__init__(space, embedding_size)
        self.chunk, self.hidden = chunk, hidden
        chunks = ceil(self.space.size / chunk)
        self.chunk_embedding = nn.Parameter(torch.randn(chunks, hidden))
        self.read = nn.Linear(embedding_size, hidden)
        self.trunk = nn.Sequential(
            nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden)
        )
        self.out = unit_linear(hidden, chunk, INITIAL_DELTA)
        self.base = nn.Parameter(flat_base(space, base))
        self.scale: Tensor
        scales = [torch.full((spec.size,), scale_of(spec)) for spec in space.tensors]
        self.register_buffer("scale", torch.cat([*scales, torch.zeros(0)]))

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"chunk": self.chunk, "hidden": self.hidden}

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from the global token [T, E]."""
        pairs = self.read(embedding.z).unsqueeze(1) + self.chunk_embedding
        delta = self.out(self.trunk(pairs)).flatten(1)[:, : self.space.size]
        return self.space.unflatten(torch.addcmul(self.base, self.scale, delta))
