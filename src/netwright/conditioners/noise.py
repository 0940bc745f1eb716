"""Reads random numbers: what makes one condition give many networks."""

from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.shapes import check_shape


class Noise(Conditioner):
    """An MLP over standard normal numbers: noise in, weights out.

    Beside other conditioners it makes the hypernetwork an implicit distribution over networks. Where a
    condition has no noise, training draws it from torch's global random state, and use takes zeros: the
    network at the centre. With noise in the condition, writing is a pure function of the condition.

    Args:
        dimensions: D.
        size: E, the width of the embedding.
        hidden: Width of the hidden layer.

    Raises:
        RunError: If there is no dimension.

    References:
        Krueger et al., Bayesian hypernetworks, arXiv:1710.04759.
        Pawlowski et al., Implicit weight uncertainty in neural networks, arXiv:1711.01297.
    """

    reads = ("noise",)
    optional = True

    def __init__(self, dimensions: int, *, size: int = 64, hidden: int = 128) -> None:
        super().__init__()
        if dimensions < 1:
            raise RunError(f"`dimensions` is {dimensions}, expected at least 1.")
        self.dimensions, self.size, self.hidden = dimensions, size, hidden
        self.trunk = nn.Sequential(
            nn.Linear(dimensions, hidden), nn.GELU(), nn.Linear(hidden, size), nn.LayerNorm(size)
        )

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {"dimensions": self.dimensions, "size": self.size, "hidden": self.hidden}

    @staticmethod
    def draw(tasks: int, dimensions: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Noise of T tasks, [T, D], standard normal."""
        device = None if generator is None else generator.device
        return torch.randn(tasks, dimensions, generator=generator, device=device)

    def forward(self, condition: Condition) -> Embedding:
        """Read noise [T, D], or what stands for it."""
        noise = condition.noise
        if noise is None:
            shape = (condition.tasks, self.dimensions)
            like = next(self.parameters())
            noise = like.new_empty(shape).normal_() if self.training else like.new_zeros(shape)
        hint = "Draw it: `Noise.draw(tasks, dimensions, generator=rng)`."
        check_shape("noise", noise, "T D", D=self.dimensions, hint=hint)
        return Embedding.single(self.trunk(noise))
