"""Cross-validated scores, against scikit-learn's metrics and by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from netwright.estimators.held_out import (
    METRICS,
    OWN,
    area_under_curve,
    held_out,
    reliability,
    scores_of,
)
from netwright.tasks.columns import Column


def test_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    p = rng.dirichlet(np.ones(3), 60)
    found = scores_of(y, p)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, p.argmax(axis=1)))
    assert found["balanced accuracy"] == pytest.approx(balanced_accuracy_score(y, p.argmax(axis=1)))
    assert found["AUROC"] == pytest.approx(roc_auc_score(y, p, multi_class="ovo"))
    assert found["log loss"] == pytest.approx(log_loss(y, p))


def test_the_calibration_error_of_one_bin_is_the_gap_between_confidence_and_accuracy():
    y = np.array([0, 0, 0, 1, 1])
    p = np.tile([0.85, 0.15], (5, 1))
    assert scores_of(y, p)["calibration error"] == pytest.approx(0.85 - 0.6)


def test_every_row_is_answered_by_a_fit_that_has_not_seen_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=150)
    columns = {"telling": Column("numeric", x), "noise": Column("numeric", rng.normal(size=150))}
    y = np.where(x + 0.3 * rng.normal(size=150) > 0, "yes", "no")
    found = held_out(columns, y, folds=3, resamples=50)
    assert found[0].learner == OWN
    for each in found:
        np.testing.assert_allclose(each.answers.sum(axis=1), 1, atol=1e-6)
        value, low, high = each.scores["accuracy"]
        assert 0.75 < low <= value <= high
        assert set(each.scores) == set(METRICS)
    # Pure noise cannot be learned by rote: a row's own label is hidden.
    blind = held_out({"noise": columns["noise"]}, y, folds=3, resamples=20)
    assert all(each.scores["AUROC"][0] < 0.65 for each in blind)


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    is_positive = rng.random(200) < 0.3
    # Few different scores: ties within and between the classes.
    score = (rng.random(200) + 0.4 * is_positive).round(1)
    expected = roc_auc_score(is_positive, score)
    assert area_under_curve(is_positive, score) == pytest.approx(expected, abs=1e-12)


def test_groups_of_rows_from_the_least_sure_to_the_surest_hold_each_row_once():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.55, 0.45]])
    y = np.array([0, 1, 1, 0])

    found = reliability(p, y)

    assert sum(rows for _, _, rows in found) == 4
    sure = [each for each, _, _ in found]
    assert sure == sorted(sure)
    assert sum(right * rows for _, right, rows in found) == pytest.approx(3)
