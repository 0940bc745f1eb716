"""Critical-difference diagrams: mean ranks over task families, and which learners do not differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netwright.errors import MissingExtraError, ShapeError, StatisticsError
from netwright.evaluation.statistics.arrays import finite_array
from netwright.evaluation.statistics.friedman import (
    FriedmanTest,
    friedman_test,
    nemenyi_difference,
)

GREY = "0.45"


@dataclass(frozen=True)
class CriticalDifference:
    """Learners by mean rank, and the groups whose members the data do not tell apart.

    Args:
        learners: Best first.
        ranks: Their mean ranks.
        difference: How far apart two mean ranks must lie, for all pairs together.
        groups: Largest groups of at least two learners no further apart than that; they may overlap.
        test: Friedman's: whether any learner differs at all.
        level: One less the chance of any false difference.
    """

    learners: tuple[str, ...]
    ranks: tuple[float, ...]
    difference: float
    groups: tuple[tuple[str, ...], ...]
    test: FriedmanTest
    level: float


def critical_difference(
    scores: Mapping[str, npt.ArrayLike], *, higher_is_better: bool = True, level: float = 0.95
) -> CriticalDifference:
    """Ranks of learners over task families with Nemenyi's critical difference.

    Args:
        scores: By learner, [F]: its mean score on each family; at least three learners.
        higher_is_better: False for errors and losses.
        level: One less the chance of any false difference.

    Raises:
        ShapeError: If scores are not [F], or not of one length.
        StatisticsError: If a score is not finite, there are fewer than three learners or two families, or all scores
            of each family are equal.
        MissingExtraError: If SciPy is not installed.

    References:
        Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006.
    """
    if len(scores) < 3:
        raise StatisticsError(
            f"`scores` are of {sorted(scores)}, expected at least three learners. Compare two with `wilcoxon_test`."
        )
    arrays = {name: finite_array(f"scores[{name!r}]", v, "F", least=2) for name, v in scores.items()}  # fmt: skip
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(
            f"`scores` have {lengths} families, expected one number. Score all learners on the same ones."
        )
    table = np.stack(list(arrays.values()), axis=-1)
    test = friedman_test(table if higher_is_better else -table)
    width = nemenyi_difference(len(arrays), len(table), level)
    by_rank = sorted(zip(test.mean_ranks, arrays, strict=True))
    ranks, names = [rank for rank, _ in by_rank], [name for _, name in by_rank]
    groups = tuple(tuple(names[first:end]) for first, end in _runs(ranks, width))
    return CriticalDifference(tuple(names), tuple(ranks), width, groups, test, level)


def draw_critical_difference(found: CriticalDifference, path: Path) -> Path:
    """Draw the diagram: an axis of ranks, best on the left, and a bar over each group.

    Args:
        found: What is drawn.
        path: The picture; its ending says which kind.

    Returns:
        `path`.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "Drawing a diagram") from None
    learners = len(found.learners)
    left = (learners + 1) // 2
    # In units of rows, downwards: the ruler of the difference, the axis, bars, names.
    bars = 0.55 * len(found.groups)
    bottom = bars + 0.5 + left
    figure = Figure(figsize=(7.2, 0.28 * (bottom + 2.6)), layout="constrained")
    axis = figure.subplots()
    axis.set_xlim(0.4 - 0.12 * learners, learners + 0.6 + 0.12 * learners)
    axis.set_ylim(bottom + 0.4, -2.2)
    axis.axis("off")
    _draw_axis(axis, found)
    for row, group in enumerate(found.groups):
        ranks = [found.ranks[found.learners.index(name)] for name in group]
        y = 0.55 * (row + 1)
        axis.plot(
            [ranks[0] - 0.04, ranks[-1] + 0.04], [y, y], color="C0", lw=4, solid_capstyle="round"
        )
    for place, (name, rank) in enumerate(zip(found.learners, found.ranks, strict=True)):
        is_left = place < left
        y = bars + 0.5 + (place if is_left else learners - 1 - place) + 0.5
        edge = 0.7 if is_left else learners + 0.3
        axis.plot([rank, rank, edge], [0, y, y], color="black", lw=0.9)
        label = f"{name}  {rank:.2f}" if is_left else f"{rank:.2f}  {name}"
        side = "right" if is_left else "left"
        axis.text(edge + (-0.06 if is_left else 0.06), y, label, ha=side, va="center", fontsize=9)
    figure.savefig(path, dpi=150, facecolor="white", bbox_inches="tight")
    return path


def _draw_axis(axis: Any, found: CriticalDifference) -> None:
    """The ranks from 1 to L, and above them a ruler as long as the critical difference."""
    learners = len(found.learners)
    axis.plot([1, learners], [0, 0], color="black", lw=1.2)
    for rank in range(1, learners + 1):
        axis.plot([rank, rank], [0, -0.18], color="black", lw=1.2)
        axis.text(rank, -0.28, str(rank), ha="center", va="bottom", fontsize=8, color=GREY)
    end = 1 + found.difference
    axis.plot([1, end], [-1.5, -1.5], color=GREY, lw=1.2, marker="|", markersize=7)
    text = f"critical difference {found.difference:.2f} at {100 * found.level:.0f} %, {found.test.families} families"
    axis.text(end + 0.08, -1.5, text, ha="left", va="center", fontsize=8, color=GREY)


def _runs(ranks: list[float], width: float) -> list[tuple[int, int]]:
    """Largest stretches [first, end) of sorted ranks within `width` that hold two or more."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        end = sum(other <= rank + width for other in ranks)
        if end - first > 1 and (not found or end > found[-1][1]):
            found.append((first, end))
    return found
