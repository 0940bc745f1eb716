"""Heads of a network for tables whose answers are values: the mean and quantiles, in closed form."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.anchors.ridge_path import ridge_path
from netwright.tabular.branch import Branch

# Quantiles that follow the mean unless others are asked for.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Levels of a target that columns are compared with, as classes are.
_LEVELS = 5
# Nowhere among the rows read is the spread of answers below this share of its mean.
_LEAST_SPREAD = 0.2
_TINY = 1e-6


def levels_of(values: Tensor, real: Tensor) -> Tensor:
    """Which fifth of the values each is in, one-hot [T, S, 5]; zeros where a row is not real.

    Args:
        values: [T, S, 1].
        real: 1 for real rows, else 0, [T, S, 1].
    """
    count = real.sum(dim=1)
    # How many real values are below each, and half of those that equal it: ties share a level.
    below = (values.transpose(1, 2) < values).to(real) @ real
    same = (values.transpose(1, 2) == values).to(real) @ real
    place = (below + 0.5 * same) / count.clamp(min=1).unsqueeze(1)
    level = (place * _LEVELS).long().clamp(0, _LEVELS - 1).squeeze(-1)
    return F.one_hot(level, _LEVELS).to(real) * real


def value_heads(
    branches: Sequence[Branch],
    x: Tensor,
    values: Tensor,
    real: Tensor,
    levels: Sequence[float],
    trust: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """Weights [T, D + H + 1, 1 + Q] of each branch, and biases [T, 1 + Q]: of the mean and Q quantiles.

    The mean is a mixture of ridge regressions, weighted by what each says of rows left out. The spread is
    another, of how far those predictions were off; quantile q is the mean plus c_q spreads, c_q such that a share q of the rows left out lies
    below it, as in the jackknife.

    Args:
        branches: M of them.
        x: Standardised columns, [T, S, D].
        values: Targets, [T, S, 1].
        real: 1 for real rows, else 0, [T, S, 1].
        levels: Q levels between 0 and 1.
        trust: How much a better fit of rows left out counts.

    References:
        Barber et al., Predictive inference with the jackknife+, arXiv:1905.02928.
    """
    count = real.sum(dim=1, keepdim=True).clamp(min=1)
    centre = (values * real).sum(dim=1, keepdim=True) / count
    scale = (((values - centre) * real).square().sum(dim=1, keepdim=True) / count).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    features = [branch.features(x, real) for branch in branches]
    y = (values - centre) / scale * real
    means, unseen = _mixed(branches, features, y, real, trust)
    # Mean absolute error by itself is what a row's spread is shrunk to.
    off = (y - unseen).abs() * real
    usual = (off.sum(dim=1, keepdim=True) / count).clamp(min=_TINY)
    spreads, unseen_spread = _mixed(branches, features, (off - usual) * real, real, trust)
    lowest = (unseen_spread * real).amin(dim=1, keepdim=True).clamp(max=-_TINY)
    shrink = ((1 - _LEAST_SPREAD) * usual / -lowest).clamp(max=1)
    spread = usual + shrink * unseen_spread
    cuts = _quantiles((y - unseen) / spread, real, levels)
    weights = [
        torch.cat([m, m + s * shrink * cuts], dim=2) * scale
        for m, s in zip(means, spreads, strict=True)
    ]
    bias = centre + torch.cat([torch.zeros_like(centre), usual * cuts], dim=2) * scale
    return weights, bias.squeeze(1)


def _mixed(
    branches: Sequence[Branch],
    features: Sequence[tuple[Tensor, Tensor]],
    y: Tensor,
    real: Tensor,
    trust: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """Weights [T, D + H + 1, 1] of each branch, and what they say of rows left out [T, S, 1]."""
    solutions, unseen = [], []
    for branch, (inputs, gain) in zip(branches, features, strict=True):
        weights, loo = ridge_path(inputs, y, branch.penalties)
        solutions.append(weights * gain[:, None, :, None])
        unseen.append(loo)
    loo = torch.cat(unseen, dim=1)
    count = real.sum(dim=(1, 2)).clamp(min=1)[:, None]
    errors = ((loo - y.unsqueeze(1)).square() * real.unsqueeze(1)).sum(dim=(2, 3)) / count
    # As a log likelihood of rows left out, errors being normal.
    mix = torch.softmax(-0.5 * trust * count * errors.clamp(min=_TINY).log(), dim=1)
    parts = mix.split(branches[0].penalties.shape[1], dim=1)
    mixed = [torch.einsum("tk,tkfc->tfc", p, s) for p, s in zip(parts, solutions, strict=True)]
    return mixed, torch.einsum("tk,tksc->tsc", mix, loo)


def _quantiles(errors: Tensor, real: Tensor, levels: Sequence[float]) -> Tensor:
    """Quantiles of errors [T, S, 1] of real rows, widened as few rows demand: [T, 1, Q]."""
    count = real.sum(dim=1)
    ordered = errors.masked_fill(real == 0, torch.inf).sort(dim=1).values.squeeze(-1)
    at = torch.as_tensor(levels, dtype=errors.dtype, device=errors.device)
    place = (at * (count + 1) - 1).clamp(min=0)
    place = torch.minimum(place, count - 1).clamp(min=0)
    low = place.floor().long()
    high = torch.minimum(low + 1, (count - 1).clamp(min=0).long())
    below, above = ordered.gather(1, low), ordered.gather(1, high)
    return (below + (place - low) * (above - below)).unsqueeze(1)


__all__ = ["QUANTILES", "levels_of", "value_heads"]
