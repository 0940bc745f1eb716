"""What is said of one learner in one setting besides its scores: costs, curves, calibration, failures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from netwright.referee.report.results import Bin, Calibration, Cost, Result


@dataclass(frozen=True)
class Failure:
    """A contestant of which nothing can be said, and why."""

    learner: str
    setting: str
    seed: int
    error: str


@dataclass(frozen=True)
class Choice:
    """What one contestant chose on validation tasks.

    Args:
        learner: Its name.
        setting: Where.
        seed: Of its training.
        chosen: The choice; None if there was none to make.
        tried: All that was tried, each with its `validation`.
    """

    learner: str
    setting: str
    seed: int
    chosen: dict[str, Any] | None
    tried: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Range:
    """A mean over seeds, and the least and largest of them."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class CurveMean:
    """A validation in training, over all seeds of a learner.

    Args:
        step: When.
        cpu_seconds: Mean over seeds; None where it was not measured.
        validation: The primary metric.
    """

    step: float
    cpu_seconds: float | None
    validation: Range


@dataclass(frozen=True)
class SupportMean:
    """The primary metric with a number of support examples, over all seeds of a learner."""

    shots: int
    value: Range


def range_of(values: Iterable[float | None]) -> Range | None:
    """Mean and extremes of what is a finite number; None if nothing is."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return None
    return Range(math.fsum(known) / len(known), min(known), max(known))


def mean_cost(results: Sequence[Result]) -> Cost:
    """Costs, each a mean over seeds."""
    costs = [result.cost for result in results if result.cost is not None]
    ranges = {name: range_of(getattr(cost, name) for cost in costs) for name in Cost.model_fields}
    return Cost(**{name: found.mean if found else None for name, found in ranges.items()})


def mean_curve(results: Sequence[Result]) -> tuple[CurveMean, ...]:
    """Validations at the steps that all seeds reached: a mean over fewer would jump."""
    curves = [{p.step: p for p in result.curve} for result in results if result.curve]
    points = []
    for step in sorted(set.intersection(*(set(curve) for curve in curves)) if curves else ()):
        at = [curve[step] for curve in curves]
        seconds = range_of(point.cpu_seconds for point in at)
        if (found := range_of(point.validation for point in at)) is not None:
            points.append(CurveMean(step, seconds.mean if seconds else None, found))
    return tuple(points)


def mean_by_support(results: Sequence[Result]) -> tuple[SupportMean, ...]:
    """The primary metric by number of support examples."""
    values: dict[int, list[float | None]] = {}
    for result in results:
        for point in result.by_support or ():
            values.setdefault(point.shots, []).append(point.value)
    found = ((shots, range_of(given)) for shots, given in sorted(values.items()))
    return tuple(SupportMean(shots, value) for shots, value in found if value is not None)


def pooled_calibration(results: Sequence[Result]) -> Calibration | None:
    """Calibration error and Brier score as means over seeds, bins with the queries of all of them."""
    given = [result.calibration for result in results if result.calibration is not None]
    if not given:
        return None
    bins: dict[tuple[float, float], list[Bin]] = {}
    for found in given:
        for one in found.bins:
            bins.setdefault((one.low, one.high), []).append(one)
    ece, brier = range_of(c.ece for c in given), range_of(c.brier for c in given)
    return Calibration(
        ece=ece.mean if ece else None,
        brier=brier.mean if brier else None,
        bins=tuple(_pooled(same) for _, same in sorted(bins.items())),
    )


def failures_of(results: Iterable[Result]) -> tuple[Failure, ...]:
    """Contestants that failed, or whose scores are not numbers."""
    return tuple(Failure(r.learner, r.setting, r.seed, r.failure) for r in results if r.failure)


def choices_of(results: Iterable[Result]) -> tuple[Choice, ...]:
    """Contestants that had something to choose."""
    return tuple(
        Choice(r.learner, r.setting, r.seed, r.choice, r.tried or ())
        for r in results
        if r.choice or r.tried
    )


def _pooled(bins: Sequence[Bin]) -> Bin:
    first, total = bins[0], math.fsum(one.count for one in bins)

    def weighted(values: Iterable[float | None]) -> float | None:
        known = [
            (v, b.count) for v, b in zip(values, bins, strict=True) if b.count and v is not None
        ]
        known = [(value, count) for value, count in known if math.isfinite(value)]
        return (
            math.fsum(v * n for v, n in known) / math.fsum(n for _, n in known) if known else None
        )

    confidence = weighted(one.confidence for one in bins)
    accuracy = weighted(one.accuracy for one in bins)
    return Bin(
        low=first.low, high=first.high, count=total, confidence=confidence, accuracy=accuracy
    )
