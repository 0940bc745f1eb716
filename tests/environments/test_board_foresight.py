"""A player that looks two moves ahead: against counting replies by hand, and against chance."""

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.environments import ConnectDirections, ConnectK
from netwright.environments.board_foresight import Foresight, worth
from netwright.environments.board_search import Search
from netwright.objectives import Imitation
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch
from netwright.training import make_hypernetwork

GAME = ConnectDirections()
RULES = GAME.variants()


def counted(search, mine, theirs, move):
    """Wins by the reply, replies after which a line can be completed, and cells that complete one, as shares of all replies."""
    after = mine | 1 << move
    replies = list(search._moves(after | theirs))
    if not replies:
        return 0.0, 0.0, 0.0
    own = {c for c in replies if search.completes(after, c)}
    wins = [c for c in replies if search.completes(theirs, c)]
    holds = [c for c in replies if c not in wins and own - {c}]
    return len(wins) / len(replies), len(holds) / len(replies), len(own) / len(replies)


@pytest.mark.parametrize("misere", [0.0, 1.0])
def test_chances_are_those_of_counting_replies(misere, monkeypatch):
    import netwright.environments.board_foresight as module

    # Of what a move is worth only the chances are left.
    monkeypatch.setattr(module, "_BUILT", 0.0)
    monkeypatch.setattr(module, "_SPOILED", 0.0)
    rng, compared, differ = np.random.default_rng(0), 0, 0
    for rule in RULES[RULES[:, 9] == misere][::9]:
        search = Search(rule, game=GAME)
        for stones in (2, 4, 7):
            mine = theirs = 0
            for _ in range(stones):
                moves = [c for c in search._moves(mine | theirs) if not search.completes(mine, c)]
                if moves:
                    mine, theirs = theirs, mine | 1 << int(rng.choice(moves))
            bits = [float(part >> c & 1) for part in (mine, theirs) for c in range(25)]
            found = worth(GAME, rule.unsqueeze(0), torch.tensor(bits).view(1, 1, 50))[0, 0]
            for move in search._moves(mine | theirs):
                if search.completes(mine, move):
                    expected = -1.0 if misere else 1.5
                else:
                    risk, holds, own = counted(search, mine, theirs, move)
                    expected = risk - (1 - risk) * 0.7 * own if misere else 0.9 * holds - risk
                    differ += risk > 0 and own > 0
                assert float(found[move]) == pytest.approx(expected, abs=1e-5), (rule, move)
                compared += 1
    assert compared > 1_000
    assert differ > 50


def points(game, rules, policy, games=30):
    start = game.start(stream(0, "games"), len(rules), games)
    query = ExampleSet.of(start, start.new_zeros(len(rules), games, 1))
    batch = EpisodeBatch(Condition(context=rules), query, rules, game)
    earned = roll_out(policy, batch).rewards.sum(dim=2)
    return 50 * float(((earned > 0).float() - (earned < 0).float() + 1).mean())


def test_it_beats_chance_under_every_kind_of_rule():
    player = Foresight(GAME)
    rules = RULES[::24]
    params = player(Condition(context=rules))
    assert points(GAME, rules, lambda seen: player.child(params, seen)) > 93
    # With the rules of others it plays those.
    other = player(Condition(context=rules.roll(10, dims=0)))
    assert points(GAME, rules, lambda seen: player.child(other, seen)) < 80


def test_it_is_surer_where_it_is_colder():
    warm, cold = (Foresight(ConnectK(), temperature=t) for t in (1.0, 0.1))
    rule, seen = ConnectK().machine(), torch.zeros(1, 1, 50)
    said = [player.child(player(Condition(context=rule)), seen) for player in (warm, cold)]
    torch.testing.assert_close(10 * said[0], said[1])


def test_written_policies_are_taught_by_it():
    family = Control("connect-k", training_episodes=4, episodes=40)
    writer = make_hypernetwork(family.shape, seed=0, size=16, child=nw.architectures.mlp(inputs=50, hidden=(24,), outputs=25))  # fmt: skip
    before = nw.evaluate(writer, family, tasks=40).metrics["success"].value
    nw.train(
        writer, family, objective=Imitation(Foresight(ConnectK()), updates=6, parts=2, led=0.0), steps=60,
        tasks=16, learning_rate=5e-3, warm_up=5, validate_every=60, validation_tasks=4, progress=False,
    )  # fmt: skip
    after = nw.evaluate(writer, family, tasks=40).metrics["success"].value
    assert after > before + 0.08
