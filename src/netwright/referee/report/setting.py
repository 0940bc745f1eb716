"""The numbers of one setting: every learner alone and beside the reference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from netwright.errors import StatisticsError
from netwright.evaluation.statistics import (
    Comparison,
    EffectSizes,
    Interval,
    compare_scores,
    crossed_mean,
    interquartile_mean,
    pigeonhole_interval,
    probability_of_improvement,
)
from netwright.evaluation.statistics.arrays import FloatArray
from netwright.referee.report import learner as learners
from netwright.referee.report.folder import ComparisonFolder
from netwright.referee.report.learner import Choice, CurveMean, Failure, SupportMean
from netwright.referee.report.results import Calibration, Cost, Result
from netwright.rng import stream

LEVEL = 0.95
CORRECTION = "holm"
RESAMPLES = 2_000
NO_COST = Cost()

Outcome = Literal["reference", "win", "loss", "tie", "no claim"]


@dataclass(frozen=True)
class Verdict:
    """What may be said of a learner against the reference; `reason` says why nothing may."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Control:
    """The primary metric when each network was made from another task's condition.

    Args:
        shuffled: Its mean.
        gain: What the right condition is worth, positive if it helps; None if the episodes are not the same.
    """

    shuffled: Interval
    gain: Interval | None


@dataclass(frozen=True)
class LearnerSummary:
    """One learner in one setting.

    Args:
        learner: Its name.
        kind: What sort it is.
        verdict: Against the reference.
        seeds: Those that finished with finite scores.
        mean: Over these and all episodes; None if there are none.
        rank: Mean rank among the learners that finished all seeds.
        difference: Its scores less the reference's, corrected for the number of comparisons.
        p_value: Adjusted likewise.
        effects: Of the learner over the reference, in the direction of the scores.
        interquartile_mean: Of all scores.
        improvement: How likely one of its seeds beats one of the reference's, by their means over episodes.
        control: Without the right condition.
        calibration: For classes.
        curve: Validation in training.
        by_support: By number of support examples.
        cost: What it took, means over seeds.
        failures: Seeds of which nothing can be said.
        choices: What was chosen on validation tasks.
    """

    learner: str
    kind: str
    verdict: Verdict
    seeds: tuple[int, ...]
    mean: Interval | None = None
    rank: float | None = None
    difference: Interval | None = None
    p_value: float | None = None
    effects: EffectSizes | None = None
    interquartile_mean: Interval | None = None
    improvement: Interval | None = None
    control: Control | None = None
    calibration: Calibration | None = None
    curve: tuple[CurveMean, ...] = ()
    by_support: tuple[SupportMean, ...] = ()
    cost: Cost = NO_COST
    failures: tuple[Failure, ...] = ()
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class SettingSummary:
    """All learners in one setting, in the order of the experiment.

    Args:
        name: Of the setting.
        record: Task family and child.
        metric: The primary one.
        unit: Of the metric.
        higher_is_better: Which way it points.
        reference: What others are compared with.
        seeds: How many each learner should have.
        episodes: Test episodes.
        comparisons: How many differences were corrected for together.
        fingerprint: Of the test episodes.
        rows: The learners.
    """

    name: str
    record: dict[str, dict[str, Any] | None]
    metric: str
    unit: str
    higher_is_better: bool
    reference: str
    seeds: int
    episodes: int
    comparisons: int
    fingerprint: str
    rows: tuple[LearnerSummary, ...]

    def __getitem__(self, learner: str) -> LearnerSummary:
        return next(row for row in self.rows if row.learner == learner)

    @property
    def ranked(self) -> tuple[LearnerSummary, ...]:
        """Best mean first, learners without one last."""
        sign = -1 if self.higher_is_better else 1
        return tuple(
            sorted(self.rows, key=lambda r: (r.mean is None, sign * r.mean.value if r.mean else 0))
        )


