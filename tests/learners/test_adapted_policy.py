"""MAML for acting: its step by hand, its gradient by differences, its trial, and to the same bits after an interruption."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from machines import Line
from objectives.test_policy_gradient import SMALL, stopping

import netwright as nw
from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.environments import ENVIRONMENTS
from netwright.errors import ConditionError, RunError
from netwright.learners import AdaptedPolicy, Start, writer_from_record
from netwright.learners.catalogue import make_learner
from netwright.objectives import Imitation, PolicyGradient
from netwright.objectives.advantages import linear_baseline
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, Sine
from netwright.training import Checkpoints

LINEAR = nw.architectures.mlp(inputs=3, hidden=(), outputs=1)


def policy(child=LINEAR, **options) -> AdaptedPolicy:
    torch.manual_seed(0)
    return AdaptedPolicy(Start(Child(child)), **options)


def trial_of(writer, tasks=2, steps=5, seed=0):
    """A trial of a few steps, acted by the start itself."""
    generator = torch.Generator().manual_seed(seed)
    seen = torch.randn(tasks, steps, 3, generator=generator)
    with torch.no_grad():
        means = writer.child(writer.start(Condition(context=torch.zeros(tasks, 1))), seen)
    noise = torch.randn(means.shape, generator=generator) * writer.spread
    advantage = torch.randn(tasks, steps, 1, generator=generator)
    likelihood = torch.distributions.Normal(means, writer.spread).log_prob(means + noise)
    y = torch.cat([means + noise, likelihood, advantage], dim=-1)
    mask = torch.ones(tasks, steps, dtype=torch.bool)
    mask[1, 3:] = False
    return Condition(examples=ExampleSet(seen, y, mask)), noise[..., 0], advantage[..., 0]


def test_the_step_is_the_policy_gradient_taken_by_hand():
    writer = policy(spread=0.4).eval()
    rates = {"head.weight": 0.3, "head.bias": 0.05}
    for parameter, rate in zip(writer.log_rates, rates.values(), strict=True):
        parameter.data.fill_(np.log(rate))
    condition, noise, advantage = trial_of(writer)
    found = writer(condition)
    start = dict(zip(writer.child.space.names, writer.start.values, strict=True))
    for t, lasted in enumerate((5, 3)):
        seen = condition.examples.x[t, :lasted]
        # Of log N(a; w s + b, sigma): (a - mean) / sigma^2, times s for w.
        push = (advantage[t] * noise[t])[:lasted] / 0.4**2 / lasted
        weight = start["head.weight"] + rates["head.weight"] * (push @ seen)
        bias = start["head.bias"] + rates["head.bias"] * push.sum()
        torch.testing.assert_close(found["head.weight"][t], weight, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found["head.bias"][t], bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_it_is_differentiated_through_the_step(order):
    writer = policy(order=order).double()
    condition, _, _ = trial_of(policy())
    examples = condition.examples.to(torch.float64)
    weight = writer.start.values[0]

    def outer() -> torch.Tensor:
        params = writer(replace(condition, examples=examples))
        return writer.child(params, examples.x).square().sum()

    (gradient,) = torch.autograd.grad(outer(), weight)
    differences = torch.zeros_like(weight)
    for i in range(weight.numel()):
        for sign in (1, -1):
            with torch.no_grad():
                weight.view(-1)[i] += sign * 1e-5
            differences.view(-1)[i] += sign * outer().detach() / 2e-5
            with torch.no_grad():
                weight.view(-1)[i] -= sign * 1e-5
    # First order leaves out what the step itself owes to the start.
    agrees = torch.allclose(gradient, differences, rtol=1e-5)
    assert agrees == (order == 2)


def test_what_is_usual_is_a_fit_of_returns_on_each_machine_by_itself():
    batch = Control("cart-pole").sample(stream(0, "b"), 3, "train")
    episodes = roll_out(lambda x: x[..., :1], batch, spread=0.5)
    values, last = linear_baseline(episodes, discount=0.9)
    for t in range(3):
        lasted = int(episodes.alive[t, 0].sum())
        reward = episodes.rewards[t, 0].double().numpy()
        returns = np.array([sum(0.9**k * r for k, r in enumerate(reward[i:])) for i in range(200)])
        seen = torch.cat([episodes.seen[t, 0], episodes.last[t]]).double().numpy()
        time = np.linspace(0, 1, 201)[:, None]
        features = np.concatenate([seen, seen**2, time**0, time, time**2, time**3], axis=1)
        # Some features depend on others, so that it takes a ridge: as further rows here.
        ridge = 1e-3 * np.eye(features.shape[1])
        rows = np.concatenate([features[:lasted], ridge])
        aims = np.concatenate([returns[:lasted], np.zeros(len(ridge))])
        weights, *_ = np.linalg.lstsq(rows, aims, rcond=None)
        fitted = features[:lasted] @ weights
        np.testing.assert_allclose(values[t, 0, :lasted], fitted, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(last[t, 0], features[-1] @ weights, rtol=1e-3, atol=1e-3)


def test_a_trial_is_acted_by_the_start_from_states_that_are_not_tested():
    family = Control("cart-pole", episodes=1)
    writer = policy(nw.architectures.mlp(inputs=5, hidden=(), outputs=1), trials=2, spread=0.3)
    batch = family.sample(stream(0, "b"), 3, "test")
    tried = writer.tries(batch, seed=4)
    examples = tried.condition.examples
    assert tried.trial_steps == 2 * 200
    assert tried.rows(slice(0, 1)).trial_steps == 400
    assert torch.equal(tried.query.x, batch.query.x)
    assert torch.equal(tried.condition.context, batch.condition.context)
    assert examples.x.shape == (3, 400, 5)
    assert not torch.isclose(examples.x[:, 0], batch.inputs[:, 0]).all(dim=1).any()
    with torch.no_grad():
        means = writer.child(writer.start(batch.condition), examples.x)
    assert (examples.y[..., :1] - means).std() == pytest.approx(0.3, rel=0.1)
    by_hand = torch.distributions.Normal(means, 0.3).log_prob(examples.y[..., :1])
    torch.testing.assert_close(examples.y[..., 1:2], by_hand, rtol=1e-3, atol=1e-4)
    for t in range(3):
        advantage = examples.y[t, examples.mask[t], 2]
        assert float(advantage.mean()) == pytest.approx(0, abs=1e-4)
        assert float(advantage.square().mean()) == pytest.approx(1, rel=1e-3)
        # It falls over sooner or later: what is no part of the trial has no part in the step.
        assert examples.mask[t].sum() < 400
    assert torch.equal(writer.tries(batch, seed=4).condition.examples.y, examples.y)
    assert not torch.equal(writer.tries(batch, seed=5).condition.examples.y, examples.y)


def test_a_training_step_learns_from_what_adapted_policies_did():
    family = Control("pendulum")
    writer = policy(rate=0.3)
    batch = family.sample(stream(0, "b"), 4, "train")
    objective = PolicyGradient(**SMALL)
    found = objective.gather(writer, batch, step=0, steps=12, seed=0)
    again = objective.gather(writer, batch, step=1, steps=12, seed=0)
    assert torch.equal(found.condition.examples.x, again.condition.examples.x)
    # The adapted policies have acted, and not the start: they are as likely as they say to have done what they did.
    score = objective(writer.child, writer(found.condition), found)
    own = -found.advantage.mean(dim=1)
    means = writer.child(writer(found.condition), found.query.x)
    aside = 0.05 * (means.abs() - 1).clamp(min=0).square().sum(dim=-1).mean(dim=1)
    torch.testing.assert_close(score.loss, own + aside, rtol=1e-3, atol=1e-4)
    start = objective(writer.child, writer.start(found.condition), found)
    assert not torch.allclose(start.loss, score.loss, rtol=1e-2)


def trained(family, folder, resume=False):
    writer = policy(rate=0.3)
    result = nw.train(
        writer, family, objective=PolicyGradient(**SMALL), folder=folder, steps=16, resume=resume,
        progress=False, tasks=4, validate_every=8, validation_tasks=4, checkpoint_every=100,
    )  # fmt: skip
    return writer, result


def test_interrupted_in_the_middle_of_a_round_it_goes_on_in_the_same_bits(tmp_path):
    whole, result = trained(Control("pendulum"), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(stopping("pendulum", 5), tmp_path / "part")
    assert Checkpoints(tmp_path / "part").steps()[-1] % SMALL["updates"] != 0
    resumed, again = trained(Control("pendulum"), tmp_path / "part", resume=True)
    assert again.log == result.log
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_which_way_the_motor_turns_is_found_out_by_trial(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "line", Line)
    family = Control("line")
    child = nw.architectures.mlp(inputs=1, hidden=(16,), outputs=1, activation="tanh")
    learner = make_learner("maml-rl", family, child=child, seed=0, trials=2, discount=0.9)
    nw.train(
        learner.writer, family, objective=PolicyGradient(discount=0.9), steps=240, tasks=64, learning_rate=1e-2,
        warm_up=10, weight_decay=0.0, validate_every=240, validation_tasks=20, progress=False,
    )  # fmt: skip
    found = nw.evaluate(learner.writer, family, tasks=60)
    # Of policies that are the same for all no more than a third succeed.
    assert found.metrics["success"].low > 0.5
    # Adapted to another machine they push the wrong way half of the time.
    assert found.shuffled["success"].high < found.metrics["success"].low


def test_a_teacher_can_be_followed_by_trial_as_well():
    family = Control("pendulum")
    writer, teacher = policy(), nw.make_hypernetwork(family.shape, seed=0, size=8)
    batch = family.sample(stream(0, "b"), 3, "train")
    objective = Imitation(teacher, updates=4, parts=2)
    first = objective.gather(writer, batch, step=0, steps=8, seed=0)
    again = Imitation(teacher, updates=4, parts=2)
    again.keep(objective.kept())
    second = again.gather(writer, batch, step=1, steps=8, seed=0)
    assert first.condition.examples.x.shape == second.condition.examples.x.shape == (3, 200, 3)
    assert writer(second.condition)["head.weight"].shape == (3, 1, 3)


def test_evaluations_count_the_steps_of_the_trial():
    family = Control("pendulum")
    found = nw.evaluate(policy(trials=2), family, tasks=4)
    assert found.trial_steps == 400
    assert nw.evaluate(Start(Child(LINEAR)), family, tasks=4).trial_steps == 0


def test_keys_are_tried_by_their_logits():
    learner = make_learner("maml-rl", Control("grid-world", sources=("description",)), seed=0)
    batch = Control("grid-world", sources=("description",)).sample(stream(0, "b"), 2, "test")
    tried = learner.tries(batch)
    keys = tried.condition.examples.y[..., :-2]
    assert learner.writer.keys
    assert (keys.sum(dim=-1) == 1).all()
    assert learner.adapt(tried.condition)(batch.inputs).isfinite().all()


def test_other_steps_at_use_and_a_record():
    writer = policy(rate=0.3).eval()
    condition, _, _ = trial_of(writer)
    none = writer.with_steps_at_use(0)(condition)
    assert torch.equal(none["head.weight"][0], writer.start.values[0])
    more = writer.with_steps_at_use(2)(condition)
    assert not torch.equal(more["head.weight"], writer(condition)["head.weight"])
    again = writer_from_record(writer.record()).eval()
    again.load_state_dict(writer.state_dict())
    assert torch.equal(again(condition)["head.weight"], writer(condition)["head.weight"])


def test_what_cannot_be_tried_is_refused():
    with pytest.raises(RunError, match="trials=0, spread=0.5"):
        policy(trials=0)
    with pytest.raises(RunError, match="The child remembers, expected a policy without a memory"):
        policy(nw.architectures.recurrent_policy(inputs=6, outputs=1))
    with pytest.raises(RunError, match="`order` is 3, expected 1 or 2"):
        policy(order=3)
    with pytest.raises(RunError, match="`rate` is 0"):
        policy(rate=0)
    with pytest.raises(ConditionError, match="expected `examples`"):
        policy()(Condition(context=torch.zeros(1, 1)))
    with pytest.raises(ConditionError, match="The tasks are TaskBatch, expected machines"):
        policy().tries(Sine().sample(stream(0, "b"), 2, "test"))
    with pytest.raises(RunError, match="The tasks have values, expected tasks to act in"):
        make_learner("maml-rl", Sine())


def test_machines_whose_keys_are_not_all_legal_are_refused():
    games = Control("connect-k")
    learner = make_learner("maml-rl", games, seed=0)
    batch = games.sample(stream(0, "x"), 2, "train")
    with pytest.raises(ConditionError, match="not all keys are legal"):
        learner.writer.tries(batch)
