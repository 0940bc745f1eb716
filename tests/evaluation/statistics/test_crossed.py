"""The interval over seeds and episodes: its limits are textbook intervals, and it covers."""

import sys

import numpy as np
import pytest
import scipy.stats

from netwright.errors import MissingExtraError, ShapeError, StatisticsError
from netwright.evaluation.statistics import crossed_mean


def table(seeds: int, episodes: int, *, seed: float, shared: float, rest: float, rng: int = 0):
    """Scores with these standard deviations of seeds, of episodes for all seeds, and of what is left."""
    draw = np.random.default_rng(rng).normal
    return (
        draw(0, seed, (seeds, 1)) + draw(0, shared, (1, episodes)) + draw(0, rest, (seeds, episodes))
    )  # fmt: skip


def test_one_seed_is_the_t_test_over_episodes():
    scores = table(1, 30, seed=0, shared=0, rest=1) + 0.3
    found = crossed_mean(scores)
    theirs = scipy.stats.ttest_1samp(scores[0], 0)
    expected = theirs.confidence_interval(0.9)
    interval = found.interval(0.9)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value() == pytest.approx(theirs.pvalue)
    assert "one trained seed" in interval.method


def test_episodes_that_do_nothing_to_all_seeds_alike_leave_the_t_test_on_their_means():
    # Each episode's deviations cancel over the two halves of the seeds.
    scores = table(2, 40, seed=1, shared=0, rest=1)
    scores = np.concatenate([scores, -scores + 3 * scores.mean()])
    found = crossed_mean(scores)
    theirs = scipy.stats.ttest_1samp(scores.mean(axis=1), 0)
    interval, expected = found.interval(), theirs.confidence_interval()
    assert found.episode_variance == 0
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value() == pytest.approx(theirs.pvalue)


def test_seeds_that_all_say_the_same_leave_the_t_test_over_episodes():
    scores = np.repeat(table(1, 30, seed=0, shared=1, rest=0) + 0.3, 4, axis=0)
    found = crossed_mean(scores)
    theirs = scipy.stats.ttest_1samp(scores[0], 0)
    assert found.interval().low == pytest.approx(theirs.confidence_interval().low)
    assert found.p_value() == pytest.approx(theirs.pvalue)


def test_the_parts_estimate_the_squared_standard_error():
    # Var(mean) = seed^2 / S + shared^2 / N + rest^2 / (S N), over many tables.
    seeds, episodes = 6, 30
    many = [
        crossed_mean(table(seeds, episodes, seed=0.3, shared=1, rest=0.5, rng=i))
        for i in range(600)
    ]
    expected = 0.3**2 / seeds + 1 / episodes + 0.25 / (seeds * episodes)
    parts = np.mean([found.seed_variance + found.episode_variance for found in many])
    assert parts == pytest.approx(expected, rel=0.05)
    assert np.var([found.value for found in many]) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("value", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_the_p_value_is_where_the_interval_ends_at_zero(value, seeds):
    scores = table(seeds, 25, seed=0.2, shared=0.7, rest=0.5)
    found = crossed_mean(scores - scores.mean() + value)
    p = found.p_value()
    assert 1e-7 < p < 1
    assert found.interval(1 - p).low == pytest.approx(0, abs=1e-6 * value)


def test_extreme_p_values():
    assert crossed_mean([[1.0, -1.0], [-1.0, 1.0]]).p_value() == 1
    assert 0 < crossed_mean(np.linspace(1, 1.0001, 400)[None]).p_value() <= 1e-99


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 0.05, 0.3])
@pytest.mark.parametrize(("shared", "rest"), [(1, 1), (0, 1)])
def test_intervals_cover_zero_at_least_as_often_as_they_say(seeds, seed, shared, rest):
    found = [
        crossed_mean(table(seeds, 100, seed=seed, shared=shared, rest=rest, rng=i)).interval()
        for i in range(600)
    ]
    # Three standard errors of a share of 95 %.
    assert np.mean([not interval.excludes_zero for interval in found]) >= 0.95 - 0.027


def test_what_has_no_interval_is_refused(monkeypatch):
    with pytest.raises(ShapeError, match=r"`scores` is \[3\], expected \[S, N\]"):
        crossed_mean(np.zeros(3))
    with pytest.raises(StatisticsError, match="`scores` holds 1 along N, expected at least 2"):
        crossed_mean(np.zeros((3, 1)))
    found = crossed_mean(table(3, 5, seed=1, shared=1, rest=1))
    with pytest.raises(StatisticsError, match="`level` is 1, expected a share"):
        found.interval(1)
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(MissingExtraError, match=r"A t interval .*pip install 'netwright\[stats\]'"):
        found.interval()
