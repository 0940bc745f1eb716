"""Gaussian distributions over the parameters of children."""

from dataclasses import dataclass, replace
from math import log, pi

import torch
from torch import Tensor

from netwright.shapes import check_shape


@dataclass(frozen=True)
class WeightDistribution:
    """A Gaussian over theta [P] for each of T tasks.

    theta = mean + std * e + factor @ f, with e [P] and f [K] standard normal

    A diagonal covariance has no factor, a full one no std.

    Args:
        mean: [T, P].
        std: Spread of each number on its own, [T, P], more than 0; None if there is none.
        factor: Spread that numbers share, [T, P, K]; beside no std the Cholesky factor of the covariance,
            [T, P, P], lower triangular with a diagonal of more than 0.
    """

    mean: Tensor
    std: Tensor | None = None
    factor: Tensor | None = None

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return len(self.mean)

    @property
    def size(self) -> int:
        """P, the number of generated numbers per child."""
        return self.mean.shape[1]

    def rows(self, index: Tensor | slice) -> "WeightDistribution":
        """The tasks that `index` selects, as often as it does; the task axis stays."""
        std, factor = (None if part is None else part[index] for part in (self.std, self.factor))
        return replace(self, mean=self.mean[index], std=std, factor=factor)

    def rsample(self, rng: torch.Generator | None = None) -> Tensor:
        """Theta [T, P], one sample per task, differentiable.

        Args:
            rng: Source of randomness; None for torch's global one.
        """
        theta = self.mean
        if self.std is not None:
            theta = theta + self.std * _normal(self.std, self.std.shape, rng)
        if self.factor is not None:
            shape = (self.tasks, self.factor.shape[2], 1)
            theta = theta + (self.factor @ _normal(self.factor, shape, rng)).squeeze(2)
        return theta

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density [T] of theta [T, P], in nats.

        Raises:
            ShapeError: If theta is not [T, P].
        """
        check_shape("theta", theta, "T P", T=self.tasks, P=self.size)
        residual = theta - self.mean
        return -0.5 * (self._squared(residual) + self._log_determinant() + self.size * log(2 * pi))

    def kl(self, prior_mean: Tensor, prior_std: Tensor) -> Tensor:
        """Divergence KL(this || prior) [T] from an independent Gaussian prior, in nats.

        Args:
            prior_mean: [P].
            prior_std: [P], more than 0.

        Raises:
            ShapeError: If the prior is not [P].
        """
        self._check_prior(prior_mean, prior_std)
        squared = self.variance() + (self.mean - prior_mean).square()
        prior_part = (squared / prior_std.square() + 2 * prior_std.log() - 1).sum(dim=1)
        return 0.5 * (prior_part - self._log_determinant())

    def kl_at(self, theta: Tensor, prior_mean: Tensor, prior_std: Tensor) -> Tensor:
        """Estimate of `kl` [T] from one sample per task, whose gradient runs through the samples alone.

        Where this can be the true posterior, the gradient of an evidence lower bound has no noise there.

        Args:
            theta: Samples of this distribution, [T, P], from `rsample`.
            prior_mean: [P].
            prior_std: [P], more than 0.

        Raises:
            ShapeError: If theta is not [T, P], or the prior not [P].

        References:
            Roeder et al., Sticking the landing, arXiv:1703.09194.
        """
        self._check_prior(prior_mean, prior_std)
        std, factor = (None if part is None else part.detach() for part in (self.std, self.factor))
        stopped = replace(self, mean=self.mean.detach(), std=std, factor=factor)
        prior = WeightDistribution(prior_mean.expand_as(theta), prior_std.expand_as(theta))
        return stopped.log_prob(theta) - prior.log_prob(theta)

    def variance(self) -> Tensor:
        """Variance of each number, [T, P]."""
        variance = torch.zeros_like(self.mean) if self.std is None else self.std.square()
        return variance if self.factor is None else variance + self.factor.square().sum(dim=2)

    def covariance(self) -> Tensor:
        """[T, P, P]."""
        own = self.mean.new_zeros(()) if self.std is None else self.std.square().diag_embed()
        return own if self.factor is None else own + self.factor @ self.factor.mT

    def _check_prior(self, prior_mean: Tensor, prior_std: Tensor) -> None:
        check_shape("prior_mean", prior_mean, "P", P=self.size)
        check_shape("prior_std", prior_std, "P", P=self.size)

    def _squared(self, residual: Tensor) -> Tensor:
        """Squared Mahalanobis length of residuals [T, P], [T]."""
        if self.std is None:
            assert self.factor is not None
            white = torch.linalg.solve_triangular(self.factor, residual.unsqueeze(2), upper=False)
            squared: Tensor = white.square().sum(dim=(1, 2))
            return squared
        white = residual / self.std
        own: Tensor = white.square().sum(dim=1)
        if self.factor is None:
            return own
        # Woodbury's identity: no product is larger than [K, K].
        scaled, root = self._capacitance(self.std, self.factor)
        seen = torch.linalg.solve_triangular(root, scaled.mT @ white.unsqueeze(2), upper=False)
        less: Tensor = own - seen.square().sum(dim=(1, 2))
        return less

    def _log_determinant(self) -> Tensor:
        """Of the covariance, [T]."""
        if self.std is None:
            assert self.factor is not None
            return 2 * self.factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        own = 2 * self.std.log().sum(dim=1)
        if self.factor is None:
            return own
        root = self._capacitance(self.std, self.factor)[1]
        return own + 2 * root.diagonal(dim1=1, dim2=2).log().sum(dim=1)

    def _capacitance(self, std: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """factor / std [T, P, K], and the Cholesky factor [T, K, K] of identity + its square."""
        scaled = factor / std.unsqueeze(2)
        identity = torch.eye(factor.shape[2], dtype=factor.dtype, device=factor.device)
        return scaled, torch.linalg.cholesky(identity + scaled.mT @ scaled)


def _normal(like: Tensor, shape: tuple[int, ...], rng: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the type and device of `like`, wherever `rng` lives."""
    device = like.device if rng is None else rng.device
    return torch.randn(shape, generator=rng, dtype=like.dtype, device=device).to(like.device)
