"""Calibration beside scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation.statistics import brier_score, calibration_error, reliability_diagram


def batch(classes: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, classes and a mask; what is masked is absurd."""
    rng = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(6, 50, classes, generator=rng)
    y = torch.randint(0, classes, (6, 50), generator=rng)
    mask = torch.rand(6, 50, generator=rng) < 0.8
    logits[~mask] = float("nan")
    y[~mask] = 99
    return logits, y, mask


def test_the_brier_score_is_scikit_learns():
    logits, y, mask = batch()
    probabilities = logits[mask].double().softmax(dim=-1).numpy()
    expected = brier_score_loss(y[mask].numpy(), probabilities, labels=range(4), scale_by_half=False)  # fmt: skip
    assert brier_score(logits, y, mask) == pytest.approx(expected)


def test_the_brier_score_at_its_limits():
    y = torch.tensor([[0, 1]])
    sure = torch.tensor([[[50.0, -50.0], [-50.0, 50.0]]])
    everything = torch.ones(1, 2, dtype=torch.bool)
    assert brier_score(sure, y, everything) == pytest.approx(0)
    assert brier_score(sure, 1 - y, everything) == pytest.approx(2)


def test_the_diagram_is_scikit_learns_curve():
    logits, y, mask = batch()
    found = reliability_diagram(logits, y, mask, bins=10)
    confidence, predicted = logits[mask].double().softmax(dim=-1).max(dim=-1)
    right = (predicted == y[mask]).numpy()
    accuracy, mean_confidence = calibration_curve(right, confidence.numpy(), n_bins=10)
    filled = found.counts > 0
    assert found.accuracy[filled] == pytest.approx(accuracy)
    assert found.confidence[filled] == pytest.approx(mean_confidence)
    assert found.counts.sum() == int(mask.sum())
    assert found.edges == pytest.approx(np.linspace(0, 1, 11))
    assert np.isnan(found.accuracy[~filled]).all()


def test_the_gap_of_the_diagram_is_the_calibration_error():
    logits, y, mask = batch()
    found = reliability_diagram(logits, y, mask)
    assert found.expected_error == pytest.approx(calibration_error(logits, y, mask), abs=1e-6)
    assert found.maximum_error >= found.expected_error


def test_full_confidence_falls_into_the_last_bin():
    logits = torch.tensor([[[100.0, 0.0], [0.0, 100.0]]])
    found = reliability_diagram(logits, torch.tensor([[0, 0]]), torch.ones(1, 2).bool(), bins=5)
    assert found.counts.tolist() == [0, 0, 0, 0, 2]
    assert (found.accuracy[-1], found.maximum_error) == (0.5, 0.5)


@pytest.mark.parametrize("score", [brier_score, reliability_diagram])
def test_what_has_no_calibration_is_refused(score):
    logits, y, mask = batch()
    with pytest.raises(StatisticsError, match="`mask` is False everywhere, expected at least one"):
        score(logits, y, torch.zeros_like(mask))
    with pytest.raises(StatisticsError, match="`logits` has NaN at a real query"):
        score(logits, y, torch.ones_like(mask))
    with pytest.raises(ShapeError, match=r"`y` is \[6, 49\], expected \[T=6, Q=50\]"):
        score(logits, y[:, :-1], mask)
    with pytest.raises(ShapeError, match=r"`mask` is \[50\], expected \[T=6, Q=50\]"):
        score(logits, y, mask[0])
    with pytest.raises(ShapeError, match=r"`logits` is \[50, 4\], expected \[T, Q, C\]"):
        score(logits[0], y, mask)
    with pytest.raises(ShapeError, match="`y` goes from 0 to 3, expected classes below C = 3"):
        score(logits[..., :3], y, mask)


def test_a_diagram_without_bins_is_refused():
    with pytest.raises(StatisticsError, match="`bins` is 0, expected 1 or more"):
        reliability_diagram(*batch(), bins=0)
