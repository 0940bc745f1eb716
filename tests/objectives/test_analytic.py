"""Returns differentiated through physics: against finite differences, a loop, and to the same bits after an interruption."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from machines import Line

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.environments import ENVIRONMENTS, GymnasiumEnvironment, Pendulum
from netwright.errors import ConditionError, RunError
from netwright.learners.catalogue import make_learner
from netwright.objectives import AnalyticGradient, PolicyGradient
from netwright.objectives.analytic import Windows, check_differentiable
from netwright.objectives.critic import Critic
from netwright.objectives.own_gradients import limited, steered
from netwright.objectives.unroll import unroll
from netwright.rng import stream
from netwright.tasks import Control, Sine
from netwright.training import Checkpoints, default_child, make_hypernetwork

CHILD = nw.Child(nw.architectures.mlp(inputs=3, hidden=(4,), outputs=1))
SMALL = {"updates": 4, "starts": 2, "window": 5, "critic": 8}


def hypernetwork_for(family):
    return make_hypernetwork(family.shape, seed=0, size=16)


def windows(state, machine, environment, steps, *, spread=0.0, alive=True):
    """One machine's window from one state."""
    start = torch.tensor(state, dtype=machine.dtype).view(1, 1, -1)
    generator = torch.Generator().manual_seed(0)
    nudges = torch.randn(1, 1, steps, environment.actions, generator=generator, dtype=machine.dtype)
    return Windows(
        condition=Condition(context=machine),
        query=ExampleSet.of(start, start[..., :1]),
        machine=machine,
        environment=environment,
        nudges=spread * nudges,
        alive=torch.full((1, 1), alive),
        earned=torch.zeros(1),
    )


def linear(gain):
    """A policy of one number."""
    return lambda seen: gain * seen[..., 1:2]


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_the_gradient_is_that_of_finite_differences_of_what_a_loop_earns(spread):
    environment = Pendulum()
    machine = environment.machine(gain=-0.9, mass=1.2).double()
    batch = windows([0.5, -0.3], machine, environment, 12, spread=spread)
    objective = AnalyticGradient(window=12, discount=0.9, critic=0)

    def earned(gain):
        state, total = batch.query.x, 0.0
        for step in range(12):
            action = gain * environment.observe(state, machine)[..., 1:2]
            action = action + batch.nudges[:, :, step]
            total += 0.9**step * float(environment.reward(state, action, machine))
            state = environment.step(state, action, machine)
        return total

    gain = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    loss = objective.judge(linear(gain), batch).loss
    # Losses are in units of what a reward of 1 at every step earns.
    unit = sum(0.9**step for step in range(12))
    assert float(loss.detach()) * unit == pytest.approx(-earned(0.4), rel=1e-6)
    (gradient,) = torch.autograd.grad(loss.sum(), gain)
    by_hand = -(earned(0.4 + 1e-5) - earned(0.4 - 1e-5)) / 2e-5 / unit
    assert float(gradient) == pytest.approx(by_hand, rel=1e-5)


def test_what_is_beyond_a_window_is_what_the_critic_thinks_of_its_end():
    environment = Pendulum()
    machine = environment.machine()
    low, high = environment.ranges
    objective = AnalyticGradient(window=4, discount=0.9)
    objective.critic = critic = Critic(3, low, high, width=16, rate=1e-3)
    critic.scale = torch.tensor([-300.0, 50.0])
    batch = windows([0.5, -0.3], machine, environment, 4)
    gain = torch.tensor(0.4, requires_grad=True)
    found = unroll(linear(gain), environment, machine, batch.query.x, batch.nudges)
    value = critic.net(
        torch.cat([found.last, ((machine - critic.middle) / critic.half).view(1, 1, -1)], dim=-1)
    )
    expected = (found.rewards * 0.9 ** torch.arange(4)).sum() + 0.9**4 * (value * 50 - 300)
    loss = objective.judge(linear(gain), batch).loss
    assert float(loss.detach()) == pytest.approx(-float(expected.detach()) / 50, rel=1e-5)
    by_loss, by_hand = (torch.autograd.grad(v.sum(), gain)[0] for v in (loss, -expected / 50))
    assert float(by_loss) == pytest.approx(float(by_hand), rel=1e-4)
    # The critic is not taught by what climbs it.
    critic.net.zero_grad(set_to_none=True)
    objective.judge(linear(gain), batch).loss.sum().backward()
    assert all(parameter.grad is None for parameter in critic.net.parameters())
    # What is over is worth nothing more.
    over = replace(batch, alive=torch.zeros(1, 1, dtype=torch.bool))
    assert not objective.judge(linear(gain), over).loss.any()


