"""Board games with lines in some directions only: which rules there are, and which of them are for testing."""

import numpy as np
import pytest
import torch

from netwright.environments import ConnectDirections, ConnectK
from netwright.environments.board_search import Search
from netwright.rng import stream
from netwright.tasks import Control

OLD = ConnectK().variants()


def names(environment):
    return [q.name for q in environment.quantities]


def cells_of(rule):
    """Lines of a rule as arrays of a board, from the definition, [L, H, W]."""
    width, height, length = (int(rule[n]) for n in ("width", "height", "line"))
    directions = [(1, 0)] * (not rule["without_rows"]) + [(0, 1)] * (not rule["without_columns"])
    if rule["diagonals"]:
        directions += [(1, 1)] + [(-1, 1)] * (not rule["one_slope"])
    found = {}
    for x in range(width):
        for y in range(height):
            for dx, dy in directions:
                board = np.zeros((height, width), dtype=int)
                for i in range(length):
                    px, py = x + i * dx, y + i * dy
                    px = px % width if rule["joined"] else px
                    py = py % height if rule["ends_joined"] else py
                    if 0 <= px < width and 0 <= py < height:
                        board[py, px] = 1
                if board.sum() == length:
                    found[board.tobytes()] = board
    return np.array(list(found.values()))


def canonical(rule):
    """The same for all mirror images, and for all turned boards on which stones do not fall."""
    boards, forms = cells_of(rule), []
    for turns in range(1 if rule["gravity"] else 4):
        turned = np.rot90(boards, turns, axes=(1, 2))
        for one in (turned, turned[:, :, ::-1]):
            forms.append((one.shape[1:], tuple(sorted(b.tobytes() for b in one.copy()))))
    return rule["gravity"], rule["misere"], min(forms)


def rules_of(machines):
    return [dict(zip(names(ConnectDirections()), m, strict=True)) for m in machines.tolist()]


def test_no_new_rule_is_there_twice_nor_as_a_mirror_image():
    rules = rules_of(ConnectDirections().variants())
    new = [any(rule[n] for n in names(ConnectDirections())[:4]) for rule in rules]
    assert sum(new) == 1_308 - 164
    forms = [canonical(rule) for rule in rules]
    own = [form for form, is_new in zip(forms, new, strict=True) if is_new]
    assert len(set(own)) == len(own)
    assert not set(own) & {form for form, is_new in zip(forms, new, strict=True) if not is_new}


def test_rules_have_lines_enough_not_to_be_drawn_always():
    for rule in rules_of(ConnectDirections().variants()):
        if any(rule[n] for n in names(ConnectDirections())[:4]):
            assert len(cells_of(rule)) >= {3: 6, 4: 10}[int(rule["line"])]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_rules_of_the_smaller_family_are_of_the_split_that_they_are_of_there(split):
    rng = stream(0, "rules")
    found = Control("connect-directions").machines(rng, 10_000, split).unique(dim=0)
    old = Control("connect-k").machines(rng, 4_000, split).unique(dim=0)
    own = found[(found[:, :4] == 0).all(dim=1)][:, 4:]
    assert {tuple(m) for m in own.tolist()} == {tuple(m) for m in old.tolist()}
    assert len(found) > 5 * len(old)


def test_no_rule_of_testing_is_one_of_training():
    family = Control("connect-directions")
    rules = {
        split: {tuple(m) for m in family.machines(stream(0, "r"), 10_000, split).tolist()}
        for split in ("train", "validation", "test")
    }
    assert not rules["train"] & (rules["validation"] | rules["test"])
    assert not rules["validation"] & rules["test"]
    assert set().union(*rules.values()) == {tuple(m) for m in ConnectDirections().variants().tolist()}  # fmt: skip


def test_games_of_the_smaller_family_are_the_same_games():
    small, large = ConnectK(), ConnectDirections()
    machine = torch.cat([torch.zeros(len(OLD), 4), OLD], dim=1)
    state = small.start(np.random.default_rng(0), len(OLD), 3)
    rng = np.random.default_rng(1)
    for _ in range(small.steps):
        action = small.decide(torch.from_numpy(rng.normal(size=(len(OLD), 3, 25)).astype(np.float32)))  # fmt: skip
        assert torch.equal(small.legal(state, OLD), large.legal(state, machine))
        moved, reward = small.advance(state, action, OLD)
        other, earned = large.advance(state, action, machine)
        assert torch.equal(moved, other)
        assert torch.equal(reward, earned)
        state = moved


def test_minimax_knows_these_rules():
    game = ConnectDirections()

    def completes(stones, place, **rule):
        bits = sum(1 << 5 * y + x for x, y in stones)
        return Search(game.machine(**rule)[0], game=game).completes(bits, 5 * place[1] + place[0])

    rising, falling = [(0, 0), (1, 1)], [(2, 0), (1, 1)]
    assert completes(rising, (2, 2), one_slope=1.0)
    assert not completes(falling, (0, 2), one_slope=1.0)
    assert completes(falling, (0, 2))
    assert not completes([(0, 0), (1, 0)], (2, 0), without_rows=1.0)
    assert not completes([(0, 0), (0, 1)], (0, 2), without_columns=1.0)
    # From (0, 1) to (1, 2), and over the top to (2, 0).
    assert completes([(1, 2), (2, 0)], (0, 1), ends_joined=1.0)
    assert not completes([(1, 2), (2, 0)], (0, 1))


def test_sentences_say_the_rules():
    environment, rng = ConnectDirections(), np.random.default_rng(0)
    told = {
        "without_rows": ("rows do not count", "along rows"),
        "without_columns": ("columns do not count", "along columns"),
        "one_slope": ("of diagonals only", "no diagonals that fall"),
        "ends_joined": ("top and bottom", "over the top"),
    }
    for name, words in told.items():
        on, off = environment.machine(**{name: 1.0})[0], environment.machine()[0]
        for _ in range(50):
            text = environment.describe(on, rng)
            assert any(w in text for w in words), text
            assert "three columns and three rows" in text or "three wide and three high" in text
            assert not any(w in environment.describe(off, rng) for w in words)
