"""Numbers across settings: how often each learner won, ranks, and aggregates over runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netwright.errors import StatisticsError
from netwright.evaluation.critical_difference import CriticalDifference, critical_difference
from netwright.evaluation.statistics import (
    Interval,
    interquartile_mean,
    probability_of_improvement,
    stratified_interval,
)
from netwright.evaluation.statistics.arrays import FloatArray
from netwright.referee.report.folder import ComparisonFolder
from netwright.referee.report.setting import LEVEL, RESAMPLES, SettingSummary
from netwright.rng import stream


@dataclass(frozen=True)
class Tally:
    """In how many settings a learner won, tied and lost against the reference."""

    learner: str
    wins: int
    ties: int
    losses: int
    no_claims: int


@dataclass(frozen=True)
class Aggregate:
    """One learner over all settings, by the means of its seeds.

    Args:
        learner: Its name.
        interquartile_mean: Of the means of all seeds and settings.
        improvement: How likely a seed of it beats one of the reference's in a random setting; None for the reference.
    """

    learner: str
    interquartile_mean: Interval
    improvement: Interval | None


@dataclass(frozen=True)
class Across:
    """What the settings say together.

    Args:
        tallies: Of each learner but the reference.
        critical: Ranks over settings; None if there are too few settings or learners.
        why_no_ranks: Why there are none.
        aggregates: Of each learner that finished everywhere, best first; empty for one setting.
        left_out: Learners that did not finish somewhere.
    """

    tallies: tuple[Tally, ...]
    critical: CriticalDifference | None
    why_no_ranks: str
    aggregates: tuple[Aggregate, ...]
    left_out: tuple[str, ...]


def summarise_across(comparison: ComparisonFolder, settings: Sequence[SettingSummary]) -> Across:
    """Sum up over settings.

    Args:
        comparison: The folder.
        settings: Its settings.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    runs = _runs(comparison, settings)
    left_out = tuple(name for name in comparison.design.learners if name not in runs)
    higher_is_better = settings[0].higher_is_better
    critical, why = _ranks(runs, len(settings), higher_is_better=higher_is_better)
    tallies = tuple(
        _tally(name, settings)
        for name in comparison.design.learners
        if name != comparison.design.reference
    )
    aggregates: tuple[Aggregate, ...] = ()
    if len(settings) > 1:
        sign = 1 if higher_is_better else -1
        aggregates = tuple(
            _aggregate(name, runs, comparison.design.reference, sign) for name in runs
        )
        aggregates = tuple(sorted(aggregates, key=lambda a: -sign * a.interquartile_mean.value))
    return Across(tallies, critical, why, aggregates, left_out)


def _runs(
    comparison: ComparisonFolder, settings: Sequence[SettingSummary]
) -> dict[str, FloatArray]:
    """Means over episodes of learners that finished everywhere, [S, F]."""
    runs = {}
    for learner in comparison.design.learners:
        if all(len(s[learner].seeds) == s.seeds for s in settings):
            columns = [
                [float(np.mean(r.primary)) for r in comparison.of(s.name, learner)]
                for s in settings
            ]
            runs[learner] = np.array(columns).T
    return runs


def _ranks(
    runs: Mapping[str, FloatArray], settings: int, *, higher_is_better: bool
) -> tuple[CriticalDifference | None, str]:
    if settings < 2:
        return None, "There is one setting; ranks across settings need at least two."
    if len(runs) < 3:
        return None, f"{len(runs)} learners finished in every setting; ranks need at least three."
    means = {name: values.mean(axis=0) for name, values in runs.items()}
    try:
        return critical_difference(means, higher_is_better=higher_is_better, level=LEVEL), ""
    except StatisticsError as error:
        return None, str(error)


def _tally(learner: str, settings: Sequence[SettingSummary]) -> Tally:
    outcomes = [setting[learner].verdict.outcome for setting in settings]
    counts = [outcomes.count(outcome) for outcome in ("win", "tie", "loss", "no claim")]
    return Tally(learner, *counts)


def _aggregate(
    learner: str, runs: Mapping[str, FloatArray], reference: str, sign: int
) -> Aggregate:
    middle = stratified_interval(
        runs[learner],
        stream(0, "report", "aggregate", learner),
        statistic=interquartile_mean,
        level=LEVEL,
        resamples=RESAMPLES,
    )
    if learner == reference or reference not in runs:
        return Aggregate(learner, middle, None)
    rng = stream(0, "report", "improvement over settings", learner)
    improvement = probability_of_improvement(
        sign * runs[learner], sign * runs[reference], rng, level=LEVEL, resamples=RESAMPLES
    )
    return Aggregate(learner, middle, improvement)
