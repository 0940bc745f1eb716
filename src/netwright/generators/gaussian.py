"""A Gaussian over all numbers of a child, around what another generator writes."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from netwright.conditioners.base import Embedding
from netwright.errors import RunError
from netwright.generators.base import (
    INITIAL_DELTA,
    StochasticGenerator,
    WeightGenerator,
    Written,
    scale_of,
    unit_linear,
)
from netwright.generators.dense import trunk_of
from netwright.generators.distribution import WeightDistribution
from netwright.space import ParameterSpace

Covariance = Literal["diagonal", "low-rank", "full"]
"""Numbers are spread on their own; share r directions of spread besides; or spread in any way."""

Penalty = Literal["exact", "path"]
"""The divergence itself, or its estimate at the sample that is written, with gradients through that alone."""

# A full covariance takes P (P + 1) / 2 outputs of a head: 33 thousand here.
MOST_FOR_FULL = 256
RANK = 4
# No spread leaves exp(-10) to exp(10) times its start: one odd task must not overflow a training.
_LARGEST_LOG = 10.0


class Gaussian(StochasticGenerator):
    """theta[t] ~ N(mean(embedding[t]), covariance(embedding[t])).

    The mean is what another generator writes, the spread comes from heads of its own. In training mode a
    call writes a sample, differentiable in mean and spread; in evaluation mode it writes the mean.

    `write` tells the divergence from the prior, which is the child's own initialisation: mean 0 and its
    standard deviation, or, for tensors that start as constants, those constants and a fifth.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        of: What writes the mean: a name in `GENERATORS`, or {"name": name, **options}.
        covariance: `diagonal`, `low-rank` or `full`.
        rank: K, shared directions of a low-rank covariance; by default 4.
        initial_std: Where spread starts, in units of the child's own initialisation.
        prior_std: If given, the prior is N(0, prior_std^2) for every number.
        penalty: How `write` tells the divergence in training: `exact`, or `path` for
            `WeightDistribution.kl_at`, which is noisy far from the answer and without noise at it.
        hidden: Width of the two hidden layers before the heads of the spread.

    Raises:
        RunError: If an option is unknown, does not fit, or P is too large for a full covariance.

    References:
        Blundell et al., Weight uncertainty in neural networks, arXiv:1505.05424.
        Krueger et al., Bayesian hypernetworks, arXiv:1710.04759.
        Roeder et al., Sticking the landing, arXiv:1703.09194 (the path penalty).
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        of: str | Mapping[str, Any] = "dense",
        covariance: Covariance = "diagonal",
        rank: int | None = None,
        initial_std: float = INITIAL_DELTA,
        prior_std: float | None = None,
        penalty: Penalty = "exact",
        hidden: int = 128,
    ) -> None:
        super().__init__(space, embedding_size)
        _check_options(space, covariance, rank, penalty)
        _check_stds(initial_std=initial_std, prior_std=prior_std)
        self.covariance, self.hidden = covariance, hidden
        self.initial_std, self.prior_std, self.penalty = initial_std, prior_std, penalty
        self.rank = (rank or RANK) if covariance == "low-rank" else None
        self.inner_name, self.inner = _inner_of(of, space, embedding_size, base)
        self.trunk = trunk_of(embedding_size, hidden)
        shared = {"diagonal": 0, "low-rank": self.rank or 0, "full": (space.size - 1) / 2}
        self.sizes = [space.size, int(space.size * shared[covariance])]
        self.spread = unit_linear(hidden, sum(self.sizes), INITIAL_DELTA)
        self.unit: Tensor
        unit = [initial_std * scale_of(spec) for spec in space.tensors for _ in range(spec.size)]
        self.register_buffer("unit", torch.tensor(unit), persistent=False)
        self.prior: Tensor
        self.register_buffer("prior", _prior_of(space, base, prior_std))

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {
            "of": {"name": self.inner_name, **self.inner.options()},
            "covariance": self.covariance,
            "rank": self.rank,
            "initial_std": self.initial_std,
            "prior_std": self.prior_std,
            "penalty": self.penalty,
            "hidden": self.hidden,
        }

    def rescale(self, factor: float) -> None:
        """Multiply all corrections of the mean by a factor, before training."""
        self.inner.rescale(factor)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape]: a sample in training mode, else the mean."""
        return self.sample(embedding) if self.training else self.inner(embedding)

    def write(self, embedding: Embedding) -> Written:
        """As a call, and the divergence [T] from the prior."""
        distribution = self.distribution(embedding)
        theta = distribution.rsample() if self.training else distribution.mean
        penalty = (
            distribution.kl_at(theta, *self.prior)
            if self.training and self.penalty == "path"
            else distribution.kl(*self.prior)
        )
        return Written(self.space.unflatten(theta), penalty)

    def distribution(self, embedding: Embedding) -> WeightDistribution:
        """The distribution over theta [T, P], in the order of the space."""
        mean = self.space.flatten(self.inner(embedding))
        own, shared = self.spread(self.trunk(embedding.z)).split(self.sizes, dim=1)
        std = self.unit * (_LARGEST_LOG * torch.tanh(own / _LARGEST_LOG)).exp()
        if self.covariance == "diagonal":
            return WeightDistribution(mean, std)
        if self.covariance == "low-rank":
            directions = shared.unflatten(1, (self.space.size, -1)) * self.unit.unsqueeze(1)
            return WeightDistribution(mean, std, directions)
        factor = std.diag_embed()
        size = self.space.size
        row, column = torch.tril_indices(size, size, offset=-1, device=factor.device)
        factor[:, row, column] = shared * self.unit[row]
        return WeightDistribution(mean, factor=factor)


def _check_options(space: ParameterSpace, covariance: str, rank: int | None, penalty: str) -> None:
    if covariance not in get_args(Covariance):
        raise RunError(
            f"`covariance` is {covariance!r}, expected one of {list(get_args(Covariance))}."
        )
    if rank is not None and (covariance != "low-rank" or rank < 1):
        raise RunError(
            f"`rank` is {rank} and `covariance` is {covariance!r}, expected at least 1 for a low-rank "
            "covariance, and none for another. Leave `rank` out."
        )
    if covariance == "full" and space.size > MOST_FOR_FULL:
        raise RunError(
            f"The child has {space.size} numbers to write, expected at most {MOST_FOR_FULL} for a full "
            'covariance. Use covariance="low-rank".'
        )
    if penalty not in get_args(Penalty):
        raise RunError(f"`penalty` is {penalty!r}, expected one of {list(get_args(Penalty))}.")


def _check_stds(**stds: float | None) -> None:
    for name, value in stds.items():
        if value is not None and not 0 < value < float("inf"):
            raise RunError(f"`{name}` is {value}, expected a standard deviation of more than 0.")


def _inner_of(
    of: str | Mapping[str, Any],
    space: ParameterSpace,
    embedding_size: int,
    base: Mapping[str, Tensor],
) -> tuple[str, WeightGenerator]:
    """Name of what writes the mean, and that generator."""
    # The family's dict holds this class too, and so can be read only when both are there.
    from netwright.generators import GENERATORS

    options = {"name": of} if isinstance(of, str) else dict(of)
    name = options.pop("name", None)
    known = [n for n, kind in GENERATORS.items() if not issubclass(kind, StochasticGenerator)]
    if name not in known:
        raise RunError(f"`of` names the generator {name!r}, expected one of {known}.")
    # Each generator takes its own options beside these.
    inner = GENERATORS[name](space, embedding_size, base=base, **options)  # type: ignore[call-arg]
    return name, inner


def _prior_of(space: ParameterSpace, base: Mapping[str, Tensor], prior_std: float | None) -> Tensor:
    """Mean and standard deviation of the prior, [2, P]."""
    if prior_std is not None:
        return torch.tensor([[0.0], [prior_std]]).repeat(1, space.size)
    means = [base[spec.name].detach().float().flatten() * (spec.std == 0) for spec in space.tensors]
    stds = [torch.full((spec.size,), scale_of(spec)) for spec in space.tensors]
    return torch.stack([torch.cat(means), torch.cat(stds)])
