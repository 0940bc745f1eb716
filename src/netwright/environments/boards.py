"""Rules of connect-k games on boards of up to 5 x 5 cells, as tensor arithmetic over stones."""

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import product

import torch
from torch import Tensor

SIDE = 5
CELLS = SIDE * SIDE
LEAST = 3
"""Of a side of a board."""
LENGTHS = (3, 4)
_NO_YES = (False, True)


@cache
def lines_of(
    width: int,
    height: int,
    length: int,
    diagonals: bool,
    joined: bool,
    without_rows: bool = False,
    without_columns: bool = False,
    one_slope: bool = False,
    ends_joined: bool = False,
) -> tuple[tuple[int, ...], ...]:
    """All lines of `length` cells of a board; where edges are joined, across that seam as well.

    Cells are numbered row by row, five to a row, from the bottom left.

    Args:
        width: Cells in a row.
        height: Cells in a column.
        length: Of a line.
        diagonals: Whether lines may be diagonal.
        joined: Whether the left and the right edge are joined.
        without_rows: Whether rows are no lines.
        without_columns: Whether columns are no lines.
        one_slope: Whether of diagonals only those that rise to the right are lines.
        ends_joined: Whether the bottom and the top are joined.
    """
    directions = {
        (1, 0): not without_rows,
        (0, 1): not without_columns,
        (1, 1): diagonals,
        (1, -1): diagonals and not one_slope,
    }
    own = (d for d, there in directions.items() if there)
    runs = (_runs(width, height, length, d, joined, ends_joined) for d in own)
    return tuple(sorted(set().union(*runs)))


@cache
def _runs(
    width: int, height: int, length: int, direction: tuple[int, int], joined: bool, ends: bool
) -> frozenset[tuple[int, ...]]:
    """All runs of `length` cells in one direction."""
    found = set()
    dx, dy = direction
    for x, y in product(range(width), range(height)):
        places = [(x + i * dx, y + i * dy) for i in range(length)]
        if joined:
            places = [(px % width, py) for px, py in places]
        if ends:
            places = [(px, py % height) for px, py in places]
        inside = all(0 <= px < width and 0 <= py < height for px, py in places)
        # A row that is shorter than the line would meet itself.
        if inside and len(set(places)) == length:
            found.add(tuple(sorted(SIDE * py + px for px, py in places)))
    return frozenset(found)


class Rules:
    """What boards of T machines are like, and which moves do what on them.

    Args:
        width: Cells in a row, [T, 1].
        height: Cells in a column, [T, 1].
        length: Stones in a line, [T, 1].
        gravity: Whether stones fall, bool [T, 1].
        switches: What else says which lines there are, in the order of `lines_of`, each bool [T, 1]: all of them, or the first two.
        like: Says the dtype and device of stones.
    """

    def __init__(
        self,
        width: Tensor,
        height: Tensor,
        length: Tensor,
        gravity: Tensor,
        switches: Sequence[Tensor],
        *,
        like: Tensor,
    ) -> None:
        # Other boards than these there are not.
        width, height = width.round().clamp(LEAST, SIDE), height.round().clamp(LEAST, SIDE)
        length = length.round().clamp(LENGTHS[0], LENGTHS[-1])
        cells = torch.arange(CELLS, device=like.device)
        self.exists = (cells % SIDE < width) & (cells // SIDE < height)
        self.exists = self.exists.unsqueeze(1)
        self.gravity = gravity.unsqueeze(-1)
        self.length = length.unsqueeze(-1)
        sides = SIDE - LEAST + 1
        places = [
            (width - LEAST).long(),
            (height - LEAST).long(),
            (length - LENGTHS[0]).long(),
            *(switch.long() for switch in switches),
        ]
        at = places[0]
        sizes = (sides, len(LENGTHS), *(2 for _ in switches))
        for place, size in zip(places[1:], sizes, strict=True):
            at = at * size + place
        self._place, self._switches, self._like = at[:, 0], len(switches), like

    @cached_property
    def lines(self) -> Tensor:
        """Lines of each board as masks, [T, L, 25]; where there are fewer than L the rest is empty."""
        # Not every question is about lines, and to look them up takes longer than most.
        return _all_lines(self._switches).to(self._like)[self._place]

    def legal(self, stones: Tensor) -> Tensor:
        """Cells that a stone may be put on, bool [T, N, 25]: empty, and with gravity the lowest such of a column.

        Args:
            stones: Of both players, [T, N, 25].
        """
        empty = (stones < 0.5) & self.exists
        below = torch.ones_like(empty)
        below[..., SIDE:] = stones[..., :-SIDE] > 0.5
        return empty & (below | ~self.gravity)

    def completing(self, stones: Tensor) -> Tensor:
        """Cells on which one more stone would complete a line, bool [T, N, 25].

        Args:
            stones: Of one player, [T, N, 25].
        """
        there = stones @ self.lines.transpose(1, 2)
        lacking_one = (there == self.length - 1).to(stones.dtype)
        return (lacking_one @ self.lines > 0) & (stones < 0.5)


@cache
def _all_lines(switches: int) -> Tensor:
    """Lines of every board, length and setting of so many switches, as masks [V, L, 25]; where there are fewer than L the rest is empty."""
    sides = range(LEAST, SIDE + 1)
    each = [lines_of(*rule) for rule in product(sides, sides, LENGTHS, *[_NO_YES] * switches)]
    found = torch.zeros(len(each), max(map(len, each)), CELLS)
    for v, lines in enumerate(each):
        if lines:
            found[v, : len(lines)].scatter_(1, torch.tensor(lines), 1.0)
    return found


__all__ = ["CELLS", "LEAST", "LENGTHS", "SIDE", "Rules", "lines_of"]
