"""From what a hand drew, or a picture that was taken, to the picture that a network reads.

The studio's page does the same in TypeScript (`web/src/ink.ts`); a test compares the two number by number.
"""

from collections.abc import Sequence

import numpy as np

from netwright.errors import DataError

SIZE = 28
# The longer side of what is drawn, in pixels of the picture; the margin around it is (SIZE - INK) / 2.
INK = 20.0
# Width of a pen, in pixels of the picture: whatever was drawn large or small is as thick.
PEN = 2.0
# Lighter ink than this share of the darkest is paper.
PAPER = 0.25


def picture_of_strokes(strokes: Sequence[np.ndarray], *, pen: float = PEN) -> np.ndarray:
    """A picture of strokes, centred, its longer side of one length, its edges soft.

    ink = clip(pen / 2 + 1/2 - distance to the nearest stroke, 0, 1), at the middle of every pixel.

    Args:
        strokes: Each a list of points (x, y), [n, 2], in any unit, y downwards. One point is a dot.
        pen: Width of strokes in pixels.

    Returns:
        Ink from 0 to 1, float32 [28, 28].

    Raises:
        DataError: If there is no point, or one is not finite.
    """
    lines = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not lines:
        raise DataError("The drawing has no stroke, expected at least one. Draw something.")
    points = np.concatenate(lines)
    if not np.isfinite(points).all():
        raise DataError("A point of the drawing is not finite, expected numbers. Leave it out.")
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max())
    scale = (INK - pen) / side if side > 0 else 0.0
    middle = (np.arange(SIZE) + 0.5)[:, None], (np.arange(SIZE) + 0.5)[None]
    nearest = np.full((SIZE, SIZE), np.inf)
    for line in lines:
        line = (line - (low + high) / 2) * scale + SIZE / 2
        ends = line[1:] if len(line) > 1 else line
        for (x0, y0), (x1, y1) in zip(line[: len(ends)], ends, strict=True):
            np.minimum(nearest, _squared_distance(middle, x0, y0, x1, y1), out=nearest)
    return np.asarray(np.clip(pen / 2 + 0.5 - np.sqrt(nearest), 0, 1), np.float32)


def picture_of_ink(ink: np.ndarray, *, size: int = SIZE) -> np.ndarray:
    """A picture of any size as a network reads it: cut to its ink, centred, averaged over areas.

    Args:
        ink: 0 where there is paper, the larger the darker, [H, W].
        size: Height and width of the result in pixels; the margins grow with it.

    Returns:
        Ink from 0 to 1, float32 [size, size].

    Raises:
        DataError: If there is no ink, or it is not finite.
    """
    ink = np.asarray(ink, np.float64)
    darkest = float(ink.max(initial=0.0))
    if not np.isfinite(ink).all() or darkest <= 0:
        raise DataError("The picture has no ink, expected dark on light. Choose another one.")
    is_ink = ink > PAPER * darkest
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    tall, wide = (float(found[-1] + 1 - found[0]) for found in (rows, columns))
    pixel = max(tall, wide) / (INK * size / SIZE)
    down = _overlaps(ink.shape[0], (rows[0] + rows[-1] + 1) / 2, pixel, size)
    across = _overlaps(ink.shape[1], (columns[0] + columns[-1] + 1) / 2, pixel, size)
    return np.asarray(np.clip(down @ ink @ across.T / darkest, 0, 1), np.float32)


def _overlaps(length: int, middle: float, pixel: float, size: int) -> np.ndarray:
    """Which share of each new pixel each old one covers, [size, length]."""
    edges = middle + (np.arange(size + 1) - size / 2) * pixel
    old = np.arange(length)
    shared = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.asarray(np.maximum(shared, 0) / pixel)


def _squared_distance(
    middle: tuple[np.ndarray, np.ndarray], x0: float, y0: float, x1: float, y1: float
) -> np.ndarray:
    """Of the middle of every pixel to a segment, [28, 28]."""
    y, x = middle
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    along = ((x - x0) * dx + (y - y0) * dy) / length if length > 0 else np.zeros((SIZE, SIZE))
    along = np.clip(along, 0, 1)
    return np.asarray((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2)


__all__ = ["INK", "PAPER", "PEN", "SIZE", "picture_of_ink", "picture_of_strokes"]
