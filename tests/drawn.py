"""Strokes that a test draws, and a hand that draws them on a page."""

import math

Stroke = list[tuple[float, float]]


def circle(x: float = 0.5, y: float = 0.5, radius: float = 0.3, start: float = 0.3) -> list[Stroke]:
    """One round stroke, in shares of the pad."""
    angles = [start + 2 * math.pi * i / 24 for i in range(25)]
    return [[(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]]


def cross(x: float = 0.5, y: float = 0.5, size: float = 0.3) -> list[Stroke]:
    """Two strokes."""
    down = [(x + size * t, y + size * t) for t in (-1, 0.02, 1)]
    up = [(x + size * t, y - size * t) for t in (1, 0.03, -1)]
    return [down, up]


def wave(x: float = 0.5, y: float = 0.5, size: float = 0.35) -> list[Stroke]:
    """One stroke up and down."""
    return [[(x + size * t / 8, y + 0.4 * size * math.sin(t)) for t in range(-8, 9)]]


def draw(page, pad, strokes: list[Stroke]) -> None:
    """Draw with the mouse."""
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
