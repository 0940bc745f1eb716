"""Many comparisons at once: adjusted p-values and the levels of intervals that go with them.

An interval at its corrected level excludes zero exactly if the adjusted p-value is below 1 - level:
a table never says two things. What the intervals claim beyond that differs:

`bonferroni`  all of them together hold the truth in at least `level` of all studies.
`holm`        more powerful; the chance of one false claim is still at most 1 - level, but as a set of ranges the
              intervals hold together less often than that once several hypotheses are rejected.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netwright.errors import StatisticsError
from netwright.evaluation.statistics.arrays import FloatArray, check_share, finite_array


@dataclass(frozen=True)
class Correction:
    """A pair of functions.

    Args:
        adjust: p-values [M] to adjusted ones [M].
        levels: p-values [M] and the level for all, to the level of each interval, [M].
    """

    adjust: Callable[[npt.ArrayLike], FloatArray]
    levels: Callable[[npt.ArrayLike, float], FloatArray]


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjusted p-values [M], in the order given, never falling with the p-values themselves.

    Args:
        p_values: [M].

    Raises:
        ShapeError: If they are not [M].
        StatisticsError: If one is not between 0 and 1.

    References:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Stat. 6, 1979.
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def bonferroni(p_values: npt.ArrayLike) -> FloatArray:
    """p-values times their number, at most 1.

    Args:
        p_values: [M].

    Raises:
        ShapeError: If they are not [M].
        StatisticsError: If one is not between 0 and 1.
    """
    p = _checked(p_values)
    return np.minimum(p * len(p), 1.0)


def holm_levels(p_values: npt.ArrayLike, level: float) -> FloatArray:
    """Levels of intervals that exclude zero exactly if Holm's procedure rejects, [M].

    The hypothesis that is rejected as the i-th of M gets 1 - (1 - level) / (M - i + 1); those that are not rejected
    share the level at which the procedure stopped.

    Args:
        p_values: [M].
        level: For all together.

    Raises:
        ShapeError: If `p_values` is not [M].
        StatisticsError: If a p-value is not between 0 and 1, or `level` is not a share.
    """
    check_share("level", level)
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    left = np.arange(len(p), 0, -1)
    rejected = int(np.logical_and.accumulate(p[order] * left < 1 - level).sum())
    if rejected < len(p):
        left[rejected:] = left[rejected]
    levels = np.empty_like(p)
    levels[order] = 1 - (1 - level) / left
    return levels


def bonferroni_levels(p_values: npt.ArrayLike, level: float) -> FloatArray:
    """The level at which M intervals hold together, for each of them, [M].

    Args:
        p_values: [M]; only their number matters.
        level: For all together.

    Raises:
        ShapeError: If `p_values` is not [M].
        StatisticsError: If a p-value is not between 0 and 1, or `level` is not a share.
    """
    check_share("level", level)
    p = _checked(p_values)
    return np.full_like(p, 1 - (1 - level) / len(p))


CORRECTIONS = {
    "holm": Correction(holm, holm_levels),
    "bonferroni": Correction(bonferroni, bonferroni_levels),
}


def correction_named(name: str) -> Correction:
    """The correction of that name.

    Raises:
        StatisticsError: If there is none.
    """
    if name not in CORRECTIONS:
        raise StatisticsError(f"`correction` is {name!r}, expected one of {sorted(CORRECTIONS)}.")
    return CORRECTIONS[name]


def _checked(p_values: npt.ArrayLike) -> FloatArray:
    p = finite_array("p_values", p_values, "M")
    if p.min() < 0 or p.max() > 1:
        raise StatisticsError(
            f"`p_values` go from {p.min():.4g} to {p.max():.4g}, expected from 0 to 1."
        )
    return p
