"""What is tried next: within limits, never twice, and decided by the seed."""

from dataclasses import replace

import numpy as np
import pytest

from netwright.architectures import Limits, conv_space, mlp_space, transformer_space
from netwright.search import METHODS, Evolution, Tried

SPACE = mlp_space(16, outputs=3, depth=(1, 3), width=(4, 32))
LIMITS = Limits(bytes=3000)


def judged(number, architecture) -> Tried:
    """As if networks of about 2,000 bytes and two layers were best."""
    away = abs(architecture.cost.bytes - 2000) / 2000 + abs(len(architecture.hidden) - 2)
    value = 1 / (1 + away)
    return Tried(number, architecture, value=value, loss=1 - value)


def proposed(method, count, *, space=SPACE, limits=LIMITS, seed=0, judge=judged, **options):
    proposals = METHODS[method](space, limits, seed=seed, **options)
    tried: list[Tried] = []
    for number in range(count):
        architecture = proposals.propose(tried)
        if architecture is None:
            break
        tried.append(judge(number, architecture))
    return tried


@pytest.mark.parametrize("method", METHODS)
def test_proposals_are_members_within_limits_and_all_different(method):
    found = [each.architecture for each in proposed(method, 25)]
    assert len(set(found)) == 25
    assert all(each in SPACE and LIMITS.allow(each.cost) for each in found)
    assert found[0] == SPACE.smallest()


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_them(method):
    one, again, other = (
        [each.architecture for each in proposed(method, 12, seed=seed)] for seed in (0, 0, 1)
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize("method", ["tpe", "evolution"])
def test_what_was_good_is_followed(method):
    found = [each.merit[0] for each in proposed(method, 70)]
    drawn = [each.merit[0] for each in proposed("random", 70)]
    assert np.mean(found[45:]) > np.mean(drawn) + 0.1


def test_nsga2_follows_what_is_good_and_small():
    found, drawn = (proposed(method, 90) for method in ("nsga2", "random"))
    for gain in (
        lambda each: each.merit[0],
        lambda each: -each.cost.bytes,
    ):
        assert np.mean([*map(gain, found[60:])]) > np.mean([*map(gain, drawn)])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "space",
    [
        conv_space((1, 8, 8), classes=3, depth=(1, 2), channels=(2, 4)),
        transformer_space(3, 5, outputs=2, width=[8, 10], heads=(1, 4)),
    ],
    ids=lambda space: space.family,
)
def test_spaces_of_which_not_every_combination_exists(method, space):
    def judge(number, architecture):
        return Tried(number, architecture, value=0.5, loss=1.0)

    found = [
        e.architecture for e in proposed(method, 12, space=space, limits=Limits(), judge=judge)
    ]
    assert len(set(found)) == 12
    assert all(each in space for each in found)


@pytest.mark.parametrize("method", METHODS)
def test_a_space_that_is_used_up_ends_the_search(method):
    small = mlp_space(4, outputs=2, depth=(1, 1), width=[2, 3, 4], activations=("relu", "tanh"))
    found = {e.architecture for e in proposed(method, 20, space=small, limits=Limits())}
    assert len(found) == small.size() == 6


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_written_is_not_proposed(method):
    found = proposed(method, 20, allows=lambda a: a.activation != "relu")
    assert len(found) == 20
    assert all(each.architecture.activation != "relu" for each in found)


def test_evolution_breeds_from_the_last_ones_alone():
    best = SPACE.smallest()
    old = Tried(0, best, value=1.0, loss=0.0)
    others = [replace(judged(i, each.architecture), value=0.5, loss=1.0)
              for i, each in enumerate(proposed("random", 30)[1:], 1)]  # fmt: skip
    evolution = Evolution(
        SPACE, Limits(), seed=0, population=len(others), crossover=0.0, tournament=200
    )
    # The best is the oldest of one too many: it is dead, and its neighbours are not sought.
    alive = Evolution(
        SPACE, Limits(), seed=0, population=len(others) + 1, crossover=0.0, tournament=200
    )

    dead_child = evolution.propose([old, *others])
    live_child = alive.propose([old, *others])
    parents = [each.architecture for each in others]
    assert live_child is not None
    assert is_one_change_from(live_child, [best])
    assert is_one_change_from(dead_child, parents)
    assert not is_one_change_from(dead_child, [best])


def is_one_change_from(child, parents) -> bool:
    def changes(parent):
        same = child.activation == parent.activation
        a, b = child.hidden, parent.hidden
        if len(a) == len(b):
            return (not same) + sum(x != y for x, y in zip(a, b, strict=True))
        long, short = (a, b) if len(a) > len(b) else (b, a)
        cuts = [long[:i] + long[i + 1 :] for i in range(len(long))]
        return (not same) + (1 if len(long) - len(short) == 1 and short in cuts else 9)

    return any(changes(parent) == 1 for parent in parents)
