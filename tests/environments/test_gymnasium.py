"""Environments of gymnasium as a family of machines."""

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.environments import ENVIRONMENTS, GymnasiumEnvironment, Quantity
from netwright.objectives import PolicyGradient
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control
from netwright.training import make_hypernetwork

gymnasium = pytest.importorskip("gymnasium")


class Spring(GymnasiumEnvironment):
    quantities = (
        Quantity("gravity", 8.0, 12.0, 10.0),
        Quantity("unlucky", 0.0, 1.0, 0.0, "switch"),
    )
    observations, actions, steps, hold, seconds = 3, 1, 20, 5, 0.05

    def make(self, machine):
        made = gymnasium.make("Pendulum-v1", g=machine["gravity"])
        if machine["unlucky"] > 0.5:
            step = made.step
            made.step = lambda action: step(action) if made.unwrapped.state[0] > 99 else 1 / 0
        return made

    def is_good(self, state, machine):
        return self.seen(state)[..., 0] > 0.95


@pytest.fixture
def family(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "spring", Spring)
    return Control("spring", training_episodes=2)


def lucky(batch):
    machine = batch.machine.clone()
    machine[:, 1] = 0.0
    from dataclasses import replace

    return replace(batch, machine=machine)


def test_episodes_are_those_of_gymnasium(family):
    batch = lucky(family.sample(stream(0, "b"), 2, "train"))
    found = roll_out(lambda seen: 0.5 * seen[..., :1], batch)
    for t in range(2):
        for n in range(2):
            episode = family.environment._episodes[int(batch.query.x[t, n, 0])]
            theirs = gymnasium.make("Pendulum-v1", g=float(batch.machine[t, 0]))
            seen, _ = theirs.reset(seed=episode.seed)
            for step in range(20):
                np.testing.assert_allclose(found.seen[t, n, step], seen, atol=1e-5)
                seen, reward, *_ = theirs.step(np.float32([2 * 0.5 * seen[0]]))
                assert float(found.rewards[t, n, step]) == pytest.approx(reward, abs=1e-4)
            np.testing.assert_allclose(found.last[t, n], seen, atol=1e-5)


def test_an_environment_that_raises_is_reported_and_left_out_and_the_run_goes_on(family, caplog):
    writer = make_hypernetwork(family.shape, seed=0, size=8)
    result = nw.train(
        writer, family, objective=PolicyGradient(updates=2, parts=2), steps=4, tasks=6,
        validation_tasks=6, progress=False, log_every=4,
    )  # fmt: skip
    assert "an environment has raised, its machine is left out: ZeroDivisionError" in caplog.text
    assert 0 < result.log[-2]["tasks_left_out"] < 24
    assert np.isfinite(result.log[-2]["loss"])
    assert np.isfinite(result.log[-1]["validation_return"])
    assert all(value.isfinite().all() for value in writer.state_dict().values())


def test_what_it_shows_must_have_the_width_that_was_said(family, caplog):
    class Wide(Spring):
        observations = 4

    environment = Wide()
    state = environment.start(np.random.default_rng(0), 1, 1)
    seen = environment.observe(state, environment.machine())
    assert seen.isnan().all()
    assert "it shows 3 numbers, expected 4" in caplog.text


def test_keys_are_numbers_to_gymnasium():
    class Cart(GymnasiumEnvironment):
        quantities = (Quantity("unused", 0.0, 1.0, 0.0),)
        observations, actions, steps, hold, seconds = 4, 2, 30, 1, 0.02
        discrete = True

        def make(self, machine):
            return gymnasium.make("CartPole-v1")

    environment = Cart()
    state = environment.start(np.random.default_rng(0), 1, 3)
    machine, right = environment.machine(), torch.tensor([0.0, 1.0]).expand(1, 3, 2)
    for _ in range(20):
        reward = environment.reward(state, right, machine)
        state = environment.step(state, right, machine)
    # Always to the right the pole falls.
    assert bool(environment.failed(state, machine).all())
    assert (reward >= 0).all()
