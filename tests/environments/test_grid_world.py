"""The grid: its rules by hand, the best return by another search, sentences that say the rule."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from netwright.environments import GridWorld
from netwright.environments.grid_world import COLOURS, SIDE
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control

UP, DOWN, LEFT, RIGHT = (F.one_hot(torch.tensor(i), 4).float().view(1, 1, 4) for i in range(4))


@pytest.fixture
def grid():
    return GridWorld()


def placed(player, **things):
    """A state; colours that are not placed are gone."""
    state = [*player]
    for colour in COLOURS:
        state += things.get(colour, (0, 0))
    return torch.tensor([[[*state, *[float(c in things) for c in COLOURS]]]]).float()


def rule(**values):
    grid = GridWorld()
    return grid.machine(**{"red": 0.0, **values})


def test_keys_move_the_player_and_walls_stop_it(grid):
    state, machine = placed((2, 3), red=(5, 5)), rule(red=1.0)
    for key, place in ((UP, [2, 4]), (DOWN, [2, 2]), (LEFT, [1, 3]), (RIGHT, [3, 3])):
        assert grid.step(state, key, machine)[0, 0, :2].tolist() == place
    assert grid.step(placed((0, 3), red=(5, 5)), LEFT, machine)[0, 0, :2].tolist() == [0, 3]
    inverted, turned = rule(red=1.0, inverted=1.0), rule(red=1.0, turned=1.0)
    assert grid.step(state, UP, inverted)[0, 0, :2].tolist() == [2, 2]
    assert grid.step(state, UP, turned)[0, 0, :2].tolist() == [3, 3]
    both = rule(red=1.0, inverted=1.0, turned=1.0)
    assert grid.step(state, LEFT, both)[0, 0, :2].tolist() == [2, 4]


def test_things_are_worth_what_the_rule_says_and_then_gone(grid):
    state = placed((2, 2), red=(2, 3), blue=(3, 2), green=(1, 2))
    machine = rule(red=1.0, blue=-1.0, green=0.0)
    for key, worth in ((UP, 1.0), (RIGHT, -1.0), (LEFT, 0.0), (DOWN, 0.0)):
        assert float(grid.reward(state, key, machine)) == pytest.approx(worth - 0.02)
    after = grid.step(state, UP, machine)
    assert after[0, 0, 10:].tolist() == [0.0, 1.0, 1.0, 0.0]
    # All that was to be collected is: nothing moves, costs or earns any more.
    assert bool(grid.is_good(after, machine))
    assert float(grid.reward(after, RIGHT, machine)) == 0.0
    assert torch.equal(grid.step(after, RIGHT, machine), after)


def test_the_best_return_is_that_of_trying_everything(grid):
    machine = rule(red=1.0, green=1.0, blue=-1.0)
    state = placed((0, 0), red=(2, 0), blue=(1, 0), green=(0, 1))
    # Around blue: up (green), right, right, down (red).
    assert grid.best(state[0, 0], machine[0]) == pytest.approx(2 - 4 * 0.02)
    rng = np.random.default_rng(0)
    grid.__class__ = type("Short", (GridWorld,), {"steps": 5})
    for _ in range(6):
        state = grid.start(rng, 1, 1)
        state[..., 2:10] = state[..., :2].repeat(1, 1, 4) + torch.from_numpy(
            rng.integers(-2, 3, (1, 1, 8))
        )
        state[..., 2:10] = state[..., 2:10].clamp(0, SIDE - 1)
        machine = torch.tensor([[1.0, -1.0, 1.0, 0.0, 0.0, 0.0]])
        best = -np.inf
        for keys in itertools.product((UP, DOWN, LEFT, RIGHT), repeat=5):
            now, earned = state, 0.0
            for key in keys:
                earned += float(grid.reward(now, key, machine))
                now = grid.step(now, key, machine)
            best = max(best, earned)
        assert grid.best(state[0, 0], machine[0]) == pytest.approx(best, abs=1e-6)


def test_no_rule_of_testing_is_one_of_training():
    family = Control("grid-world", sources=("description",))
    rules = {
        split: {tuple(m) for m in family.machines(stream(0, "r"), 3000, split).tolist()}
        for split in ("train", "validation", "test")
    }
    assert not rules["train"] & (rules["validation"] | rules["test"])
    assert not rules["validation"] & rules["test"]
    assert len(set().union(*rules.values())) == len(GridWorld().rules()) == 65 * 4
    assert len(rules["test"]) > 15


def test_sentences_say_the_rule(grid):
    rng = np.random.default_rng(0)
    machine = rule(red=1.0, yellow=1.0, blue=-1.0, inverted=1.0)
    found = {grid.describe(machine[0], rng) for _ in range(300)}
    assert len(found) > 20
    for text in found:
        parts = dict.fromkeys(text.split(", "))
        collect = next(p for p in parts if p.startswith(("collect", "gather", "pick up", "take")))
        avoid = next(p for p in parts if p.startswith(("avoid", "stay", "never", "keep off")))
        assert {"red", "yellow"} <= set(collect.split())
        assert "blue" in avoid.split()
        assert "keys are inverted" in parts
        assert "turned" not in text


def test_what_is_seen_is_relative_to_the_player(grid):
    seen = grid.observe(placed((2, 1), red=(4, 1), yellow=(2, 0)), rule(red=1.0))[0, 0]
    torch.testing.assert_close(seen[:2], torch.tensor([-0.2, -0.6]))
    torch.testing.assert_close(seen[2:10], torch.tensor([1.0, 0, 0, 0, 0, 0, 0, -0.5]))
    assert seen[10:].tolist() == [1.0, 0.0, 0.0, 1.0]


def test_keys_are_drawn_by_luck_where_there_is_some(grid):
    logits = torch.tensor([1.0, 0.0, -5.0, -5.0]).expand(1, 20_000, 4)
    assert (grid.decide(logits)[..., 0] == 1).all()
    drawn = grid.decide(logits, torch.Generator().manual_seed(0)).mean(dim=1)[0]
    torch.testing.assert_close(drawn, torch.softmax(logits[0, 0] / 0.5, dim=0), atol=0.01, rtol=0)
    batch = Control("grid-world", sources=("context",)).sample(stream(0, "b"), 3, "test")
    one, again, other = (
        roll_out(lambda x: 0 * x[..., :4], batch, seed=seed).actions for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
