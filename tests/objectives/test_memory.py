"""Policies that remember: a whole episode at once equals step by step, and both equal a loop by hand."""

import pytest
import torch
from machines import Line
from objectives.test_policy_gradient import SMALL, stopping, swinging
from torch import nn

import netwright as nw
from netwright.architectures import recurrent_policy
from netwright.child import Child
from netwright.environments import ENVIRONMENTS
from netwright.errors import RunError
from netwright.learners import Start, writer_from_record
from netwright.learners.catalogue import make_learner
from netwright.objectives import Imitation, PolicyGradient
from netwright.objectives.memory import UnderWay, answering, begun, told, told_width
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, Sine
from netwright.training import Checkpoints, make_hypernetwork, plan_run

WIDTH = told_width(3, 1)
SHARED = [("recurrent.*", "shared")]


def child_of(emissions=(), hidden=4):
    torch.manual_seed(0)
    return Child(recurrent_policy(inputs=WIDTH, hidden=hidden, outputs=1), emissions=emissions)


def params_of(child, tasks=3):
    torch.manual_seed(1)
    return {name: v + 0.3 * torch.randn_like(v) for name, v in child.initial_params(tasks).items()}


def batch_of(name="pendulum", tasks=3, episodes=2, split="test"):
    return Control(name, episodes=episodes).sample(stream(0, "b"), tasks, split)


@pytest.mark.parametrize("emissions", [(), SHARED])
def test_a_whole_episode_at_once_is_a_loop_over_its_steps_by_hand(emissions):
    child = child_of(emissions)
    params, batch = params_of(child), batch_of()
    policy = answering(child, params)
    found = roll_out(policy, batch, spread=0.4, seed=3)
    x = told(found.seen, found.actions.clamp(-1, 1), found.rewards)
    whole = policy(x)
    # Likely is what was drawn around what each step said.
    by_hand = torch.distributions.Normal(whole, 0.4).log_prob(found.actions).squeeze(-1)
    torch.testing.assert_close(found.likelihood, by_hand, rtol=1e-4, atol=1e-4)
    for t in range(3):
        network = child.materialise(params, t)
        for n in range(2):
            cell = nn.GRUCell(WIDTH, 4)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(cell, name).data = getattr(network.recurrent, f"{name}_l0").data
            memory, action, reward = torch.zeros(1, 4), torch.zeros(1), torch.zeros(1)
            for step in range(200):
                begins = torch.full((1,), float(step == 0))
                size = reward.sign() * (1 + reward.abs()).log()
                told_now = torch.cat([found.seen[t, n, step], action, size, begins])
                memory = cell(told_now[None], memory)
                said = network.head(memory)[0]
                torch.testing.assert_close(whole[t, n, step], said, rtol=1e-3, atol=1e-4)
                action = found.actions[t, n, step].clamp(-1, 1)
                reward = found.rewards[t, n, step : step + 1]


def test_gradients_through_whole_episodes_are_those_of_the_module():
    child = child_of()
    params = {name: v.requires_grad_() for name, v in params_of(child, tasks=2).items()}
    x = torch.randn(2, 3, 7, WIDTH)
    found = torch.autograd.grad(child(params, x).square().sum(), list(params.values()))
    for t in range(2):
        network = child.materialise(params, t)
        network(x[t]).square().sum().backward()
        for gradient, parameter in zip(found, network.parameters(), strict=True):
            torch.testing.assert_close(gradient[t], parameter.grad, rtol=1e-4, atol=1e-5)


def test_a_sequence_that_goes_on_is_the_sequence_in_one():
    network = recurrent_policy(inputs=3, hidden=4, outputs=2).build()
    x = torch.randn(5, 6, 3)
    whole = network(x)
    first = network(torch.cat([x[:, :2], torch.zeros(5, 2, 4)], dim=-1))
    memory = first[:, -1:, 2:].expand(5, 4, 4)
    later = network(torch.cat([x[:, 2:], memory], dim=-1))
    torch.testing.assert_close(torch.cat([first, later], dim=1)[..., :2], whole)


def test_each_roll_out_begins_with_nothing_in_memory():
    child = child_of()
    policy, batch = answering(child, params_of(child)), batch_of()
    assert torch.equal(roll_out(policy, batch).rewards, roll_out(policy, batch).rewards)
    under_way = begun(policy)
    assert isinstance(under_way, UnderWay)
    first = under_way(batch.inputs)
    under_way.felt(torch.ones_like(first), -torch.ones(3, 2))
    assert not torch.equal(under_way(batch.inputs), first)
    assert begun(swinging) is swinging


