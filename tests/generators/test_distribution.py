"""Gaussians over weights against torch's own, and against their samples."""

import pytest
import torch
from torch import distributions

from netwright.errors import ShapeError
from netwright.generators import WeightDistribution

T, P, K = 3, 5, 2


@pytest.fixture(params=["diagonal", "low-rank", "full"])
def pair(request):
    """A distribution, and torch's."""
    rng = torch.Generator().manual_seed(0)
    mean = torch.randn(T, P, generator=rng, dtype=torch.float64)
    std = torch.rand(T, P, generator=rng, dtype=torch.float64) + 0.3
    if request.param == "diagonal":
        return WeightDistribution(mean, std), distributions.MultivariateNormal(
            mean, scale_tril=std.diag_embed()
        )
    if request.param == "low-rank":
        factor = torch.randn(T, P, K, generator=rng, dtype=torch.float64)
        theirs = distributions.LowRankMultivariateNormal(mean, factor, std.square())
        return WeightDistribution(mean, std, factor), distributions.MultivariateNormal(
            mean, theirs.covariance_matrix
        )
    root = torch.randn(T, P, P, generator=rng, dtype=torch.float64).tril(-1) + std.diag_embed()
    return WeightDistribution(mean, factor=root), distributions.MultivariateNormal(
        mean, scale_tril=root
    )


def test_density_covariance_and_variance_are_those_of_torch(pair):
    ours, theirs = pair
    theta = torch.randn(T, P, dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(theta), theirs.log_prob(theta))
    torch.testing.assert_close(ours.covariance(), theirs.covariance_matrix)
    torch.testing.assert_close(ours.variance(), theirs.variance)


def test_divergence_from_a_prior_is_that_of_torch(pair):
    ours, theirs = pair
    prior_mean, prior_std = torch.linspace(-1, 1, P).double(), torch.linspace(0.5, 2, P).double()
    prior = distributions.MultivariateNormal(prior_mean, scale_tril=prior_std.diag())
    expected = distributions.kl_divergence(theirs, prior)
    torch.testing.assert_close(ours.kl(prior_mean, prior_std), expected)


def test_samples_have_its_mean_and_covariance(pair):
    ours, _ = pair
    many = ours.rows(torch.zeros(40_000, dtype=torch.long))
    theta = many.rsample(torch.Generator().manual_seed(1))
    # A standard error is below .01 times the largest deviation.
    torch.testing.assert_close(theta.mean(0), ours.mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(theta.T.cov(), ours.covariance()[0], atol=0.12, rtol=0)


def test_samples_are_a_function_of_their_generator_and_differ_between_tasks(pair):
    ours, _ = pair
    a, b = (ours.rsample(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b)
    same = ours.rows(torch.tensor([1, 1])).rsample(torch.Generator().manual_seed(3))
    assert not torch.allclose(same[0], same[1])


def test_gradients_reach_mean_and_spread_through_a_sample():
    mean, std = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    factor = torch.ones(1, 2, 1, requires_grad=True)
    rng = torch.Generator().manual_seed(0)
    WeightDistribution(mean, std, factor).rsample(rng).sum().backward()
    again = torch.Generator().manual_seed(0)
    own, shared = torch.randn(1, 2, generator=again), torch.randn(1, 1, generator=again)
    torch.testing.assert_close(mean.grad, torch.ones(1, 2))
    torch.testing.assert_close(std.grad, own)
    torch.testing.assert_close(factor.grad[..., 0], shared.expand(1, 2))


def test_an_estimated_divergence_is_a_difference_of_log_densities(pair):
    ours, theirs = pair
    theta = ours.rsample(torch.Generator().manual_seed(0))
    prior_mean, prior_std = torch.full((P,), 0.5).double(), torch.full((P,), 2.0).double()
    prior = distributions.Independent(distributions.Normal(prior_mean, prior_std), 1)
    found = ours.kl_at(theta, prior_mean, prior_std)
    torch.testing.assert_close(found, theirs.log_prob(theta) - prior.log_prob(theta))


def test_at_the_posterior_no_sample_of_the_lower_bound_has_a_gradient():
    """Linear regression, whose posterior is a Gaussian in closed form."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 3, generator=rng).double(), torch.randn(6, generator=rng).double()
    covariance = torch.linalg.inv(torch.eye(3) + x.T @ x / 0.25)
    mean = (covariance @ x.T @ y / 0.25)[None].requires_grad_()
    factor = torch.linalg.cholesky(covariance)[None].requires_grad_()
    q = WeightDistribution(mean, factor=factor)
    prior = torch.zeros(3).double(), torch.ones(3).double()
    for noisy in (False, True):
        theta = q.rsample(rng)
        loss = 0.5 * (y - theta @ x.T).square().sum() / 0.25
        loss = loss + (q.kl(*prior) if noisy else q.kl_at(theta, *prior)).sum()
        gradients = torch.autograd.grad(loss, [mean, factor])
        assert all(bool((g.abs() > 1e-6).any()) == noisy for g in gradients)


def test_theta_and_priors_of_another_child_are_refused(pair):
    ours, _ = pair
    with pytest.raises(ShapeError, match=r"`theta` is \[3, 4\], expected \[T=3, P=5\]"):
        ours.log_prob(torch.zeros(3, 4))
    with pytest.raises(ShapeError, match=r"`prior_mean` is \[2\], expected \[P=5\]"):
        ours.kl(torch.zeros(2), torch.ones(2))
    with pytest.raises(ShapeError, match=r"`prior_std` is \[2\], expected \[P=5\]"):
        ours.kl(torch.zeros(5), torch.ones(2))
    with pytest.raises(ShapeError, match=r"`prior_std` is \[2\], expected \[P=5\]"):
        ours.kl_at(ours.mean, torch.zeros(5), torch.ones(2))
