"""Aggregates over families beside SciPy and loops."""

import numpy as np
import pytest
import scipy.stats

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation.statistics import (
    interquartile_mean,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)


def table(runs: int = 5, families: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(4, 0.25, (runs, families))


@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 4, 4), (3, 11), (1, 1, 2)])
def test_the_interquartile_mean_is_scipys_trimmed_mean(shape):
    samples = np.random.default_rng(1).normal(size=shape)
    expected = [scipy.stats.trim_mean(sample.ravel(), 0.25) for sample in samples]
    assert interquartile_mean(samples) == pytest.approx(expected)


def test_the_optimality_gap_does_not_reward_what_exceeds_the_target():
    samples = np.array([[[0.5, 3.0], [1.5, 1.0]]])
    assert optimality_gap()(samples) == pytest.approx([0.5 / 4])
    assert optimality_gap(2.0)(samples) == pytest.approx([(1.5 + 0 + 0.5 + 1) / 4])


def test_the_profile_falls_from_one_to_zero_and_counts_runs():
    scores = table()
    found = performance_profile(
        scores, [-1, 0.8, scores.max()], np.random.default_rng(0), resamples=300
    )
    assert found.shares == pytest.approx([1, np.mean(scores > 0.8), 0])
    assert (found.low <= found.shares).all()
    assert (found.shares <= found.high).all()
    assert found.low[1] < found.high[1]


def test_the_area_under_the_profile_is_the_mean():
    scores = table()
    grid = np.linspace(0, 4, 4_001)
    found = performance_profile(scores, grid, np.random.default_rng(0), resamples=1)
    assert np.trapezoid(found.shares, grid) == pytest.approx(scores.mean(), abs=1e-3)


def test_the_probability_of_improvement_is_the_mean_of_mann_whitneys_statistics():
    first, second = np.round(table(5), 1), np.round(table(4, seed=1), 1)
    expected = [
        scipy.stats.mannwhitneyu(a, b).statistic / (5 * 4)
        for a, b in zip(first.T, second.T, strict=True)
    ]
    found = probability_of_improvement(first, second, np.random.default_rng(0))
    other = probability_of_improvement(second, first, np.random.default_rng(0))
    assert found.value == pytest.approx(np.mean(expected))
    assert other.value == pytest.approx(1 - found.value)
    assert found.low < found.value < found.high


def test_the_probability_of_improvement_of_a_learner_that_always_wins():
    found = probability_of_improvement(table() + 100, table(), np.random.default_rng(0))
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_families_are_kept_when_runs_are_resampled():
    # Runs of a family do not differ, families do: nothing is left to vary.
    scores = np.tile(np.arange(6.0), (4, 1))
    found = stratified_interval(scores, np.random.default_rng(0), statistic=interquartile_mean)
    assert found.low == found.high == pytest.approx(2.5)


def test_what_cannot_be_aggregated_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(
        ShapeError, match="`second` has 3 families, expected 7 as `first` has. Score"
    ):
        probability_of_improvement(table(), table(5, 3), rng)
    with pytest.raises(ShapeError, match=r"`thresholds` is \[\], expected \[K\]"):
        performance_profile(table(), 0.5, rng)
    with pytest.raises(StatisticsError, match="`level` is 0, expected a share"):
        performance_profile(table(), [0.5], rng, level=0)
    with pytest.raises(StatisticsError, match="`resamples` is -1, expected 1 or more"):
        probability_of_improvement(table(), table(), rng, resamples=-1)
