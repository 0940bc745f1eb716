"""Power beside statsmodels and a simulation."""

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower

from netwright.errors import StatisticsError
from netwright.evaluation.statistics import episodes_needed, power_of, smallest_difference

THEIRS = TTestPower()


@pytest.mark.parametrize("n", [2, 5, 30, 200])
@pytest.mark.parametrize("effect", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_power_is_that_of_statsmodels(n, effect, level):
    expected = THEIRS.power(effect, n, 1 - level)
    assert power_of(n, effect * 7, 7, level=level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [2, 4, 50, 2_000])
@pytest.mark.parametrize("noncentrality", [0.0, 0.4, 1.0, 3.0, 8.0, 40.0])
def test_power_is_its_integral_over_the_estimated_deviation(n, noncentrality):
    # Where |mean| > bar * s: normal tails, averaged over the distribution of s. Here statsmodels' is NaN at times.
    bar = scipy.stats.t.ppf(0.975, n - 1)
    s = np.sqrt(scipy.stats.chi2.ppf((np.arange(200_000) + 0.5) / 200_000, n - 1) / (n - 1))
    tails = scipy.stats.norm.sf(bar * s - noncentrality) + scipy.stats.norm.cdf(
        -bar * s - noncentrality
    )
    found = power_of(n, noncentrality / np.sqrt(n), 1)
    assert found == pytest.approx(tails.mean(), abs=1e-5)


@pytest.mark.parametrize(("difference", "std"), [(0.01, 0.05), (-0.01, 0.12), (1.0, 1.0), (3.0, 1.5)])  # fmt: skip
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_number_of_episodes_is_that_of_statsmodels(difference, std, power):
    found = episodes_needed(difference, std, power=power)
    # The smallest whole number that suffices.
    assert THEIRS.power(abs(difference) / std, found, 0.05) >= power
    assert THEIRS.power(abs(difference) / std, found - 1, 0.05) < power


@pytest.mark.parametrize("n", [3, 20, 600, 100_000])
def test_the_smallest_difference_is_that_of_statsmodels(n):
    expected = THEIRS.solve_power(None, n, 0.05, 0.9) * 0.1
    assert smallest_difference(n, 0.1, power=0.9) == pytest.approx(expected, rel=1e-4)


def test_a_difference_that_two_episodes_show_needs_two():
    assert episodes_needed(100, 0.5) == 2


def test_the_smallest_difference_of_so_many_episodes_needs_so_many():
    assert episodes_needed(smallest_difference(200, 0.05) * (1 + 1e-9), 0.05) == 200


def test_simulated_differences_are_seen_as_often_as_power_says():
    rng = np.random.default_rng(0)
    p = scipy.stats.ttest_1samp(rng.normal(0.4, 1, (20_000, 30)), 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(power_of(30, 0.4, 1), abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power_of(1, 1, 1), "`n` is 1, expected 2 or more"),
        (lambda: power_of(5, 1, 0), "`std` is 0, expected a finite number above 0"),
        (lambda: power_of(5, 1, 1, level=95), "`level` is 95, expected a share"),
        (lambda: episodes_needed(0, 1), "`difference` is 0, expected a finite number above 0"),
        (lambda: episodes_needed(1, float("nan")), "`std` is nan, expected a finite number above 0"),
        (lambda: episodes_needed(1, 1, power=1), "`power` is 1, expected a share"),
        (lambda: smallest_difference(1, 1), "`n` is 1, expected 2 or more"),
        (lambda: smallest_difference(5, -1), "`std` is -1, expected a finite number above 0"),
        (lambda: smallest_difference(5, 1, power=0.04), "`power` is 0.04, expected more than 0.05: so often"),
    ],
)  # fmt: skip
def test_what_has_no_power_is_refused(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
