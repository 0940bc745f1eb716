"""The divergence from a prior in the training loss."""

import math

import pytest
import torch
from trainings import SETTINGS, run

import netwright as nw
from netwright.errors import RunError
from netwright.objectives import GaussianLikelihood, Regression
from netwright.rng import stream
from netwright.tasks import Sine
from netwright.training.step import training_step


def make(**options) -> nw.Hypernetwork:
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1))
    reader = nw.conditioners.Examples((1,), outputs=1, size=16, channels=16)
    return nw.Hypernetwork(child, reader, "gaussian", **options)


def batch_of(tasks: int = 4):
    return Sine(shots=5, queries=8).sample(stream(0, "x"), tasks, "train")


def step_on(hypernetwork, batch, **options):
    """One step, and the gradient that it took."""
    optimiser = torch.optim.SGD(hypernetwork.parameters(), 0.0)
    torch.manual_seed(3)
    done = training_step(hypernetwork, Regression(), optimiser, batch, clip=float("inf"), **options)
    return done, {name: p.grad for name, p in hypernetwork.named_parameters()}


def test_the_loss_is_that_of_the_queries_and_the_weighted_penalty():
    hypernetwork, batch = make(), batch_of()
    plain, _ = step_on(hypernetwork, batch)
    done, gradients = step_on(hypernetwork, batch, kl_weight=0.25)
    penalty = hypernetwork.write(batch.condition).penalty
    assert done.metrics["mse"] == pytest.approx(plain.loss)
    assert done.metrics["penalty"] == pytest.approx(0.25 * float(penalty.detach().mean()))
    assert done.loss == pytest.approx(plain.loss + done.metrics["penalty"])
    hypernetwork.zero_grad()
    torch.manual_seed(3)
    written = hypernetwork.write(batch.condition)
    mse = (hypernetwork.child(written.params, batch.query.x) - batch.query.y).square().mean()
    (mse + 0.25 * written.penalty.mean()).backward()
    for name, parameter in hypernetwork.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{"stages": "two"}, {"recompute": True}])
def test_stages_and_recomputation_give_the_same_gradients(options):
    done, expected = step_on(make(), batch_of(), stages="one", kl_weight=0.1)
    again, gradients = step_on(make(), batch_of(), kl_weight=0.1, **options)
    assert again.loss == pytest.approx(done.loss)
    assert again.metrics["penalty"] == pytest.approx(done.metrics["penalty"])
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stages", ["one", "two"])
def test_a_task_that_is_left_out_leaves_its_penalty_out(stages):
    batch = batch_of()
    batch.query.y[3] = 1e30
    done, _ = step_on(make(), batch, stages=stages, kl_weight=0.1)
    assert done.left_out == 1
    kept = make().write(batch_of().condition.rows(slice(0, 3))).penalty.detach()
    assert done.metrics["penalty"] == pytest.approx(0.1 * float(kept.mean()), rel=1e-4)


def test_a_penalty_that_there_is_not_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(RunError, match=r"`kl_weight` is 0.5 and Dense writes no distribution"):
        run(tmp_path / "a", kl_weight=0.5)
    assert not (tmp_path / "a").exists()
    with pytest.raises(RunError, match=r"`kl_weight` of the training settings"):
        run(tmp_path / "a", kl_weight=-1)


def test_the_penalty_is_logged_and_training_with_it_is_decided_by_its_record(tmp_path):
    logs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        hypernetwork = make()
        result = nw.train(
            hypernetwork, Sine(shots=5, queries=8), **{**SETTINGS, "steps": 8, "kl_weight": 0.01}
        )
        logs.append(result.log)
        assert result.run.training.kl_weight == 0.01
    assert logs[0] == logs[1]
    assert all(line["penalty"] > 0 for line in logs[0] if "loss" in line)


def test_a_strong_penalty_leads_to_the_prior():
    hypernetwork, batch = make(prior_std=0.5), batch_of()
    optimiser = torch.optim.Adam(hypernetwork.parameters(), 1e-2)
    hypernetwork.train()
    for _ in range(300):
        training_step(hypernetwork, Regression(), optimiser, batch, clip=1.0, kl_weight=1e3)
    q = hypernetwork.distribution(batch.condition)
    torch.testing.assert_close(q.mean, torch.zeros_like(q.mean), atol=0.1, rtol=0)
    torch.testing.assert_close(q.std, torch.full_like(q.std, 0.5), atol=0.1, rtol=0)


def test_likelihood_and_penalty_find_a_posterior_that_is_known():
    """One task, a child y = w x without bias and a prior N(0, 1): the posterior has a closed form."""
    torch.manual_seed(0)
    noise, x = 0.5, torch.linspace(-1, 1, 6)[None, :, None]
    examples = nw.ExampleSet.of(x, 0.7 * x)
    batch = nw.tasks.TaskBatch(nw.Condition(examples), examples)
    child = nw.Child(torch.nn.Linear(1, 1, bias=False))
    reader = nw.conditioners.Examples((1,), outputs=1, size=8, channels=8, depth=0)
    hypernetwork = nw.Hypernetwork(child, reader, "gaussian", prior_std=1.0)
    optimiser = torch.optim.Adam(hypernetwork.parameters(), 1e-2)
    repeated = batch.rows(torch.zeros(64, dtype=torch.long))
    for step in range(400):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * (1 - step / 400)
        training_step(
            hypernetwork, GaussianLikelihood(noise), optimiser, repeated, clip=10.0, kl_weight=1.0
        )
    precision = 1 + float(x.square().sum()) / noise**2
    q = hypernetwork.eval().distribution(batch.condition)
    expected = 0.7 * float(x.square().sum()) / noise**2 / precision
    assert float(q.mean.detach()) == pytest.approx(expected, rel=0.05)
    assert float(q.std.detach()) == pytest.approx(math.sqrt(1 / precision), rel=0.05)
