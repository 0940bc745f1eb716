"""The table of a comparison: means, differences to the reference, and what may be claimed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch

from netwright.errors import MissingExtraError, StatisticsError
from netwright.evaluation.statistics import Comparison, compare_scores, mean_estimate
from netwright.referee.experiment import Experiment

Result = Mapping[str, Any]
REFERENCE = "reference"


@dataclass(frozen=True)
class Standing:
    """A learner in a setting.

    Args:
        learner: Its name.
        mean: Over seeds and episodes; None if no seed came to an end.
        low: End of its 95 % interval.
        high: The other end.
        difference: Its mean less the reference's; None for the reference, or where it cannot be had.
        difference_low: End of its corrected interval.
        difference_high: The other end.
        verdict: `win`, `loss`, `tie`, `reference`, or why there is no claim.
        seeds: Those that came to an end.
        train_cpu_seconds: Of one training, the median over seeds.
        adapt_ms: CPU-milliseconds to adapt to one task, the median.
        deployed_bytes: Of what is kept for one task.
    """

    learner: str
    mean: float | None
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    verdict: str
    seeds: int
    train_cpu_seconds: float | None
    adapt_ms: float | None
    deployed_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def standings(experiment: Experiment, results: Sequence[Result], setting: str) -> list[Standing]:
    """How learners stand in a setting, in the order of the experiment."""
    done = {
        name: [r for r in results if r["setting"] == setting and r["learner"] == name and r["status"] == "done"]
        for name in experiment.learners
    }  # fmt: skip
    scores = {
        name: np.array([r["scores"][experiment.metric] for r in own])
        for name, own in done.items()
        if len(own) == len(experiment.seeds)
    }
    comparison, why = _compared(experiment, results, scores)
    return [_standing(experiment, name, own, comparison, why) for name, own in done.items()]


def _compared(
    experiment: Experiment, results: Sequence[Result], scores: Mapping[str, np.ndarray]
) -> tuple[Comparison | None, str]:
    """The comparison of those that came to an end with all seeds; None, and why there is none."""
    if experiment.reference not in scores:
        return None, "no claim: the reference is not complete"
    if len(scores) < 2:
        return None, "no claim: nothing to compare with"
    higher = next(bool(r["higher_is_better"]) for r in results)
    try:
        found = compare_scores(scores, reference=experiment.reference, higher_is_better=higher)
    except MissingExtraError:
        return None, "no claim: pip install 'netwright[stats]'"
    except StatisticsError as error:
        return None, f"no claim: {error}"
    return found, ""


def _standing(
    experiment: Experiment,
    name: str,
    done: Sequence[Result],
    comparison: Comparison | None,
    why: str,
) -> Standing:
    costs = [result["cost"] for result in done]
    missing = len(experiment.seeds) - len(done)
    verdict = f"no claim: {missing} of {len(experiment.seeds)} seeds missing" if missing else why
    found = Standing(
        learner=name,
        mean=None,
        low=None,
        high=None,
        difference=None,
        difference_low=None,
        difference_high=None,
        verdict=verdict,
        seeds=len(done),
        train_cpu_seconds=_median(costs, "train_cpu_seconds"),
        adapt_ms=_median(costs, "adapt_ms"),
        deployed_bytes=costs[0]["deployed_bytes"] if costs else None,
    )
    if not done:
        return found
    if comparison is None or missing:
        # Over episodes alone: an interval that holds for new seeds as well needs all of them.
        own = torch.tensor([r["scores"][experiment.metric] for r in done]).mean(dim=0)
        mean = mean_estimate(own)
        return replace(found, mean=mean.value, low=mean.low, high=mean.high)
    row = comparison[name]
    found = replace(found, mean=row.mean.value, low=row.mean.low, high=row.mean.high)
    if row.difference is None:
        return replace(found, verdict=REFERENCE)
    gap = row.difference
    return replace(
        found,
        difference=gap.value,
        difference_low=gap.low,
        difference_high=gap.high,
        verdict=str(row.verdict),
    )


def _median(costs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return median(cost[name] for cost in costs) if costs else None


__all__ = ["Standing", "standings"]
