"""Rules of connect-k games on boards of up to 5 x 5 cells, as tensor arithmetic over stones."""

from functools import cache
from itertools import product

import torch
from torch import Tensor

SIDE = 5
CELLS = SIDE * SIDE
LEAST = 3
"""Of a side of a board."""
LENGTHS = (3, 4)
_STRAIGHT = ((1, 0), (0, 1))
_DIAGONAL = ((1, 1), (1, -1))


@cache
def lines_of(
    width: int, height: int, length: int, diagonals: bool, joined: bool
) -> tuple[tuple[int, ...], ...]:
    """All lines of `length` cells of a board; where its left and right edges are joined, across that seam as well.

    Cells are numbered row by row, five to a row, from the bottom left.
    """
    found = set()
    directions = _STRAIGHT + (_DIAGONAL if diagonals else ())
    for x, y, (dx, dy) in product(range(width), range(height), directions):
        places = [(x + i * dx, y + i * dy) for i in range(length)]
        if joined:
            places = [(px % width, py) for px, py in places]
        inside = all(0 <= px < width and 0 <= py < height for px, py in places)
        # A row that is shorter than the line would meet itself.
        if inside and len(set(places)) == length:
            found.add(tuple(sorted(SIDE * py + px for px, py in places)))
    return tuple(sorted(found))


class Rules:
    """What boards of T machines are like, and which moves do what on them.

    Args:
        width: Cells in a row, [T, 1].
        height: Cells in a column, [T, 1].
        length: Stones in a line, [T, 1].
        diagonals: Whether lines may be diagonal, bool [T, 1].
        gravity: Whether stones fall, bool [T, 1].
        joined: Whether the left and the right edge are joined, bool [T, 1].
        like: Says the dtype and device of stones.
    """

    def __init__(
        self,
        width: Tensor,
        height: Tensor,
        length: Tensor,
        diagonals: Tensor,
        gravity: Tensor,
        joined: Tensor,
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
            diagonals.long(),
            joined.long(),
        ]
        at = places[0]
        for place, size in zip(places[1:], (sides, len(LENGTHS), 2, 2), strict=True):
            at = at * size + place
        self.lines = _all_lines().to(like)[at[:, 0]]

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
def _all_lines() -> Tensor:
    """Lines of every board, length and seam, as masks [V, L, 25]; where there are fewer than L the rest is empty."""
    sides, lengths = range(LEAST, SIDE + 1), LENGTHS
    no_yes = (False, True)
    each = [lines_of(*rule) for rule in product(sides, sides, lengths, no_yes, no_yes)]
    found = torch.zeros(len(each), max(map(len, each)), CELLS)
    for v, lines in enumerate(each):
        for i, line in enumerate(lines):
            found[v, i, list(line)] = 1.0
    return found


__all__ = ["CELLS", "LEAST", "LENGTHS", "SIDE", "Rules", "lines_of"]
