"""What is decided before anything is trained in earnest: steps per learner, and options by short trainings.

Kept in `plan.json`, so that a comparison that is resumed is the same.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from netwright.artifacts import write_file
from netwright.errors import NetwrightError, RunError
from netwright.learners.base import Learner
from netwright.learners.catalogue import make_learner
from netwright.objectives import OBJECTIVES, Experienced, Objective, objective_for
from netwright.referee.choices import best_of, choices_of, grid_before
from netwright.referee.episodes import fingerprint, validation_score
from netwright.referee.experiment import Experiment, LearnerRecord, child_of
from netwright.rng import stream
from netwright.runs import TrainingRecord
from netwright.tasks import TaskFamily
from netwright.training.plan import plan_run
from netwright.training.step import training_step

FORMAT = 1
# Of a timing: rounds, of which the first are a warm-up.
ROUNDS, WARM_UP = 25, 5
# Of the steps of a learner: what a short training takes.
SHORT = 0.25
# The test of whether patience has run out comes this often.
VALIDATIONS = 10


@dataclass(frozen=True)
class LearnerPlan:
    """What a learner does in a setting.

    Args:
        steps: Of its training, at most.
        seconds_per_step: CPU-seconds, where steps were fitted to a budget of CPU-minutes.
        choice: Options that short trainings chose; None if there was nothing to choose.
        tried: What each came to on validation tasks.
        cpu_seconds: Of the short trainings.
    """

    steps: int
    seconds_per_step: float | None = None
    choice: dict[str, Any] | None = None
    tried: tuple[dict[str, Any], ...] = ()
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class SettingPlan:
    """What was decided in a setting.

    Args:
        test: Fingerprint of the test episodes.
        validation: Fingerprint of the validation episodes.
        steps: By learner, of their trainings.
        seconds_per_step: By learner, where steps were timed.
        learners: Those that are decided in full.
    """

    test: str
    validation: str
    steps: dict[str, int]
    seconds_per_step: dict[str, float]
    learners: dict[str, LearnerPlan]


def make_contestant(
    experiment: Experiment,
    setting: str,
    name: str,
    seed: int,
    family: TaskFamily,
    choice: Mapping[str, Any] | None = None,
) -> Learner:
    """A learner of an experiment, untrained, with options chosen beforehand.

    Raises:
        RunError: If an option is unknown or does not suit the tasks.
    """
    record = experiment.learners[name]
    chosen = {n: v for n, v in (choice or {}).items() if not record.is_of_training(n)}
    child = child_of(experiment.settings[setting].child, family.shape)
    try:
        options = {**record.options, **chosen}
        return make_learner(record.kind, family, child=child, seed=seed, **options)
    except (TypeError, NetwrightError) as error:
        raise RunError(f"Learner {name} in setting {setting}: {error}") from None


def training_settings(
    experiment: Experiment, name: str, steps: int, choice: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Fields of the training of a learner: those given, else such as suit its number of steps."""
    record = experiment.learners[name]
    chosen = {n: v for n, v in (choice or {}).items() if record.is_of_training(n)}
    every = max(1, steps // (10 * VALIDATIONS if experiment.budget.patience else VALIDATIONS))
    return {
        "warm_up": min(TrainingRecord().warm_up, steps // 10),
        "validate_every": every,
        "checkpoint_every": every,
        "log_every": every,
        **experiment.training,
        **record.training,
        **chosen,
        "validation_tasks": experiment.validation_episodes,
        "patience": experiment.budget.patience or 0,
        "steps": steps,
    }


def objective_of(experiment: Experiment, setting: str, name: str, family: TaskFamily) -> Objective:
    """What a learner is trained with: the experiment's options, then the setting's, then its own; of the objective that is named last.

    Raises:
        RunError: If the family's objective has no such option, or not such a value.
    """
    places = {
        "objective": experiment.objective,
        f"settings.{setting}.objective": experiment.settings[setting].objective,
        f"learners.{name}.objective": experiment.learners[name].objective,
    }
    options: dict[str, Any] = {}
    for place, own in places.items():
        # Options of one objective say nothing to another.
        kept = options if own.get("name", options.get("name")) == options.get("name") else {}
        named = {name: value for name, value in kept.items() if name == "name"}
        # Each by itself first: a mistake is named where it stands.
        objective_for(family.shape.kind, {**named, **own}, place)
        options = {**kept, **own}
    return objective_for(family.shape.kind, options)


def plan_setting(
    experiment: Experiment,
    setting: str,
    family: TaskFamily,
    folder: Path,
    say: Callable[[str], None],
) -> SettingPlan:
    """The plan of a setting: what is in the folder, and what is still to be decided.

    Raises:
        RunError: If the folder's plan is of other episodes than the data give now.
    """
    found = read_plan(folder, experiment).get(setting)
    test, validation = (
        fingerprint(family, "test", experiment.test_episodes),
        fingerprint(family, "validation", experiment.validation_episodes),
    )
    if found is not None and (found.test, found.validation) != (test, validation):
        raise RunError(
            f"The episodes of setting {setting} are others than those that {folder} was started with "
            f"(test {test}, planned {found.test}): data or versions have changed. Use another folder."
        )
    if found is None:
        seconds = _seconds_per_step(experiment, setting, family, say)
        found = SettingPlan(test, validation, _steps(experiment, seconds), seconds, {})
        _write(folder, experiment, setting, found)
    for name, record in experiment.learners.items():
        if name not in found.learners:
            decided = _decide(experiment, setting, name, record, family, found, say)
            found = SettingPlan(
                test, validation, found.steps, found.seconds_per_step, {**found.learners, name: decided}
            )  # fmt: skip
            _write(folder, experiment, setting, found)
    return found


def read_plan(folder: Path, experiment: Experiment) -> dict[str, SettingPlan]:
    """Plans by setting, as far as they are made.

    Raises:
        RunError: If the folder's plan is of another experiment, or damaged.
    """
    path = folder / "plan.json"
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text())
        plans = {name: _setting_plan(values) for name, values in record["settings"].items()}
        owner = record["experiment"]
    except (ValueError, KeyError, TypeError):
        raise RunError(
            f"{path} is damaged, expected what `netwright compare` wrote. Remove it to decide anew."
        ) from None
    if owner != experiment.hash:
        raise RunError(
            f"{folder} belongs to experiment {owner}, expected {experiment.hash}. Use another folder."
        )
    return plans


def _decide(
    experiment: Experiment,
    setting: str,
    name: str,
    record: LearnerRecord,
    family: TaskFamily,
    plan: SettingPlan,
    say: Callable[[str], None],
) -> LearnerPlan:
    steps, seconds = plan.steps[name], plan.seconds_per_step.get(name)
    choices = choices_of(grid_before(record))
    if len(choices) < 2:
        return LearnerPlan(steps, seconds, choices[0] or None)
    started = time.process_time()
    short = max(1, int(SHORT * steps))
    tried = []
    for choice in choices:
        line: dict[str, Any] = {**choice}
        try:
            line["validation"] = try_out(experiment, setting, name, family, choice, short)
        except Exception as error:
            # Any choice may be one that cannot be trained with; the others are to be tried.
            line |= {"validation": None, "error": f"{type(error).__name__}: {error}"}
        tried.append(line)
    higher = OBJECTIVES[family.shape.kind]().higher_is_better
    best = best_of(tried, higher)
    spent = time.process_time() - started
    say(f"{setting} {name}: {_words(best)} of {len(tried)} tried for {short} steps, {spent:.0f} CPU-s")  # fmt: skip
    return LearnerPlan(steps, seconds, best or choices[0], tuple(tried), spent)


def try_out(
    experiment: Experiment,
    setting: str,
    name: str,
    family: TaskFamily,
    choice: Mapping[str, Any],
    steps: int,
) -> float | None:
    """The mean on validation episodes after a training with a choice of options; None if it is not finite.

    Raises:
        RunError: If an option does not fit.
        TrainingError: If losses stay not finite.
    """
    seed = experiment.seeds[0]
    learner = make_contestant(experiment, setting, name, seed, family, choice)
    settings = training_settings(experiment, name, steps, choice)
    learner.meta_train(
        family,
        objective=objective_of(experiment, setting, name, family),
        **{**settings, "patience": 0, "seed": seed},
    )
    value = validation_score(learner, family, experiment.validation_episodes, experiment.metric)
    return value if abs(value) < float("inf") else None


def _steps(experiment: Experiment, seconds: Mapping[str, float]) -> dict[str, int]:
    budget = experiment.budget
    fixed = budget.steps or budget.most_steps
    if fixed is not None:
        return dict.fromkeys(experiment.learners, fixed)
    limit_s = 60 * (budget.cpu_minutes or 0.0)
    return {n: max(1, round(limit_s / seconds[n])) if n in seconds else 0 for n in experiment.learners}  # fmt: skip


def _seconds_per_step(
    experiment: Experiment, setting: str, family: TaskFamily, say: Callable[[str], None]
) -> dict[str, float]:
    """CPU-seconds of a training step of each learner that trains, taken in turns; medians, or means where steps differ."""
    if experiment.budget.cpu_minutes is None:
        return {}
    made = {n: make_contestant(experiment, setting, n, 0, family) for n in experiment.learners}
    made = {name: learner for name, learner in made.items() if learner.writer is not None}
    objectives = {n: objective_of(experiment, setting, n, family) for n in made}
    tasks = {n: learner.training_tasks(family) for n, learner in made.items()}
    optimisers = {
        name: torch.optim.AdamW(
            [p for p in learner.writer.parameters() if p.requires_grad], lr=0.0, fused=True
        )
        for name, learner in made.items()
        if learner.writer is not None
    }
    times: dict[str, list[float]] = {name: [] for name in made}
    for i in range(ROUNDS):
        for name, learner in made.items():
            assert learner.writer is not None
            count = training_settings(experiment, name, 1).get("tasks", TrainingRecord().tasks)
            learner.writer.train()
            objective = objectives[name]
            started = time.process_time()
            batch = tasks[name].sample(stream(0, "timing", i), count, "train")
            if isinstance(objective, Experienced):
                batch = objective.gather(learner.writer, batch, step=i, steps=ROUNDS, seed=0)
            training_step(learner.writer, objective, optimisers[name], batch, clip=1.0)
            times[name].append(time.process_time() - started)
    # Of steps that learn from experience few act, and take far longer than the others.
    found = {
        name: (mean if isinstance(objectives[name], Experienced) else median)(values[WARM_UP:])
        for name, values in times.items()
    }
    # What trains the same must take as many steps: the training is shared then.
    first: dict[str, str] = {}
    for name, learner in made.items():
        assert learner.writer is not None
        settings = training_settings(experiment, name, 1)
        run = plan_run(learner.writer, tasks[name], "cpu", settings, objectives[name])
        found[name] = found[first.setdefault(run.digest, name)]
    say(f"{setting}: CPU-ms per step " + ", ".join(f"{n} {1000 * s:.1f}" for n, s in found.items()))
    return found


def _setting_plan(values: Mapping[str, Any]) -> SettingPlan:
    learners = {
        name: LearnerPlan(**{**plan, "tried": tuple(plan["tried"])})
        for name, plan in values["learners"].items()
    }
    return SettingPlan(**{**values, "learners": learners})


def _write(folder: Path, experiment: Experiment, setting: str, plan: SettingPlan) -> None:
    there = {**read_plan(folder, experiment), setting: plan}
    record = {
        "format": FORMAT,
        "experiment": experiment.hash,
        "settings": {name: asdict(each) for name, each in there.items()},
    }
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    write_file(folder / "plan.json", text.encode())


def _words(choice: Mapping[str, Any] | None) -> str:
    if choice is None:
        return "nothing finite"
    return ", ".join(f"{name} {value}" for name, value in choice.items())


__all__ = [
    "LearnerPlan",
    "SettingPlan",
    "make_contestant",
    "objective_of",
    "plan_setting",
    "read_plan",
    "training_settings",
    "try_out",
]