def test_an_episode_that_fails_in_a_window_earns_nothing_more():
    environment = ENVIRONMENTS["cart-pole"]()
    machine = environment.machine()
    state = torch.tensor([0.0, 0.0, 0.2, 1.0]).view(1, 1, -1)
    found = unroll(lambda x: 0 * x[..., :1], environment, machine, state, torch.zeros(1, 1, 8, 1))
    lasted = int(found.alive.sum())
    assert 0 < lasted < 8
    assert not found.survived.any()
    assert (found.rewards[0, 0, :lasted] > 0.5).all()
    assert not found.rewards[0, 0, lasted:].any()


def test_no_task_counts_for_more_than_the_others_and_broken_ones_for_nothing():
    params = {
        "a": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], requires_grad=True),
        "b": torch.ones(4, 1, requires_grad=True),
    }
    slopes = torch.tensor([1.0, 2.0, 100.0, float("inf")])
    found = limited(params, 2.0)
    assert torch.equal(found["a"], params["a"])
    loss = slopes * (found["a"].sum(dim=1) + found["b"][:, 0])
    # A mean over tasks, or a sum over chunks of them: lengths are compared with each other.
    for scale in (1.0, 0.25):
        a, b = torch.autograd.grad(scale * loss.sum(), params.values(), retain_graph=True)
        expected = scale * torch.tensor([1.0, 2.0, 4.0, 0.0])
        torch.testing.assert_close(a, expected.view(4, 1).expand(4, 2))
        torch.testing.assert_close(b, expected.view(4, 1))


def test_a_gradient_that_is_given_is_the_one_that_arrives():
    params = {"a": torch.zeros(2, 3, requires_grad=True), "b": torch.zeros(2, requires_grad=True)}
    slopes = {"a": torch.randn(2, 3), "b": torch.randn(2)}
    values = steered(torch.tensor([5.0, 7.0]), params, slopes)
    assert values.tolist() == [5.0, 7.0]
    (values * torch.tensor([1.0, 3.0])).sum().backward()
    weight = torch.tensor([1.0, 3.0])
    torch.testing.assert_close(params["a"].grad, weight.view(2, 1) * slopes["a"])
    torch.testing.assert_close(params["b"].grad, weight * slopes["b"])


def test_windows_begin_where_policies_have_come_to_and_episodes_were_going_on():
    family = Control("cart-pole", training_episodes=2)
    writer, objective = hypernetwork_for(family), AnalyticGradient(**{**SMALL, "starts": 3})
    batch = family.sample(stream(0, "train"), 4, "train")
    first = objective.gather(writer, batch, step=0, steps=8, seed=0)
    round_of, lived = objective.round["states"], objective.round["alive"]
    assert 0.02 < lived.float().mean() < 0.9
    for t in range(4):
        known = {tuple(state) for state in round_of[t][lived[t]].tolist()}
        assert all(tuple(state) in known for state in first.query.x[t].tolist())
    assert first.alive.all()
    second = objective.gather(writer, batch, step=1, steps=8, seed=0)
    assert objective.round["states"] is round_of or torch.equal(objective.round["states"], round_of)
    assert not torch.equal(first.query.x, second.query.x)
    assert not torch.equal(first.nudges, second.nudges)
    assert second.nudges.std() < first.nudges.std() * 1.5
    objective.gather(writer, batch, step=4, steps=8, seed=0)
    assert not torch.equal(objective.round["states"], round_of)


