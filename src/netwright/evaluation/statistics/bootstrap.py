"""Bootstrap intervals of any statistic over tasks: percentile and BCa.

Both are for one list of independent tasks; the last axis is resampled, and what stands in front of
it moves together. Two learners on the same episodes are one array [2, N]: their pairing is kept.
"""

from collections.abc import Iterator
from statistics import NormalDist

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
from netwright.evaluation.statistics.interval import Interval

# Numbers held at once while resampling; 32 MB in float64.
MOST_AT_ONCE = 2**22


def mean(samples: FloatArray) -> FloatArray:
    """Mean of each sample [B, N], [B]."""
    means: FloatArray = samples.mean(axis=-1)
    return means


def paired(statistic: Statistic) -> Statistic:
    """The statistic of the first row less that of the second, for samples [B, 2, N]."""

    def difference(samples: FloatArray) -> FloatArray:
        if samples.ndim != 3 or samples.shape[1] != 2:
            raise ShapeError(
                f"`values` of a paired statistic is {list(samples.shape[1:])}, expected [2, N]. Stack "
                "the scores of two learners on the same episodes."
            )
        return statistic(samples[:, 0]) - statistic(samples[:, 1])

    return difference


def percentile_interval(
    values: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    statistic: Statistic = mean,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Between quantiles of the resampled statistic.

    Args:
        values: One number per task, [N], or several per task that belong together, [*, N].
        rng: Which resamples.
        statistic: Samples [B, *, N] to numbers [B].
        level: Share of such intervals that hold the truth.
        resamples: How many.

    Raises:
        ShapeError: If `values` has no axis of tasks.
        StatisticsError: If a number is not finite, there are fewer than two tasks, or an option is
            out of range.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values = _checked(values, level, resamples)
    replicates = _replicates(values, statistic, resamples, rng)
    tail = (1 - level) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    value = float(statistic(values[None])[0])
    return Interval(value, float(low), float(high), level, "percentile bootstrap over tasks")


def bca_interval(
    values: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    statistic: Statistic = mean,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Between quantiles that are corrected for bias and skewness (bias-corrected, accelerated).

    A statistic that is the same in every resample gives an interval of width zero.

    Args:
        values: One number per task, [N], or several per task that belong together, [*, N].
        rng: Which resamples.
        statistic: Samples [B, *, N] to numbers [B]; must also take N - 1 tasks.
        level: Share of such intervals that hold the truth.
        resamples: How many.

    Raises:
        ShapeError: If `values` has no axis of tasks.
        StatisticsError: If a number is not finite, there are fewer than two tasks, or an option is
            out of range.

    References:
        Efron, Better Bootstrap Confidence Intervals, JASA 82, 1987.
    """
    values = _checked(values, level, resamples)
    replicates = _replicates(values, statistic, resamples, rng)
    value = float(statistic(values[None])[0])
    low, high = np.quantile(replicates, _bca_shares(values, statistic, value, replicates, level))
    return Interval(value, float(low), float(high), level, "BCa bootstrap over tasks")


def chunks(total: int, numbers_each: int) -> Iterator[int]:
    """Sizes that add up to `total`, each with a bounded amount of numbers to hold."""
    size = max(1, MOST_AT_ONCE // numbers_each)
    for first in range(0, total, size):
        yield min(size, total - first)


def _checked(values: npt.ArrayLike, level: float, resamples: int) -> FloatArray:
    check_share("level", level)
    check_count("resamples", resamples)
    return finite_array("values", values, "* N", least=2)


def _replicates(
    values: FloatArray, statistic: Statistic, resamples: int, rng: np.random.Generator
) -> FloatArray:
    n = values.shape[-1]
    return np.concatenate(
        [
            _statistic_of_columns(values, rng.integers(0, n, (size, n)), statistic)
            for size in chunks(resamples, values.size)
        ]
    )


def _statistic_of_columns(
    values: FloatArray, index: npt.NDArray[np.int64], statistic: Statistic
) -> FloatArray:
    """The statistic of tasks [B, N'] of values [*, N], [B]."""
    return statistic(np.moveaxis(values[..., index], -2, 0))


def _bca_shares(
    values: FloatArray, statistic: Statistic, value: float, replicates: FloatArray, level: float
) -> list[float]:
    """Which quantiles of the replicates are the ends."""
    normal = NormalDist()
    below = float(np.mean(replicates < value) + np.mean(replicates <= value)) / 2
    # All replicates on one side would put the ends at infinity.
    least = 0.5 / len(replicates)
    bias = normal.inv_cdf(min(max(below, least), 1 - least))
    acceleration = _acceleration(values, statistic)
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        z = bias + normal.inv_cdf(share)
        ends.append(normal.cdf(bias + z / (1 - acceleration * z)))
    return ends


def _acceleration(values: FloatArray, statistic: Statistic) -> float:
    """Skewness of the statistic over samples that leave one task out."""
    n = values.shape[-1]
    left_out, first = [], 0
    for size in chunks(n, values.size):
        kept = np.arange(n - 1)[None] + (np.arange(n - 1)[None] >= first + np.arange(size)[:, None])
        left_out.append(_statistic_of_columns(values, kept, statistic))
        first += size
    influence = np.concatenate(left_out)
    influence = influence.mean() - influence
    squares = float(np.sum(influence**2))
    return float(np.sum(influence**3)) / (6 * squares**1.5) if squares > 0 else 0.0
