"""A player of board games that knows the rule and looks two moves ahead: what written policies can be taught by."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from netwright.conditions import Condition
from netwright.environments.boards import CELLS, SIDE
from netwright.environments.connect_k import ConnectK

# What it is worth to complete a line now, in wins: more than to be sure of one with the next move.
_NOW, _NEXT = 1.5, 0.9
# And in misere, what it costs if all cells that are left would complete one.
_CORNERED = 0.7
# What a move is worth for the lines that it is on: of one's own stones, and of the other's that it spoils.
_BUILT, _SPOILED = 0.15, 0.5


class Foresight(nn.Module):
    """Says what every move is worth against somebody who moves at random, from the rule and the board.

    A move wins at once; or else it is as good as the chance that the reply does not win, and that a line can be completed with the next move; where
    nothing of that differs, lines decide on which there are stones of one side only. In misere all of it is turned round. The chances are
    exact for the reply, and neglect that with gravity the reply can open a cell.

    It stands where a hypernetwork stands that teaches (`Imitation`): `forward` takes the rule, and `child` plays by it.

    Args:
        game: What rules are of.
        temperature: Of the softmax that turns worth into how often a move is to be made.
    """

    def __init__(self, game: ConnectK, *, temperature: float = 0.1) -> None:
        super().__init__()
        self.game, self.temperature = game, temperature

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """The rules [T, P] themselves, which are the context."""
        assert condition.context is not None
        return {"rule": condition.context}

    def child(self, params: Mapping[str, Tensor], seen: Tensor) -> Tensor:
        """Logits [T, N, 25] of moves for what is seen, [T, N, 50]: own stones and the other's."""
        return worth(self.game, params["rule"], seen) / self.temperature


def worth(game: ConnectK, machine: Tensor, seen: Tensor) -> Tensor:
    """What it is worth to move to each cell, [T, N, 25], in wins; of cells that are not legal it says nothing.

    Args:
        game: What the rules are of.
        machine: Rules, [T, P].
        seen: Own stones and the other's, [T, N, 50].
    """
    rules = game.rules(machine, seen)
    mine, theirs = seen.split(CELLS, dim=-1)
    taken, lines = mine + theirs, rules.lines
    legal = rules.legal(taken)
    is_line = (lines.sum(dim=-1) > 0).unsqueeze(1)
    own, other = (stones @ lines.transpose(1, 2) for stones in (mine, theirs))
    ours, others = (other == 0) & is_line, (own == 0) & is_line
    completes = rules.completing(mine) & (taken < 0.5)
    threatened = rules.completing(theirs) & (taken < 0.5)
    left = _left_after(legal, rules.exists, rules.gravity)
    count = left.sum(dim=-1).clamp(min=1)
    # Of a line that lacks two stones, one makes of the other's cell one that completes it.
    pairs = (lines.unsqueeze(-1) * lines.unsqueeze(-2)).flatten(-2)
    lacks_two = (ours & (own == rules.length - 2)).to(mine.dtype)
    opens = (lacks_two @ pairs).unflatten(-1, (CELLS, CELLS)) > 0
    there = (completes.unsqueeze(-2) | opens) & left
    chances = there.sum(dim=-1)
    wins = (threatened.unsqueeze(-2) & left).sum(dim=-1)
    # One chance the reply may take away, unless it wins there; two it cannot.
    taken_away = (chances == 1) & ~(there & threatened.unsqueeze(-2)).any(dim=-1)
    next_time = (chances > 0) * (count - wins - taken_away.long()) / count
    risk = wins / count
    built = (ours.to(mine.dtype) * (1 + own)) @ lines
    spoiled = (others.to(mine.dtype) * other) @ lines
    lying = (_BUILT * built + _SPOILED * spoiled) / built.amax(dim=-1, keepdim=True).clamp(min=1)
    plain = _NEXT * next_time - risk + lying
    turned = risk - (1 - risk) * _CORNERED * chances / count - lying
    misere = (game.of(machine)["misere"] > 0.5).unsqueeze(-1)
    found = torch.where(completes, _NOW, plain)
    return torch.where(misere, torch.where(completes, -1.0, turned), found)


def _left_after(legal: Tensor, exists: Tensor, gravity: Tensor) -> Tensor:
    """Cells that are legal after a move to each cell, bool [T, N, 25, 25].

    Args:
        legal: Before it, bool [T, N, 25].
        exists: Cells of the board, bool [T, 1, 25].
        gravity: Whether stones fall, bool [T, 1, 1].
    """
    cells = torch.arange(CELLS, device=legal.device)
    same = cells.unsqueeze(1) == cells
    above = cells.unsqueeze(1) + SIDE == cells
    opened = above & (gravity & exists).unsqueeze(-2) & legal.unsqueeze(-1)
    return (legal.unsqueeze(-2) & ~same) | opened


__all__ = ["Foresight", "worth"]
