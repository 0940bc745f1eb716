"""One head writes all numbers at once."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.generators.base import INITIAL_DELTA, WeightGenerator, unit_linear
from netwright.space import ParameterSpace


class Dense(WeightGenerator):
    """An MLP from the global token to all numbers.

    Its output layer has hidden x P weights: for children of more than about 50,000 numbers use
    `chunked` or `layer-tokens`.

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
        super().__init__(space, embedding_size, base=base)
        self.hidden = hidden
        self.trunk = nn.Sequential(
            nn.Linear(embedding_size, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.LayerNorm(hidden),
        )  # fmt: skip
        self.out = unit_linear(hidden, self.space.size, INITIAL_DELTA)

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"hidden": self.hidden}

    def delta(self, embedding: Embedding) -> Tensor:
        """The correction [T, P] at unit scale from the global token [T, E]."""
        theta: Tensor = self.out(self.trunk(embedding.z))
        return theta
