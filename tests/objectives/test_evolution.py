"""Variants of written weights, and what they say: against closed forms, and to the same bits after an interruption."""

import os
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from machines import Line

import netwright as nw
from netwright.environments import ENVIRONMENTS, ConnectK
from netwright.errors import ConditionError, RunError
from netwright.learners.catalogue import make_learner
from netwright.objectives import EvolutionStrategies, PolicyGradient
from netwright.objectives.evolution import ranks
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch, Sine
from netwright.training import Checkpoints, default_child, make_hypernetwork


@pytest.fixture
def line(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "line", Line)
    return Control("line")


def gathered(family, objective, *, tasks=3, child=None, step=0, seed=0, batch=None):
    writer = make_hypernetwork(family.shape, seed=0, size=16, child=child)
    batch = batch or family.sample(stream(0, "train"), tasks, "train")
    return writer, objective.gather(writer, batch, step=step, steps=10, seed=seed)


def test_ranks_are_those_of_a_count_and_ties_share_the_middle():
    found = ranks(torch.tensor([[3.0, -1.0, 2.0, 100.0], [5.0, 5.0, 5.0, 5.0]]))
    torch.testing.assert_close(found[0], torch.tensor([1 / 6, -1 / 2, -1 / 6, 1 / 2]))
    assert not found[1].any()
    pairs = ranks(torch.tensor([[1.0, 1.0, 0.0]]))
    torch.testing.assert_close(pairs[0], torch.tensor([0.25, 0.25, -0.5]))


class Straight(Line):
    """What is earned is the first action itself: the gradient of its rank is known."""

    steps, hold = 1, 1

    def observe(self, state, machine):
        return torch.ones_like(state)

    def reward(self, state, action, machine):
        return action.squeeze(-1) * machine[:, :1].sign()


def test_slopes_point_where_each_machine_earns_more(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "straight", Straight)
    family = Control("straight")
    child = nw.architectures.mlp(inputs=1, hidden=(), outputs=1)
    objective = EvolutionStrategies(pairs=400, spread=(0.1, 0.1))
    writer, found = gathered(family, objective, tasks=6, child=child)
    batch = family.sample(stream(0, "train"), 6, "train")
    # y = w + b: both are pushed by as much, and by the sign of the machine's gain; the loss is what is not earned.
    sign = batch.machine[:, 0].sign()
    assert set(sign.tolist()) == {-1.0, 1.0}
    stds = {spec.name: spec.std or 0.1 for spec in writer.child.space.tensors}
    size = 0.1 * sum(std**2 for std in stds.values()) ** 0.5
    # Ranks of a normal variable x are F(x) - 1/2, whose slope is on average 1 / (2 sqrt(pi)) over its deviation.
    expected = -sign / (2 * np.sqrt(np.pi)) / size
    for name, slope in found.slopes.items():
        torch.testing.assert_close(slope.flatten(), expected.float(), rtol=0.35, atol=0.0, msg=name)


def test_variants_are_there_and_back_in_all_directions_from_the_same_states(monkeypatch):
    import netwright.objectives.evolution as module

    calls = []

    def noted(policy, batch, **options):
        calls.append((policy, batch))
        return roll_out(policy, batch, **options)

    monkeypatch.setattr(module, "roll_out", noted)
    family = Control("pendulum")
    writer, found = gathered(family, EvolutionStrategies(pairs=3, spread=(0.2, 0.1)), tasks=2)
    policy, batch = calls[0]
    with torch.no_grad():
        params = writer.eval()(found.condition)
    assert isinstance(policy, partial)
    variants = policy.args[0]
    assert batch.machine.shape[0] == batch.query.x.shape[0] == 2 * 6
    assert torch.equal(batch.query.x[0], batch.query.x[5])
    assert not torch.equal(batch.query.x[5], batch.query.x[6])
    for name, own in params.items():
        off = variants[name].view(2, 6, *own.shape[1:]) - own.unsqueeze(1)
        torch.testing.assert_close(off[:, :3], -off[:, 3:], atol=1e-6, rtol=0)
        if own[0].numel() > 30:
            std = next(s.std for s in writer.child.space.tensors if s.name == name)
            assert float(off.std()) == pytest.approx(0.2 * std, rel=0.2), name
    # What is estimated is the definition, by a loop.
    earned = roll_out(policy, batch).rewards.sum(dim=2).mean(dim=1).view(2, 6)
    share = ranks(earned)
    name = "head.weight"
    off = (variants[name].view(2, 6, *params[name].shape[1:]) - params[name].unsqueeze(1))[:, :3]
    size = 0.2 * next(s.std for s in writer.child.space.tensors if s.name == name)
    for t in range(2):
        by_hand = sum(
            -(share[t, k] - share[t, k + 3]) / 2 * off[t, k] / size / (3 * size) for k in range(3)
        )
        torch.testing.assert_close(found.slopes[name][t], by_hand, rtol=1e-3, atol=1e-3)


