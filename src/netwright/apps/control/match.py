"""Board games between two players: written policies, minimax, whoever moves at random."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.environments import ConnectK, masked
from netwright.environments.board_search import Search, bits_of
from netwright.environments.boards import CELLS
from netwright.writer import Writer

Player = Callable[[Tensor, Tensor], Tensor]
"""From what it sees, [T, N, 50] (its own stones, the other's), and legal cells, bool [T, N, 25], to logits [T, N, 25]."""


@torch.no_grad()
def play_match(
    machine: Tensor,
    first: Player,
    second: Player,
    *,
    games: int,
    seed: int = 0,
    drawn: int = 2,
    environment: ConnectK | None = None,
) -> Tensor:
    """Results of games under rules [T, P] for who opens, [T, N]: 1 won, 0 drawn, -1 lost.

    Players that choose by no luck would play one game again and again: the first stones of each game are put at random.

    Args:
        machine: Rules, machines of `ConnectK`.
        first: Who opens.
        second: Who answers.
        games: N.
        seed: Of the stones that are put at random.
        drawn: How many these are, of both players together. A game that ends with one of them counts.
        environment: What the rules are of; by default `ConnectK`.
    """
    environment = environment or ConnectK()
    luck = random_player(seed)
    mine = torch.zeros(len(machine), games, CELLS)
    theirs = mine.clone()
    rules = environment.rules(machine, mine)
    misere = environment.of(machine)["misere"] > 0.5
    result = torch.zeros(len(machine), games)
    over = torch.zeros(len(machine), games, dtype=torch.bool)
    for move in range(CELLS):
        player = luck if move < drawn else (first, second)[move % 2]
        legal = rules.legal(mine + theirs) & ~over.unsqueeze(-1)
        # Nobody can move: the board is full, or the game was over before.
        over = over | ~legal.any(dim=-1)
        if bool(over.all()):
            break
        logits = masked(player(torch.cat([mine, theirs], dim=-1), legal), legal)
        key = F.one_hot(logits.argmax(dim=-1), CELLS).to(mine.dtype) * ~over.unsqueeze(-1)
        completes = (rules.completing(mine) & (key > 0)).any(dim=-1)
        won = torch.where(misere, -1.0, 1.0) * (1.0 if move % 2 == 0 else -1.0)
        result = torch.where(completes, won, result)
        over = over | completes
        mine, theirs = theirs, mine + key
    return result


def written_player(writer: Writer, params: Mapping[str, Tensor]) -> Player:
    """Who plays by policies that were written for T rules; see `Writer`."""
    child = partial(writer.child, params)
    return lambda seen, legal: child(seen)


def random_player(seed: int) -> Player:
    """Who finds any legal move as good as any other."""
    generator = torch.Generator().manual_seed(seed)
    return lambda seen, legal: torch.rand(legal.shape, generator=generator).to(seen)


def minimax_player(searches: Sequence[Search], seed: int = 0) -> Player:
    """Who makes one of the moves that are worth most.

    Args:
        searches: Of each of the T rules.
        seed: Of the choice among moves that are worth as much.
    """
    generator = torch.Generator().manual_seed(seed)

    def play(seen: Tensor, legal: Tensor) -> Tensor:
        worth = torch.zeros(legal.shape)
        for t, n in legal.any(dim=-1).nonzero().tolist():
            mine, theirs = seen[t, n].split(CELLS)
            worth[t, n, searches[t].best(bits_of(mine), bits_of(theirs))] = 1.0
        return worth + 0.5 * torch.rand(worth.shape, generator=generator)

    return play


__all__ = ["Player", "minimax_player", "play_match", "random_player", "written_player"]
