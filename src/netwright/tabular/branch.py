"""A branch of the hidden layer of a network for tables, and the features that its head is solved in."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from netwright.architectures.table_net import bump


@dataclass(frozen=True)
class Branch:
    """One branch, in standardised columns.

    Args:
        rows: Directions of the hidden units, [T, H, D].
        offsets: Their offsets, [T, H].
        beside: Scales of the columns beside the hidden layer, [T, D].
        share: How much of the features' squared length the hidden layer has, [T, 1].
        penalties: Of the ridge regressions, [T, K].
        is_ramps: Whether units are ramps (ReLU), else bumps.
    """

    rows: Tensor
    offsets: Tensor
    beside: Tensor
    share: Tensor
    penalties: Tensor
    is_ramps: bool

    def features(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Features [T, S, D + H + 1] of rows x [T, S, D], and by what each was multiplied [T, D + H + 1].

        Columns, hidden units and a constant; over real rows, real [T, S, 1], the first two have a mean squared length of
        1 together, and the constant of 1. Rows that are not real become zeros.
        """
        inside = x @ self.rows.transpose(1, 2) + self.offsets.unsqueeze(1)
        hidden = torch.relu(inside) if self.is_ramps else bump(inside)
        count = real.sum(dim=1).clamp(min=1)
        lengths = [
            (v.square().sum(dim=2, keepdim=True) * real).sum(dim=1) / count
            for v in (x * self.beside.unsqueeze(1), hidden)
        ]
        of_columns = (1 - self.share) / lengths[0].clamp(min=1e-6)
        of_hidden = self.share / lengths[1].clamp(min=1e-6)
        gain = torch.cat(
            [
                self.beside * of_columns.sqrt(),
                of_hidden.sqrt().expand_as(self.offsets),
                torch.ones_like(self.share),
            ],
            dim=1,
        )
        whole = torch.cat([x, hidden, torch.ones_like(x[..., :1])], dim=2)
        return whole * gain.unsqueeze(1) * real, gain


@dataclass(frozen=True)
class Fixed:
    """Random numbers of a branch, that never change.

    Those for fewer columns or units are the first of those for more.

    Args:
        directions: Standard normal, [H, D].
        offsets: Standard normal, [H].
        luck: Of Gumbel's distribution, [H, D]: which columns a unit of few columns has.
    """

    directions: Tensor
    offsets: Tensor
    luck: Tensor


def fixed_numbers(branch: int, hidden: int, columns: int, like: Tensor) -> Fixed:
    """The fixed numbers of a branch, on the device and in the type of another tensor."""
    return Fixed(*(torch.from_numpy(drawn).to(like) for drawn in _drawn(branch, hidden, columns)))


@cache
def _drawn(branch: int, hidden: int, columns: int) -> tuple[np.ndarray, ...]:
    def source(*path: int) -> np.random.Generator:
        return np.random.default_rng([branch, *path])

    directions = [source(0, d).standard_normal(hidden) for d in range(columns)]
    luck = [source(1, d).gumbel(size=hidden) for d in range(columns)]
    offsets = source(2).standard_normal(hidden)
    arrays = (np.stack(directions, axis=1), offsets, np.stack(luck, axis=1))
    return tuple(np.ascontiguousarray(array, dtype=np.float32) for array in arrays)


__all__ = ["Branch", "Fixed", "fixed_numbers"]
