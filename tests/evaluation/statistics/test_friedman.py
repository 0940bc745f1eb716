"""Ranks over task families, beside SciPy and a published worked example."""

import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from netwright.errors import MissingExtraError, ShapeError, StatisticsError
from netwright.evaluation import critical_difference, draw_critical_difference
from netwright.evaluation.statistics import average_ranks, friedman_test, nemenyi_difference

# Four variants of a decision tree on 14 data sets: table 6 of Demsar (JMLR 7, 2006). The paper ranked unrounded figures:
# on the last but one the third was ahead of the fourth, though both are printed as 0.975.
NAMES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]
AUC = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip
BY_NAME = dict(zip(NAMES, AUC.T, strict=True))


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5))
def test_ranks_share_ties_as_in_scipy(rows):
    values = np.array(rows, dtype=float)
    assert np.array_equal(average_ranks(values), scipy.stats.rankdata(-values, axis=-1))


def test_the_published_example_has_its_ranks():
    found = friedman_test(AUC)
    assert found.mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_friedman_equals_scipy_with_ties():
    found = friedman_test(AUC)
    theirs = scipy.stats.friedmanchisquare(*AUC.T)
    assert (found.chi_squared, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_without_ties_iman_davenport_is_the_f_test_of_ranks():
    # A two-way analysis of variance on the ranks gives the same F.
    ranks = average_ranks(np.random.default_rng(0).normal(size=(12, 5)) + 0.4 * np.arange(5))
    found = friedman_test(-ranks)
    families, learners = ranks.shape
    between = families * ((ranks.mean(0) - ranks.mean()) ** 2).sum() / (learners - 1)
    residual = ranks - ranks.mean(0) - ranks.mean(1)[:, None] + ranks.mean()
    within = (residual**2).sum() / ((learners - 1) * (families - 1))
    assert found.f_statistic == pytest.approx(between / within)
    assert found.f_p_value == pytest.approx(scipy.stats.f.sf(between / within, 4, 44))


def test_families_that_all_agree_have_an_infinite_f():
    found = friedman_test(np.arange(3.0) + np.arange(6.0)[:, None])
    assert found.f_statistic == np.inf
    assert found.f_p_value == 0
    assert found.chi_squared == pytest.approx(12)


@pytest.mark.parametrize(
    ("learners", "level", "expected"),
    [(2, 0.95, 1.960), (3, 0.95, 2.343), (4, 0.95, 2.569), (10, 0.95, 3.164), (4, 0.9, 2.291), (10, 0.9, 2.920)],
)  # fmt: skip
def test_nemenyi_has_the_published_critical_values(learners, level, expected):
    # Table 5 of the paper, cut after three digits; the difference is q sqrt(L (L + 1) / 6 F).
    q = nemenyi_difference(learners, 14, level) / np.sqrt(learners * (learners + 1) / 84)
    assert q == pytest.approx(expected, abs=1.1e-3)


def test_the_published_example_has_one_group_at_95_percent_and_two_at_90():
    found = critical_difference(BY_NAME)
    assert found.difference == pytest.approx(1.25, abs=5e-3)
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"),)
    found = critical_difference(BY_NAME, level=0.9)
    assert found.difference == pytest.approx(1.12, abs=5e-3)
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))


@given(st.lists(st.floats(1, 9), min_size=2, max_size=8), st.floats(0, 4))
def test_groups_are_the_largest_sets_without_a_difference(ranks, width):
    from netwright.evaluation.critical_difference import _runs

    ranks = sorted(ranks)
    groups = [set(range(first, end)) for first, end in _runs(ranks, width)]
    n = len(ranks)
    for i in range(n):
        for j in range(i + 1, n):
            together = any({i, j} <= group for group in groups)
            assert together == (ranks[j] <= ranks[i] + width)
    assert not any(a < b for a in groups for b in groups)


def test_lower_scores_can_be_the_better_ones():
    turned = critical_difference(
        {name: 1 - values for name, values in BY_NAME.items()}, higher_is_better=False
    )
    assert turned.learners == critical_difference(BY_NAME).learners


def test_the_drawing_shows_every_learner_and_group(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))
    )
    found = critical_difference(BY_NAME, level=0.9)
    path = draw_critical_difference(found, tmp_path / "ranks.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    axis = drawn[0].axes[0]
    texts = [text.get_text() for text in axis.texts]
    for name, rank in zip(found.learners, found.ranks, strict=True):
        assert sum(text.split("  ") in ([name, f"{rank:.2f}"], [f"{rank:.2f}", name]) for text in texts) == 1  # fmt: skip
    bars = [line.get_xdata() for line in axis.lines if line.get_linewidth() == 4]
    assert [(bar[0], bar[1]) for bar in bars] == [
        pytest.approx((1.964 - 0.04, 2.893 + 0.04), abs=1e-3),
        pytest.approx((2.893 - 0.04, 3.143 + 0.04), abs=1e-3),
    ]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: friedman_test(AUC[:, :2]), StatisticsError, "holds 2 along L, expected at least 3"),
        (lambda: friedman_test(AUC[:1]), StatisticsError, "`families` is 1, expected 2 or more"),
        (lambda: friedman_test(np.ones((3, 4))), StatisticsError, "same for all 4 learners in every"),
        (lambda: friedman_test(AUC[0]), ShapeError, r"`scores` is \[4\], expected \[F, L\]"),
        (lambda: nemenyi_difference(1, 5), StatisticsError, "`learners` is 1, expected 2 or more"),
        (lambda: nemenyi_difference(3, 1), StatisticsError, "`families` is 1, expected 2 or more"),
        (lambda: nemenyi_difference(3, 4, 5), StatisticsError, "`level` is 5, expected a share"),
        (lambda: critical_difference({"a": [1, 2], "b": [2, 1]}), StatisticsError,
         r"of \['a', 'b'\], expected at least three learners. Compare two with `wilcoxon_test`"),
        (lambda: critical_difference({"a": [1, 2], "b": [2, 1], "c": [1, 2, 3]}), ShapeError,
         r"have {'a': 2, 'b': 2, 'c': 3} families, expected one number"),
    ],
)  # fmt: skip
def test_what_cannot_be_ranked_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    found = critical_difference(BY_NAME)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(
        MissingExtraError, match=r"Drawing a diagram.*pip install 'netwright\[plot\]'"
    ):
        draw_critical_difference(found, tmp_path / "ranks.png")
