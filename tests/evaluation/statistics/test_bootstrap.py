"""Bootstrap intervals: equal to SciPy's, paired where tasks are, bounded in memory."""

import numpy as np
import pytest
import scipy.stats

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation.statistics import (
    bca_interval,
    bootstrap,
    interquartile_mean,
    nested_interval,
    paired,
    percentile_interval,
    pigeonhole_interval,
    stratified_interval,
)

OURS = {"percentile": percentile_interval, "BCa": bca_interval}


def scores(n: int = 40, seed: int = 0) -> np.ndarray:
    """Skewed, as accuracies near the top are."""
    return 1 - np.random.default_rng(seed).exponential(0.1, n)


def geometric(samples: np.ndarray) -> np.ndarray:
    """A statistic that is not linear."""
    return np.exp(np.log(np.abs(samples)).mean(axis=-1))


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize("statistic", [bootstrap.mean, geometric])
def test_the_same_draws_give_the_interval_of_scipy(method, statistic):
    values = scores()
    ours = OURS[method](
        values, np.random.default_rng(3), statistic=statistic, level=0.9, resamples=3_000
    )
    theirs = scipy.stats.bootstrap(
        (values,),
        lambda x, axis: statistic(np.moveaxis(x, axis, -1)),
        confidence_level=0.9,
        n_resamples=3_000,
        method=method,
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.value == pytest.approx(float(statistic(values[None])[0]))


@pytest.mark.parametrize("method", OURS)
def test_memory_is_bounded_and_chunks_do_not_show(method, monkeypatch):
    values = scores()
    whole = OURS[method](values, np.random.default_rng(0), resamples=500)
    monkeypatch.setattr(bootstrap, "MOST_AT_ONCE", 90)
    largest = 0

    def watched(samples):
        nonlocal largest
        largest = max(largest, samples.size)
        return bootstrap.mean(samples)

    assert OURS[method](values, np.random.default_rng(0), statistic=watched, resamples=500) == whole
    assert largest <= 90


@pytest.mark.parametrize("method", OURS)
def test_a_paired_mean_is_the_mean_of_differences(method):
    both = np.stack([scores(seed=1), scores(seed=2)])
    ours = OURS[method](both, np.random.default_rng(0), statistic=paired(bootstrap.mean))
    alone = OURS[method](both[0] - both[1], np.random.default_rng(0))
    assert (ours.low, ours.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_a_shift_of_every_episode_leaves_a_paired_interval_without_width():
    first = scores()
    found = percentile_interval(
        np.stack([first, first - 0.25]),
        np.random.default_rng(0),
        statistic=paired(interquartile_mean),
    )
    assert (found.low, found.high) == pytest.approx((0.25, 0.25), abs=1e-12)


@pytest.mark.parametrize("method", OURS)
def test_equal_scores_give_an_interval_without_width(method):
    found = OURS[method](np.full(20, 0.5), np.random.default_rng(0), resamples=100)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_bca_mirrors_with_the_data():
    values = scores()
    found = bca_interval(values, np.random.default_rng(0))
    mirrored = bca_interval(-values, np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)


@pytest.mark.parametrize("which", ["nested", "pigeonhole", "stratified"])
def test_resampled_means_have_the_variance_that_theory_gives(which):
    # Var of the resampled mean, from its definition, with S rows and N columns.
    table = np.random.default_rng(5).normal(size=(4, 7)) + np.arange(4)[:, None] * 0.7
    s, n = table.shape
    rows, columns, every = table.mean(axis=1).var(), table.mean(axis=0).var(), table.var()
    rest = every - rows - columns
    within = table.var(axis=1).mean()
    expected = {
        "nested": rows / s + within / (s * n),
        "pigeonhole": rows / s + columns / n + rest / (s * n),
        "stratified": table.var(axis=0).mean() / (s * n),
    }[which]
    interval = {
        "nested": nested_interval,
        "pigeonhole": pigeonhole_interval,
        "stratified": stratified_interval,
    }[which]
    seen = []

    def recorded(samples):
        seen.append(samples.mean(axis=(1, 2)))
        return seen[-1]

    interval(table, np.random.default_rng(0), statistic=recorded, resamples=100_000)
    assert np.concatenate(seen[:-1]).var() == pytest.approx(expected, rel=0.02)


def test_one_run_per_family_is_resampled_to_itself():
    found = stratified_interval(scores()[None], np.random.default_rng(0), resamples=50)
    assert found.low == found.high == pytest.approx(found.value)


def test_a_paired_statistic_of_one_list_is_refused():
    with pytest.raises(
        ShapeError, match=r"paired statistic is \[40\], expected \[2, N\]. Stack the"
    ):
        percentile_interval(scores(), np.random.default_rng(0), statistic=paired(bootstrap.mean))


@pytest.mark.parametrize("interval", [percentile_interval, bca_interval, nested_interval])
@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda x: x[:, :1], {}, r"holds 1 along N, expected at least 2. Score more"),
        (lambda x: np.where(x == x[1, 2], np.nan, x), {}, r"is nan at \[1, 2\], .* pairing"),
        (lambda x: x, {"level": 95}, r"`level` is 95, expected a share strictly between 0 and 1"),
        (lambda x: x, {"resamples": 0}, r"`resamples` is 0, expected 1 or more"),
    ],
)
def test_what_cannot_be_resampled_is_refused(interval, change, options, message):
    table = scores().reshape(2, 20)
    with pytest.raises(StatisticsError, match=message):
        interval(change(table), np.random.default_rng(0), **options)


def test_scores_without_their_axes_are_refused():
    with pytest.raises(ShapeError, match=r"`scores` is \[40\], expected \[S, N\]"):
        pigeonhole_interval(scores(), np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"`values` is \[2, 0\], expected \[\*, N\], none of them"):
        percentile_interval(np.zeros((2, 0)), np.random.default_rng(0))
