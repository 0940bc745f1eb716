"""Drawings as SVG markup: text and marks that take their colours from the page, so that light and dark both work.

A drawing is 360 units wide, which is a telephone's width: its text stays legible there without scrolling.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netwright.referee.report.axis import Axis

WIDTH = 360.0
# Mean width of a letter, in units of the font size; a little generous, so that nothing is cut.
LETTER = 0.56
SMALL = 10.5
SERIES = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """A rectangle with two axes.

    Args:
        x: Across.
        y: Upwards.
        left: Units left of it.
        top: Units above it.
        width: Its own.
        height: Its own.
    """

    x: Axis
    y: Axis
    left: float
    top: float
    width: float
    height: float

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values is drawn."""
        return (
            self.left + self.width * self.x.share(x),
            self.top + self.height * (1 - self.y.share(y)),
        )

    def frame(self) -> str:
        """Grid, ticks, labels and titles."""
        right, bottom = self.left + self.width, self.top + self.height
        parts = []
        for value in self.y.ticks():
            height = self.at(self.x.low, value)[1]
            parts.append(line([(self.left, height), (right, height)], "grid"))
            parts.append(text(self.left - 5, height + 3.6, self.y.label(value), anchor="end"))
        for value in self.x.ticks():
            across = self.at(value, self.y.low)[0]
            parts.append(line([(across, bottom), (across, bottom + 4)], "axis"))
            parts.append(text(across, bottom + 15, self.x.label(value), anchor="middle"))
        parts.append(line([(self.left, bottom), (right, bottom)], "axis"))
        parts.append(text(right, bottom + 31, self.x.title, anchor="end"))
        parts.append(text(2, 11, self.y.title))
        return "".join(parts)


def panel(x: Axis, y: Axis, height: float = 190.0) -> Panel:
    """A panel that leaves the labels of `y` the room they need."""
    left = 10 + max(text_width(y.label(value)) for value in y.ticks())
    return Panel(x, y, left, 22, WIDTH - left - 14, height)


def drawing(parts: Iterable[str], height: float, title: str, description: str) -> str:
    """A whole drawing, which a screen reader reads as its title and description."""
    label = html.escape(f"{title}. {description}", quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}">'
        f"{''.join(parts)}</svg>"
    )


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: float = SMALL, kind: str = ""
) -> str:
    """One line of text, escaped."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{style}>{html.escape(words)}</text>'


def text_width(words: str, size: float = SMALL) -> float:
    """About how wide a text is."""
    return LETTER * size * len(words)


def shortened(words: str, room: float, size: float = SMALL) -> str:
    """A text that fits into `room`; cut in the middle if it must be, since names often differ at their ends."""
    most = max(int(room / (LETTER * size)), 3)
    if len(words) <= most:
        return words
    end = (most - 1) // 2
    return f"{words[: most - 1 - end]}…{words[-end:]}"


def line(points: Sequence[Point], kind: str) -> str:
    """A line through points."""
    return f'<polyline class="{kind}" points="{_pairs(points)}"/>'


def area(points: Sequence[Point], kind: str) -> str:
    """A filled shape."""
    return f'<polygon class="{kind}" points="{_pairs(points)}"/>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A filled rectangle."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"/>'


def series(number: int) -> str:
    """The class that colours a learner's marks."""
    return f"s{number % SERIES}"


def mark(number: int, at: Point, *, is_hollow: bool = False, size: float = 4.5) -> str:
    """A learner's mark: another shape for each, so that colour is never alone."""
    kind = f"mark {series(number)}{' hollow' if is_hollow else ''}"
    x, y = at
    # The second eight learners get the colours again, and each another shape with it.
    shape = (number + number // SERIES) % SERIES
    if shape == 0:
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    corners = [(x + size * dx, y + size * dy) for dx, dy in _SHAPES[shape - 1]]
    return f'<polygon class="{kind}" points="{_pairs(corners)}"/>'


_SHAPES: tuple[tuple[Point, ...], ...] = (
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.3), (1.15, 0.85), (-1.15, 0.85)),
    ((0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)),
    ((0, 1.3), (1.15, -0.85), (-1.15, -0.85)),
    ((-0.35, -1.2), (0.35, -1.2), (0.35, -0.35), (1.2, -0.35), (1.2, 0.35), (0.35, 0.35), (0.35, 1.2), (-0.35, 1.2), (-0.35, 0.35), (-1.2, 0.35), (-1.2, -0.35), (-0.35, -0.35)),
    ((-1.2, -0.55), (1.2, -0.55), (1.2, 0.55), (-1.2, 0.55)),
    ((-0.55, -1.2), (0.55, -1.2), (0.55, 1.2), (-0.55, 1.2)),
)  # fmt: skip


def _pairs(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
