"""What all examples have in common, taken from their features."""

import torch
from torch import Tensor, nn

# How much a step counts in the running statistics: those of some twenty steps.
MOMENTUM = 0.05
EPSILON = 1e-5


class Standardise(nn.Module):
    """Features less their mean, over their standard deviation: [T, S, E] to the same.

    An encoder that starts at random makes nearly the same of any two pictures, and means over examples are more alike
    still: what is left to tell tasks apart is a few percent, which training may unlearn as noise. In training the
    statistics are those of all real examples of a step; in use those of the training, so that what is made of a task
    depends on no other.

    Args:
        size: E.

    References:
        Ioffe & Szegedy, Batch normalization, arXiv:1502.03167 (without the learned scale and shift).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.variance: Tensor
        self.seen: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Standardise features [T, S, E] of examples that are real where mask [T, S]."""
        mean, variance = self.mean, self.variance
        # A task that breaks is not to break the others of its step, nor what is kept for later.
        counts = mask & features.isfinite().all(dim=-1)
        # One example has no variance.
        if self.training and int(counts.sum()) > 1:
            real = features[counts]
            mean = real.mean(dim=0)
            variance = (real - mean).square().mean(dim=0)
            self._take(mean.detach(), variance.detach())
        standard: Tensor = (features - mean) * (variance + EPSILON).rsqrt()
        return standard

    @torch.no_grad()
    def _take(self, mean: Tensor, variance: Tensor) -> None:
        """Into the running statistics; the first are taken as they are."""
        weight = torch.where(self.seen, MOMENTUM, 1.0).to(self.mean)
        self.mean.lerp_(mean.to(self.mean), weight)
        self.variance.lerp_(variance.to(self.variance), weight)
        self.seen.fill_(True)


__all__ = ["Standardise"]