def rl2(seed=0):
    return make_learner("rl2", Control("pendulum"), seed=seed, hidden=6).writer


def test_a_step_learns_from_whole_episodes_of_some_machines():
    family, writer = Control("pendulum", training_episodes=2), rl2()
    batch = family.sample(stream(0, "b"), 7, "train")
    objective = PolicyGradient(updates=6, parts=3)
    parts = [objective.gather(writer, batch, step=s, steps=12, seed=0) for s in range(3)]
    assert [part.query.x.shape for part in parts] == [(3, 2, 200, WIDTH), (3, 2, 200, WIDTH), (1, 2, 200, WIDTH)]  # fmt: skip
    rows = [tuple(row) for part in parts for row in part.query.x[:, 0, 0].tolist()]
    assert sorted(rows) == sorted(tuple(row) for row in objective.experience.query.x[:, 0, 0].tolist())  # fmt: skip
    # At first policies are as likely to do it again as they were to do it.
    part = parts[0]
    score = objective(writer.child, writer(part.condition), part)
    assert float(score.metrics["clipped"].max()) == 0
    means = writer.child(writer(part.condition), part.query.x).flatten(1, 2)
    aside = 0.05 * (means.abs() - 1).clamp(min=0).square().sum(dim=-1).mean(dim=1)
    torch.testing.assert_close(score.loss, aside - part.advantage.mean(dim=1), rtol=1e-3, atol=1e-4)


def test_fewer_machines_than_parts_are_learned_from_all_the_same():
    family, writer = Control("pendulum"), rl2()
    batch = family.sample(stream(0, "b"), 2, "train")
    objective = PolicyGradient(updates=6, parts=3)
    found = [objective.gather(writer, batch, step=s, steps=12, seed=0).tasks for s in range(3)]
    assert found == [1, 1, 1]


def trained(family, folder, resume=False):
    writer = rl2()
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
    before, after = dict(rl2().named_parameters()), dict(whole.named_parameters())
    learned = [name for name, value in before.items() if value.requires_grad]
    assert any("recurrent" in name for name in learned)
    assert not any(torch.equal(before[name], after[name]) for name in learned)


@pytest.mark.slow
def test_which_way_the_motor_turns_is_found_out_under_way(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "line", Line)
    family = Control("line")
    writer = make_learner("rl2", family, seed=0, hidden=32).writer
    nw.train(
        writer, family, objective=PolicyGradient(discount=0.9), steps=720, tasks=64, learning_rate=1e-2,
        warm_up=10, weight_decay=0.0, validate_every=240, validation_tasks=20, progress=False,
    )  # fmt: skip
    # Of policies without a memory that are the same for all no more than a third succeed.
    assert nw.evaluate(writer, family, tasks=60).metrics["success"].value > 0.6


def test_a_policy_that_remembers_can_be_written_for_each_machine_as_well():
    family = Control("pendulum")
    child = recurrent_policy(inputs=WIDTH, hidden=4, outputs=1)
    writer = make_hypernetwork(family.shape, seed=0, child=child, size=8)
    result = nw.train(
        writer, family, objective=PolicyGradient(**SMALL), steps=2, tasks=3, validation_tasks=2, progress=False
    )  # fmt: skip
    assert result.best_value is not None
    found = nw.evaluate(writer, family, tasks=4)
    assert found.metrics["return"].value < 0
    again = writer_from_record(Start(child_of(SHARED)).record())
    assert again.child.space.names == ("head.weight", "head.bias")


def test_what_does_not_fit_a_policy_that_remembers_is_refused():
    family = Control("pendulum")
    narrow = Start(Child(recurrent_policy(inputs=4, outputs=1)))
    with pytest.raises(RunError, match="reads 4 numbers per step, expected 6.*Give it inputs=6"):
        plan_run(narrow, family, "cpu", {})
    batch = family.sample(stream(0, "b"), 2, "train")
    teacher = make_hypernetwork(family.shape, seed=0, size=8)
    with pytest.raises(RunError, match="The children remember, expected policies without a memory"):
        Imitation(teacher).gather(rl2(), batch, step=0, steps=1, seed=0)
    with pytest.raises(RunError, match="The tasks have values, expected tasks to act in"):
        make_learner("rl2", Sine())
