"""Losses and metrics against a loop, with padding that must not count."""

import pytest
import torch
from torch.nn import functional as F

from netwright.conditions import ExampleSet
from netwright.errors import RunError
from netwright.objectives import OBJECTIVES, Classification, GaussianLikelihood, Regression


@pytest.fixture
def mask():
    return torch.tensor([[True, True, True], [True, False, False]])


def test_classification_is_the_mean_over_real_queries(mask):
    logits, y = torch.randn(2, 3, 4), torch.tensor([[0, 3, 1], [2, 99, -5]])
    score = Classification().score(logits, ExampleSet(torch.zeros(2, 3, 1), y, mask, 4))
    for t, n in ((0, 3), (1, 1)):
        torch.testing.assert_close(score.loss[t], F.cross_entropy(logits[t, :n], y[t, :n]))
        right = (logits[t, :n].argmax(1) == y[t, :n]).float().mean()
        torch.testing.assert_close(score.metrics["accuracy"][t], right)


def test_regression_is_the_mean_over_real_queries(mask):
    outputs, y = torch.randn(2, 3, 2), torch.randn(2, 3, 2)
    y[1, 1:] = float("nan")
    score = Regression().score(outputs, ExampleSet(torch.zeros(2, 3, 1), y, mask))
    for t, n in ((0, 3), (1, 1)):
        torch.testing.assert_close(score.loss[t], F.mse_loss(outputs[t, :n], y[t, :n]))
        torch.testing.assert_close(score.metrics["mae"][t], F.l1_loss(outputs[t, :n], y[t, :n]))


def test_padding_has_no_gradient(mask):
    outputs = torch.randn(2, 3, 2, requires_grad=True)
    Regression().score(
        outputs, ExampleSet(torch.zeros(2, 3, 1), torch.randn(2, 3, 2), mask)
    ).loss.sum().backward()
    assert torch.equal(outputs.grad.abs().sum(-1) > 0, mask)


def test_each_kind_of_label_has_an_objective():
    assert set(OBJECTIVES) == {"exchangeable-classes", "fixed-classes", "values"}


def test_gaussian_likelihood_is_the_density_of_all_real_queries(mask):
    outputs, y = torch.randn(2, 3, 2), torch.randn(2, 3, 2)
    y[1, 1:] = float("nan")
    score = GaussianLikelihood(0.3).score(outputs, ExampleSet(torch.zeros(2, 3, 1), y, mask))
    for t, n in ((0, 3), (1, 1)):
        density = torch.distributions.Normal(outputs[t, :n], 0.3).log_prob(y[t, :n])
        torch.testing.assert_close(score.loss[t], -density.sum())
        torch.testing.assert_close(score.metrics["nll"][t], -density.sum() / n)
        torch.testing.assert_close(score.metrics["mse"][t], F.mse_loss(outputs[t, :n], y[t, :n]))


def test_noise_of_no_size_is_refused():
    for noise in (0.0, -1.0, float("nan")):
        with pytest.raises(RunError, match=f"`noise` is {noise}, expected a standard deviation"):
            GaussianLikelihood(noise)
