"""Board games: rules against loops over cells, the opponent, and what a game that is over does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from netwright.environments import (
    ConnectDirectionsLookingAhead,
    ConnectK,
    ConnectKLookingAhead,
)
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control

WIDTH = 5


class Loops:
    """A game by loops over cells, of which the environment knows nothing."""

    def __init__(self, environment, machine):
        said = {q.name: int(v) for q, v in zip(environment.quantities, machine, strict=True)}
        self.w, self.h, self.k = said["width"], said["height"], said["line"]
        self.gravity, self.misere, self.joined = said["gravity"], said["misere"], said["joined"]
        self.ends = said.get("ends_joined", 0)
        self.directions = [
            direction
            for direction, there in (
                ((1, 0), not said.get("without_rows")),
                ((0, 1), not said.get("without_columns")),
                ((1, 1), said["diagonals"]),
                ((-1, 1), said["diagonals"] and not said.get("one_slope")),
            )
            if there
        ]
        self.at = {}

    def free(self):
        places = [(x, y) for x in range(self.w) for y in range(self.h) if (x, y) not in self.at]
        if self.gravity:
            places = [(x, y) for x, y in places if all((x, below) in self.at for below in range(y))]
        return sorted(places)

    def has_line(self, who):
        for x in range(self.w):
            for y in range(self.h):
                for dx, dy in self.directions:
                    run = {(x + i * dx, y + i * dy) for i in range(self.k)}
                    if self.joined:
                        run = {(px % self.w, py) for px, py in run}
                    if self.ends:
                        run = {(px, py % self.h) for px, py in run}
                    if len(run) == self.k and all(self.at.get(place) == who for place in run):
                        return True
        return False

    def play(self, place, who):
        """1 if that wins the game for `who`, -1 if it loses it, 2 if it is drawn, 0 if it goes on."""
        assert place in self.free()
        self.at[place] = who
        if self.has_line(who):
            return -1 if self.misere else 1
        return 0 if self.free() else 2


def cell(x, y):
    return WIDTH * y + x


def key(x, y):
    return F.one_hot(torch.tensor(cell(x, y)), 25).float().view(1, 1, 25)


def state(mine=(), theirs=(), *, episodes=1, waits=0.0, skill=0.0, luck=(1, 2, 3)):
    """A state of a game that goes on; luck may be of each episode."""
    found = torch.zeros(1, episodes, ConnectK.states)
    for first, places in ((0, mine), (25, theirs)):
        for x, y in places:
            found[..., first + cell(x, y)] = 1.0
    found[..., 50:53] = torch.as_tensor(luck).float()
    found[..., 53], found[..., 54] = waits, skill
    return found


def lucks(count):
    return torch.from_numpy(np.random.default_rng(0).integers(1, 30_000, (count, 3)))


def stones(row):
    return {(c % WIDTH, c // WIDTH) for c in range(25) if row[c] > 0.5}


@pytest.mark.parametrize(
    ("kind", "count", "every"),
    [(ConnectK, 164, 1), (ConnectKLookingAhead, 164, 1), (ConnectDirectionsLookingAhead, 1_308, 7)],
)
def test_games_are_those_of_loops_over_cells_under_every_rule(kind, count, every):
    environment = kind()
    machine = environment.variants()
    assert len(machine) == count
    machine = machine[::every]
    rng = np.random.default_rng(3)
    now = environment.start(rng, len(machine), 1)
    loops = [Loops(environment, m) for m in machine.tolist()]
    results = [0] * len(machine)
    openings = now[:, 0, 53].tolist()
    seen = environment.observe(now, machine)
    for game, opens, row in zip(loops, openings, seen[:, 0], strict=True):
        assert len(stones(row[25:])) == opens
        for place in stones(row[25:]):
            game.play(place, "their")
    for _ in range(environment.steps):
        legal = environment.legal(now, machine)[:, 0]
        for game, mask, result in zip(loops, legal, results, strict=True):
            assert stones(mask) == (set() if result else set(game.free()))
        outputs = torch.from_numpy(rng.normal(size=(len(machine), 1, 25)).astype(np.float32))
        action = environment.decide(outputs.masked_fill(~legal.unsqueeze(1), -1e9))
        reward = environment.reward(now, action, machine)
        moved = environment.step(now, action, machine)
        seen = environment.observe(moved, machine)[:, 0]
        for t, game in enumerate(loops):
            earned = 0.0
            if not results[t]:
                place = cell_of(action[t, 0])
                results[t] = {1: 1, -1: -1, 2: 2, 0: 0}[game.play(place, "my")]
                if not results[t]:
                    (reply,) = stones(seen[t, 25:]) - {
                        p for p, w in game.at.items() if w == "their"
                    }
                    results[t] = {1: -1, -1: 1, 2: 2, 0: 0}[game.play(reply, "their")]
                earned = {1: 1.0, -1: -1.0, 2: 0.0, 0: 0.0}[results[t]]
            assert stones(seen[t, :25]) == {p for p, w in game.at.items() if w == "my"}
            assert stones(seen[t, 25:]) == {p for p, w in game.at.items() if w == "their"}
            assert float(reward[t, 0]) == earned
            assert bool(environment.is_good(moved, machine)[t, 0]) == (results[t] == 1)
            assert bool(environment.failed(moved, machine)[t, 0]) == (results[t] in (-1, 2))
            assert bool(environment.finished(moved, machine)[t, 0]) == (results[t] != 0)
        now = moved
    assert {results.count(r) > 5 for r in (1, -1, 2)} == {True}
    assert 0 not in results


def cell_of(action):
    c = int(action.argmax())
    return c % WIDTH, c // WIDTH


def test_a_game_that_is_over_stays_as_it_is():
    environment = ConnectK()
    machine = environment.machine()
    before = state([(0, 0), (1, 0)], [(0, 1), (1, 1)])
    won = environment.step(before, key(2, 0), machine)
    assert float(environment.reward(before, key(2, 0), machine)) == 1.0
    assert not environment.legal(won, machine).any()
    assert torch.equal(environment.step(won, key(2, 2), machine), won)
    assert float(environment.reward(won, key(2, 2), machine)) == 0.0


def test_who_completes_a_line_in_misere_has_lost():
    environment = ConnectK()
    before = state([(0, 0), (1, 0)], [(0, 1), (2, 2)])
    lost = environment.step(before, key(2, 0), environment.machine(misere=1.0))
    assert float(environment.reward(before, key(2, 0), environment.machine(misere=1.0))) == -1.0
    assert bool(environment.failed(lost, environment.machine()))


def test_a_key_that_is_not_legal_plays_the_first_cell_that_is():
    environment = ConnectK()
    before = state([(1, 1)], [(0, 0)])
    for wrong in (key(1, 1), key(0, 0), key(4, 4)):
        moved = environment.step(before, wrong, environment.machine())
        assert stones(moved[0, 0, :25]) == {(1, 1), (1, 0)}


@pytest.mark.parametrize("gravity", [0.0, 1.0])
def test_any_legal_cell_is_as_likely_as_any_other(gravity):
    environment = ConnectK()
    machine, count = environment.machine(width=4.0, gravity=gravity), 8_000
    moved = environment.step(
        state([], [], episodes=count, luck=lucks(count)), key(1, 0).expand(1, count, 25), machine
    )
    shares = moved[0, :, 25:50].mean(dim=0).view(5, 5)[:3, :4]
    replies = [(x, 0) for x in (0, 2, 3)] + [(1, 1)] if gravity else [(x, y) for x in range(4) for y in range(3) if (x, y) != (1, 0)]  # fmt: skip
    for x in range(4):
        for y in range(3):
            expected = 1 / len(replies) if (x, y) in replies else 0.0
            assert float(shares[y, x]) == pytest.approx(expected, abs=0.02)


def test_the_opponent_opens_half_of_the_games_and_opens_once():
    environment, machine = ConnectK(), ConnectK().machine().expand(1, -1)
    start = environment.start(stream(0, "s"), 1, 2_000)
    seen = environment.observe(start, machine)[0]
    assert not seen[:, :25].any()
    opened = seen[:, 25:].sum(dim=1)
    assert set(opened.tolist()) == {0.0, 1.0}
    assert 0.45 < float(opened.mean()) < 0.55
    assert torch.equal(environment.observe(start, machine)[0], seen)
    legal = environment.legal(start, machine)
    moved = environment.step(start, legal.float(), machine)
    after = environment.observe(moved, machine)[0]
    assert (after[:, 25:].sum(dim=1) == opened + 1).all()
    assert (after[:, 25:] >= seen[:, 25:]).all()


def test_the_first_reply_has_nothing_to_do_with_the_opening():
    environment, machine, count = ConnectK(), ConnectK().machine(), 4_000
    before = state(episodes=count, waits=1.0, luck=lucks(count))
    opened = environment.observe(before, machine)[0, :, 25:]
    low = opened[:, cell(0, 0)] > 0
    moved = environment.step(before, key(1, 1).expand(1, count, 25), machine)
    fair = low & (moved[0, :, :25].argmax(dim=-1) == cell(1, 1))
    replies = (moved[0, :, 25:50] - opened)[fair].mean(dim=0)
    # Seven cells are left.
    for x, y in ((1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2)):
        assert float(replies[cell(x, y)]) == pytest.approx(1 / 7, abs=0.06)


def replies_of(rule, mine, theirs, play, skill):
    """Where the opponent answers, over many lucks."""
    environment = ConnectK()
    before = state(mine, theirs, episodes=400, skill=skill, luck=lucks(400))
    moved = environment.step(before, key(*play).expand(1, 400, 25), environment.machine(**rule))
    return set().union(*(stones(row[25:50]) for row in moved[0])) - set(theirs)


def test_an_opponent_that_looks_ahead_wins_if_it_can_and_else_prevents():
    mine, theirs = [(0, 0)], [(0, 1), (1, 1)]
    assert replies_of({}, mine, theirs, (1, 0), 1.0) == {(2, 1)}
    assert replies_of({}, mine, [(0, 1), (2, 2)], (1, 0), 1.0) == {(2, 0)}
    assert len(replies_of({}, mine, [(0, 1), (2, 2)], (1, 0), 0.0)) == 5
    # With gravity the cell to prevent may be out of reach.
    high = {"gravity": 1.0}
    assert replies_of(high, [(0, 0), (1, 1)], [(1, 0)], (2, 0), 1.0) == {(0, 1), (1, 2), (2, 1)}


def test_an_opponent_that_looks_ahead_completes_no_line_in_misere_if_it_can_help_it():
    mine, theirs = [(0, 0)], [(0, 1), (1, 1)]
    found = replies_of({"misere": 1.0}, mine, theirs, (2, 2), 1.0)
    assert found == {(1, 0), (2, 0), (0, 2), (1, 2)}
    # One cell is left, and it completes the opponent's line.
    last = [(0, 0), (2, 0), (1, 1)], [(0, 2), (2, 2), (1, 0), (0, 1)]
    assert replies_of({"misere": 1.0}, *last, (2, 1), 1.0) == {(1, 2)}


def test_an_opponent_looks_ahead_as_often_as_its_skill_says():
    environment = ConnectK()
    before = state([(0, 0)], [(0, 1), (1, 1)], episodes=4_000, skill=0.5, luck=lucks(4_000))
    moved = environment.step(before, key(1, 0).expand(1, 4_000, 25), environment.machine())
    lost = environment.failed(moved, environment.machine()).float().mean()
    # Of the other half, one reply in five is the same.
    assert float(lost) == pytest.approx(0.5 + 0.5 / 5, abs=0.03)
    skills = ConnectKLookingAhead().start(stream(0, "s"), 3, 500)[..., 54]
    assert sorted(set(skills.flatten().tolist())) == [0.0, 0.5, 1.0]
    assert not ConnectK().start(stream(0, "s"), 3, 50)[..., 54].any()


def test_luck_is_that_of_whole_numbers():
    environment, machine = ConnectK(), ConnectK().machine()
    mine, numbers = state(luck=(123, 4567, 29_999)), [123, 4567, 29_999]
    for _ in range(200):
        mine = environment.step(torch.cat([0 * mine[..., :50], mine[..., 50:]], dim=-1), key(0, 0), machine)  # fmt: skip
        for _ in range(2):
            numbers = [n * a % m for n, a, m in zip(numbers, (171, 172, 170), (30269, 30307, 30323), strict=True)]  # fmt: skip
        assert mine[0, 0, 50:53].tolist() == numbers


def test_no_rule_of_testing_is_one_of_training():
    family = Control("connect-k")
    rules = {
        split: {tuple(m) for m in family.machines(stream(0, "r"), 4_000, split).tolist()}
        for split in ("train", "validation", "test")
    }
    assert not rules["train"] & (rules["validation"] | rules["test"])
    assert not rules["validation"] & rules["test"]
    assert set().union(*rules.values()) == {tuple(m) for m in ConnectK().variants().tolist()}
    assert len(rules["test"]) >= 15


def test_sentences_say_the_rules():
    environment, rng = ConnectK(), np.random.default_rng(0)
    told = {
        "three in a row": ("three in a row", "connect three", "line of three"),
        "loses": ("loses", "avoid", "has lost"),
        "fall": ("fall", "drop", "with gravity"),
        "joined": ("joined", "round the edge", "cylinder"),
        "straight": ("diagonals do not count", "straight lines only", "no diagonals"),
    }

    def says(text, what):
        return any(words in text for words in told[what])

    plain = environment.machine(width=4.0, height=5.0)[0]
    other = environment.machine(width=4.0, height=5.0, misere=1.0, gravity=1.0, joined=1.0, diagonals=0.0)[0]  # fmt: skip
    found = {environment.describe(other, rng) for _ in range(200)}
    assert len(found) > 100
    for text in found:
        assert all(says(text, what) for what in told), text
        assert "four columns and five rows" in text or "four wide and five high" in text
    for _ in range(200):
        text = environment.describe(plain, rng)
        assert says(text, "three in a row")
        assert not any(says(text, what) for what in ("loses", "fall", "joined", "straight")), text


def test_no_key_that_is_not_legal_is_ever_pressed():
    batch = Control("connect-k", training_episodes=4).sample(stream(0, "b"), 40, "train")
    against = torch.linspace(3.0, -3.0, 25)

    def policy(seen):
        # Drawn towards the first cells, which are soon taken.
        return against.expand(*seen.shape[:2], 25) + seen[..., :25] + seen[..., 25:]

    for spread in (0.0, 0.5):
        found = roll_out(policy, batch, spread=spread, seed=1)
        pressed = found.actions.bool() & found.alive.unsqueeze(-1)
        assert pressed.any()
        assert not (pressed & ~found.legal).any()


def test_in_a_probe_keys_are_legal_and_a_game_that_is_over_begins_again():
    family = Control("connect-k", sources=("examples",), probe=40)
    x = family.sample(stream(0, "p"), 20, "train").condition.examples.x
    taken = x[..., :25] + x[..., 25:50]
    assert torch.equal(x[..., 50:].sum(dim=-1), torch.ones(20, 40))
    assert not (taken * x[..., 50:]).any()
    games = (taken.sum(dim=-1) <= 1).sum(dim=1)
    assert int(games.min()) >= 2


def test_a_won_game_is_a_success_whenever_it_was_won():
    family = Control("connect-k", episodes=40)
    batch = family.sample(stream(0, "b"), 30, "test")
    generator = torch.Generator().manual_seed(0)
    found = roll_out(lambda x: torch.randn(*x.shape[:2], 25, generator=generator), batch)
    earned = found.rewards.sum(dim=2)
    assert torch.equal(found.success, earned == 1.0)
    assert not (found.rewards != 0)[~found.alive].any()
    # A win ends an episode: what comes after it is not learned from.
    assert not found.survived.any()
    lasted = found.alive.sum(dim=2)[found.success]
    assert int(lasted.min()) < 5
    frozen = replace(batch, environment=Unending())
    lost = roll_out(lambda x: torch.zeros(*x.shape[:2], 25), frozen)
    assert not lost.success.any()


class Unending(ConnectK):
    """One in which nothing is a success."""

    def is_good(self, state, machine):
        return torch.zeros_like(state[..., 0], dtype=torch.bool)
