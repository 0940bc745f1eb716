"""What a column has to do with the classes, and with the other columns, in a few numbers.

No number depends on the order of rows or on how classes are numbered, and rows that are not real count for nothing.
"""

import torch
from torch import Tensor

# Cuts at these quantiles of a standard normal: columns are standardised, so each bin holds a fair share.
_CUTS = (-1.2, -0.7, -0.3, 0.0, 0.3, 0.7, 1.2)
STATISTICS = 15
# Which of them is of the fourth power: log(1 + m) - 1.4, m being 3 for a normal column.
FOURTH = 10


def column_statistics(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Statistics [T, D, STATISTICS] of standardised columns, each of the size of 1.

    Args:
        x: Columns of mean 0 and variance 1 over real rows, [T, S, D].
        y: Class shares of each row, one-hot, [T, S, C]; zeros where a row is not real.
        weight: 1 for real rows, 0 for others, [T, S].
    """
    rows = weight.sum(dim=1).clamp(min=1)[:, None]
    classes = y.sum(dim=1) / rows
    present = (classes > 0).sum(dim=1).to(x)[:, None]
    real = weight.unsqueeze(-1)
    linear = between(x, y, real)
    bent = between((x.square() - 1) / 2, y, real)
    above = torch.stack([(x > cut).to(x) for cut in _CUTS], dim=-1) * real.unsqueeze(-1)
    informative = _information(above, y, classes, rows)
    correlation = (x * real).transpose(1, 2) @ x / rows.unsqueeze(-1)
    others = correlation.abs() - torch.diag_embed(correlation.diagonal(dim1=1, dim2=2))
    partial = _partial(x * real, y - classes.unsqueeze(1) * real, correlation, rows)
    # What is expected of a column that has nothing to do with the classes.
    chance = ((present - 1) / rows).clamp(max=1).expand_as(linear)
    third = (x**3 * real).sum(dim=1) / rows
    fourth = (x**4 * real).sum(dim=1) / rows
    return torch.stack(
        [
            linear,
            _log(linear, chance),
            bent,
            _log(bent, chance),
            informative,
            _log(informative, chance),
            partial,
            _log(partial, chance),
            (linear / (chance + 1e-3)).clamp(max=50).log1p(),
            third / (1 + third.abs()),
            fourth.log1p() - 1.4,
            # Zero for a column of two values, whatever they are.
            (fourth - third.square() - 1).clamp(min=0).log1p(),
            others.amax(dim=2),
            others.mean(dim=2) * 3,
            correlation.square().sum(dim=2).clamp(min=0.1).log() / 3,
        ],
        dim=-1,
    )  # fmt: skip


def between(values: Tensor, y: Tensor, real: Tensor) -> Tensor:
    """Share of the variance of values [T, S, D] that lies between classes, [T, D]."""
    count = real.sum(dim=1).clamp(min=1)
    mean = (values * real).sum(dim=1) / count
    centred = (values - mean.unsqueeze(1)) * real
    total = centred.square().sum(dim=1).clamp(min=1e-6)
    sizes = y.sum(dim=1).clamp(min=1e-6)
    sums = y.transpose(1, 2) @ centred
    return (sums.square() / sizes.unsqueeze(-1)).sum(dim=1) / total


def _information(above: Tensor, y: Tensor, classes: Tensor, rows: Tensor) -> Tensor:
    """Largest share of the Gini impurity that one cut of a column explains, [T, D]."""
    count = above.sum(dim=1)
    hits = torch.einsum("tsc,tsdk->tdkc", y, above)
    rest = y.sum(dim=1)[:, None, None, :] - hits
    n_rest = rows.unsqueeze(-1) - count
    pure = hits.square().sum(-1) / count.clamp(min=1) + rest.square().sum(-1) / n_rest.clamp(min=1)
    whole = classes.square().sum(dim=1)[:, None]
    gain = pure.amax(dim=2) / rows - whole
    return (gain / (1 - whole).clamp(min=1e-6)).clamp(0, 1)


def _partial(x: Tensor, y: Tensor, correlation: Tensor, rows: Tensor) -> Tensor:
    """Size of the coefficients of a ridge regression on all columns, as a share of variance, [T, D]."""
    columns = x.shape[2]
    penalty = 0.1 + columns / rows
    eye = torch.eye(columns, dtype=x.dtype, device=x.device)
    system = correlation + penalty.unsqueeze(-1) * eye
    moment = x.transpose(1, 2) @ y / rows.unsqueeze(-1)
    weights: Tensor = torch.linalg.solve(system, moment)
    whole = (y.square().sum((1, 2))[:, None] / rows).clamp(min=1e-6)
    return weights.square().sum(dim=2) / whole


def _log(share: Tensor, chance: Tensor) -> Tensor:
    return (share + 0.3 * chance + 1e-3).log() / 3 + 1


__all__ = ["FOURTH", "STATISTICS", "between", "column_statistics"]
