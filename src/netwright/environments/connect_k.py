"""Board games: stones in a line, under rules that differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.environments.base import Environment, Quantity, masked
from netwright.environments.boards import CELLS, LEAST, LENGTHS, SIDE, Rules, lines_of

GOING_ON, WON, LOST, DRAWN = 0.0, 1.0, -1.0, 2.0
# Wichmann & Hill, Algorithm AS 183: three small generators, whose products single precision holds exactly.
_FACTORS = (171.0, 172.0, 170.0)
_MODULI = (30269.0, 30307.0, 30323.0)
_NUMBERS = ("three", "four", "five")


@dataclass(frozen=True)
class _Game:
    """The parts of states: stones [T, N, 25] each, luck [T, N, 3], and what is left, [T, N]."""

    mine: Tensor
    theirs: Tensor
    luck: Tensor
    waits: Tensor
    skill: Tensor
    result: Tensor

    @classmethod
    def of(cls, state: Tensor) -> "_Game":
        mine, theirs, luck, rest = state.split([CELLS, CELLS, 3, 3], dim=-1)
        return cls(mine, theirs, luck, *rest.unbind(-1))

    def state(self) -> Tensor:
        rest = torch.stack([self.waits, self.skill, self.result], dim=-1)
        return torch.cat([self.mine, self.theirs, self.luck, rest], dim=-1)


class ConnectK(Environment):
    """Complete a line of three or four stones before the opponent does, on a board of 3 x 3 to 5 x 5 cells.

    Rules differ: sides of the board, stones of a line, whether it may be diagonal, whether stones fall (a column is chosen, as in Connect Four), whether who
    completes a line loses (misere), whether the left and the right edge are joined. Textbook: tic-tac-toe.

    The opponent is part of the environment and moves within the step; who opens is drawn. It plays at random: any legal cell is as
    likely as any other. Its luck is held in the state, so that a step stays a pure function.

    Actions are discrete, as one-hot over the 25 cells of the largest board, row by row from the bottom left; cells that are no legal move
    are masked (`legal`), and a step that is given one plays the first that is. A win is worth 1, a loss costs 1.

    State: own stones, the opponent's, its luck, whether it still has to open, how often it looks ahead, and the result so far.

    References:
        Wichmann and Hill, Algorithm AS 183: an efficient and portable pseudo-random number generator, 1982.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("width", LEAST, SIDE, 3.0, "whole", "cells"),
        Quantity("height", LEAST, SIDE, 3.0, "whole", "cells"),
        Quantity("line", LENGTHS[0], LENGTHS[-1], 3.0, "whole", "stones"),
        Quantity("diagonals", 0.0, 1.0, 1.0, "switch"),
        Quantity("gravity", 0.0, 1.0, 0.0, "switch"),
        Quantity("misere", 0.0, 1.0, 0.0, "switch"),
        Quantity("joined", 0.0, 1.0, 0.0, "switch"),
    )
    states, observations, actions = 2 * CELLS + 6, 2 * CELLS, CELLS
    # Who opens has the odd move of a full board.
    steps, hold, seconds = (CELLS + 1) // 2, 1, 0.8
    discrete = True
    training_episodes = 16
    hashed = 7
    skills: ClassVar[tuple[float, ...]] = (0.0,)
    """Shares of its moves for which an opponent looks one move ahead; each episode's is drawn from these."""
    line_switches: ClassVar[tuple[str, ...]] = ("diagonals", "joined")
    """Quantities that say which lines there are, in the order of `lines_of`."""

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Empty boards; in half of the episodes the opponent is to open."""
        luck = rng.integers(1, 30_000, (tasks, episodes, 3))
        waits = rng.integers(0, 2, (tasks, episodes, 1))
        skill = rng.choice(self.skills, (tasks, episodes, 1))
        empty = np.zeros((tasks, episodes, 2 * CELLS))
        parts = [empty, luck, waits, skill, np.zeros((tasks, episodes, 1))]
        return torch.from_numpy(np.concatenate(parts, axis=-1).astype(np.float32))

    def allows(self, machine: Tensor) -> Tensor:
        """A line fits both sides of the board; four stones may be diagonal, or nearly all games would be drawn.

        Where joined edges make no line that there is not without them, they are left out: no game is there twice.
        """
        m = self.of(machine)
        line, straight = m["line"], m["diagonals"] < 0.5
        fits = (m["width"] >= line) & (m["height"] >= line)
        same = (m["joined"] > 0.5) & straight & (m["width"] == line)
        return (fits & ~same & ~((line > LENGTHS[0]) & straight))[:, 0]

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """A stone of one's own and one of the opponent; nothing moves once a game is over."""
        return self.advance(state, action, machine)[0]

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """1 where the step wins the game, -1 where it loses it."""
        return self.advance(state, action, machine)[1]

    def advance(self, state: Tensor, action: Tensor, machine: Tensor) -> tuple[Tensor, Tensor]:
        """`step` and `reward`, of which both need to know the opponent's reply."""
        rules = self.rules(machine, state)
        game = self._opened(state, rules)
        misere = self.of(machine)["misere"] > 0.5
        legal = rules.legal(game.mine + game.theirs)
        key = F.one_hot(masked(action, legal).argmax(dim=-1), CELLS).to(state.dtype)
        mine = game.mine + key
        completes = (rules.completing(game.mine) & (key > 0)).any(dim=-1)
        legal = rules.legal(mine + game.theirs)
        full = ~legal.any(dim=-1)
        own = rules.completing(game.theirs)
        reply, luck = self._reply(game, legal, own, rules.completing(mine), misere)
        answers = ~completes & ~full
        theirs = game.theirs + reply * answers.unsqueeze(-1)
        answered = answers & (own & (reply > 0)).any(dim=-1)
        full = ~rules.legal(mine + theirs).any(dim=-1)
        won = torch.where(misere, answered, completes)
        lost = torch.where(misere, completes, answered)
        result = won * WON + lost * LOST + (full & ~won & ~lost) * DRAWN
        after = _Game(mine, theirs, luck, game.waits, game.skill, result.to(state.dtype))
        over = self.finished(state, machine)
        reward = (won.to(state.dtype) - lost.to(state.dtype)) * ~over
        return torch.where(over.unsqueeze(-1), state, after.state()), reward

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Own stones and the opponent's, cell by cell."""
        game = self._opened(state, self.rules(machine, state))
        return torch.cat([game.mine, game.theirs], dim=-1)

    def legal(self, state: Tensor, machine: Tensor) -> Tensor:
        """Cells that a stone may be put on; none once a game is over."""
        rules = self.rules(machine, state)
        game = self._opened(state, rules)
        over = self.finished(state, machine).unsqueeze(-1)
        return rules.legal(game.mine + game.theirs) & ~over

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """The game is won."""
        return _Game.of(state).result == WON

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """The game is lost or drawn."""
        result = _Game.of(state).result
        return (result == LOST) | (result == DRAWN)

    def finished(self, state: Tensor, machine: Tensor) -> Tensor:
        """The game is over."""
        return _Game.of(state).result != GOING_ON

    def describe(self, machine: Tensor, rng: np.random.Generator) -> str:
        """Rules [P] in words, chosen at random."""
        width, height, line, *switches = (round(v) for v in machine.tolist())
        diagonals, gravity, misere, joined = switches
        count = _NUMBERS[line - LENGTHS[0]]
        columns, rows = _NUMBERS[width - LEAST], _NUMBERS[height - LEAST]
        parts = [
            _one_of(rng, f"{columns} columns and {rows} rows", f"a board {columns} wide and {rows} high"),
            _one_of(rng, *(_LOSES if misere else _WINS)).format(count),
        ]  # fmt: skip
        if gravity:
            parts.append(_one_of(rng, *_FALLS))
        elif rng.random() < 0.5:
            parts.append(_one_of(rng, *_STAYS))
        if joined:
            parts.append(_one_of(rng, *_JOINED))
        if not diagonals:
            parts.append(_one_of(rng, *_STRAIGHT))
        return ", ".join(parts[i] for i in rng.permutation(len(parts)))

    def variants(self) -> Tensor:
        """All rules that there are, [R, P]."""
        axes = [float(q.low) + torch.arange(q.count) for q in self.quantities]
        found = torch.cartesian_prod(*axes).float()
        return found[self.allows(found)]

    def rules(self, machine: Tensor, like: Tensor) -> Rules:
        """Rules of machines [T, P] for stones of the dtype and device of `like`."""
        m = self.of(machine)
        switches = [m[name] > 0.5 for name in self.line_switches]
        return Rules(m["width"], m["height"], m["line"], m["gravity"] > 0.5, switches, like=like)

    def lines(self, rule: Mapping[str, float]) -> tuple[tuple[int, ...], ...]:
        """All lines under a rule, by the names of its quantities; see `lines_of`."""
        width, height, length = (round(rule[name]) for name in ("width", "height", "line"))
        return lines_of(
            width, height, length, *(bool(rule[name] > 0.5) for name in self.line_switches)
        )

    def _opened(self, state: Tensor, rules: Rules) -> _Game:
        """A game in which the opponent, if it is to open, has opened."""
        game = _Game.of(state)
        share, luck = _drawn(game.luck)
        waits = game.waits.unsqueeze(-1)
        legal = rules.legal(game.mine + game.theirs)
        return _Game(
            game.mine,
            game.theirs + waits * _picked(legal, share),
            torch.where(waits > 0.5, luck, game.luck),
            torch.zeros_like(game.waits),
            game.skill,
            game.result,
        )

    def _reply(
        self, game: _Game, legal: Tensor, own: Tensor, other: Tensor, misere: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The opponent's move, [T, N, 25], and its luck thereafter.

        Looking ahead it completes a line of its own, or else prevents one; in misere it completes none if it can help it.
        """
        share, luck = _drawn(game.luck)
        care, luck = _drawn(luck)
        plain = _first_of(legal & own, legal & other, legal)
        careful = _first_of(legal & ~own, legal, legal)
        ahead = torch.where(misere.unsqueeze(-1), careful, plain)
        looks = (care < game.skill).unsqueeze(-1)
        return _picked(torch.where(looks, ahead, legal), share), luck


class ConnectKLookingAhead(ConnectK):
    """The same against opponents of which a third looks one move ahead always, a third half of the time, and a third never."""

    skills = (0.0, 0.5, 1.0)


_WINS = ("{0} in a row wins", "connect {0} to win", "whoever completes a line of {0} wins")
_LOSES = (
    "{0} in a row loses", "avoid a line of {0}", "whoever completes a line of {0} has lost",
)  # fmt: skip
_FALLS = ("stones fall", "stones drop to the bottom", "with gravity")
_STAYS = ("stones stay where they are put", "any empty cell may be taken", "without gravity")
_STRAIGHT = ("diagonals do not count", "straight lines only", "no diagonals")
_JOINED = ("the left and right edge are joined", "lines go round the edge", "the board is a cylinder")  # fmt: skip


def _one_of(rng: np.random.Generator, *words: str) -> str:
    return words[rng.integers(len(words))]


def _drawn(luck: Tensor) -> tuple[Tensor, Tensor]:
    """A number from 0 to 1, [T, N], and the luck [T, N, 3] that is left."""
    after = torch.remainder(luck * luck.new_tensor(_FACTORS), luck.new_tensor(_MODULI))
    return torch.remainder((after / luck.new_tensor(_MODULI)).sum(dim=-1), 1.0), after


def _picked(cells: Tensor, share: Tensor) -> Tensor:
    """Of cells [T, N, 25] the one that lies at a share [T, N] of them, one-hot; nothing where there is none."""
    order = cells.long().cumsum(dim=-1)
    count = order[..., -1]
    # Rounding must not lead beyond the last one.
    place = torch.minimum((share * count).long() + 1, count)
    return (cells & (order == place.unsqueeze(-1))).to(share.dtype)


def _first_of(*choices: Tensor) -> Tensor:
    """The first of several sets of cells, bool [T, N, 25], that is not empty; the last in any case."""
    found = choices[-1]
    for cells in reversed(choices[:-1]):
        found = torch.where(cells.any(dim=-1, keepdim=True), cells, found)
    return found


__all__ = ["DRAWN", "GOING_ON", "LOST", "WON", "ConnectK", "ConnectKLookingAhead"]
