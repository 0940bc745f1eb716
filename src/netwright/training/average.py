"""A running average of the weights: steadier than the last ones while the rate is high."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential average of a module's parameters, kept beside them.

    average <- average + (1 - d) * (weights - average), with d = min(decay, (1 + n) / (10 + n)) after
    n updates, so that the initial weights are soon forgotten.

    Args:
        module: Whose parameters are averaged.
        decay: The largest d.

    References:
        Polyak & Juditsky, Acceleration of stochastic approximation by averaging (1992).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = [p.detach() for p in module.parameters() if p.requires_grad]
        self._averages = [weight.clone() for weight in self._weights]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the weights after a step; `updates` were taken in before."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @torch.no_grad()
    def take(self) -> None:
        """Let the module's present weights be the average."""
        torch._foreach_copy_(self._averages, self._weights)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While entered, the module has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        kept: list[Tensor] = [weight.clone() for weight in self._weights]
        torch._foreach_copy_(self._weights, self._averages)
        torch._foreach_copy_(self._averages, kept)