def test_exploration_falls_and_may_be_none():
    family = Control("pendulum")
    writer = hypernetwork_for(family)
    batch = family.sample(stream(0, "train"), 40, "train")
    sizes = []
    for step in (0, 400, 799):
        objective = AnalyticGradient(**{**SMALL, "window": 20}, spread=(0.5, 0.05))
        sizes.append(objective.gather(writer, batch, step=step, steps=800, seed=0).nudges.std())
    torch.testing.assert_close(torch.stack(sizes), torch.tensor([0.5, 0.158, 0.05]), rtol=0.1, atol=0)  # fmt: skip
    still = AnalyticGradient(**SMALL, spread=(0.0, 0.0))
    assert not still.gather(writer, batch, step=0, steps=8, seed=0).nudges.any()


def stopping(after):
    """Pendulums, interrupted when tasks are drawn for training for so many times."""
    family = Control("pendulum")
    sample, left = family.sample, [after]

    def counted(rng, tasks, split):
        left[0] -= split == "train"
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return sample(rng, tasks, split)

    family.sample = counted
    return family


SETTINGS = {
    "steps": 10, "progress": False, "tasks": 4, "validate_every": 10, "validation_tasks": 2, "checkpoint_every": 100,
}  # fmt: skip


def trained(family, folder, resume=False, objective=None, **settings):
    writer = hypernetwork_for(family)
    result = nw.train(
        writer, family, objective=objective or AnalyticGradient(**SMALL), folder=folder, resume=resume,
        **{**SETTINGS, **settings},
    )  # fmt: skip
    return writer, result


