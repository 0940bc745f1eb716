"""Units along an axis of any length, from a fixed number of them."""

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


def mixtures(count: int, units: int) -> Tensor:
    """Rows of length 1, [count, units]: a longer list begins with the shorter one."""
    drawn = np.random.default_rng(0).standard_normal((count, units), dtype=np.float32)
    drawn /= np.sqrt(np.square(drawn).sum(axis=1, keepdims=True))
    return torch.from_numpy(drawn)


__all__ = ["UNITS", "mixtures", "widened"]
