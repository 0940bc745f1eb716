"""What a position of a connect-k game is worth, and which moves keep that: minimax with cuts."""

from collections.abc import Iterator

from torch import Tensor

from netwright.environments.boards import SIDE
from netwright.environments.connect_k import ConnectK


class Search:
    """Minimax under one rule. Stones of a player are bits: cell c is 1 << c, row by row from the bottom left.

    Positions are worth 1, 0 or -1 to whoever is to move. What was found is kept for the next question.

    Args:
        rule: A machine of `ConnectK`, or of what is like it, [P].
        depth: Moves that it looks ahead, beyond which a position counts as drawn; None for to the end.
        game: What the rule is one of; by default `ConnectK`.

    References:
        Knuth and Moore, An analysis of alpha-beta pruning, Artificial Intelligence 6, 1975.
    """

    def __init__(
        self, rule: Tensor, depth: int | None = None, *, game: ConnectK | None = None
    ) -> None:
        game = game or ConnectK()
        said = {q.name: v for q, v in zip(game.quantities, rule.tolist(), strict=True)}
        width, height = round(said["width"]), round(said["height"])
        self.falls, self.misere, self.depth = said["gravity"] > 0.5, said["misere"] > 0.5, depth
        cells = [SIDE * y + x for y in range(height) for x in range(width)]
        # From the middle on: good moves first make for more cuts.
        middle = ((width - 1) / 2, (height - 1) / 2)
        self.cells = sorted(
            cells, key=lambda c: abs(c % SIDE - middle[0]) + abs(c // SIDE - middle[1])
        )
        self.all = sum(1 << c for c in cells)
        lines = game.lines(said)
        # Of each cell, the rest of every line that it is on.
        self.rests = {c: [sum(1 << d for d in ln if d != c) for ln in lines if c in ln] for c in cells}  # fmt: skip
        self.nodes = 0
        self._known: dict[tuple[int, int, int], tuple[int, int]] = {}

    def value(self, mine: int, theirs: int) -> int:
        """What a position is worth to whoever has the stones `mine` and is to move."""
        return self._value(mine, theirs, -1, 1, self._left(mine | theirs))

    def best(self, mine: int, theirs: int) -> list[int]:
        """All cells to move to that are worth as much as the position; empty where the board is full."""
        found: list[int] = []
        highest = -2
        for cell in self._moves(mine | theirs):
            worth = self.worth(mine, theirs, cell)
            if worth > highest:
                highest, found = worth, []
            if worth == highest:
                found.append(cell)
        return found

    def worth(self, mine: int, theirs: int, cell: int) -> int:
        """What it is worth to move to a cell."""
        if self.completes(mine, cell):
            return -1 if self.misere else 1
        after = mine | 1 << cell
        left = self._left(after | theirs)
        left = left if self.depth is None else min(left, self.depth - 1)
        return -self._value(theirs, after, -1, 1, left)

    def completes(self, stones: int, cell: int) -> bool:
        """Whether one more stone on a cell makes a line."""
        return any(stones & rest == rest for rest in self.rests[cell])

    def _left(self, taken: int) -> int:
        left = (self.all & ~taken).bit_count()
        return left if self.depth is None else min(left, self.depth)

    def _moves(self, taken: int) -> Iterator[int]:
        for cell in self.cells:
            lies = not self.falls or cell < SIDE or taken >> (cell - SIDE) & 1
            if lies and not taken >> cell & 1:
                yield cell

    def _value(self, mine: int, theirs: int, low: int, high: int, left: int) -> int:
        """Negamax within a window, from -1 to 1, for so many moves."""
        moves = list(self._moves(mine | theirs))
        if not moves or not left:
            return 0
        self.nodes += 1
        if self.misere:
            # Who completes a line has lost: that is done only where nothing else can be.
            moves = [c for c in moves if not self.completes(mine, c)]
            if not moves:
                return -1
        else:
            if any(self.completes(mine, c) for c in moves):
                return 1
            threats = [c for c in moves if self.completes(theirs, c)]
            if threats and left > 1:
                # What is not prevented is lost with the next move; two such things cannot be prevented.
                if len(threats) > 1:
                    return -1
                moves = threats
        key = (mine, theirs, left)
        least, most = self._known.get(key, (-1, 1))
        if least >= high or least == most:
            return least
        if most <= low:
            return most
        low, high = max(low, least), min(high, most)
        best, floor = -1, low
        for cell in moves:
            best = max(best, -self._value(theirs, mine | 1 << cell, -high, -floor, left - 1))
            floor = max(floor, best)
            if floor >= high:
                break
        if best <= low:
            most = best
        elif best >= high:
            least = best
        else:
            least = most = best
        self._known[key] = (least, most)
        return best


def bits_of(stones: Tensor) -> int:
    """Stones [25] of a state as bits."""
    return sum(1 << c for c, there in enumerate(stones.tolist()) if there > 0.5)


__all__ = ["Search", "bits_of"]
