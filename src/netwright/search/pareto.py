"""What nothing else is better than in every respect."""

from collections.abc import Sequence


def front_of(values: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points that no other point dominates; of equal points the first.

    A point dominates another if it is at most as large along every axis, and smaller along one.

    Args:
        values: [N][K], of which less is better.

    >>> front_of([(1, 5), (2, 2), (2, 3), (3, 1), (2, 2)])
    [0, 1, 3]
    """
    kept: list[int] = []
    # In this order nothing is dominated by what comes later.
    for place in sorted(range(len(values)), key=lambda i: (tuple(values[i]), i)):
        own = values[place]
        if not any(_covers(values[other], own) for other in kept):
            kept.append(place)
    return sorted(kept)


def _covers(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


__all__ = ["front_of"]
