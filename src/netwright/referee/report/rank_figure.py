"""The critical-difference diagram: mean ranks, and brackets over learners that are not told apart."""

from netwright.evaluation.critical_difference import CriticalDifference
from netwright.referee.report.axis import Axis
from netwright.referee.report.document import Figure
from netwright.referee.report.notation import number_text, p_text
from netwright.referee.report.svg import WIDTH, drawing, line, mark, shortened, text

LEFT, ROW, TOP = 130.0, 22.0, 56.0


def rank_figure(found: CriticalDifference, numbers: dict[str, int]) -> Figure:
    """Learners in rows, best first, each with its mean rank on one axis.

    Args:
        found: The ranks.
        numbers: Of learners, which say how they are marked everywhere.
    """
    count = len(found.learners)
    right = WIDTH - 24 - 10 * len(found.groups)
    axis = Axis("mean rank", 1, count)
    unit = (right - LEFT) / (count - 1)

    def across(rank: float) -> float:
        return LEFT + (right - LEFT) * axis.share(rank)

    bottom = TOP + ROW * count
    ruler = min(found.difference, count - 1) * unit
    beyond = ", beyond the axis" if found.difference > count - 1 else ""
    parts = [
        text(LEFT, 11, f"critical difference {number_text(found.difference)}{beyond}"),
        line([(LEFT, 18), (LEFT + ruler, 18)], "ruler"),
        line([(LEFT, 14), (LEFT, 22)], "ruler"),
    ]
    if not beyond:
        parts.append(line([(LEFT + ruler, 14), (LEFT + ruler, 22)], "ruler"))
    for tick in range(1, count + 1):
        parts.append(line([(across(tick), TOP - 8), (across(tick), bottom)], "grid"))
        parts.append(text(across(tick), TOP - 13, str(tick), anchor="middle"))
    parts.append(text(LEFT - 18, TOP - 13, "mean rank", anchor="end"))
    for place, (name, rank) in enumerate(zip(found.learners, found.ranks, strict=True)):
        y = TOP + ROW * (place + 0.5)
        parts.append(text(LEFT - 18, y + 3.6, shortened(name, LEFT - 22), anchor="end"))
        parts.append(line([(LEFT, y), (across(rank), y)], "stem"))
        parts.append(mark(numbers[name], (across(rank), y)))
    for column, group in enumerate(found.groups):
        places = [found.learners.index(name) for name in group]
        x = right + 16 + 10 * column
        ends = (TOP + ROW * min(places) + 4, TOP + ROW * (max(places) + 1) - 4)
        parts.append(line([(x - 4, ends[0]), (x, ends[0]), (x, ends[1]), (x - 4, ends[1])], "group"))  # fmt: skip
    described = "; ".join(
        f"{name} {rank:.2f}" for name, rank in zip(found.learners, found.ranks, strict=True)
    )
    return Figure(
        "Critical differences",
        drawing(parts, bottom + 6, "Mean ranks over settings", described),
        f"1 is the best rank. {_brackets(found)} Friedman: chi-squared {number_text(found.test.chi_squared)}, p "
        f"{p_text(found.test.p_value)}; Iman and Davenport: p {p_text(found.test.f_p_value)}.",
    )


def _brackets(found: CriticalDifference) -> str:
    if not found.groups:
        return "All learners are told apart."
    return "Learners under one bracket are not told apart: " + "; ".join(
        ", ".join(group) for group in found.groups
    ) + "."  # fmt: skip
