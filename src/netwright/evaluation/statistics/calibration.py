"""Whether confidence is right: calibration error, Brier score, and the diagram behind them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation.statistics.arrays import FloatArray, check_count
from netwright.shapes import check_shape


@dataclass(frozen=True)
class ReliabilityDiagram:
    """Confidence beside accuracy, in equal-width bins of confidence.

    Args:
        edges: [bins + 1], from 0 to 1.
        counts: Queries per bin, [bins].
        confidence: Their mean confidence; NaN in an empty bin, [bins].
        accuracy: Share of them that is right; NaN in an empty bin, [bins].
    """

    edges: FloatArray
    counts: FloatArray
    confidence: FloatArray
    accuracy: FloatArray

    @property
    def expected_error(self) -> float:
        """Mean gap between confidence and accuracy, bins weighted by their counts."""
        filled = self.counts > 0
        gaps = np.abs(self.confidence - self.accuracy)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))

    @property
    def maximum_error(self) -> float:
        """The largest gap of any bin."""
        return float(np.nanmax(np.abs(self.confidence - self.accuracy)))


def calibration_error(logits: Tensor, y: Tensor, mask: Tensor, bins: int = 15) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal-width bins.

    Args:
        logits: [T, Q, C].
        y: Classes, [T, Q].
        mask: True where a query is real, [T, Q].
        bins: Number of bins of confidence.

    References:
        Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    confidence, predicted = logits[mask].softmax(dim=-1).max(dim=-1)
    right = (predicted == y[mask]).double()
    bin_of = (confidence * bins).long().clamp(max=bins - 1)
    sums = torch.zeros(bins, dtype=torch.double)
    gaps = sums.index_add(0, bin_of.cpu(), (right - confidence.double()).cpu())
    return float(gaps.abs().sum() / len(right))


def reliability_diagram(
    logits: Tensor, y: Tensor, mask: Tensor, bins: int = 15
) -> ReliabilityDiagram:
    """Mean confidence and accuracy by bins of confidence, over the real queries of all tasks.

    Args:
        logits: [T, Q, C].
        y: Classes, [T, Q].
        mask: True where a query is real, [T, Q].
        bins: Number of bins of confidence.

    Raises:
        ShapeError: If shapes do not fit.
        StatisticsError: If no query is real, a logit is NaN, or `bins` is below 1.

    References:
        DeGroot and Fienberg, The Comparison and Evaluation of Forecasters, 1983.
    """
    check_count("bins", bins)
    probabilities, classes = _real(logits, y, mask)
    confidence, predicted = probabilities.max(dim=-1)
    right = (predicted == classes).double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    none = torch.zeros(bins, dtype=torch.double)
    counts = none.index_add(0, index, torch.ones_like(right)).numpy()
    filled = np.where(counts > 0, counts, np.nan)
    return ReliabilityDiagram(
        edges=np.linspace(0, 1, bins + 1),
        counts=counts,
        confidence=none.index_add(0, index, confidence).numpy() / filled,
        accuracy=none.index_add(0, index, right).numpy() / filled,
    )


def brier_score(logits: Tensor, y: Tensor, mask: Tensor) -> float:
    """Mean squared distance between probabilities and the one-hot truth, summed over classes: 0 to 2.

    Args:
        logits: [T, Q, C].
        y: Classes, [T, Q].
        mask: True where a query is real, [T, Q].

    Raises:
        ShapeError: If shapes do not fit.
        StatisticsError: If no query is real or a logit is NaN.

    References:
        Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
    """
    probabilities, classes = _real(logits, y, mask)
    truth = F.one_hot(classes, probabilities.shape[-1])
    return float((probabilities - truth).square().sum(dim=-1).mean())


def _real(logits: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities [N, C] in float64 and classes [N] of the real queries, on the CPU."""
    check_shape("logits", logits, "T Q C")
    tasks, queries, classes = logits.shape
    check_shape("y", y, "T Q", T=tasks, Q=queries)
    check_shape("mask", mask, "T Q", T=tasks, Q=queries)
    real = logits.detach()[mask].double().cpu()
    if not len(real):
        raise StatisticsError("`mask` is False everywhere, expected at least one real query.")
    if real.isnan().any():
        raise StatisticsError("`logits` has NaN at a real query: no probability follows from it.")
    truth = y[mask].cpu()
    if truth.min() < 0 or truth.max() >= classes:
        raise ShapeError(
            f"`y` goes from {int(truth.min())} to {int(truth.max())}, expected classes below C = {classes}."
        )
    return real.softmax(dim=-1), truth
