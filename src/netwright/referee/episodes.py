"""The same tasks for all: their fingerprint, and what a learner scores on each."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import ExampleSet, Texts
from netwright.errors import DataError
from netwright.evaluation.evaluate import fixed_batches, noting
from netwright.evaluation.statistics import brier_score, reliability_diagram
from netwright.learners.base import Learner, Predictor
from netwright.objectives import OBJECTIVES, Objective
from netwright.rng import derive_seed
from netwright.tasks import SPLITS, Split, TaskBatch, TaskFamily
from netwright.training.recipe import build_family

# Which test and validation tasks: the same for all learners, seeds and experiments.
EPISODES_SEED = 0
SHOTS = (1, 2, 5, 10, 20)
# A curve over support sizes is five evaluations; fewer episodes keep it below the cost of one or two.
MOST_BY_SUPPORT = 200


@dataclass(frozen=True)
class Scores:
    """What a learner scored on test episodes.

    Args:
        own: One number per episode, by metric.
        shuffled: The same with each predictor on the queries of another episode, whose condition it has not seen.
        calibration: ECE, Brier score and bins of confidence; None for values.
    """

    own: dict[str, list[float]]
    shuffled: dict[str, list[float]]
    calibration: dict[str, Any] | None


def episodes(family: TaskFamily, split: Split, count: int) -> Iterator[TaskBatch]:
    """The episodes of a split, in batches; the same on every call."""
    return fixed_batches(family, split, count, EPISODES_SEED)


def tried(learner: Learner, batches: Iterable[TaskBatch]) -> Iterator[TaskBatch]:
    """The same episodes, with what a learner found out in them by itself, if it does so."""
    for i, batch in enumerate(batches):
        yield learner.tries(batch, seed=derive_seed(EPISODES_SEED, "try", i))


def fingerprint(family: TaskFamily, split: Split, count: int) -> str:
    """A digest of the numbers that the episodes consist of: equal fingerprints, the same tasks."""
    digest = hashlib.sha256()
    for batch in episodes(family, split, count):
        _update(digest, batch.query)
        for name, value in sorted(batch.condition.present().items()):
            digest.update(name.encode())
            _update(digest, value)
    return digest.hexdigest()[:16]


def check_splits(family: TaskFamily, name: str) -> None:
    """Refuse a family of which training has seen what it is tested on.

    Raises:
        DataError: If two splits share a member.
    """
    members = {split: set(family.members(split)) for split in SPLITS}
    pairs: tuple[tuple[Split, Split], ...] = (
        ("test", "train"), ("test", "validation"), ("validation", "train"),
    )  # fmt: skip
    for a, b in pairs:
        if shared := sorted(members[a] & members[b]):
            raise DataError(
                f"In setting {name} the {a} tasks share {shared[0]!r} and {len(shared) - 1} more with the {b} "
                "tasks, expected no overlap: scores on them would say nothing of unseen tasks. Split the data anew."
            )


@torch.no_grad()
def score(learner: Learner, family: TaskFamily, count: int) -> Scores:
    """Score a learner on test episodes.

    Args:
        learner: Trained, and with its choices made.
        family: Where the episodes come from.
        count: How many.
    """
    objective = OBJECTIVES[family.shape.kind]()
    own: dict[str, list[float]] = {}
    shuffled: dict[str, list[float]] = {}
    outputs: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in tried(learner, episodes(family, "test", count)):
        predict = learner.adapt(batch.condition)
        said: list[Tensor] = []
        has_classes = family.shape.kind.endswith("classes")
        _collect(own, objective, noting(predict, said) if has_classes else predict, batch)
        if has_classes:
            outputs.append((said[-1], batch.query.y, batch.query.mask))
        if batch.tasks > 1:
            # Rolled by one: no predictor meets the queries of its own task.
            away = batch.rows(torch.arange(batch.tasks).roll(-1))
            found: dict[str, list[float]] = {}
            _collect(found, objective, predict, away)
            for name, values in found.items():
                # Rolled back: a score stands where its episode stands.
                shuffled.setdefault(name, []).extend([values[-1], *values[:-1]])
    return Scores(own, shuffled, _calibration(outputs) if outputs else None)


@torch.no_grad()
def summed_scores(
    predictors: Sequence[Predictor], objective: Objective, batch: TaskBatch, metric: str
) -> list[float]:
    """The sum of a metric over the tasks of a batch, for each predictor."""
    return [float(objective.judge(p, batch).metrics[metric].double().sum()) for p in predictors]


@torch.no_grad()
def validation_score(learner: Learner, family: TaskFamily, count: int, metric: str) -> float:
    """The mean of a metric over validation episodes."""
    objective = OBJECTIVES[family.shape.kind]()
    sums = [
        summed_scores([learner.adapt(batch.condition)], objective, batch, metric)[0]
        for batch in tried(learner, episodes(family, "validation", count))
    ]
    return sum(sums) / count


def by_support(
    learner: Learner, family_record: dict[str, Any], count: int, metric: str
) -> list[dict[str, float]] | None:
    """Mean test scores with other numbers of support examples; None where a family has no such number.

    Sizes that the family's data cannot serve are left out.
    """
    if "shots" not in build_family(family_record).record():
        return None
    found = []
    for shots in SHOTS:
        try:
            family = build_family({**family_record, "shots": shots})
            own = score(learner, family, min(count, MOST_BY_SUPPORT)).own[metric]
        except DataError:
            continue
        found.append({"shots": shots, "value": sum(own) / len(own)})
    return found


def metrics_of(family: TaskFamily) -> tuple[str, ...]:
    """Names of the metrics that a family's tasks are scored by, the one that validation goes by first."""
    return OBJECTIVES[family.shape.kind].metrics


def _collect(
    into: dict[str, list[float]], objective: Objective, predict: Predictor, batch: TaskBatch
) -> None:
    for name, value in objective.judge(predict, batch).metrics.items():
        into.setdefault(name, []).extend(value.double().tolist())


def _calibration(outputs: list[tuple[Tensor, Tensor, Tensor]]) -> dict[str, Any]:
    logits, y, mask = (torch.cat(_padded(part)) for part in zip(*outputs, strict=True))
    diagram = reliability_diagram(logits, y, mask)
    bins = [
        {
            "low": float(diagram.edges[i]),
            "high": float(diagram.edges[i + 1]),
            "count": int(diagram.counts[i]),
            "confidence": _number(diagram.confidence[i]),
            "accuracy": _number(diagram.accuracy[i]),
        }
        for i in range(len(diagram.counts))
    ]
    return {"ece": diagram.expected_error, "brier": brier_score(logits, y, mask), "bins": bins}


def _padded(parts: Sequence[Tensor]) -> list[Tensor]:
    """Batches with the queries of the longest one; what is added is masked, as padding is."""
    most = max(part.shape[1] for part in parts)
    return [
        torch.cat([part, part.new_zeros(len(part), most - part.shape[1], *part.shape[2:])], dim=1)
        for part in parts
    ]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _update(digest: Any, value: Any) -> None:
    if isinstance(value, Texts):
        digest.update("\n".join(value.values).encode())
    elif isinstance(value, Tensor):
        digest.update(str(tuple(value.shape)).encode() + value.contiguous().numpy().tobytes())
    elif isinstance(value, ExampleSet):
        for part in fields(value):
            _update(digest, getattr(value, part.name))
    else:
        digest.update(repr(value).encode())


__all__ = [
    "Scores",
    "by_support",
    "check_splits",
    "episodes",
    "fingerprint",
    "metrics_of",
    "score",
    "tried",
    "validation_score",
]
