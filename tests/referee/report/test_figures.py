"""Drawings: axes, labels, fronts."""

import math
import re

import pytest
from comparisons import LEARNERS, write_comparison
from hypothesis import given
from hypothesis import strategies as st

from netwright.referee.report import read_comparison, summarise
from netwright.referee.report.axis import Axis, axis_over
from netwright.referee.report.figures import pareto_figure, pareto_front
from netwright.referee.report.labels import placed_labels
from netwright.referee.report.sections import report_document
from netwright.referee.report.svg import SERIES, mark, panel, shortened, text_width

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)
amounts = st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20)


@given(st.one_of(numbers, amounts))
def test_an_axis_holds_its_values_and_its_ticks(values):
    axis = axis_over("x", values)
    assert all(0 <= axis.share(value) <= 1 for value in values)
    assert all(-1e-9 <= axis.share(tick) <= 1 + 1e-9 for tick in axis.ticks())
    assert len(axis.ticks()) <= 6


@given(st.one_of(numbers, amounts))
def test_labels_of_ticks_differ(values):
    ticks = Axis("x", 0, 1).ticks() if len(set(values)) < 2 else axis_over("x", values).ticks()
    assert len(set(ticks)) == len(ticks)
    assert sorted(ticks) == list(ticks)


def test_ticks_are_round():
    assert Axis("x", 0, 1).ticks() == (0, 0.2, 0.4, 0.6, 0.8, 1)
    assert Axis("x", 0.9, 130, is_log=True).ticks() == (1, 10, 100)
    assert Axis("x", 8, 130, is_log=True).ticks() == (10, 30, 100)
    assert Axis("x", 1, 20, is_log=True, given=(1.0, 2.0, 5.0)).ticks() == (1, 2, 5)


def test_far_apart_is_logarithmic_and_only_where_all_is_positive():
    assert axis_over("x", [1, 100]).is_log
    assert not axis_over("x", [1, 5]).is_log
    assert not axis_over("x", [0, 100]).is_log
    assert math.isclose(Axis("x", 1, 16, is_log=True).share(4), 0.5)


@given(
    st.dictionaries(st.integers(0, 9), st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1),
    st.booleans(),
)
def test_the_front_is_what_nothing_dominates(points, higher_is_better):
    sign = 1 if higher_is_better else -1

    def dominates(a, b):
        (size, value), (other, its) = points[a], points[b]
        return size <= other and sign * value >= sign * its and points[a] != points[b]

    expected = {points[b] for b in points if not any(dominates(a, b) for a in points)}
    front = pareto_front(points, higher_is_better=higher_is_better)
    assert {points[i] for i in front} == expected
    assert len(front) == len(expected)


def test_names_are_cut_in_the_middle_and_fit():
    first, second = "learner-with-a-long-name-1", "learner-with-a-long-name-2"
    assert shortened("short", 200) == "short"
    assert shortened(first, 90) != shortened(second, 90)
    assert text_width(shortened(first, 90)) <= 90


def test_each_of_sixty_four_learners_has_marks_of_its_own():
    marks = {mark(number, (0, 0)) for number in range(SERIES * SERIES)}
    assert len(marks) == SERIES * SERIES


def boxes_of(labels):
    found = re.findall(r'x="([\d.]+)" y="([\d.]+)".*?anchor="(\w+)".*?>([^<]*)<', labels)
    lefts = [float(x) - (text_width(t) if anchor == "end" else 0) for x, _, anchor, t in found]
    return [
        (left, float(y) - 9, left + text_width(t), float(y))
        for left, (_, y, _, t) in zip(lefts, found, strict=True)
    ]


def test_labels_of_a_cluster_do_not_cover_each_other():
    frame = panel(Axis("x", 0, 1), Axis("y", 0, 1))
    points = [(frame.at(0.5 + 0.02 * i, 0.5 + 0.03 * (i % 2)), f"learner-{i}") for i in range(6)]
    boxes = boxes_of(placed_labels(frame, points, []))
    assert len(boxes) == 6
    for i, a in enumerate(boxes):
        assert a[0] >= frame.left
        assert a[2] <= 360
        for b in boxes[:i]:
            assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])


def test_figures_hold_what_they_draw(tmp_path):
    folder = write_comparison(tmp_path / "c", settings=("a", "b"), episodes=20)
    document = report_document(summarise(read_comparison(folder)))
    drawings = [b.svg for s in document.sections for b in s.blocks if hasattr(b, "svg")]
    assert len(drawings) == 1 + 2 * (2 + 1 + 1 + 3 + 1)
    for svg in drawings:
        width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
        places = re.findall(
            r"(-?[\d.]+),(-?[\d.]+)", " ".join(re.findall(r'points="([^"]*)"', svg))
        )
        assert places
        assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)
        for x, y, anchor, words in re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)".*?anchor="(\w+)".*?>([^<]*)<', svg):  # fmt: skip
            size = 0.9 * text_width(words)
            left = float(x) - {"start": 0, "middle": size / 2, "end": size}[anchor]
            assert left >= 0
            assert left + size <= width
            assert 0 <= float(y) <= height


def test_a_learner_that_lacks_a_seed_is_on_no_front(tmp_path):
    def change(result):
        if (result["learner"], result["seed"]) == ("protonet-wide", 0):
            return {**result, "status": "failed", "error": "x", "scores": {}}
        return result

    folder = write_comparison(tmp_path / "c", change=change)
    figure = pareto_figure(summarise(read_comparison(folder)).settings[0])
    assert "protonet-wide" not in figure.svg + figure.caption
    assert all(name in figure.svg for name in LEARNERS if name != "protonet-wide")


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_values_that_are_all_the_same_still_have_an_axis(value):
    axis = axis_over("x", [value, value])
    assert axis.share(value) == pytest.approx(0.5)
