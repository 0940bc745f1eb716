"""Tests of paired scores beside enumerations, SciPy and statsmodels."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation.statistics import (
    CORRECTIONS,
    bonferroni,
    bonferroni_levels,
    effect_sizes,
    holm,
    holm_levels,
    sign_flip_test,
    significance,
    wilcoxon_test,
)

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)
few = st.lists(st.integers(-4, 4), min_size=2, max_size=7)


def pair(n: int, shift: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    first = rng.normal(size=n)
    return first, first + rng.normal(shift, 0.3, n)


@given(few)
def test_few_sign_flips_are_all_of_them(difference):
    d = np.array(difference, dtype=float)
    observed = abs(d.sum())
    flips = [abs((np.array(s) * d).sum()) >= observed for s in itertools.product([-1, 1], repeat=len(d))]  # fmt: skip
    found = sign_flip_test(d, np.zeros(len(d)), np.random.default_rng(0))
    assert found.p_value == pytest.approx(np.mean(flips))
    assert found.method == f"sign flips, all {2 ** len(d)}"


def test_few_sign_flips_are_those_of_scipy():
    first, second = pair(10)
    theirs = scipy.stats.permutation_test(
        (first, second),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    found = sign_flip_test(first, second, np.random.default_rng(0))
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert found.statistic == pytest.approx(theirs.statistic)


def test_random_sign_flips_come_near_all_of_them(monkeypatch):
    first, second = pair(14)
    exact = sign_flip_test(first, second, np.random.default_rng(0)).p_value
    monkeypatch.setattr(significance, "MOST_ENUMERATED", 4)
    found = sign_flip_test(first, second, np.random.default_rng(0), resamples=40_000)
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert "at random" in found.method


def test_a_random_p_value_is_never_zero():
    found = sign_flip_test(np.arange(1, 51), np.zeros(50), np.random.default_rng(0), resamples=99)
    assert found.p_value == 1 / 100


@given(few)
def test_wilcoxon_equals_the_count_over_all_signs_of_its_ranks(difference):
    d = np.array(difference, dtype=float)
    # Pratt: zeros are ranked with the others, and then count for neither.
    ranks = scipy.stats.rankdata(np.abs(d)) * (d != 0)
    observed = abs((np.sign(d) * ranks).sum())
    sums = [abs((np.array(s) * ranks).sum()) for s in itertools.product([-1, 1], repeat=len(d))]
    expected = np.mean([total >= observed - 1e-9 for total in sums])
    assert wilcoxon_test(d, np.zeros(len(d))).p_value == pytest.approx(expected)


def test_effect_sizes_equal_their_definitions_over_all_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 30) / 6, rng.integers(0, 5, 30) / 6
    found = effect_sizes(a, b)
    pairs = [int(x > y) - int(x < y) for x in a for y in b]
    d = a - b
    ranks = scipy.stats.rankdata(np.abs(d[d != 0]))
    against, favour = ranks[d[d != 0] < 0].sum(), ranks[d[d != 0] > 0].sum()
    assert found.cliffs_delta == pytest.approx(np.mean(pairs))
    assert found.rank_biserial == pytest.approx((favour - against) / ranks.sum())
    assert found.superiority == pytest.approx(np.mean((np.sign(d) + 1) / 2))
    # t = d_z * sqrt(n)
    assert found.cohens_dz * np.sqrt(30) == pytest.approx(scipy.stats.ttest_rel(a, b).statistic)


@pytest.mark.parametrize(("shift", "sign"), [(0.0, 0), (0.5, 1), (-0.5, -1)])
def test_effect_sizes_at_their_limits(shift, sign):
    a = np.full((2, 4), 1.0)
    found = effect_sizes(a + shift, a)
    assert found.cliffs_delta == found.rank_biserial == sign
    assert found.superiority == (1 + sign) / 2
    assert found.cohens_dz == (sign * np.inf if sign else 0)


@given(p_values)
def test_corrections_are_those_of_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert bonferroni(p) == pytest.approx(multipletests(p, method="bonferroni")[1])


@given(p_values, st.sampled_from([0.9, 0.95, 0.99]))
@pytest.mark.parametrize("name", CORRECTIONS)
def test_an_interval_excludes_zero_exactly_if_its_adjusted_p_value_is_small(name, p, level):
    # An interval at level 1 - a excludes zero exactly if its own p-value is below a.
    correction = CORRECTIONS[name]
    excludes = np.array(p) < 1 - correction.levels(p, level)
    bar = 1 - level
    adjusted = correction.adjust(p)
    # Rounding decides where the two are equal.
    clear = np.abs(adjusted - bar) > 1e-9
    assert (excludes == (adjusted < bar))[clear].all()


def test_levels_by_hand():
    # Holm: 0.004 < 0.05 / 4 is rejected; 0.03 > 0.05 / 3 stops it, for the others too.
    levels = holm_levels([0.2, 0.004, 0.03, 0.04], 0.95)
    assert levels == pytest.approx([1 - 0.05 / 3, 1 - 0.05 / 4, 1 - 0.05 / 3, 1 - 0.05 / 3])
    assert bonferroni_levels([0.2, 0.004], 0.95) == pytest.approx([0.975, 0.975])


@pytest.mark.parametrize(
    "test", [wilcoxon_test, lambda a, b: sign_flip_test(a, b, np.random.default_rng(0))]
)
def test_pairs_that_are_none_are_refused(test):
    with pytest.raises(
        ShapeError, match=r"`second` is \[3\], expected \[4\] as `first` is. Score both"
    ):
        test(np.zeros(4), np.zeros(3))
    with pytest.raises(ShapeError, match=r"`first` is \[2, 2\], expected \[N\]"):
        test(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(StatisticsError, match=r"`second` is inf at \[1\]"):
        test([0, 1], [0, np.inf])
    with pytest.raises(StatisticsError, match=r"`first` holds 1 along N, expected at least 2"):
        test([0], [1])
    assert test(np.ones(5), np.ones(5)).p_value == 1


def test_effect_sizes_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"`second` is \[2, 3\], expected \[6\] as `first` is"):
        effect_sizes(np.zeros(6), np.zeros((2, 3)))


def test_options_out_of_range_are_refused():
    with pytest.raises(StatisticsError, match="`resamples` is 0, expected 1 or more"):
        sign_flip_test([0, 1], [1, 0], np.random.default_rng(0), resamples=0)
    for correct in (holm, bonferroni, lambda p: holm_levels(p, 0.95)):
        with pytest.raises(StatisticsError, match="`p_values` go from 0.5 to 1.5, expected from 0"):
            correct([0.5, 1.5])
    for levels in (holm_levels, bonferroni_levels):
        with pytest.raises(StatisticsError, match="`level` is 1.0, expected a share"):
            levels([0.5], 1.0)
