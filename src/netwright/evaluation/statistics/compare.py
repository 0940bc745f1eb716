"""The table that says which learners beat a reference, and which claims the data do not carry."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation.statistics.arrays import FloatArray, check_share, finite_array
from netwright.evaluation.statistics.correction import correction_named
from netwright.evaluation.statistics.crossed import CrossedMean, crossed_mean
from netwright.evaluation.statistics.effects import EffectSizes, effect_sizes
from netwright.evaluation.statistics.interval import Interval
from netwright.evaluation.statistics.ranks import average_ranks

Verdict = Literal["win", "loss", "tie", "no claim: one seed"]
# Differences this small beside the scores are rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class ComparisonRow:
    """One learner, alone and beside the reference.

    Args:
        learner: Its name.
        mean: Over seeds and episodes, with an interval of its own at the level of the comparison.
        rank: Mean rank among all learners per seed and episode, 1 for the best, ties shared.
        difference: Its scores less the reference's, with the corrected interval, which carries its own level; None
            for the reference itself.
        p_value: That the difference is zero, adjusted for the number of comparisons; None for the reference.
        effects: Of the learner over the reference, pair by pair, in the direction of the scores; None for the
            reference.
        verdict: `win` if the corrected interval lies on the better side of zero, `loss` if on the worse, `tie` if zero
            is inside: not shown to differ, which is not shown to be equal; None for the reference.
    """

    learner: str
    mean: Interval
    rank: float
    difference: Interval | None
    p_value: float | None
    effects: EffectSizes | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Comparison:
    """Learners beside a reference, on the same episodes.

    Args:
        rows: One per learner, in the order given.
        reference: What the others are compared with.
        seeds: S.
        episodes: N.
        level: One less the chance of any false win or loss in the table.
        correction: How the number of comparisons is accounted for.
        higher_is_better: Which way the scores point.
    """

    rows: tuple[ComparisonRow, ...]
    reference: str
    seeds: int
    episodes: int
    level: float
    correction: str
    higher_is_better: bool

    def __getitem__(self, learner: str) -> ComparisonRow:
        for row in self.rows:
            if row.learner == learner:
                return row
        raise KeyError(learner)

    def __str__(self) -> str:
        """A Markdown table."""
        head = ["learner", "mean", f"difference to {self.reference}", "p", "d_z", "rank", "verdict"]
        lines = [_line(head), _line(["---"] * len(head))]
        return "\n".join([*lines, *(_line(_cells(row)) for row in self.rows)])

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def compare_scores(
    scores: Mapping[str, npt.ArrayLike],
    *,
    reference: str,
    higher_is_better: bool = True,
    level: float = 0.95,
    correction: str = "holm",
) -> Comparison:
    """Compare learners with a reference over seeds and episodes, and say what may be claimed.

    Differences are taken per seed and episode; their interval is that of `crossed_mean`, which holds for new seeds and
    new episodes with as few as two seeds. With one seed the intervals are about that one network, and no verdict is
    given. A learner without randomness repeats its scores for every seed.

    Args:
        scores: By learner, [S, N]: seeds by episodes, the same episodes for all.
        reference: The learner that the others are compared with.
        higher_is_better: False for errors and losses.
        level: One less the chance of any false win or loss in the table.
        correction: `holm` or `bonferroni`; the latter's intervals also hold together as ranges.

    Raises:
        ShapeError: If scores are not [S, N], or not of one shape.
        StatisticsError: If there are fewer than two learners or two episodes, the reference is not among them, a score
            is not finite, a difference is the same everywhere and not zero, or an option is unknown.
        MissingExtraError: If SciPy is not installed.
    """
    check_share("level", level)
    corrected = correction_named(correction)
    arrays = _checked(scores, reference)
    others = [name for name in arrays if name != reference]
    means = {name: _mean_difference(name, arrays, reference) for name in others}
    p_values = np.array([means[name].p_value() for name in others])
    adjusted = dict(zip(others, corrected.adjust(p_values), strict=True))
    levels = dict(zip(others, corrected.levels(p_values, level), strict=True))
    sign = 1 if higher_is_better else -1
    ranks = average_ranks(sign * np.stack(list(arrays.values()), axis=-1)).mean(axis=(0, 1))
    rows = []
    for (name, values), rank in zip(arrays.items(), ranks, strict=True):
        mean = crossed_mean(values).interval(level)
        if name == reference:
            rows.append(ComparisonRow(name, mean, float(rank), None, None, None, None))
            continue
        difference = means[name].interval(float(levels[name]))
        rows.append(
            ComparisonRow(
                name,
                mean,
                float(rank),
                difference,
                float(adjusted[name]),
                effect_sizes(values, arrays[reference]),
                _verdict(difference, sign, means[name].seeds),
            )
        )
    seeds, episodes = arrays[reference].shape
    return Comparison(tuple(rows), reference, seeds, episodes, level, correction, higher_is_better)


def _checked(scores: Mapping[str, npt.ArrayLike], reference: str) -> dict[str, FloatArray]:
    if reference not in scores or len(scores) < 2:
        raise StatisticsError(
            f"`scores` are of {sorted(scores)}, expected the reference {reference!r} and at least one other learner."
        )
    arrays = {
        name: finite_array(f"scores[{name!r}]", values, "S N", least=2)
        for name, values in scores.items()
    }
    expected = arrays[reference].shape
    for name, array in arrays.items():
        if array.shape != expected:
            raise ShapeError(
                f"`scores[{name!r}]` is {list(array.shape)}, expected {list(expected)} as {reference!r} has. "
                "Score all learners on the same seeds and episodes."
            )
    return arrays


def _mean_difference(name: str, arrays: dict[str, FloatArray], reference: str) -> CrossedMean:
    difference = arrays[name] - arrays[reference]
    rounding = ROUNDING * max(float(np.abs(array).max()) for array in arrays.values())
    if np.abs(difference).max() <= rounding:
        return crossed_mean(np.zeros_like(difference))
    if np.ptp(difference) <= rounding:
        raise StatisticsError(
            f"`scores[{name!r}]` differ from those of {reference!r} by {difference.flat[0]:.4g} in every episode: without "
            "any variation no interval can be had. Check that the scores are not made from each other."
        )
    return crossed_mean(difference)


def _verdict(difference: Interval, sign: int, seeds: int) -> Verdict:
    if seeds == 1:
        return "no claim: one seed"
    if not difference.excludes_zero:
        return "tie"
    return "win" if sign * difference.value > 0 else "loss"


def _cells(row: ComparisonRow) -> list[str]:
    if row.difference is None or row.p_value is None or row.effects is None:
        return [row.learner, str(row.mean), "", "", "", f"{row.rank:.2f}", "reference"]
    p = f"{row.p_value:.3f}" if row.p_value >= 0.001 else "< 0.001"
    dz = f"{row.effects.cohens_dz:.2f}"
    return [row.learner, str(row.mean), str(row.difference), p, dz, f"{row.rank:.2f}", str(row.verdict)]  # fmt: skip


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
