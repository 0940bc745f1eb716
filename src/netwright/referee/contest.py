"""One learner, one seed, one setting: trained, its choices made, scored, its costs counted."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import torch

from netwright.artifacts import write_file
from netwright.errors import RunError, TrainingError
from netwright.evaluation.evaluate import TASKS_AT_ONCE_FOR_TIMING
from netwright.learners.base import Learner
from netwright.objectives import OBJECTIVES, Objective
from netwright.objectives.memory import begun
from netwright.referee.choices import best_of, choices_of, choose_at_use, grid_at_use
from netwright.referee.episodes import by_support, fingerprint, score
from netwright.referee.experiment import Experiment
from netwright.referee.machine import machine, peak_memory_mb, versions
from netwright.referee.plan import SettingPlan, make_contestant, objective_of, training_settings
from netwright.rng import stream
from netwright.tasks import TaskFamily
from netwright.training import Checkpoints, TrainingResult, plan_run
from netwright.training.recipe import build_family

FORMAT = 1
_UNITS = {"accuracy": "share of queries", "mse": "mean squared error", "mae": "mean absolute error"}
# A timing that takes longer than this is not repeated for a median.
LONG_S = 1.0


@dataclass(frozen=True)
class Contestant:
    """Who is measured, and where the result goes."""

    setting: str
    learner: str
    seed: int

    def path(self, folder: Path) -> Path:
        """Its result file in the folder of a comparison."""
        return folder / "results" / self.setting / self.learner / f"seed{self.seed}.json"

    def __str__(self) -> str:
        return f"{self.setting} {self.learner} seed {self.seed}"


def run_contestant(
    experiment: Experiment, plan: SettingPlan, contestant: Contestant, folder: Path
) -> dict[str, Any]:
    """Train, choose, score and count; the result as plain values.

    The training lies in the folder and is resumed from there; learners that train the same, such as `joint` and
    `joint+tune`, share it.

    Raises:
        RunError: If options do not fit, or the episodes are not those that were planned.
        TrainingError: If the training, or what came of it, is not finite.
    """
    family_record = experiment.settings[contestant.setting].family
    family = build_family(family_record)
    own = plan.learners[contestant.learner]
    test = fingerprint(family, "test", experiment.test_episodes)
    if test != plan.test:
        raise RunError(f"The test episodes are {test}, expected {plan.test} as planned: the data have changed.")  # fmt: skip
    learner = make_contestant(
        experiment, contestant.setting, contestant.learner, contestant.seed, family, own.choice
    )
    settings = training_settings(experiment, contestant.learner, own.steps, own.choice)
    settings["seed"] = contestant.seed
    scored_by = objective_of(experiment, contestant.setting, contestant.learner, family)
    trained, training_mb = _train(
        learner, family, scored_by, settings, folder / "runs" / contestant.setting
    )
    learner, choice, tried = _choose(learner, experiment, contestant.learner, family)
    scores = score(learner, family, experiment.test_episodes)
    wrong = sum(not isfinite(value) for value in scores.own[experiment.metric])
    if wrong:
        raise TrainingError(
            f"The {experiment.metric} of {wrong} of {experiment.test_episodes} test episodes is not finite."
        )
    objective = OBJECTIVES[family.shape.kind]()
    return {
        **_head(experiment, contestant),
        "status": "done",
        "error": "",
        "higher_is_better": objective.higher_is_better,
        "fingerprint": test,
        "scores": scores.own,
        "shuffled": scores.shuffled or None,
        "calibration": scores.calibration,
        "curve": _curve(trained, experiment.metric),
        "by_support": by_support(learner, family_record, experiment.test_episodes, experiment.metric),
        "choice": {**(own.choice or {}), **(choice or {})} or None,
        "tried": [*own.tried, *tried],
        "cost": {
            **_training_cost(trained, settings),
            **adaptation_cost(learner, family),
            "peak_memory_mb": round(max(training_mb, peak_memory_mb()), 1),
        },
        "run": trained.run.digest if trained is not None else "",
        "versions": versions(),
        "machine": machine(),
    }  # fmt: skip


def failure(
    experiment: Experiment, plan: SettingPlan, contestant: Contestant, error: str
) -> dict[str, Any]:
    """The result of a contestant that did not come to an end."""
    family = build_family(experiment.settings[contestant.setting].family)
    return {
        **_head(experiment, contestant),
        "status": "failed",
        "error": " ".join(error.split()),
        "higher_is_better": OBJECTIVES[family.shape.kind]().higher_is_better,
        "fingerprint": plan.test,
        "scores": {},
        "shuffled": None,
        "calibration": None,
        "curve": [],
        "by_support": None,
        "choice": None,
        "tried": list(plan.learners[contestant.learner].tried),
        "cost": {},
        "run": "",
        "versions": versions(),
        "machine": machine(),
    }


def write_result(folder: Path, contestant: Contestant, result: Mapping[str, Any]) -> None:
    """Put a result in its place, in one step."""
    path = contestant.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, (json.dumps(_strict(result)) + "\n").encode())


def adaptation_cost(learner: Learner, family: TaskFamily) -> dict[str, Any]:
    """CPU-milliseconds to adapt to one task, alone and among 64, and to answer its queries; sizes.

    Where a learner acts to find out, the steps of that are counted and take no part in the times.
    """
    drawn = family.sample(stream(0, "timing"), TASKS_AT_ONCE_FOR_TIMING, "test")
    batch = learner.tries(drawn)
    alone = batch.rows(slice(0, 1))
    predict = learner.adapt(alone.condition)
    with torch.no_grad():
        predict_ms = cpu_ms(lambda: begun(predict)(alone.inputs))
    return {
        "adapt_ms": cpu_ms(lambda: learner.adapt(alone.condition)),
        "adapt_ms_of_64": cpu_ms(lambda: learner.adapt(batch.condition)) / TASKS_AT_ONCE_FOR_TIMING,
        "predict_ms": predict_ms,
        "trial_steps": batch.trial_steps,
        **asdict(learner.cost(alone.condition)),
    }


def cpu_ms(work: Callable[[], object], rounds: int = 7) -> float:
    """CPU-milliseconds of `work`: the median of some calls, or of one that takes long."""
    times: list[float] = []
    work()
    while len(times) < rounds and sum(times) < LONG_S:
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1000 * median(times)


def _train(
    learner: Learner,
    family: TaskFamily,
    objective: Objective,
    settings: dict[str, Any],
    folder: Path,
) -> tuple[TrainingResult | None, float]:
    """Train or go on, and the most memory that any attempt has taken."""
    if learner.writer is None:
        return None, 0.0
    run = plan_run(learner.writer, learner.training_tasks(family), "cpu", settings, objective)
    place = folder / run.digest
    resume = bool(Checkpoints(place).steps())
    peak = place / "peak_memory_mb.json"
    try:
        result = learner.meta_train(
            family, folder=place, resume=resume, objective=objective, **settings
        )
    finally:
        # A training that is shared, or was resumed, has its peak in another process.
        before = float(json.loads(peak.read_text())) if peak.exists() else 0.0
        if place.exists():
            write_file(peak, json.dumps(max(before, peak_memory_mb())).encode())
    return result, float(json.loads(peak.read_text()))


def _choose(
    learner: Learner, experiment: Experiment, name: str, family: TaskFamily
) -> tuple[Learner, dict[str, Any] | None, list[dict[str, Any]]]:
    """The learner with what is best on validation tasks, the choice, and all that was tried."""
    choices = choices_of(grid_at_use(experiment.learners[name]))
    if choices == [{}]:
        return learner, None, []
    if len(choices) == 1:
        return learner.chosen(**choices[0]), choices[0], []
    tried = choose_at_use(
        learner, choices, family, count=experiment.validation_episodes, metric=experiment.metric
    )
    best = best_of(tried, OBJECTIVES[family.shape.kind]().higher_is_better)
    if best is None:
        raise TrainingError("No option that was tried gives a finite score on validation tasks.")
    return learner.chosen(**best), best, tried


def _head(experiment: Experiment, contestant: Contestant) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **asdict(contestant),
        "kind": experiment.learners[contestant.learner].kind,
        "metric": experiment.metric,
        "unit": _UNITS.get(experiment.metric, experiment.metric),
    }


def _training_cost(trained: TrainingResult | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    if trained is None:
        return {"train_steps": 0, "train_tasks": 0, "train_cpu_seconds": 0.0}
    steps = trained.step
    return {
        "train_steps": steps,
        "train_tasks": steps * trained.run.training.tasks,
        "train_cpu_seconds": round(trained.cpu_seconds, 2),
    }


def _curve(trained: TrainingResult | None, metric: str) -> list[dict[str, Any]]:
    """Validation over steps. CPU-seconds are in proportion: a log that held them would differ at every resume."""
    if trained is None:
        return []
    each = trained.cpu_seconds / max(1, trained.step)
    return [
        {
            "step": line["step"],
            "cpu_seconds": round(line["step"] * each, 3),
            "validation": line[f"validation_{metric}"],
        }
        for line in trained.log
        if f"validation_{metric}" in line
    ]


def _strict(value: Any) -> Any:
    """NaN, which is not JSON, becomes null."""
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


__all__ = [
    "Contestant",
    "adaptation_cost",
    "cpu_ms",
    "failure",
    "run_contestant",
    "write_result",
]
