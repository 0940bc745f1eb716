"""Policies acting and learning: by hand, against a loop, and to the same bits after an interruption."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.environments import ENVIRONMENTS
from netwright.errors import ConditionError, RunError
from netwright.objectives import PolicyGradient
from netwright.objectives.critic import Critic
from netwright.objectives.policy_gradient import Experience
from netwright.objectives.rollout import Episodes, explored, log_likelihood, roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch, Sine
from netwright.training import Checkpoints, make_hypernetwork

SMALL = {"updates": 6, "parts": 3}


def batch_of(name, tasks=3, split="train", **options):
    return Control(name, **options).sample(stream(0, "b"), tasks, split)


def swinging(seen):
    """A policy of one action for machines of any kind."""
    return torch.sin(7 * seen.sum(dim=-1, keepdim=True)).expand(*seen.shape[:2], 1)


def test_episodes_are_those_of_a_loop_over_machines_and_episodes():
    batch = batch_of("cart-pole", split="test", episodes=2)
    environment = batch.environment
    found = roll_out(swinging, batch)
    for t in range(3):
        for n in range(2):
            state, machine = batch.query.x[t : t + 1, n : n + 1], batch.machine[t : t + 1]
            earned, good, lasted = 0.0, 0, True
            for step in range(environment.steps):
                action = swinging(environment.observe(state, machine))
                earned += float(environment.reward(state, action, machine))
                state = environment.step(state, action, machine)
                if environment.failed(state, machine):
                    lasted = False
                    break
                good += step >= environment.steps - environment.hold
            assert float(found.rewards[t, n].sum()) == pytest.approx(earned, rel=1e-4)
            assert int(found.alive[t, n].sum()) == step + 1
            assert bool(found.survived[t, n]) == lasted
            assert bool(found.success[t, n]) == (lasted and good >= 0.9 * environment.hold)


def test_exploration_is_as_likely_as_it_says():
    batch = batch_of("pendulum")
    found = roll_out(swinging, batch, spread=0.3, seed=5)
    means = torch.stack([swinging(found.seen[:, :, t]) for t in range(200)], dim=2)
    noise = found.actions - means
    assert noise.std() == pytest.approx(0.3, rel=0.05)
    by_hand = torch.distributions.Normal(means, 0.3).log_prob(found.actions).sum(dim=-1)
    torch.testing.assert_close(found.likelihood, by_hand, atol=1e-4, rtol=1e-4)
    flat = log_likelihood(found.actions.flatten(1, 2), means.flatten(1, 2), 0.3, False)
    torch.testing.assert_close(flat, by_hand.flatten(1, 2), atol=1e-4, rtol=1e-4)
    again = roll_out(swinging, batch, spread=0.3, seed=5)
    other = roll_out(swinging, batch, spread=0.3, seed=6)
    assert torch.equal(found.actions, again.actions)
    assert not torch.equal(found.actions, other.actions)


def test_advantages_are_those_of_the_definition():
    objective = PolicyGradient(discount=0.9, trace=0.8)
    steps = 6
    rewards, values, last = torch.randn(1, 1, steps), torch.randn(1, 1, steps), torch.randn(1, 1)
    for died_after in (None, 3):
        alive = torch.ones(1, 1, steps, dtype=torch.bool)
        if died_after is not None:
            alive[..., died_after + 1 :] = False
        survived = torch.tensor([[died_after is None]])
        empty = torch.zeros(0)
        episodes = Episodes(empty, empty, empty, rewards * alive, alive, empty, survived, survived)
        found = objective.advantages(episodes, values, last)[0, 0]
        end = steps if died_after is None else died_after + 1
        after = torch.cat([values[0, 0, 1:], last[0]])
        if died_after is not None:
            after[died_after] = 0.0
        for t in range(steps):
            by_hand = sum(
                (0.9 * 0.8) ** (k - t) * (rewards[0, 0, k] + 0.9 * after[k] - values[0, 0, k])
                for k in range(t, end)
            )
            torch.testing.assert_close(found[t], torch.as_tensor(by_hand, dtype=found.dtype))


def test_keys_are_drawn_by_their_logits():
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(1, 20_000, 3)
    keys = explored(logits, True, 0.5, torch.Generator().manual_seed(0))
    assert (keys.sum(dim=-1) == 1).all()
    torch.testing.assert_close(
        keys.mean(dim=1)[0], torch.softmax(logits[0, 0], dim=0), atol=0.01, rtol=0
    )
    own = log_likelihood(keys, logits, 0.5, True)
    by_hand = torch.distributions.Categorical(logits=logits).log_prob(keys.argmax(dim=-1))
    torch.testing.assert_close(own, by_hand)


def test_entropy_of_keys_is_worth_something():
    sure = torch.tensor([4.0, 0.0]).view(1, 1, 2).requires_grad_()
    batch = replace(
        experience([0.0], [0.0], [0.0]), action=torch.tensor([[[1.0, 0.0]]]), discrete=True
    )
    (gradient,) = torch.autograd.grad(
        PolicyGradient().judge(lambda x: sure, batch).loss.sum(), sure
    )
    assert gradient[0, 0, 0] > 0 > gradient[0, 0, 1]


def played(tasks=4):
    """A round of board games, and what the children that played it say to what they saw."""
    family = Control("connect-k", training_episodes=6)
    writer, objective = hypernetwork_for(family), PolicyGradient(updates=6, parts=1)
    batch = family.sample(stream(0, "train"), tasks, "train")
    found = objective.gather(writer, batch, step=0, steps=60, seed=0)
    outputs = writer.child(objective.written(writer, batch), found.query.x).detach()
    return objective, found, outputs.requires_grad_()


def test_likelihoods_are_those_among_the_keys_that_are_legal():
    _, found, outputs = played()
    playing = found.legal.any(dim=-1)
    assert 0.2 < playing.float().mean() < 1
    some = outputs[playing].masked_fill(~found.legal[playing], -torch.inf)
    keys = found.action[playing].argmax(dim=-1)
    by_hand = torch.distributions.Categorical(logits=some).log_prob(keys)
    torch.testing.assert_close(found.likelihood[playing], by_hand.detach(), atol=1e-5, rtol=1e-5)
    assert float(by_hand.detach().min()) < -1


def test_a_step_on_what_was_just_played_weighs_all_of_it_by_1_and_teaches_nothing_of_other_keys():
    objective, found, outputs = played()
    score = objective.judge(lambda x: outputs, found)
    logits = torch.log_softmax(outputs.masked_fill(~found.legal, -1e9), dim=-1)
    entropy = -(logits.exp() * logits * found.legal).sum(dim=-1)
    expected = -found.advantage.mean(dim=1) - 0.05 * 0.6 * entropy.mean(dim=1)
    # Where nothing is legal any more, what is left of an entropy is a constant.
    over = (~found.legal.any(dim=-1)).float().mean(dim=1) * float(np.log(25))
    torch.testing.assert_close(score.loss, expected - 0.05 * 0.6 * over, atol=1e-4, rtol=1e-4)
    assert not score.metrics["clipped"].any()
    (gradient,) = torch.autograd.grad(score.loss.sum(), outputs)
    assert not gradient[~found.legal].any()
    assert gradient[found.legal].abs().mean() > 0


def test_which_keys_were_legal_goes_where_the_actions_go():
    objective, found, _ = played()
    some = found.rows(torch.tensor([2, 0]))
    assert torch.equal(some.legal, found.legal[[2, 0]])
    assert torch.equal(found.to("cpu").legal, found.legal)
    assert objective.kept()["experience.legal"].dtype == torch.bool
    part = PolicyGradient(updates=6, parts=3)._part(found, 1, 0)
    assert part.legal.shape == part.action.shape
    seen = part.query.x[..., :25] + part.query.x[..., 25:]
    assert not (part.legal & (seen > 0)).any()
    assert batch_of("pendulum").environment.legal(None, None) is None


def experience(action, likelihood, advantage, spread=0.5):
    seen = torch.zeros(1, len(action), 1)
    return Experience(
        Condition(context=torch.zeros(1, 1)),
        ExampleSet.of(seen, seen),
        action=torch.tensor(action).view(1, -1, 1),
        likelihood=torch.tensor(likelihood).view(1, -1),
        advantage=torch.tensor(advantage).view(1, -1),
        spread=torch.tensor(spread),
        earned=torch.zeros(1),
        discrete=False,
    )


def test_the_loss_is_the_clipped_one():
    action, means = [0.2, -0.1, 0.4], torch.tensor([0.0, 0.1, 0.3]).view(1, 3, 1)
    now = log_likelihood(torch.tensor(action).view(1, 3, 1), means, 0.5, False)[0]
    ratios = torch.tensor([1.5, 0.5, 1.1])
    before = (now - ratios.log()).tolist()
    score = PolicyGradient(clip=0.2).judge(
        lambda x: means, experience(action, before, [1.0, -1.0, 2.0])
    )
    # 1.5 counts as 1.2 where that helps no further; 0.5 counts as 0.8 where it is punished; 1.1 as it is.
    expected = -(1.2 * 1.0 + 0.8 * -1.0 + 1.1 * 2.0) / 3
    assert float(score.loss) == pytest.approx(expected, rel=1e-4)
    assert float(score.metrics["clipped"]) == pytest.approx(2 / 3)


def test_means_beyond_what_actuators_take_are_drawn_back():
    means = torch.tensor([3.0]).view(1, 1, 1).requires_grad_()
    score = PolicyGradient().judge(lambda x: means, experience([3.0], [0.0], [0.0]))
    (gradient,) = torch.autograd.grad(score.loss.sum(), means)
    assert float(gradient) > 0


def hypernetwork_for(family, seed=0):
    return make_hypernetwork(family.shape, seed=seed, size=16)


def test_every_transition_is_learned_from_once_per_epoch():
    family = Control("pendulum")
    writer, objective = hypernetwork_for(family), PolicyGradient(updates=6, parts=3)
    batch = family.sample(stream(0, "train"), 2, "train")
    seen = [
        objective.gather(writer, batch, step=step, steps=60, seed=0).query.x for step in range(3)
    ]
    together = torch.cat(seen, dim=1)
    assert together.shape[1] == 200
    whole = objective.experience.query.x
    for t in range(2):
        own = {tuple(row) for row in together[t].tolist()}
        assert own == {tuple(row) for row in whole[t].tolist()}
    first = objective.experience
    objective.gather(writer, batch, step=5, steps=60, seed=0)
    assert objective.experience is first
    objective.gather(writer, batch, step=6, steps=60, seed=0)
    assert objective.experience is not first
    assert objective.experience.spread < first.spread


def test_the_critic_knows_the_machine_and_learns_returns_of_any_size():
    family = Control("pendulum")
    machine = family.machines(stream(0, "m"), 32, "train")
    low, high = family.environment.ranges
    critic = Critic(3, low, high, width=32, rate=3e-3)
    empty, alive = torch.zeros(0), torch.ones(32, 2, 10, dtype=torch.bool)
    for step in range(60):
        seen = torch.randn(32, 2, 10, 3, generator=torch.Generator().manual_seed(step))
        returns = -700 + 100 * (machine[:, 2].sign().view(-1, 1, 1) + seen[..., 0])
        over = alive[..., 0]
        episodes = Episodes(seen, empty, empty, empty, alive, empty, over, over)
        off = (critic.values(seen, machine) - returns).square().mean() / returns.var()
        critic.learn(episodes, returns, machine, seed=step)
    assert off < 0.05
    other = Critic(3, low, high, width=32, rate=3e-3)
    other.keep({name: value.clone() for name, value in critic.kept().items()})
    for each in (critic, other):
        each.learn(episodes, returns, machine, seed=99)
    assert torch.equal(other.values(seen, machine), critic.values(seen, machine))


def stopping(name, after):
    """The family, interrupted when tasks are drawn for training for so many times."""
    family = Control(name)
    sample, left = family.sample, [after]

    def counted(rng, tasks, split):
        left[0] -= split == "train"
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return sample(rng, tasks, split)

    family.sample = counted
    return family


def trained(family, folder, resume=False):
    writer = hypernetwork_for(family)
    result = nw.train(
        writer, family, objective=PolicyGradient(**SMALL), folder=folder, steps=16, resume=resume,
        progress=False, tasks=4, validate_every=8, validation_tasks=4, checkpoint_every=100,
    )  # fmt: skip
    return writer, result


# In the second some keys are not legal: which these were is part of a round.
@pytest.mark.parametrize("name", ["pendulum", "connect-k"])
def test_an_interrupted_training_goes_on_in_the_same_bits_in_the_middle_of_a_round(tmp_path, name):
    whole, result = trained(Control(name), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(stopping(name, 5), tmp_path / "part")
    assert Checkpoints(tmp_path / "part").steps()[-1] % SMALL["updates"] != 0
    resumed, again = trained(Control(name), tmp_path / "part", resume=True)
    assert again.log == result.log
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_policies_are_learned_and_the_wiring_is_in_the_condition_alone():
    family = Control("cart-pole")
    writer = make_hypernetwork(family.shape, seed=0)
    before = nw.evaluate(writer, family, tasks=40).metrics["return"].value
    result = nw.train(
        writer, family, objective=PolicyGradient(), steps=480, tasks=64, learning_rate=2e-3,
        warm_up=20, validate_every=480, validation_tasks=20, progress=False,
    )  # fmt: skip
    found = nw.evaluate(writer, family, tasks=40)
    # Of 200 steps; whoever always pushes the wrong way falls within 30.
    assert before < 60
    assert found.metrics["return"].value > 100
    assert found.shuffled["return"].value < found.metrics["return"].value - 30
    assert found.calibration_error is None
    assert set(result.log[-1]) >= {"validation_success", "validation_return"}


def test_a_machine_that_breaks_is_left_out_and_the_others_are_scored():
    batch = batch_of("pendulum", tasks=3, split="test")
    machine = batch.machine.clone()
    machine[1, 0] = float("nan")
    broken = EpisodeBatch(batch.condition, batch.query, machine, batch.environment)
    score = PolicyGradient().judge(swinging, broken)
    assert score.loss.isfinite().tolist() == [True, False, True]
    family = Control("pendulum")

    class Breaking(Control):
        def sample(self, rng, tasks, split):
            found = family.sample(rng, tasks, split)
            if split == "train":
                # What is known of it is as it should be: only its physics breaks.
                found = replace(found, machine=found.machine.clone())
                found.machine[0, 0] = float("nan")
            return found

    writer = hypernetwork_for(family)
    result = nw.train(
        writer, Breaking("pendulum"), objective=PolicyGradient(**SMALL), steps=6, tasks=3,
        validation_tasks=2, progress=False, log_every=6,
    )  # fmt: skip
    assert result.log[-2]["tasks_left_out"] == 6
    assert np.isfinite(result.log[-2]["loss"])
    assert all(value.isfinite().all() for value in writer.state_dict().values())


def test_tasks_that_are_no_machines_and_settings_out_of_range_are_refused():
    family = Sine()
    batch = family.sample(stream(0, "b"), 2, "test")
    with pytest.raises(ConditionError, match="The tasks are TaskBatch, expected machines"):
        PolicyGradient().judge(lambda x: x, batch)
    with pytest.raises(ConditionError, match="expected machines"):
        PolicyGradient().gather(None, batch, step=0, steps=1, seed=0)
    with pytest.raises(RunError, match="updates=0"):
        PolicyGradient(updates=0)
    with pytest.raises(RunError, match="a spread that does not grow"):
        PolicyGradient(spread=(0.1, 0.5))
    assert set(ENVIRONMENTS) >= {"pendulum", "cart-pole"}


def test_children_that_do_not_fit_their_machines_are_refused():
    family = Control("pendulum")
    for fault, message in (
        ({"inputs": 4, "outputs": 1}, r"reads inputs of shape \(4,\) and the machines show \(3,\)"),
        ({"inputs": 3, "outputs": 4}, "say 4 numbers and Pendulum takes 1 actions"),
    ):
        child = nw.architectures.mlp(hidden=(8,), **fault)
        writer = make_hypernetwork(family.shape, seed=0, child=child, size=8)
        with pytest.raises((RunError, ConditionError), match=message):
            nw.train(writer, family, steps=1, tasks=2, validation_tasks=2, progress=False)
