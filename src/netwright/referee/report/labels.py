"""Labels beside points, placed where they hide neither points nor each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netwright.referee.report.svg import SMALL, Panel, Point, text, text_width

GAP = 8.0


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """The area that two share."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0) * max(down, 0)


def placed_labels(
    panel: Panel, labels: Sequence[tuple[Point, str]], obstacles: Iterable[Box]
) -> str:
    """A label per point; each takes the place around it that covers least, the nearest of equal ones.

    Args:
        panel: What they should stay within.
        labels: Where a point is drawn, and its name.
        obstacles: What else should not be covered.
    """
    taken = list(obstacles)
    taken += [Box(x - 5, y - 5, x + 5, y + 5) for (x, y), _ in labels]
    parts = []
    for point, name in labels:
        best = min(_places(point, name), key=lambda box: _cost(box, taken, panel))
        taken.append(best)
        # What stands left of its point ends there, however wide its letters turn out.
        x, anchor = (best.right, "end") if best.right < point[0] else (best.left, "start")
        parts.append(text(x, best.bottom - 3, name, anchor=anchor))
    return "".join(parts)


def _places(point: Point, name: str) -> list[Box]:
    width, height = text_width(name), SMALL + 2
    x, y = point
    lefts = {"right": x + GAP, "left": x - GAP - width, "middle": x - width / 2}
    tops = {"level": y - height / 2, "above": y - GAP - height, "below": y + GAP}
    order = [("right", "level"), ("left", "level"), ("middle", "above"), ("middle", "below")]
    order += [(side, place) for side in ("right", "left") for place in ("above", "below")]
    # Further away, for clusters.
    for row in (1, 2, 3):
        tops |= {f"high{row}": y - GAP - (row + 1) * height, f"low{row}": y + GAP + row * height}
        places = (f"high{row}", f"low{row}")
        order += [(side, place) for side in ("middle", "right", "left") for place in places]
    corners = ((lefts[side], tops[place]) for side, place in order)
    return [Box(left, top, left + width, top + height) for left, top in corners]


def _cost(box: Box, taken: Iterable[Box], panel: Panel) -> float:
    """What a label there would cover; outside of the panel nothing can be read."""
    inside = Box(panel.left, 14, panel.left + panel.width + 12, panel.top + panel.height)
    area = (box.right - box.left) * (box.bottom - box.top)
    return 4 * (area - box.overlap(inside)) + sum(box.overlap(other) for other in taken)
