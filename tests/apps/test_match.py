"""Matches of board games: results against a loop, and players that are as strong as they should be."""

import pytest
import torch
from making import perturb

import netwright as nw
from netwright.apps.control.match import (
    minimax_player,
    play_match,
    random_player,
    written_player,
)
from netwright.environments import ConnectK
from netwright.environments.board_search import Search
from netwright.tasks import Control
from netwright.training import make_hypernetwork

RULES = ConnectK().variants()
TICTACTOE = ConnectK().machine()


def in_order(seen, legal):
    """Who takes the first cell that is free."""
    return torch.linspace(1.0, 0.0, 25).expand(legal.shape)


def backwards(seen, legal):
    return -in_order(seen, legal)


def by_loop(rule, players):
    """The result of one game by a search's own bits, for who opens."""
    search, mine, theirs = Search(rule), 0, 0
    for move in range(25):
        cells = sorted(search._moves(mine | theirs), reverse=players[move % 2] is backwards)
        if not cells:
            return 0.0
        side = 1.0 if move % 2 == 0 else -1.0
        if search.completes(mine, cells[0]):
            return -side if search.misere else side
        mine, theirs = theirs, mine | 1 << cells[0]
    return 0.0


@pytest.mark.parametrize("players", [(in_order, backwards), (in_order, in_order)])
def test_results_are_those_of_a_loop_under_every_rule(players):
    found = play_match(RULES, *players, games=1, drawn=0)[:, 0]
    expected = [by_loop(rule, players) for rule in RULES]
    assert found.tolist() == expected
    assert {1.0, -1.0} <= set(expected)


def test_minimax_against_itself_gets_what_the_game_is_worth():
    rules = RULES[[0, 5, 11, 13]]
    searches = [Search(rule) for rule in rules]
    players = minimax_player(searches, 0), minimax_player(searches, 1)
    found = play_match(rules, *players, games=6, drawn=0)
    for rule, results in zip(rules, found, strict=True):
        assert (results == Search(rule).value(0, 0)).all()


def test_minimax_never_loses_tic_tac_toe_and_beats_chance():
    search = [Search(TICTACTOE[0])]
    first = play_match(TICTACTOE, minimax_player(search), random_player(1), games=60, drawn=0)
    second = play_match(TICTACTOE, random_player(2), minimax_player(search), games=60, drawn=0)
    assert first.min() >= 0
    assert second.max() <= 0
    assert first.mean() > 0.8
    assert second.mean() < -0.5


def test_chance_against_chance_is_even_but_for_who_opens():
    found = play_match(TICTACTOE, random_player(1), random_player(2), games=4_000, drawn=0)
    # Of all games of tic-tac-toe with moves at random: 58.5 % for who opens, 28.8 % for the other.
    assert float((found > 0).float().mean()) == pytest.approx(0.585, abs=0.03)
    assert float((found < 0).float().mean()) == pytest.approx(0.288, abs=0.03)


def test_the_first_stones_make_games_differ_and_each_seed_puts_them_elsewhere():
    games = {"games": 40, "drawn": 2}
    one, again = (play_match(RULES[:9], in_order, backwards, seed=0, **games) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, play_match(RULES[:9], in_order, backwards, seed=1, **games))
    assert (one.std(dim=1) > 0).any()


def test_each_rule_is_played_by_the_policy_that_was_written_for_it():
    family = Control("connect-k")
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    perturb(writer, torch.Generator().manual_seed(0))
    rules = RULES[::40]

    def player(own):
        with torch.no_grad():
            return written_player(writer.eval(), writer(nw.Condition(context=own)))

    together = play_match(rules, player(rules), backwards, games=3, drawn=0)
    alone = [play_match(own, player(own), backwards, games=3, drawn=0) for own in rules.split(1)]
    assert torch.equal(together, torch.cat(alone))
    assert not torch.equal(together, play_match(rules, player(rules.flip(0)), backwards, games=3, drawn=0))  # fmt: skip