def test_what_is_estimated_reaches_what_writes_and_its_size_falls():
    family = Control("pendulum")
    objective = EvolutionStrategies(pairs=2)
    writer, found = gathered(family, objective)
    params = writer(found.condition)
    score = objective(writer.child, params, found)
    torch.testing.assert_close(score.loss.detach(), -found.earned)
    assert (score.metrics["apart"] > 0).all()
    own = [params[name] for name in params]
    gradients = torch.autograd.grad(score.loss.mean(), own, retain_graph=True)
    for name, gradient in zip(params, gradients, strict=True):
        torch.testing.assert_close(gradient, found.slopes[name] / 3)
    score.loss.mean().backward()
    assert any(bool(p.grad.any()) for p in writer.parameters() if p.grad is not None)
    _, again = gathered(family, objective)
    _, later = gathered(family, objective, step=9)
    assert torch.equal(found.slopes["head.weight"], again.slopes["head.weight"])
    assert later.slopes["head.weight"].std() > 1.5 * found.slopes["head.weight"].std()
    some = found.rows(torch.tensor([2]))
    assert torch.equal(some.slopes["head.bias"], found.slopes["head.bias"][2:])
    assert torch.equal(found.to("cpu").earned, found.earned)


@pytest.mark.parametrize("name", ["grid-world", "connect-k"])
def test_keys_are_learned_as_well(name):
    family = Control(name)
    _, found = gathered(family, EvolutionStrategies(pairs=3), tasks=4)
    assert found.slopes["head.weight"].any()
    assert found.earned.isfinite().all()
    assert isinstance(Control("connect-k").environment, ConnectK)


def test_policies_that_remember_are_learned_as_well():
    family = Control("pendulum")
    child = nw.architectures.recurrent_policy(inputs=6, outputs=1)
    _, found = gathered(family, EvolutionStrategies(pairs=2), tasks=2, child=child)
    assert all(slope.any() for name, slope in found.slopes.items() if "weight" in name)


SETTINGS = {
    "steps": 8, "progress": False, "tasks": 4, "validate_every": 8, "validation_tasks": 2, "checkpoint_every": 100,
}  # fmt: skip


def trained(family, folder, resume=False, **settings):
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    result = nw.train(
        writer, family, objective=EvolutionStrategies(pairs=2), folder=folder, resume=resume, **{**SETTINGS, **settings}
    )  # fmt: skip
    return writer, result


def test_an_interrupted_training_goes_on_in_the_same_bits(tmp_path, line):
    whole, result = trained(line, tmp_path / "whole")
    stopping = Control("line")
    sample, left = stopping.sample, [4]

    def counted(rng, tasks, split):
        left[0] -= split == "train"
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return sample(rng, tasks, split)

    stopping.sample = counted
    with pytest.raises(KeyboardInterrupt):
        trained(stopping, tmp_path / "part")
    assert Checkpoints(tmp_path / "part").steps()[-1] < SETTINGS["steps"]
    resumed, again = trained(line, tmp_path / "part", resume=True)
    assert again.log == result.log
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_policies_are_learned_and_the_wiring_is_in_the_condition_alone(line):
    child = default_child(line.shape, hidden=(8,))
    writer = make_hypernetwork(line.shape, seed=0, size=16, child=child)
    before = nw.evaluate(writer, line, tasks=40).metrics["success"].value
    nw.train(
        writer, line, objective=EvolutionStrategies(pairs=8), steps=40, tasks=32, learning_rate=2e-2,
        warm_up=5, validate_every=40, validation_tasks=20, progress=False,
    )  # fmt: skip
    found = nw.evaluate(writer, line, tasks=40)
    assert before < 0.5
    assert found.metrics["success"].value > 0.85
    assert found.shuffled["success"].value < 0.7


def test_a_machine_that_breaks_is_left_out():
    family = Control("pendulum")
    batch = family.sample(stream(0, "train"), 3, "train")
    machine = batch.machine.clone()
    machine[1, 0] = float("nan")
    broken = EpisodeBatch(batch.condition, batch.query, machine, batch.environment)
    objective = EvolutionStrategies(pairs=2)
    writer, found = gathered(family, objective, batch=broken)
    loss = objective(writer.child, writer(found.condition), found).loss
    assert loss.isfinite().tolist() == [True, False, True]
    kept = found.rows(torch.tensor([0, 2]))
    objective(writer.child, writer(kept.condition), kept).loss.mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in writer.parameters())


def test_what_cannot_be_taught_is_refused_in_one_line(tmp_path):
    family = Control("pendulum")
    writer = make_learner("film", family, child=default_child(family.shape), seed=0).writer
    with pytest.raises(RunError, match="weights of the child are shared by all tasks") as raised:
        nw.train(writer, family, objective=EvolutionStrategies(), folder=tmp_path / "run", **SETTINGS)  # fmt: skip
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()
    writer, found = gathered(family, EvolutionStrategies(pairs=1), tasks=2)
    with pytest.raises(RunError, match="were given outputs, expected weights"):
        EvolutionStrategies().judge(lambda x: x[..., :1], found)
    sine = Sine().sample(stream(0, "b"), 2, "test")
    with pytest.raises(ConditionError, match="expected machines"):
        EvolutionStrategies().gather(writer, sine, step=0, steps=1, seed=0)
    for options, message in (
        ({"pairs": 0}, "pairs=0"),
        ({"spread": (0.1, 0.2)}, "that does not grow"),
        ({"spread": (0.1, 0.0)}, "of more than 0"),
    ):
        with pytest.raises(RunError, match=message):
            EvolutionStrategies(**options)


def test_policies_are_scored_as_those_of_other_objectives():
    family = Control("pendulum")
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = replace(family.sample(stream(0, "b"), 3, "test"))
    params = writer.eval()(batch.condition)
    found, other = (
        kind()(writer.child, params, batch) for kind in (EvolutionStrategies, PolicyGradient)
    )
    assert torch.equal(found.loss, other.loss)
