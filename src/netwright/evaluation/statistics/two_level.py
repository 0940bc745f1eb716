"""Bootstrap intervals of scores [seeds, episodes], by what is drawn anew.

With three to five seeds each of these is too narrow: resampling so few numbers cannot show how much they
vary. `docs/statistics.md` says by how much; `crossed_mean` is what holds.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from netwright.evaluation.statistics.arrays import (
    FloatArray,
    Statistic,
    check_count,
    check_share,
    finite_array,
)
from netwright.evaluation.statistics.bootstrap import chunks
from netwright.evaluation.statistics.interval import Interval

Draw = Callable[[FloatArray, int, np.random.Generator], FloatArray]
"""So many resamples [B, S, N] of scores [S, N]."""


def grand_mean(samples: FloatArray) -> FloatArray:
    """Mean of all scores of each sample [B, S, N], [B]."""
    means: FloatArray = samples.mean(axis=(-2, -1))
    return means


def nested_interval(
    scores: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    statistic: Statistic = grand_mean,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Seeds drawn anew, then episodes within each: for seeds that were scored on episodes of their own.

    Args:
        scores: [S, N], seeds by episodes.
        rng: Which resamples.
        statistic: Samples [B, S, N] to numbers [B].
        level: Share of such intervals that should hold the truth.
        resamples: How many.

    Raises:
        ShapeError: If `scores` is not [S, N].
        StatisticsError: If a number is not finite, there are fewer than two episodes, or an option is
            out of range.
    """
    return _interval(
        scores, rng, _draw_nested, statistic, level, resamples, "two-level bootstrap, nested"
    )


def pigeonhole_interval(
    scores: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    statistic: Statistic = grand_mean,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Seeds drawn anew, and episodes, the same for all seeds: for seeds scored on the same episodes.

    Args:
        scores: [S, N], seeds by episodes.
        rng: Which resamples.
        statistic: Samples [B, S, N] to numbers [B].
        level: Share of such intervals that should hold the truth.
        resamples: How many.

    Raises:
        ShapeError: If `scores` is not [S, N].
        StatisticsError: If a number is not finite, there are fewer than two episodes, or an option is
            out of range.

    References:
        Owen, The Pigeonhole Bootstrap, arXiv:0712.1111.
    """
    return _interval(
        scores, rng, _draw_crossed, statistic, level, resamples, "two-level bootstrap, crossed"
    )


def stratified_interval(
    scores: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    statistic: Statistic = grand_mean,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Runs drawn anew within each column, columns kept: for a fixed list of task families.

    Args:
        scores: [S, N], runs by task families; a claim about these families only.
        rng: Which resamples.
        statistic: Samples [B, S, N] to numbers [B].
        level: Share of such intervals that should hold the truth.
        resamples: How many.

    Raises:
        ShapeError: If `scores` is not [S, N].
        StatisticsError: If a number is not finite or an option is out of range.

    References:
        Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
        arXiv:2108.13264.
    """
    return _interval(
        scores, rng, draw_stratified, statistic, level, resamples, "bootstrap over runs", least=1
    )


def draw_stratified(scores: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    """Resamples [B, S, N] of scores [S, N] whose columns are resampled each for itself."""
    runs = rng.integers(0, len(scores), (size, *scores.shape))
    return scores[runs, np.arange(scores.shape[1])]


def interval_of(replicates: FloatArray, value: float, level: float, method: str) -> Interval:
    """The percentile interval of resampled values [B]."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level, method)


def _interval(
    scores: npt.ArrayLike,
    rng: np.random.Generator,
    draw: Draw,
    statistic: Statistic,
    level: float,
    resamples: int,
    method: str,
    *,
    least: int = 2,
) -> Interval:
    check_share("level", level)
    check_count("resamples", resamples)
    scores = finite_array("scores", scores, "S N", least=least)
    replicates = np.concatenate(
        [statistic(draw(scores, size, rng)) for size in chunks(resamples, scores.size)]
    )
    return interval_of(replicates, float(statistic(scores[None])[0]), level, method)


def _draw_nested(scores: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    seeds, episodes = scores.shape
    chosen = rng.integers(0, seeds, (size, seeds, 1))
    return scores[chosen, rng.integers(0, episodes, (size, seeds, episodes))]


def _draw_crossed(scores: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    seeds, episodes = scores.shape
    chosen = rng.integers(0, seeds, (size, seeds, 1))
    return scores[chosen, rng.integers(0, episodes, (size, 1, episodes))]
