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


def test_labels_may_be_probabilities(mask):
    logits, y = torch.randn(2, 3, 4), torch.rand(2, 3, 4).softmax(dim=-1)
    y[1, 1:] = float("nan")
    score = Classification().score(logits, ExampleSet(torch.zeros(2, 3, 1), y, mask))
    for t, n in ((0, 3), (1, 1)):
        wanted = -(y[t, :n] * logits[t, :n].log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(score.loss[t], wanted)
        right = (logits[t, :n].argmax(1) == y[t, :n].argmax(1)).float().mean()
        torch.testing.assert_close(score.metrics["accuracy"][t], right)


def test_regression_is_the_mean_over_real_queries(mask):
    outputs, y = torch.randn(2, 3, 2), torch.randn(2, 3, 2)
    y[1, 1:] = float("nan")
    score = Regression().score(outputs, ExampleSet(torch.zeros(2, 3, 1), y, mask))
    for t, n in ((0, 3), (1, 1)):
        torch.testing.assert_close(score.loss[t], F.mse_loss(outputs[t, :n], y[t, :n]))
        torch.testing.assert_close(score.metrics["mae"][t], F.l1_loss(outputs[t, :n], y[t, :n]))


@pytest.mark.parametrize("kind", [kind for kind in OBJECTIVES if kind != "actions"])
def test_queries_without_label_do_not_count_whatever_stands_in_their_y(mask, kind):
    outputs = torch.randn(2, 3, 4, requires_grad=True)
    y, junk, classes = torch.randn(2, 3, 4), float("nan"), None
    if kind != "values":
        y, junk, classes = torch.tensor([[0, 3, 1], [2, 1, 0]]), 99, 4
    unknown = ~mask.reshape(2, 3, *[1] * (y.dim() - 2))
    everything = torch.ones_like(mask)
    x = torch.zeros(2, 3, 1)
    query = ExampleSet(x, y.masked_fill(unknown, junk), everything, classes, mask)
    score, expected = (
        OBJECTIVES[kind]().score(outputs, q) for q in (query, ExampleSet(x, y, mask, classes))
    )
    torch.testing.assert_close(score.loss, expected.loss)
    torch.testing.assert_close(score.metrics, expected.metrics)
    score.loss.sum().backward()
    assert torch.equal(outputs.grad.abs().sum(-1) > 0, mask)


def test_padding_has_no_gradient(mask):
    outputs = torch.randn(2, 3, 2, requires_grad=True)
    Regression().score(
        outputs, ExampleSet(torch.zeros(2, 3, 1), torch.randn(2, 3, 2), mask)
    ).loss.sum().backward()
    assert torch.equal(outputs.grad.abs().sum(-1) > 0, mask)


def test_each_kind_of_label_has_an_objective():
    assert set(OBJECTIVES) == {"exchangeable-classes", "fixed-classes", "values", "actions"}


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
