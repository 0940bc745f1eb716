"""The generator that writes a Gaussian over children."""

import json

import pytest
import torch
from making import (
    make_condition,
    make_conditioner,
    make_picture_condition,
    make_picture_hypernetwork,
    make_vector_hypernetwork,
    perturb,
)

import netwright as nw
from netwright.errors import RunError
from netwright.generators import GENERATORS, StochasticGenerator
from netwright.generators.base import INITIAL_DELTA, SCALE_OF_CONSTANTS

COVARIANCES = ["diagonal", "low-rank", "full"]
INNER = [name for name, kind in GENERATORS.items() if not issubclass(kind, StochasticGenerator)]


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def make(covariance="diagonal", hidden=(8,), inputs=3, **options) -> nw.Hypernetwork:
    child = nw.Child(nw.architectures.mlp(inputs=inputs, hidden=hidden, outputs=2))
    reader = make_conditioner("examples")
    return nw.Hypernetwork(child, reader, "gaussian", covariance=covariance, **options)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_training_writes_samples_and_use_writes_the_mean(covariance, rng):
    hypernetwork = make(covariance)
    perturb(hypernetwork, rng)
    condition = make_condition(1, rng, "examples")
    many = condition.rows(torch.zeros(20_000, dtype=torch.long))
    with torch.no_grad():
        drawn = hypernetwork.child.space.flatten(hypernetwork.train()(many))
        mean = hypernetwork.child.space.flatten(hypernetwork.eval()(condition))
        distribution = hypernetwork.distribution(condition)
    torch.testing.assert_close(mean, distribution.mean)
    std = distribution.variance().sqrt()[0]
    assert ((drawn.mean(0) - mean[0]).abs() < 5 * std / 20_000**0.5).all()
    correlation = distribution.covariance()[0] / std / std[:, None]
    found = drawn.T.cov() / std / std[:, None]
    torch.testing.assert_close(found, correlation, atol=0.05, rtol=0)


@pytest.mark.parametrize("inner", INNER)
def test_its_mean_is_what_the_inner_generator_writes(inner, rng):
    hypernetwork = make(of=inner).eval()
    embedding = hypernetwork.read(make_condition(3, rng, "examples"))
    written, own = hypernetwork.generator(embedding), hypernetwork.generator.inner(embedding)
    assert all(torch.equal(written[name], own[name]) for name in own)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_of_a_new_one_are_well_initialised_children(covariance):
    for seed in range(20):
        torch.manual_seed(seed)
        rng = torch.Generator().manual_seed(seed)
        inputs = int(torch.randint(4, 13, (), generator=rng))
        hidden = (int(torch.randint(8, 12, (), generator=rng)),)
        hypernetwork = make(covariance, hidden, inputs).train()
        with torch.no_grad():
            params = hypernetwork(make_condition(8, rng, "examples"))
        template = dict(hypernetwork.child.template.named_parameters())
        for spec in hypernetwork.child.space.tensors:
            if spec.size >= 64:
                found = float(params[spec.name].flatten(1).var(dim=1).mean())
                assert 0.8 <= found / float(template[spec.name].var()) <= 1.25


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_spread_starts_at_a_tenth_of_the_childs_own_initialisation(covariance, rng):
    hypernetwork = make(covariance)
    std = hypernetwork.distribution(make_condition(4, rng, "examples")).variance().sqrt().detach()
    units = hypernetwork.child.space.unflatten(std)
    for spec in hypernetwork.child.space.tensors:
        assert 0.8 < float(units[spec.name].mean()) / (INITIAL_DELTA * spec.std) < 1.4


def test_spread_depends_on_the_condition_and_so_does_what_numbers_share(rng):
    for covariance in COVARIANCES:
        hypernetwork = make(covariance)
        perturb(hypernetwork, rng)
        a, b = hypernetwork.distribution(make_condition(2, rng, "examples")).covariance()
        assert not torch.allclose(a, b, rtol=1e-2)
        off_diagonal = a - a.diagonal().diag()
        assert bool((off_diagonal.abs() > 1e-8).any()) == (covariance != "diagonal")


def test_no_spread_overflows(rng):
    hypernetwork = make("full")
    with torch.no_grad():
        hypernetwork.generator.spread.bias.fill_(1e4)
        assert hypernetwork.write(make_condition(2, rng, "examples")).penalty.isfinite().all()


def test_the_penalty_is_the_divergence_from_the_childs_own_initialisation(rng):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    reader = make_conditioner("examples")
    hypernetwork = nw.Hypernetwork(nw.Child(module), reader, "gaussian")
    condition = make_condition(3, rng, "examples")
    q = hypernetwork.distribution(condition)
    own = torch.distributions.Normal(q.mean, q.std)
    std = (1 / 3) ** 0.5 / 3**0.5  # nn.Linear is uniform up to 1 / sqrt(3)
    means = torch.cat([torch.zeros(16), torch.ones(4), torch.zeros(4)])
    stds = torch.cat([torch.full((16,), std), torch.full((8,), SCALE_OF_CONSTANTS)])
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(means, stds))
    # The child's own spread is measured on a few draws of it.
    torch.testing.assert_close(
        hypernetwork.write(condition).penalty, expected.sum(1), rtol=0.2, atol=0
    )


