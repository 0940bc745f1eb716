"""Result files: what one learner did with one seed in one setting."""

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from netwright.errors import ArtifactError

FORMAT = 1


class _File(BaseModel):
    """Numbers may be NaN or missing: what a learner got wrong is to be shown, not to stop the page."""

    model_config = ConfigDict(frozen=True)


class Cost(_File):
    """What a contestant took; None where it was not measured.

    Args:
        train_steps: Optimiser steps.
        train_tasks: Tasks met in training.
        train_cpu_seconds: CPU time of the training.
        peak_memory_mb: Largest resident memory.
        adapt_ms: CPU-milliseconds until one new task has its predictor.
        adapt_ms_of_64: The same per task when 64 are adapted to at once.
        trial_steps: Steps acted in one new task to find out, at most, before it is scored.
        predict_ms: CPU-milliseconds for the queries of one task.
        trained_parameters: Numbers that training changes.
        deployed_parameters: Numbers that one new task's predictor consists of.
        deployed_bytes: What it takes at rest.
    """

    train_steps: float | None = None
    train_tasks: float | None = None
    train_cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    adapt_ms: float | None = None
    adapt_ms_of_64: float | None = None
    trial_steps: float | None = None
    predict_ms: float | None = None
    trained_parameters: float | None = None
    deployed_parameters: float | None = None
    deployed_bytes: float | None = None


class CurvePoint(_File):
    """One validation in training; `validation` is the primary metric."""

    step: float
    cpu_seconds: float | None = None
    validation: float | None = None


class SupportPoint(_File):
    """The primary metric with another number of support examples."""

    shots: int
    value: float | None = None


class Bin(_File):
    """Queries whose confidence lies in [low, high)."""

    low: float
    high: float
    count: float
    confidence: float | None = None
    accuracy: float | None = None


class Calibration(_File):
    """Whether confidence is right, over the queries of all test episodes."""

    ece: float | None = None
    brier: float | None = None
    bins: tuple[Bin, ...] = ()


class Result(_File):
    """One contestant: a learner with one seed in one setting.

    Args:
        format: Version of the file's format.
        setting: Task family and child, by name.
        learner: Name in the experiment.
        kind: What sort of learner.
        seed: Decides its training.
        status: `failed` has an `error` and no scores.
        error: Why it failed.
        metric: The primary one.
        higher_is_better: Which way it points.
        unit: Of the metric.
        fingerprint: Of the test episodes.
        scores: By metric, one number per test episode.
        shuffled: The same when each network was made from another task's condition.
        calibration: For classes.
        curve: Validations in training.
        by_support: By number of support examples.
        choice: What was chosen on validation tasks.
        tried: What it was chosen from, each with its `validation`.
        cost: What it took.
        run: Digest of the run record; empty if nothing was trained.
        versions: Of packages, by name.
        machine: In words.
    """

    format: Literal[1]
    setting: str
    learner: str
    kind: str = ""
    seed: int
    status: Literal["done", "failed"]
    error: str = ""
    metric: str
    higher_is_better: bool
    unit: str = ""
    fingerprint: str = ""
    scores: dict[str, tuple[float | None, ...]] | None = None
    shuffled: dict[str, tuple[float | None, ...]] | None = None
    calibration: Calibration | None = None
    curve: tuple[CurvePoint, ...] | None = None
    by_support: tuple[SupportPoint, ...] | None = None
    choice: dict[str, Any] | None = None
    tried: tuple[dict[str, Any], ...] | None = None
    cost: Cost | None = None
    run: str = ""
    versions: dict[str, str] | None = None
    machine: str = ""

    @property
    def place(self) -> str:
        """Which contestant, in words."""
        return f"{self.learner} with seed {self.seed} in {self.setting}"

    @property
    def primary(self) -> tuple[float, ...]:
        """The primary metric by episode, [N]; NaN where there is no number."""
        return _numbers((self.scores or {}).get(self.metric))

    @property
    def primary_shuffled(self) -> tuple[float, ...]:
        """The primary metric without the right condition, [N]; empty if it was not measured."""
        return _numbers((self.shuffled or {}).get(self.metric))

    @property
    def failure(self) -> str:
        """Why nothing can be said of it; empty if something can."""
        if self.status == "failed":
            return self.error or "failed without a word"
        for episode, score in enumerate(self.primary):
            if not math.isfinite(score):
                return f"{self.metric} of test episode {episode} is not finite"
        return ""


def read_result(path: Path) -> Result:
    """One result file.

    Raises:
        ArtifactError: If it cannot be read, is of another format, or lacks what it must have.
    """
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{path} cannot be read ({reason}), expected a result in JSON. Remove it and compare again with --resume."
        ) from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise ArtifactError(
            f"{path} has format {found!r}, expected {FORMAT}. It is no result file, or one of another netwright: "
            "report with the version that compared."
        )
    try:
        result = Result.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise ArtifactError(
            f"{path}: `{at}` cannot be used ({first['msg'].lower()}), expected a result of format {FORMAT}. Remove the "
            "file and compare again with --resume."
        ) from None
    if result.status == "done" and not result.primary:
        raise ArtifactError(
            f"{path} is done and has scores of {sorted(result.scores or {})}, expected some of its metric "
            f"`{result.metric}`. Remove it and compare again with --resume."
        )
    return result


def _numbers(values: tuple[float | None, ...] | None) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in values or ())
