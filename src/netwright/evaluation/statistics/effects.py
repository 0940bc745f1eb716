"""How large a paired difference is, in units that do not depend on the number of tasks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netwright.errors import ShapeError
from netwright.evaluation.statistics.arrays import FloatArray, finite_array
from netwright.evaluation.statistics.ranks import average_ranks


@dataclass(frozen=True)
class EffectSizes:
    """Of the first of two learners over the second, on the same tasks; all 0, superiority 0.5, if nothing differs.

    Args:
        cohens_dz: Mean difference over the standard deviation of differences; 0 if none differs,
            infinite if all differ by the same.
        rank_biserial: Of matched pairs, from -1 to 1: ranks of |difference| in favour less those against, over all.
        superiority: Share of tasks on which the first scores higher; ties count half.
        cliffs_delta: From -1 to 1, ignores the pairing: how much more often a score of the first is higher than a
            score of the second on any task than lower.

    References:
        Cohen, Statistical Power Analysis, 1988. Kerby, The Simple Difference Formula, 2014. Cliff, Dominance
        Statistics, Psychol. Bull. 114, 1993.
    """

    cohens_dz: float
    rank_biserial: float
    superiority: float
    cliffs_delta: float


def effect_sizes(first: npt.ArrayLike, second: npt.ArrayLike) -> EffectSizes:
    """Effect sizes of paired scores.

    Args:
        first: [N], or [S, N]: a pair is a seed and an episode.
        second: Of the same shape.

    Raises:
        ShapeError: If the shapes differ.
        StatisticsError: If a number is not finite or there are fewer than two along the last axis.
    """
    a = finite_array("first", first, "* N", least=2)
    b = finite_array("second", second, "* N", least=2)
    if a.shape != b.shape:
        raise ShapeError(
            f"`second` is {list(b.shape)}, expected {list(a.shape)} as `first` is. Score both on the same tasks."
        )
    difference = (a - b).ravel()
    return EffectSizes(
        cohens_dz=_standardised(difference),
        rank_biserial=_rank_biserial(difference),
        superiority=float(np.mean(difference > 0) + np.mean(difference == 0) / 2),
        cliffs_delta=_cliffs_delta(a.ravel(), b.ravel()),
    )


def _standardised(difference: FloatArray) -> float:
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread > 0:
        return mean / spread
    return float(np.sign(mean) * np.inf) if mean else 0.0


def _rank_biserial(difference: FloatArray) -> float:
    changed = difference[difference != 0]
    if not len(changed):
        return 0.0
    ranks = average_ranks(-np.abs(changed))
    return float(np.sum(np.sign(changed) * ranks) / np.sum(ranks))


def _cliffs_delta(a: FloatArray, b: FloatArray) -> float:
    ordered = np.sort(b)
    below = np.searchsorted(ordered, a, side="left").sum()
    above = (len(b) - np.searchsorted(ordered, a, side="right")).sum()
    return float(below - above) / (len(a) * len(b))
