"""One small head writes all numbers, chunk by chunk."""

from collections.abc import Mapping
from itertools import groupby
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.generators.base import (
    INITIAL_DELTA,
    Precision,
    WeightGenerator,
    check_precision,
    product,
    scale_of,
    unit_linear,
)
from netwright.space import ParameterSpace


class Chunked(WeightGenerator):
    """The same MLP writes every chunk, told by a learned embedding which chunk it is.

    Tensors of one scale lie end to end and fill whole chunks, so that the scale of a chunk can go into
    the head's input, and the base into the product: what is written is passed over once.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        chunk: Numbers per chunk; at most what the largest group of one scale needs.
        hidden: Width of the hidden layers.
        learns_base: Whether the base is learned, which costs as many numbers as the child has, or kept.
        precision: `bfloat16` takes the product that writes corrections in half precision: several
            times faster where processors have it, at an error of 2^-8 of a correction.

    Raises:
        RunError: If the precision is unknown.

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
        learns_base: bool = True,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(space, embedding_size)
        check_precision(precision)
        self.chunk, self.hidden, self.learns_base = chunk, hidden, learns_base
        self.precision: Precision = precision
        groups = [
            (scale, list(specs))
            for scale, specs in groupby(sorted(space.tensors, key=scale_of), key=scale_of)
        ]
        # Name and size of each piece in order; a piece without name fills up a group's last chunk.
        self._pieces: list[tuple[str, int]] = []
        scales: list[float] = []
        for scale, specs in groups:
            chunks = ceil(sum(spec.size for spec in specs) / chunk)
            scales += [scale] * chunks
            self._pieces += [(spec.name, spec.size) for spec in specs]
            self._pieces.append(("", chunks * chunk - sum(spec.size for spec in specs)))
        start = [_values(name, size, base) for name, size in self._pieces]
        theta_0 = torch.cat([*start, torch.zeros(0)]).reshape(-1, chunk)
        self.base: Tensor
        if learns_base:
            self.base = nn.Parameter(theta_0)
        else:
            self.register_buffer("base", theta_0)
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor(scales).reshape(-1, 1))
        self.chunk_embedding = nn.Parameter(torch.randn(len(scales), hidden))
        self.read = nn.Linear(embedding_size, hidden)
        self.trunk = nn.Sequential(
            nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden)
        )
        self.weight = unit_linear(hidden, chunk, INITIAL_DELTA, bias=False).weight

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {
            "chunk": self.chunk,
            "hidden": self.hidden,
            "learns_base": self.learns_base,
            "precision": self.precision,
        }

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        self.weight.data.mul_(factor)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from the global token [T, E]."""
        tasks = len(embedding.z)
        pairs = self.read(embedding.z).unsqueeze(1) + self.chunk_embedding
        h = self.trunk(pairs) * self.scale
        if tasks == 1 and self.precision == "float32":
            theta = torch.addmm(self.base, h.squeeze(0), self.weight.T).unsqueeze(0)
        else:
            # In place: a sum of its own would take as much memory again as all that is written.
            theta = product(h, self.weight, self.precision).add_(self.base)
        pieces = theta.flatten(1).split([size for _, size in self._pieces], dim=1)
        written = {name: p for (name, _), p in zip(self._pieces, pieces, strict=True) if name}
        return {
            spec.name: written[spec.name].reshape(tasks, *spec.shape) for spec in self.space.tensors
        }


def _values(name: str, size: int, base: Mapping[str, Tensor]) -> Tensor:
    return base[name].detach().reshape(-1).float() if name else torch.zeros(size)
