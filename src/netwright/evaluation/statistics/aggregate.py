"""One number for runs over many task families, and the shape behind it.

Scores are [S, F]: S runs (seeds) by F task families, on one scale. Families are kept as they are, runs are resampled
within each: the claim is about these families.

References:
    Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, arXiv:2108.13264.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netwright.errors import ShapeError
from netwright.evaluation.statistics.arrays import (
    FloatArray,
    Statistic,
    check_count,
    check_share,
    finite_array,
)
from netwright.evaluation.statistics.bootstrap import chunks
from netwright.evaluation.statistics.interval import Interval
from netwright.evaluation.statistics.two_level import draw_stratified, interval_of


@dataclass(frozen=True)
class PerformanceProfile:
    """Share of runs above each threshold, averaged over families.

    Args:
        thresholds: [K].
        shares: [K].
        low: Lower ends, each for its own threshold, [K].
        high: Upper ends, [K].
        level: Of the intervals.
    """

    thresholds: FloatArray
    shares: FloatArray
    low: FloatArray
    high: FloatArray
    level: float


def interquartile_mean(samples: FloatArray) -> FloatArray:
    """Mean of the middle half of all scores of each sample [B, S, F] or [B, N], [B].

    A quarter is cut off at both ends, rounded down.
    """
    flat = np.sort(samples.reshape(len(samples), -1), axis=-1)
    cut = flat.shape[-1] // 4
    means: FloatArray = flat[:, cut : flat.shape[-1] - cut].mean(axis=-1)
    return means


def optimality_gap(target: float = 1.0) -> Statistic:
    """How far scores fall short of `target` on average; what exceeds it does not make up for that."""

    def gap(samples: FloatArray) -> FloatArray:
        reached: FloatArray = np.minimum(samples, target).reshape(len(samples), -1).mean(axis=-1)
        return target - reached

    return gap


def performance_profile(
    scores: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
) -> PerformanceProfile:
    """How large a share of runs scores above each threshold.

    Args:
        scores: [S, F], runs by families.
        thresholds: [K].
        rng: Which resamples.
        level: Of the interval at each threshold.
        resamples: How many.

    Raises:
        ShapeError: If `scores` is not [S, F] or `thresholds` not [K].
        StatisticsError: If a number is not finite or an option is out of range.
    """
    check_share("level", level)
    check_count("resamples", resamples)
    scores = finite_array("scores", scores, "S F")
    thresholds = finite_array("thresholds", thresholds, "K")
    replicates = np.concatenate(
        [
            _shares_above(draw_stratified(scores, size, rng), thresholds)
            for size in chunks(resamples, scores.size)
        ]
    )
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return PerformanceProfile(
        thresholds, _shares_above(scores[None], thresholds)[0], low, high, level
    )


def probability_of_improvement(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
) -> Interval:
    """How likely a run of the first learner beats one of the second on a random family; ties count half.

    Args:
        first: [S, F], runs by families.
        second: [S', F], of another learner on the same families.
        rng: Which resamples.
        level: Of the interval.
        resamples: How many.

    Raises:
        ShapeError: If the two are not [S, F] and [S', F].
        StatisticsError: If a number is not finite or an option is out of range.
    """
    check_share("level", level)
    check_count("resamples", resamples)
    a, b = finite_array("first", first, "S F"), finite_array("second", second, "S F")
    if a.shape[1] != b.shape[1]:
        raise ShapeError(
            f"`second` has {b.shape[1]} families, expected {a.shape[1]} as `first` has. Score both on the same ones."
        )
    replicates = np.concatenate(
        [
            _superiority(draw_stratified(a, size, rng), draw_stratified(b, size, rng))
            for size in chunks(resamples, a.size * len(b))
        ]
    )
    value = float(_superiority(a[None], b[None])[0])
    return interval_of(replicates, value, level, "bootstrap over runs")


def _shares_above(samples: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Shares [B, K] of scores [B, S, F]."""
    flat = samples.reshape(len(samples), -1)
    # One threshold at a time: [B, S F, K] would not fit.
    return np.stack([(flat > threshold).mean(axis=-1) for threshold in thresholds], axis=-1)


def _superiority(a: FloatArray, b: FloatArray) -> FloatArray:
    """For samples [B, S, F] and [B, S', F], [B]."""
    first, second = a[:, :, None], b[:, None]
    shares: FloatArray = ((first > second) + 0.5 * (first == second)).mean(axis=(1, 2, 3))
    return shares
