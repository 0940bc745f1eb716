"""Board games in which lines may run in some directions only, and any two edges may be joined."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Quantity
from netwright.environments.boards import LENGTHS, SIDE, lines_of
from netwright.environments.connect_k import ConnectK

Lines = frozenset[frozenset[tuple[int, int]]]
# With fewer lines than these, of three and of four stones, nearly all games would be drawn.
_LEAST_LINES = dict(zip(LENGTHS, (6, 10), strict=True))
_NEW = ("without_rows", "without_columns", "one_slope", "ends_joined")


class ConnectDirections(ConnectK):
    """`ConnectK`, and besides: whether rows and columns are lines, whether diagonals are lines in both directions or only where they rise to the right,
    whether the bottom and the top edge are joined.

    The rules of `ConnectK` are part of the family, as those in which the four new quantities are 0, and each is of the same split as there. No other rule is there
    twice, nor as a mirror image or a turned board of another one, those of `ConnectK` included.
    """

    # The new ones come first: cells of `ConnectK` keep their number, which decides on the split.
    quantities: ClassVar[tuple[Quantity, ...]] = (
        *(Quantity(name, 0.0, 1.0, 0.0, "switch") for name in _NEW),
        *ConnectK.quantities,
    )
    hashed = len(quantities)
    line_switches: ClassVar[tuple[str, ...]] = ("diagonals", "joined", *_NEW)

    def allows(self, machine: Tensor) -> Tensor:
        """Rules with lines enough, each of them once."""
        place = torch.zeros(len(machine), dtype=torch.long)
        for i, q in enumerate(self.quantities):
            place = place * q.count + (machine[:, i].round() - q.low).long()
        return _allowed()[place]

    def describe(self, machine: Tensor, rng: np.random.Generator) -> str:
        """Rules [P] in words, chosen at random."""
        said = {
            name: list(words)[rng.integers(len(words))]
            for (name, words), on in zip(_WORDS.items(), machine[: len(_NEW)].tolist(), strict=True)
            if on > 0.5
        }
        parts = [super().describe(machine[len(_NEW) :], rng), *said.values()]
        return ", ".join(parts[i] for i in rng.permutation(len(parts)))


class ConnectDirectionsLookingAhead(ConnectDirections):
    """The same against opponents of which a third looks one move ahead always, a third half of the time, and a third never."""

    skills = (0.0, 0.5, 1.0)


_WORDS = {
    "without_rows": ("rows do not count", "no lines along rows"),
    "without_columns": ("columns do not count", "no lines along columns"),
    "one_slope": ("of diagonals only those that rise to the right count", "no diagonals that fall to the right"),
    "ends_joined": ("the top and bottom edge are joined", "lines go over the top and come back at the bottom"),
}  # fmt: skip


@cache
def _allowed() -> Tensor:
    """Which combinations of quantities are rules of the family, bool, in their order."""
    old = _places(ConnectK.quantities)
    allowed = ConnectK().allows(torch.tensor(old)).tolist()
    met = {form for rule in old for form in _forms(_drawn(rule))}
    for new in product((0.0, 1.0), repeat=len(_NEW)):
        if not any(new):
            continue
        for rule in old:
            game = _drawn((*rule, *new))
            # Of two slopes one can only be left out where diagonals count.
            counts = new[_NEW.index("one_slope")] <= rule[3]
            found = counts and len(game[-1]) >= _LEAST_LINES[round(rule[2])] and game not in met
            if found:
                met.update(_forms(game))
            allowed.append(found)
    return torch.tensor(allowed)


def _places(quantities: tuple[Quantity, ...]) -> list[tuple[float, ...]]:
    """All combinations of values, in order."""
    return list(product(*([q.low + i for i in range(q.count)] for q in quantities)))


Game = tuple[int, int, float, float, Lines]


def _drawn(rule: tuple[float, ...]) -> Game:
    """A rule as what it comes to: sides of the board, gravity, misere, lines as places."""
    width, height, length, diagonals, gravity, misere, joined, *new = rule
    lines = lines_of(
        round(width), round(height), round(length), diagonals > 0, joined > 0, *(v > 0 for v in new)
    )
    places = frozenset(frozenset((c % SIDE, c // SIDE) for c in line) for line in lines)
    return round(width), round(height), gravity, misere, places


def _forms(game: Game) -> Iterator[Game]:
    """A game and its mirror images; where stones do not fall, turned by quarters as well."""
    width, height, gravity, misere, lines = game
    for swapped, across, over in product((False, True), repeat=3):
        if gravity and (swapped or over):
            continue
        w, h = (height, width) if swapped else (width, height)
        yield w, h, gravity, misere, frozenset(
            frozenset(
                (w - 1 - x if across else x, h - 1 - y if over else y)
                for x, y in ((b, a) if swapped else (a, b) for a, b in line)
            )
            for line in lines
        )  # fmt: skip


__all__ = ["ConnectDirections", "ConnectDirectionsLookingAhead"]