def test_a_prior_can_be_given(rng):
    hypernetwork = make("full", prior_std=2.0)
    condition = make_condition(3, rng, "examples")
    q = hypernetwork.distribution(condition)
    own = torch.distributions.MultivariateNormal(q.mean, scale_tril=q.factor)
    prior = torch.distributions.MultivariateNormal(torch.zeros(q.size), 4 * torch.eye(q.size))
    expected = torch.distributions.kl_divergence(own, prior)
    torch.testing.assert_close(hypernetwork.write(condition).penalty, expected)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_path_penalty_is_the_divergence_on_average_and_exact_in_use(covariance, rng):
    hypernetwork = make(covariance, prior_std=0.2, penalty="path", initial_std=0.5).train()
    condition = make_condition(1, rng, "examples").rows(torch.zeros(5_000, dtype=torch.long))
    with torch.no_grad():
        penalty = hypernetwork.write(condition).penalty
        expected = hypernetwork.eval().write(condition.rows(slice(0, 1))).penalty
        q = hypernetwork.distribution(condition.rows(slice(0, 1)))
    torch.testing.assert_close(expected, q.kl(*hypernetwork.generator.prior))
    error = float(penalty.std()) / 5_000**0.5
    assert error > 0
    assert abs(float(penalty.mean() - expected)) < 5 * error


def test_writing_with_a_penalty_is_writing(rng):
    for generator in ("dense", "gaussian"):
        hypernetwork = make_vector_hypernetwork(generator)
        condition = make_condition(3, rng, "examples")
        torch.manual_seed(1)
        params = hypernetwork(condition)
        torch.manual_seed(1)
        written = hypernetwork.write(condition)
        assert all(torch.equal(params[name], written.params[name]) for name in params)
        assert (written.penalty is None) == (generator == "dense")


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_its_record_survives_json_and_makes_it_again(covariance, rng):
    options = {"rank": 2} if covariance == "low-rank" else {}
    of = {"name": "low-rank", "rank": 3}
    first = make(covariance, of=of, initial_std=0.05, prior_std=1.0, **options).eval()
    again = nw.Hypernetwork.from_record(json.loads(json.dumps(first.record()))).eval()
    again.load_state_dict(first.state_dict())
    assert again.record() == first.record()
    assert first.record()["generator"]["of"]["rank"] == 3
    condition = make_condition(2, rng, "examples")
    a, b = first.distribution(condition), again.distribution(condition)
    assert torch.equal(a.covariance(), b.covariance())
    assert torch.equal(a.mean, b.mean)


def test_a_prior_around_constants_is_kept_with_the_weights(rng):
    module = torch.nn.LayerNorm(3)
    torch.nn.init.constant_(module.weight, 3.0)
    first = nw.Hypernetwork(nw.Child(module), make_conditioner("examples"), "gaussian")
    other = nw.Child(torch.nn.LayerNorm(3))
    again = nw.Hypernetwork(other, make_conditioner("examples"), "gaussian")
    again.load_state_dict(first.state_dict())
    condition = make_condition(2, rng, "examples")
    torch.testing.assert_close(
        again.eval().write(condition).penalty, first.eval().write(condition).penalty
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "round"}, "`covariance` is 'round', expected one of"),
        (
            {"rank": 2},
            "`rank` is 2 and `covariance` is 'diagonal', expected at least 1 for a low-rank",
        ),
        ({"covariance": "low-rank", "rank": 0}, "`rank` is 0 and"),
        ({"covariance": "full", "hidden_": 1}, "Gaussian cannot take these options"),
        ({"penalty": "none"}, r"`penalty` is 'none', expected one of \['exact', 'path'\]"),
        (
            {"initial_std": 0.0},
            "`initial_std` is 0.0, expected a standard deviation of more than 0",
        ),
        ({"prior_std": float("nan")}, "`prior_std` is nan"),
        ({"of": "gaussian"}, r"`of` names the generator 'gaussian', expected one of \['basis'"),
        ({"of": {"rank": 2}}, "`of` names the generator None"),
        ({"of": {"name": "dense", "depth": 2}}, "Gaussian cannot take these options: .*depth"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(RunError, match=message):
        make(**options)


def test_a_full_covariance_of_many_numbers_is_refused():
    with pytest.raises(
        RunError, match=r"has 422 numbers to write, expected at most 256 .*low-rank"
    ):
        make("full", hidden=(70,))


def test_the_distribution_is_refused_where_there_is_none_or_it_is_not_known(rng):
    with pytest.raises(
        RunError, match=r"Dense writes one network per task.*generator=\"gaussian\""
    ):
        make_vector_hypernetwork("dense").distribution(make_condition(1, rng, "examples"))
    with pytest.raises(RunError, match=r"row per class.*Use `generate_ensemble`"):
        make_picture_hypernetwork("gaussian").distribution(make_picture_condition(1, 2, 1, rng))


def test_the_check_of_the_start_looks_at_samples(rng):
    hypernetwork = make("full", (16,), 8, initial_std=3.0).train()
    start = hypernetwork.check_initialisation(
        make_condition(4, rng, "examples"), torch.randn(4, 16, 8, generator=rng)
    )
    # One own variance, and nine of the spread.
    assert 5 < next(t.variance for t in start.tensors if t.name == "linear1.weight") < 20
    assert start.unreached == ()
    assert hypernetwork.training
    assert hypernetwork.generator.training
