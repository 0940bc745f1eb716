"""Figures of one setting: learning curves, accuracy against bytes and support size, calibration."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from netwright.referee.report.axis import Axis, axis_over
from netwright.referee.report.document import Figure
from netwright.referee.report.labels import Box, placed_labels
from netwright.referee.report.learner import Range
from netwright.referee.report.notation import bytes_text, interval_text, number_text
from netwright.referee.report.setting import LearnerSummary, SettingSummary
from netwright.referee.report.svg import (
    Panel,
    Point,
    area,
    bar,
    drawing,
    line,
    mark,
    panel,
    series,
    shortened,
    text,
)

MARKS = 8
Legend = tuple[tuple[int, str], ...]
Curve = tuple[int, str, Sequence[tuple[float, Range]]]
"""Number and name of a learner, and its values with their range over seeds."""


def step_curves(setting: SettingSummary) -> Figure | None:
    """Validation over optimiser steps; None if nothing was trained."""
    curves: list[Curve] = [
        (i, row.learner, [(point.step, point.validation) for point in row.curve])
        for i, row in enumerate(setting.rows)
        if row.curve
    ]
    ranges = [x for _, _, points in curves for x, _ in points]
    if not ranges:
        return None
    across = axis_over("optimiser steps", ranges, margin=0.03)
    return _curves(setting, f"validation {setting.metric} over steps", across, curves)


def cpu_curves(setting: SettingSummary) -> Figure | None:
    """Validation over CPU-seconds of training; None if they were not measured."""
    curves: list[Curve] = []
    for i, row in enumerate(setting.rows):
        points = [(p.cpu_seconds, p.validation) for p in row.curve if p.cpu_seconds]
        if points:
            curves.append((i, row.learner, points))
    ranges = [x for _, _, points in curves for x, _ in points]
    if not ranges:
        return None
    across = axis_over("CPU-seconds of training", ranges, margin=0.03)
    return _curves(setting, f"validation {setting.metric} over CPU time", across, curves)


def support_curves(setting: SettingSummary) -> Figure | None:
    """The metric over the number of support examples; None if it was not measured."""
    curves: list[Curve] = [
        (i, row.learner, [(float(point.shots), point.value) for point in row.by_support])
        for i, row in enumerate(setting.rows)
        if row.by_support
    ]
    shots = sorted({x for _, _, points in curves for x, _ in points})
    if not shots:
        return None
    title = "support examples (per class, if there are classes)"
    across = replace(axis_over(title, shots, margin=0.03, wide=4.0), given=tuple(shots))
    return _curves(setting, f"test {setting.metric} over support size", across, curves)


def pareto_figure(setting: SettingSummary) -> Figure | None:
    """The metric against deployed bytes, with the front of what nothing smaller equals."""
    rows = [
        (i, row)
        for i, row in enumerate(setting.rows)
        if row.mean and row.cost.deployed_bytes and len(row.seeds) == setting.seeds
    ]
    if not rows:
        return None
    points = {i: (_size(row), row.mean.value) for i, row in rows if row.mean}
    front = pareto_front(points, higher_is_better=setting.higher_is_better)
    ends = [end for _, row in rows if row.mean for end in (row.mean.low, row.mean.high)]
    sizes = axis_over("deployed bytes", [size for size, _ in points.values()], label=bytes_text, margin=0.12, wide=4.0)  # fmt: skip
    frame = panel(sizes, _metric_axis(setting, ends))
    steps = [frame.at(*points[i]) for i in front]
    stairs = _stairs(frame, steps)
    parts = [frame.frame(), line(stairs, "front")]
    obstacles = [
        Box(x, min(y, v) - 1, u, max(y, v) + 1) for (x, y), (u, v) in itertools.pairwise(stairs)
    ]
    for i, row in rows:
        assert row.mean is not None
        x, y = frame.at(*points[i])
        low, high = (frame.at(points[i][0], end)[1] for end in (row.mean.low, row.mean.high))
        parts.append(line([(x, low), (x, high)], f"whisker {series(i)}"))
        parts.append(mark(i, (x, y), is_hollow=i not in front))
        obstacles.append(Box(x - 2, min(low, high), x + 2, max(low, high)))
    labels = [(frame.at(*points[i]), shortened(row.learner, 150)) for i, row in rows]
    parts.append(placed_labels(frame, labels, obstacles))
    title = f"test {setting.metric} against deployed bytes"
    names = [setting.rows[i].learner for i in front]
    described = "; ".join(
        f"{row.learner} {bytes_text(row.cost.deployed_bytes)}, {interval_text(row.mean)}"
        for _, row in rows
    )
    return Figure(
        f"{setting.name}: {title}",
        drawing(parts, frame.top + frame.height + 38, title, described),
        f"Filled marks on the stepped line are the Pareto front ({', '.join(names)}): nothing as small has a better mean. "
        "Whiskers: 95 % intervals. Learners that finished all seeds.",
    )


def reliability_figure(setting: SettingSummary) -> Figure | None:
    """Accuracy against confidence; None without calibration."""
    curves = []
    for i, row in enumerate(setting.rows):
        bins = row.calibration.bins if row.calibration else ()
        points = [(b.confidence, b.accuracy) for b in bins if b.count]
        known = [(x, y) for x, y in points if x is not None and y is not None]
        if known:
            curves.append((i, row.learner, known))
    if not curves:
        return None
    frame = panel(Axis("mean confidence", 0, 1), Axis("share of right answers", 0, 1), 220)
    parts = [frame.frame(), line([frame.at(0, 0), frame.at(1, 1)], "ideal")]
    parts.append(text(*_shifted(frame.at(0.6, 0.6), -8, -8), "ideal", anchor="end"))
    for i, _, known in curves:
        places = [frame.at(*point) for point in known]
        parts.append(line(places, f"curve {series(i)}"))
        parts += [mark(i, place, size=3.2) for place in places]
    title = f"{setting.metric} against confidence"
    described = "; ".join(
        f"{row.learner} calibration error {number_text(row.calibration.ece)}"
        for row in setting.rows
        if row.calibration
    )
    return Figure(
        f"{setting.name}: reliability",
        drawing(parts, frame.top + frame.height + 38, title, described),
        "Below the dashed line a learner is surer than it is right. Queries of all seeds together.",
        _legend(setting, curves),
    )


def cost_bars(
    setting: SettingSummary, title: str, cost: Callable[[LearnerSummary], float | None]
) -> Figure | None:
    """One cost of every learner, on a logarithmic axis where they differ much."""
    known = [(i, row.learner, cost(row)) for i, row in enumerate(setting.rows)]
    values = [(i, name, value) for i, name, value in known if value is not None and value > 0]
    if not values:
        return None
    amounts = [value for _, _, value in values]
    spread = max(amounts) / min(amounts)
    start = 10 ** _floor_log(min(amounts)) if spread > 3 else 0.0
    axis = Axis(title, start, max(amounts) * (1.15 if spread > 3 else 1.05), is_log=start > 0)
    left, right, row_height = 126.0, 302.0, 21.0
    parts = []
    bottom = 8 + row_height * len(values)
    for tick in axis.ticks(4):
        x = left + (right - left) * axis.share(tick)
        parts.append(line([(x, 6), (x, bottom)], "grid"))
        parts.append(text(x, bottom + 13, number_text(tick), anchor="middle"))
    for place, (i, name, value) in enumerate(values):
        y = 8 + row_height * place
        parts.append(text(left - 18, y + 12.5, shortened(name, left - 22), anchor="end"))
        parts.append(mark(i, (left - 9, y + 8.5), size=3.8))
        parts.append(
            bar(left, y + 2, (right - left) * axis.share(value), row_height - 8, f"bar {series(i)}")
        )
        end = left + (right - left) * axis.share(value)
        parts.append(text(end + 5, y + 12.5, number_text(value)))
    described = "; ".join(f"{name} {number_text(value)}" for _, name, value in values)
    scale = f"Logarithmic; bars start at {number_text(start)}." if start else "Bars start at zero."
    return Figure(f"{setting.name}: {title}", drawing(parts, bottom + 20, title, described), scale)


def pareto_front(
    points: dict[int, tuple[float, float]], *, higher_is_better: bool = True
) -> list[int]:
    """Points that no other equals or betters in both size and value, smallest first.

    >>> pareto_front({0: (10, 0.8), 1: (20, 0.7), 2: (30, 0.9)})
    [0, 2]
    """
    sign = -1 if higher_is_better else 1
    front: list[int] = []
    for i in sorted(points, key=lambda i: (points[i][0], sign * points[i][1])):
        if not front or sign * points[i][1] < sign * points[front[-1]][1]:
            front.append(i)
    return front


def _curves(setting: SettingSummary, title: str, across: Axis, curves: Sequence[Curve]) -> Figure:
    """Means over seeds as lines, and from least to largest seed as bands."""
    ranges = [found for _, _, points in curves for _, found in points]
    ends = [end for found in ranges for end in (found.low, found.high)]
    frame = panel(across, _metric_axis(setting, ends))
    parts = [frame.frame()]
    for i, _, points in curves:
        upper = [frame.at(x, found.high) for x, found in points]
        lower = [frame.at(x, found.low) for x, found in reversed(points)]
        parts.append(area([*upper, *lower], f"band {series(i)}"))
    for i, _, points in curves:
        places = [frame.at(x, found.mean) for x, found in points]
        parts.append(line(places, f"curve {series(i)}"))
        parts += [mark(i, place, size=3.6) for place in _some(places)]
    described = "; ".join(
        f"{name} ends at {number_text(points[-1][1].mean)}" for _, name, points in curves
    )
    return Figure(
        f"{setting.name}: {title}",
        drawing(parts, frame.top + frame.height + 38, title, described),
        "Lines: means over seeds, as far as all seeds went; bands: from the least to the largest seed.",
        _legend(setting, curves),
    )


def _legend(setting: SettingSummary, curves: Iterable[tuple[int, str, object]]) -> Legend:
    """Names beside marks; of a learner that lacks seeds, how many there are."""

    def name(i: int) -> str:
        row = setting.rows[i]
        lacks = len(row.seeds) < setting.seeds
        return (
            f"{row.learner} ({len(row.seeds)} of {setting.seeds} seeds)" if lacks else row.learner
        )

    return tuple((i, name(i)) for i, _, _ in curves)


def _metric_axis(setting: SettingSummary, values: Iterable[float]) -> Axis:
    better = "higher is better" if setting.higher_is_better else "lower is better"
    return axis_over(f"{shortened(setting.metric, 130)} ({better})", values)


def _stairs(frame: Panel, corners: Sequence[Point]) -> list[Point]:
    """What can be had with so many bytes: flat until the next point of the front."""
    points = [corners[0]]
    for x, y in corners[1:]:
        points += [(x, points[-1][1]), (x, y)]
    return [*points, (frame.left + frame.width, points[-1][1])]


def _some(places: Sequence[Point]) -> Sequence[Point]:
    """At most so many that marks can be told apart, the last among them."""
    skip = -(-len(places) // MARKS)
    return places[::-1][::skip]


def _size(row: LearnerSummary) -> float:
    assert row.cost.deployed_bytes is not None
    return row.cost.deployed_bytes


def _shifted(point: Point, x: float, y: float) -> Point:
    return point[0] + x, point[1] + y


def _floor_log(value: float) -> int:
    """The power of ten at or below a value, with room for its bar to be seen."""
    power = math.floor(math.log10(value))
    return power if value > 1.5 * 10.0**power else power - 1