def summarise_setting(comparison: ComparisonFolder, name: str) -> SettingSummary:
    """Compare all learners of a setting with the reference.

    A learner takes part if all of its seeds finished with finite scores: to leave out the seeds that failed would make a
    learner better by its failures.

    Args:
        comparison: The folder.
        name: Of the setting.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    design = comparison.design
    all_results = {learner: comparison.of(name, learner) for learner in design.learners}
    sound = {k: tuple(r for r in rs if not r.failure) for k, rs in all_results.items()}
    known = next((r for rs in [*sound.values(), *all_results.values()] for r in rs), None)
    scores = {k: np.array([r.primary for r in rs]) for k, rs in sound.items() if rs}
    whole = {k: v for k, v in scores.items() if len(v) == len(design.seeds)}
    higher = known.higher_is_better if known else True
    table, refused = _compare(whole, design.reference, higher_is_better=higher)
    rows = []
    for learner, results in sound.items():
        row = _alone(learner, results, str(design.learners[learner].get("kind", "")))
        reason = refused.get(learner) or _incomplete(comparison, name, learner, whole)
        row = _beside(row, table, Verdict("no claim", reason))
        if learner in whole and design.reference in whole:
            row = replace(row, improvement=_improvement(whole, learner, design.reference, higher))
        rows.append(
            replace(
                row,
                failures=learners.failures_of(all_results[learner]),
                choices=learners.choices_of(all_results[learner]),
            )
        )
    return SettingSummary(
        name=name,
        record=design.settings[name],
        metric=design.metric,
        unit=known.unit if known else "",
        higher_is_better=higher,
        reference=design.reference,
        seeds=len(design.seeds),
        episodes=max((v.shape[1] for v in scores.values()), default=0),
        comparisons=len(table.rows) - 1 if table else 0,
        fingerprint=next((r.fingerprint for rs in sound.values() for r in rs), ""),
        rows=tuple(rows),
    )


def _alone(learner: str, results: Sequence[Result], kind: str) -> LearnerSummary:
    """What needs no other learner."""
    empty = LearnerSummary(learner, kind, Verdict("no claim"), tuple(r.seed for r in results))
    if not results:
        return empty
    scores = np.array([result.primary for result in results])
    several = scores.shape[1] > 1
    return replace(
        empty,
        mean=crossed_mean(scores).interval(LEVEL) if several else None,
        interquartile_mean=_interquartile(scores, learner) if several else None,
        control=_control(results) if several else None,
        calibration=learners.pooled_calibration(results),
        curve=learners.mean_curve(results),
        by_support=learners.mean_by_support(results),
        cost=learners.mean_cost(results),
    )


def _beside(row: LearnerSummary, table: Comparison | None, otherwise: Verdict) -> LearnerSummary:
    """Put in what the comparison says of a learner."""
    if table is None or row.learner not in {r.learner for r in table.rows}:
        return replace(row, verdict=otherwise)
    found = table[row.learner]
    if found.verdict is None:
        return replace(row, rank=found.rank, verdict=Verdict("reference"))
    outcome: Outcome = "no claim" if found.verdict == "no claim: one seed" else found.verdict
    return replace(
        row,
        rank=found.rank,
        difference=found.difference,
        p_value=found.p_value,
        effects=found.effects,
        verdict=Verdict(outcome, "one seed" if outcome == "no claim" else ""),
    )


def _compare(
    scores: Mapping[str, FloatArray], reference: str, *, higher_is_better: bool
) -> tuple[Comparison | None, dict[str, str]]:
    """The comparison of all that can be compared, and why the others cannot."""
    if reference not in scores:
        return None, {}
    refused = {}
    for learner in scores.keys() - {reference}:
        pair = {reference: scores[reference], learner: scores[learner]}
        try:
            compare_scores(pair, reference=reference)
        except StatisticsError as error:
            refused[learner] = str(error)
    kept = {learner: values for learner, values in scores.items() if learner not in refused}
    if len(kept) < 2:
        return None, refused
    table = compare_scores(
        kept,
        reference=reference,
        higher_is_better=higher_is_better,
        level=LEVEL,
        correction=CORRECTION,
    )
    return table, refused


def _incomplete(
    comparison: ComparisonFolder, setting: str, learner: str, whole: Mapping[str, FloatArray]
) -> str:
    """Why a learner takes no part."""
    reference = comparison.design.reference
    if reference in whole and learner in whole:
        return "nothing to compare with"
    culprit = learner if reference in whole else reference
    results = comparison.of(setting, culprit)
    failed = [result.seed for result in results if result.failure]
    lacking = [s for s in comparison.design.seeds if s not in {r.seed for r in results}]
    states = {"failed": failed, "missing": lacking}
    parts = [f"{_seeds(seeds)} {state}" for state, seeds in states.items() if seeds]
    whose = f"{reference}, the reference: " if culprit != learner else ""
    return whose + " and ".join(parts)


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _interquartile(scores: FloatArray, learner: str) -> Interval:
    rng = stream(0, "report", "interquartile mean", learner)
    return pigeonhole_interval(
        scores, rng, statistic=interquartile_mean, level=LEVEL, resamples=RESAMPLES
    )


def _improvement(
    scores: Mapping[str, FloatArray], learner: str, reference: str, higher_is_better: bool
) -> Interval | None:
    if learner == reference:
        return None
    sign = 1 if higher_is_better else -1
    runs = {name: sign * scores[name].mean(axis=1, keepdims=True) for name in (learner, reference)}
    rng = stream(0, "report", "improvement", learner)
    return probability_of_improvement(
        runs[learner], runs[reference], rng, level=LEVEL, resamples=RESAMPLES
    )


def _control(results: Sequence[Result]) -> Control | None:
    """None if it was not measured in every seed, or is not finite."""
    shuffled = [result.primary_shuffled for result in results]
    lengths = {len(values) for values in shuffled}
    if len(lengths) > 1 or min(lengths) < 2 or not all(map(math.isfinite, sum(shuffled, ()))):
        return None
    sign = 1 if results[0].higher_is_better else -1
    values, own = np.array(shuffled), np.array([result.primary for result in results])
    gain = sign * (own - values) if own.shape == values.shape else None
    return Control(
        crossed_mean(values).interval(LEVEL),
        None if gain is None else crossed_mean(gain).interval(LEVEL),
    )
