"""Tests of paired differences on independent tasks: sign flips and Wilcoxon's signed ranks.

The claim is about the two networks that were scored: other tasks, not other seeds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netwright.errors import ShapeError
from netwright.evaluation.statistics.arrays import FloatArray, check_count, finite_array
from netwright.evaluation.statistics.bootstrap import chunks
from netwright.evaluation.statistics.effects import EffectSizes, effect_sizes
from netwright.evaluation.statistics.lazy_scipy import scipy_module

MOST_ENUMERATED = 16
# Sums of the same numbers in another order differ by rounding, and must count as equal.
ROUNDING = 1e-12


@dataclass(frozen=True)
class PairedTest:
    """What a two-sided test of paired scores found.

    Args:
        method: Which test, and how its p-value was computed.
        statistic: The mean difference for sign flips; the smaller sum of ranks for Wilcoxon's test.
        p_value: Two-sided.
        n: Number of pairs.
        effects: Of the first over the second.
    """

    method: str
    statistic: float
    p_value: float
    n: int
    effects: EffectSizes


def sign_flip_test(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 10_000,
) -> PairedTest:
    """The paired permutation test of the mean difference: signs are free if nothing differs.

    All 2^N signs for up to 16 pairs; else random ones, and p = (1 + as extreme) / (1 + resamples).

    Args:
        first: [N], scores of one learner.
        second: [N], of another on the same tasks.
        rng: Which signs, beyond 16 pairs.
        resamples: How many, beyond 16 pairs.

    Raises:
        ShapeError: If the two are not both [N].
        StatisticsError: If a number is not finite, there are fewer than two pairs, or `resamples` is below 1.

    References:
        Phipson and Smyth, Permutation P-values Should Never Be Zero, arXiv:1603.05766.
    """
    check_count("resamples", resamples)
    difference, effects = _differences(first, second)
    n, observed = len(difference), abs(float(difference.mean()))
    bar = observed * (1 - ROUNDING)
    if n <= MOST_ENUMERATED:
        signs = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        p_value = float(np.mean(np.abs((2 * signs - 1) @ difference) / n >= bar))
        method = f"sign flips, all {2**n}"
    else:
        extreme = 0
        for size in chunks(resamples, n):
            signs = rng.integers(0, 2, (size, n), dtype=np.int8)
            # sum(sign * d) = 2 * sum of those kept - sum of all.
            flipped = 2 * (signs.astype(np.float64) @ difference) - difference.sum()
            extreme += int(np.sum(np.abs(flipped) / n >= bar))
        p_value = (1 + extreme) / (1 + resamples)
        method = f"sign flips, {resamples} at random"
    return PairedTest(method, float(difference.mean()), p_value, n, effects)


def wilcoxon_test(first: npt.ArrayLike, second: npt.ArrayLike) -> PairedTest:
    """Wilcoxon's signed-rank test; equal scores keep their ranks and count for neither (Pratt).

    Args:
        first: [N], scores of one learner.
        second: [N], of another on the same tasks.

    Raises:
        ShapeError: If the two are not both [N].
        StatisticsError: If a number is not finite or there are fewer than two pairs.
        MissingExtraError: If SciPy is not installed.

    References:
        Wilcoxon, Individual Comparisons by Ranking Methods, 1945. Pratt, Remarks on Zeros and Ties in the Wilcoxon
        Signed Rank Procedures, JASA 54, 1959.
    """
    difference, effects = _differences(first, second)
    stats = scipy_module("stats", "Wilcoxon's test")
    method = "Wilcoxon's signed ranks"
    if not difference.any():
        return PairedTest(method, 0.0, 1.0, len(difference), effects)
    found = stats.wilcoxon(difference, zero_method="pratt")
    return PairedTest(method, float(found.statistic), float(found.pvalue), len(difference), effects)


def _differences(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, EffectSizes]:
    a = finite_array("first", first, "N", least=2)
    b = finite_array("second", second, "N", least=2)
    if a.shape != b.shape:
        raise ShapeError(
            f"`second` is {list(b.shape)}, expected {list(a.shape)} as `first` is. Score both on the same tasks."
        )
    return a - b, effect_sizes(a, b)
