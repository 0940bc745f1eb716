"""Options that are not given are chosen on validation tasks, and all that was tried is kept."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import torch

from netwright.learners.base import Learner
from netwright.learners.catalogue import Grid, Kind, kind_named
from netwright.objectives import OBJECTIVES
from netwright.referee.episodes import episodes, summed_scores, tried
from netwright.referee.experiment import LearnerRecord
from netwright.tasks import TaskFamily


def choices_of(grid: Grid) -> list[dict[str, Any]]:
    """Every combination of a grid's values; one empty choice for an empty grid.

    >>> choices_of({"rate": (0.1, 0.2), "steps": (1,)})
    [{'rate': 0.1, 'steps': 1}, {'rate': 0.2, 'steps': 1}]
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def grid_before(learner: LearnerRecord) -> dict[str, tuple[Any, ...]]:
    """What is tried by short trainings: of the learner's own grid, or of its kind's, what is not given."""
    kind = kind_named(learner.kind)
    if learner.grid is not None:
        return {n: v for n, v in learner.grid.items() if not _is_at_use(learner, kind, n)}
    return {n: v for n, v in kind.before.items() if n not in learner.options}


def grid_at_use(learner: LearnerRecord) -> dict[str, tuple[Any, ...]]:
    """What is tried once a learner is trained."""
    kind = kind_named(learner.kind)
    if learner.grid is not None:
        return {n: v for n, v in learner.grid.items() if _is_at_use(learner, kind, n)}
    return {n: v for n, v in kind.at_use.items() if n not in learner.options}


def choose_at_use(
    learner: Learner,
    choices: Sequence[Mapping[str, Any]],
    family: TaskFamily,
    *,
    count: int,
    metric: str,
) -> list[dict[str, Any]]:
    """What each choice reaches on validation episodes, as {**choice, "validation": mean}."""
    objective = OBJECTIVES[family.shape.kind]()
    sums = [0.0] * len(choices)
    for batch in tried(learner, episodes(family, "validation", count)):
        predictors = learner.adapt_each(batch.condition, choices)
        with torch.no_grad():
            found = summed_scores(predictors, objective, batch, metric)
        sums = [a + b for a, b in zip(sums, found, strict=True)]
    return [{**c, "validation": _finite(s / count)} for c, s in zip(choices, sums, strict=True)]


def best_of(tried: Iterable[Mapping[str, Any]], higher_is_better: bool) -> dict[str, Any] | None:
    """The choice with the best validation, the first of equals; None if none came to a finite value."""
    scored = [line for line in tried if line["validation"] is not None]
    if not scored:
        return None
    best = (max if higher_is_better else min)(scored, key=lambda line: line["validation"])
    return {name: value for name, value in best.items() if name not in ("validation", "error")}


def _is_at_use(learner: LearnerRecord, kind: Kind, name: str) -> bool:
    # An estimator is fitted on each task: all that it is asked for is decided at use.
    return name in kind.at_use or learner.is_estimator


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


__all__ = ["best_of", "choices_of", "choose_at_use", "grid_at_use", "grid_before"]
