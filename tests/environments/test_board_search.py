"""Minimax with cuts against minimax without, and games whose value is known."""

import numpy as np
import pytest

from netwright.environments import ConnectK
from netwright.environments.board_search import Search
from netwright.environments.boards import lines_of


def plain(rule, mine, theirs, depth):
    """Minimax over sets of cells, every move tried, nothing kept."""
    width, height, length, diagonals, gravity, misere, joined = (int(v) for v in rule.tolist())
    lines = [set(line) for line in lines_of(width, height, length, bool(diagonals), bool(joined))]
    taken = mine | theirs
    moves = [
        5 * y + x
        for x in range(width)
        for y in range(height)
        if 5 * y + x not in taken and (not gravity or y == 0 or 5 * (y - 1) + x in taken)
    ]
    if not moves or not depth:
        return 0, []
    worth = {}
    for move in moves:
        after = mine | {move}
        if any(line <= after for line in lines):
            worth[move] = -1 if misere else 1
        else:
            worth[move] = -plain(rule, theirs, after, depth - 1)[0]
    best = max(worth.values())
    return best, sorted(m for m, w in worth.items() if w == best)


def positions(rule, stones, count, seed=0):
    """Positions of so many stones, or fewer where there is no way on, that random moves lead to of which none completes a line."""
    rng, search, found = np.random.default_rng(seed), Search(rule), []
    while len(found) < count:
        mine = theirs = 0
        for _ in range(stones):
            moves = [c for c in search._moves(mine | theirs) if not search.completes(mine, c)]
            if not moves:
                break
            mine, theirs = theirs, mine | 1 << int(rng.choice(moves))
        found.append((mine, theirs))
    return found


def cells(bits):
    return {c for c in range(25) if bits >> c & 1}


RULES = ConnectK().variants()
SMALL = RULES[RULES[:, 0] * RULES[:, 1] <= 12]


@pytest.mark.parametrize("place", range(0, len(SMALL), 3))
def test_values_and_best_moves_are_those_of_trying_everything(place):
    rule = SMALL[place]
    search = Search(rule)
    for mine, theirs in positions(rule, stones=int(rule[0] * rule[1]) - 5, count=4):
        worth, best = plain(rule, cells(mine), cells(theirs), 25)
        assert search.value(mine, theirs) == worth
        assert sorted(search.best(mine, theirs)) == best
        for move in search._moves(mine | theirs):
            assert (search.worth(mine, theirs, move) == worth) == (move in best)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_search_of_few_moves_sees_so_far_and_no_farther(depth):
    for place in (20, 90, 133, 150):
        rule = RULES[place]
        search = Search(rule, depth=depth)
        for mine, theirs in positions(rule, stones=8, count=3, seed=1):
            worth, best = plain(rule, cells(mine), cells(theirs), depth)
            assert search.value(mine, theirs) == worth
            assert sorted(search.best(mine, theirs)) == best


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ({}, 0),
        ({"misere": 1.0}, 0),
        # On a wider board the first player makes two threats at once.
        ({"width": 4.0}, 1),
        ({"width": 5.0, "height": 5.0, "gravity": 1.0}, 1),
        ({"joined": 1.0}, 1),
        # Connect Four on a board of 4 x 4 is drawn.
        ({"width": 4.0, "height": 4.0, "line": 4.0, "gravity": 1.0}, 0),
    ],
)
def test_games_are_worth_what_is_known(rules, value):
    assert Search(ConnectK().machine(**rules)[0]).value(0, 0) == value
