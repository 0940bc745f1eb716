"""Ranks with ties."""

import numpy as np

from netwright.evaluation.statistics.arrays import FloatArray


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks along the last axis, 1 for the highest; equal values share the mean of their ranks.

    Args:
        values: [*, L].
    """
    length = values.shape[-1]
    order = np.argsort(-values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    place = np.broadcast_to(np.arange(length), values.shape)
    changes = ordered[..., 1:] != ordered[..., :-1]
    edge = np.ones((*values.shape[:-1], 1), dtype=bool)
    # A run of equal values starts where the last change was and ends where the next one is.
    first = np.maximum.accumulate(
        np.where(np.concatenate([edge, changes], axis=-1), place, 0), axis=-1
    )
    ends = np.where(np.concatenate([changes, edge], axis=-1), place, length)
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return ranks