def test_an_interrupted_training_goes_on_in_the_same_bits_in_the_middle_of_a_round(tmp_path):
    whole, result = trained(Control("pendulum"), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(stopping(6), tmp_path / "part")
    assert Checkpoints(tmp_path / "part").steps()[-1] % SMALL["updates"] != 0
    resumed, again = trained(Control("pendulum"), tmp_path / "part", resume=True)
    assert again.log == result.log
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_chunks_of_machines_have_the_gradient_of_all_at_once():
    family = Control("pendulum")
    # Without a limit: which gradients are long is seen within a chunk.
    options = {**SMALL, "limit": 1e9}
    one, two = (
        trained(family, None, steps=2, stages=stages, objective=AnalyticGradient(**options))[0]
        for stages in ("one", "two")
    )
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.fixture
def line(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "line", Line)
    return Control("line")


def test_policies_are_learned_in_few_steps_and_the_wiring_is_in_the_condition_alone(line):
    writer = make_hypernetwork(line.shape, seed=0, size=16)
    before = nw.evaluate(writer, line, tasks=40).metrics["success"].value
    objective = AnalyticGradient(updates=4, starts=2, window=8, discount=0.9, spread=(0.3, 0.05))
    nw.train(
        writer, line, objective=objective, steps=30, tasks=32,
        learning_rate=1e-2, warm_up=5, validate_every=30, validation_tasks=20, progress=False,
    )  # fmt: skip
    found = nw.evaluate(writer, line, tasks=40)
    assert before < 0.5
    assert found.metrics["success"].value > 0.9
    assert found.shuffled["success"].value < 0.7


def test_a_machine_that_breaks_is_left_out_and_does_not_reach_the_others():
    family = Control("pendulum")

    class Breaking(Control):
        def sample(self, rng, tasks, split):
            found = family.sample(rng, tasks, split)
            if split == "train":
                # What is known of it is as it should be: only its physics breaks.
                found = replace(found, machine=found.machine.clone())
                found.machine[0, 0] = float("nan")
            return found

    writer, result = trained(Breaking("pendulum"), None, steps=5, log_every=5)
    assert result.log[-2]["tasks_left_out"] == 5
    assert np.isfinite(result.log[-2]["loss"])
    assert all(value.isfinite().all() for value in writer.state_dict().values())


PHYSICS = [
    "acrobot", "cart-pole", "cart-pole-swing-up", "mountain-car", "pendulum", "quadrotor", "reacher",
]  # fmt: skip


@pytest.mark.parametrize("name", PHYSICS)
@pytest.mark.parametrize("kind", ["hypernetwork", "film"])
def test_every_machine_in_tensors_teaches_what_writes_and_what_is_shared(name, kind):
    family = Control(name)
    writer = make_learner(kind, family, child=default_child(family.shape), seed=0).writer
    objective = AnalyticGradient(**SMALL)
    batch = family.sample(stream(0, "train"), 3, "train")
    lesson = objective.gather(writer, batch, step=0, steps=8, seed=0)
    loss = objective(writer.child, writer(lesson.condition), lesson).loss
    loss.mean().backward()
    reached = [p.grad for p in writer.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in reached)
    assert any(gradient.any() for gradient in reached)
    shared = [p.grad for p in writer.child.parameters() if p.requires_grad]
    assert bool(shared) == (kind == "film")
    assert all(gradient.any() for gradient in shared)


class Outside(GymnasiumEnvironment):
    quantities, observations, actions = Pendulum.quantities, 3, 1
    steps, hold, seconds = 5, 1, 0.05

    def make(self, machine):
        raise AssertionError


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (ENVIRONMENTS["grid-world"], "GridWorld: its actions are keys"),
        (ENVIRONMENTS["connect-k"], "ConnectK: its actions are keys"),
        (Outside, "Outside: its physics has no gradient"),
        (ENVIRONMENTS["half-cheetah"], "HalfCheetah: its physics has no gradient"),
    ],
)
def test_what_cannot_be_differentiated_is_refused_in_one_line(environment, message):
    with pytest.raises(RunError, match=message + ".*Use `policy-gradient`") as raised:
        check_differentiable(object.__new__(environment), CHILD)
    assert "\n" not in str(raised.value)


def test_training_refuses_what_it_cannot_differentiate_before_anything_is_learned(tmp_path):
    with pytest.raises(RunError, match="GridWorld: its actions are keys"):
        trained(Control("grid-world"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    family = Control("pendulum")
    remembering = nw.architectures.recurrent_policy(inputs=6, outputs=1)
    writer = make_hypernetwork(family.shape, seed=0, child=remembering)
    batch = family.sample(stream(0, "b"), 2, "train")
    with pytest.raises(RunError, match="The children remember"):
        AnalyticGradient().gather(writer, batch, step=0, steps=1, seed=0)
    sine = Sine().sample(stream(0, "b"), 2, "test")
    with pytest.raises(ConditionError, match="expected machines"):
        AnalyticGradient().gather(writer, sine, step=0, steps=1, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window=0"),
        ({"starts": 0}, "starts=0"),
        ({"critic": -1}, "critic=-1"),
        ({"updates": 0}, "updates=0"),
        ({"discount": 0.0}, "discount=0.0"),
        ({"spread": (0.1, 0.5)}, "a spread that does not grow"),
        ({"limit": 0.0}, "limit=0.0, expected more than 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(RunError, match=message):
        AnalyticGradient(**options)


def test_policies_are_scored_as_those_of_other_objectives():
    batch = Control("pendulum").sample(stream(0, "b"), 3, "test")
    policy = linear(torch.tensor(0.3))
    found, other = (kind().judge(policy, batch) for kind in (AnalyticGradient, PolicyGradient))
    assert torch.equal(found.loss, other.loss)
    assert torch.equal(found.metrics["success"], other.metrics["success"])
