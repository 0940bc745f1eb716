"""All contestants of an experiment, one after another, whatever happens to any of them.

FOLDER/experiment.yaml   what was asked
FOLDER/plan.json         what was decided beforehand
FOLDER/results/SETTING/LEARNER/seedN.json
FOLDER/runs/SETTING/RUN  trainings; FOLDER/logs what processes said
"""

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from netwright.artifacts import write_file
from netwright.errors import RunError
from netwright.referee.contest import Contestant, failure, run_contestant, write_result
from netwright.referee.episodes import check_splits, metrics_of
from netwright.referee.experiment import Experiment, read_experiment
from netwright.referee.isolation import run_in_process
from netwright.referee.plan import SettingPlan, make_contestant, objective_of, plan_setting
from netwright.tasks import TaskFamily
from netwright.training.recipe import build_family

if sys.platform != "win32":
    import fcntl

Say = Callable[[str], None]


def compare(
    experiment: Experiment,
    folder: str | Path,
    *,
    resume: bool = False,
    isolated: bool = True,
    say: Say = lambda line: None,
) -> list[dict[str, Any]]:
    """Run every learner with every seed in every setting; results as they stand in the folder.

    What is finished is kept, and never run again; what has failed is tried again. Ctrl-C ends the training under
    way with a checkpoint, from which the next call goes on.

    Args:
        experiment: What is compared.
        folder: Where everything goes.
        resume: Go on with what is in the folder.
        isolated: Whether each contestant has a process of its own: its memory is then its own, and what kills it
            leaves the others alone.
        say: Told one line per finished contestant.

    Raises:
        RunError: If the folder holds another comparison, or a name or an option does not fit.
        DataError: If test tasks overlap those of training.
        KeyboardInterrupt: On Ctrl-C; what is finished is kept.
    """
    folder = Path(folder)
    _check_folder(experiment, folder, resume)
    families = check_experiment(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder), _one_thread():
        write_file(folder / "experiment.yaml", experiment.to_yaml().encode())
        for setting, family in families.items():
            plan = plan_setting(experiment, setting, family, folder, say)
            for seed in experiment.seeds:
                for learner in experiment.learners:
                    contestant = Contestant(setting, learner, seed)
                    if not _is_done(contestant.path(folder)):
                        _run(experiment, plan, contestant, folder, isolated)
                        say(line_of(read_result(contestant.path(folder))))
    return read_results(experiment, folder)


def check_experiment(experiment: Experiment) -> dict[str, TaskFamily]:
    """The task families of an experiment by setting, when all in it holds together.

    Raises:
        RunError: If a metric or an option does not fit.
        DataError: If data cannot be read, or test tasks overlap those of training.
        MissingExtraError: If a learner needs a package that is not installed.
    """
    families = {}
    for setting, record in experiment.settings.items():
        family = build_family(record.family)
        check_splits(family, setting)
        if experiment.metric not in (known := metrics_of(family)):
            raise RunError(
                f"`metric` is {experiment.metric!r} and tasks of setting {setting} are scored by {list(known)}, "
                "expected one of these."
            )
        for name in experiment.learners:
            learner = make_contestant(experiment, setting, name, experiment.seeds[0], family)
            objective = objective_of(experiment, setting, name, family)
            if learner.writer is None:
                continue
            try:
                objective.check(family, learner.writer.child)
            except RunError as error:
                raise RunError(f"`learners.{name}`: {error}") from None
        families[setting] = family
    return families


def read_results(experiment: Experiment, folder: str | Path) -> list[dict[str, Any]]:
    """Results that are there, in the order of settings, learners and seeds."""
    paths = (
        Contestant(setting, learner, seed).path(Path(folder))
        for setting in experiment.settings
        for learner in experiment.learners
        for seed in experiment.seeds
    )
    return [read_result(path) for path in paths if path.exists()]


def read_result(path: Path) -> dict[str, Any]:
    """One result file.

    Raises:
        RunError: If it is damaged.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        raise RunError(
            f"{path} is damaged, expected what `netwright compare` wrote. Remove it and resume."
        ) from None
    return result


def line_of(result: dict[str, Any]) -> str:
    """What came of a contestant, in one line."""
    name = f"{result['setting']} {result['learner']} seed {result['seed']}"
    if result["status"] == "failed":
        return f"{name}: failed: {result['error']}"
    values = result["scores"][result["metric"]]
    cost = result["cost"]
    return (
        f"{name}: {result['metric']} {sum(values) / len(values):.4f}, {cost['train_steps']} steps in "
        f"{cost['train_cpu_seconds']:.1f} CPU-s, {cost['adapt_ms']:.1f} ms per task"
    )


def experiment_in(folder: str | Path) -> Experiment:
    """The experiment that a folder was started with.

    Raises:
        RunError: If it holds none.
    """
    path = Path(folder) / "experiment.yaml"
    if not path.exists():
        raise RunError(
            f"{folder} holds no comparison, expected a folder that `netwright compare` made."
        )
    return read_experiment(path)


def run_here(
    experiment: Experiment, plan: SettingPlan, contestant: Contestant, folder: Path
) -> None:
    """Run one contestant in this process and write its result, be it a failure."""
    try:
        result = run_contestant(experiment, plan, contestant, folder)
    except Exception as error:
        # Whatever it is, the others must go on; what is no user's mistake leaves its traceback in the log.
        traceback.print_exc()
        result = failure(experiment, plan, contestant, f"{type(error).__name__}: {error}")
    write_result(folder, contestant, result)


def _run(
    experiment: Experiment, plan: SettingPlan, contestant: Contestant, folder: Path, isolated: bool
) -> None:
    if isolated:
        code = run_in_process(folder, contestant)
        if code:
            why = f"its process was killed by signal {-code}" if code < 0 else f"its process ended with {code}"  # fmt: skip
            log = f"logs/{contestant.setting}-{contestant.learner}-seed{contestant.seed}.log"
            result = failure(experiment, plan, contestant, f"{why}; see {log}")
            write_result(folder, contestant, result)
        return
    run_here(experiment, plan, contestant, folder)
    result = read_result(contestant.path(folder))
    if result["cost"]:
        # That of the whole process, with everything else in it.
        write_result(folder, contestant, {**result, "cost": {**result["cost"], "peak_memory_mb": None}})  # fmt: skip


def _is_done(path: Path) -> bool:
    return path.exists() and read_result(path)["status"] == "done"


def _check_folder(experiment: Experiment, folder: Path, resume: bool) -> None:
    if (folder / "experiment.yaml").exists() and not resume:
        raise RunError(
            f"{folder} holds a comparison already, expected a new folder. Resume it (`--resume {folder}`) or "
            "choose another folder."
        )
    if resume and (saved := experiment_in(folder)).hash != experiment.hash:
        raise RunError(
            f"{folder} holds experiment {saved.hash} ({saved.name}), expected {experiment.hash}. "
            "Resume it as it was started, or choose another folder."
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """While entered, torch has one thread, as contestants have: their bits depend on it, and so do timings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While entered, no other comparison runs in the folder."""
    with (folder / ".lock").open("w") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(
                    f"Another comparison runs in {folder}, expected one at a time. Wait for it or stop it."
                ) from None
        yield


__all__ = [
    "check_experiment",
    "compare",
    "experiment_in",
    "line_of",
    "read_result",
    "read_results",
    "run_here",
]
