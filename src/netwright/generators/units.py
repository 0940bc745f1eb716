"""Units along an axis of any length, from a fixed number of them."""

from math import ceil

import numpy as np
import torch
from torch import Tensor

# Units along an axis that are told apart exactly; further ones are mixtures of these.
UNITS = 64


def widened(value: Tensor, axis: int, count: int) -> Tensor:
    """The first `count` units along an axis; beyond those that are there, mixtures of all, of the same spread."""
    have = value.shape[axis]
    if count <= have:
        return value.narrow(axis, 0, count)
    more = torch.tensordot(
        mixtures(count - have, have).to(value), value, dims=([1], [axis])
    ).movedim(0, axis)
    return torch.cat([value, more], dim=axis)


def balanced(mixtures: int, count: int, units: int = UNITS) -> Tensor:
    """Random matrices whose mixtures have one variance, [count, mixtures, units, units].

    Each number by itself is as one of a normal distribution. Tile by tile they are orthogonal: a mixture whose shares have
    length 1 then has variance 1 in every tile, and so in the first rows and columns of any number of tiles. Of independent
    numbers the smallest layers of a child would have half or twice the variance that they are to have.

    Args:
        mixtures: How many are mixed.
        count: How many times.
        units: Side of a matrix.
    """
    side = ceil(mixtures**0.5)
    tiles = ceil(units / side)
    drawn: Tensor = (
        torch.linalg.qr(torch.randn(count, tiles, tiles, side * side, mixtures)).Q * side
    )
    # QR fixes the signs of its first rows.
    drawn = drawn * torch.randn(count, tiles, tiles, 1, mixtures).sign()
    whole: Tensor = drawn.unflatten(3, (side, side)).permute(0, 5, 1, 3, 2, 4)
    whole = whole.reshape(count, mixtures, tiles * side, tiles * side)
    return whole[..., :units, :units]


def balanced_vectors(mixtures: int, units: int = UNITS) -> Tensor:
    """Random vectors whose mixtures have one variance, [mixtures, units].

    As `balanced`, along one axis: of every `mixtures` numbers that follow each other, mixtures whose shares have length 1 have mean
    square 1.
    """
    parts = ceil(units / mixtures)
    drawn: Tensor = torch.linalg.qr(torch.randn(parts, mixtures, mixtures)).Q * mixtures**0.5
    drawn = drawn * torch.randn(parts, 1, mixtures).sign()
    return drawn.permute(2, 0, 1).flatten(1)[:, :units]


def mixtures(count: int, units: int) -> Tensor:
    """Rows of length 1, [count, units]: a longer list begins with the shorter one."""
    drawn = np.random.default_rng(0).standard_normal((count, units), dtype=np.float32)
    drawn /= np.sqrt(np.square(drawn).sum(axis=1, keepdims=True))
    return torch.from_numpy(drawn)


__all__ = ["UNITS", "balanced", "balanced_vectors", "mixtures", "widened"]
