"""Options of a learner sought on validation tasks with Optuna; test tasks are never drawn."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netwright.artifacts import write_file
from netwright.errors import MissingExtraError, RunError
from netwright.learners.catalogue import check_options, kind_named
from netwright.objectives import OBJECTIVES
from netwright.referee.experiment import Experiment, LearnerRecord, experiment_of
from netwright.referee.plan import try_out
from netwright.rng import derive_seed
from netwright.training.recipe import build_family


@dataclass(frozen=True)
class Range:
    """Values of one option: some, or all numbers between two.

    Args:
        values: To choose among; empty for numbers from `low` to `high`.
        low: Smallest; whole numbers are sought between two whole ones.
        high: Largest.
        is_log: Whether orders of magnitude count alike.
    """

    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False

    def __post_init__(self) -> None:
        if not self.values and not (self.low < self.high and (self.low > 0 or not self.is_log)):
            raise RunError(
                f"The range is {self.low:g} to {self.high:g}, expected low before high, and above 0 for "
                "orders of magnitude."
            )


@dataclass(frozen=True)
class Sought:
    """What a search has found.

    Args:
        best: Options of the best trial.
        validation: Its mean on validation tasks.
        trials: All that came to an end, in order, as {**options, "validation": mean or None}.
    """

    best: dict[str, Any]
    validation: float
    trials: tuple[dict[str, Any], ...]


def default_space(learner: LearnerRecord) -> dict[str, Range]:
    """What is sought unless something else is asked for: the rates of the training and of the inner loop, the size."""
    kind = kind_named(learner.kind)
    space = {"learning_rate": Range(low=3e-4, high=1e-2, is_log=True)}
    if rates := kind.before.get("rate"):
        space["rate"] = Range(low=min(rates), high=max(rates), is_log=True)
    if "size" in kind.options({}):
        space["size"] = Range(values=(32, 64, 128))
    return {n: r for n, r in space.items() if n not in {*learner.options, *learner.training}}


def seek(
    experiment: Experiment,
    folder: str | Path,
    *,
    space: Mapping[str, Range],
    trials: int,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Sought:
    """Search the options of an experiment's only learner; what is in the folder is gone on with.

    A trial that was cut is made again, and a search that was resumed proposes what it would have proposed.

    Args:
        experiment: Of one learner in one setting, with a budget in steps.
        folder: Where the trials are kept, in `trials.log`.
        space: What is sought, by option or field of the training.
        trials: How many, those in the folder counted in.
        seed: Of the proposals.
        say: Told one line per trial.

    Raises:
        RunError: If an option is unknown, the folder is of another search, or no trial came to a score.
        MissingExtraError: If Optuna is not installed.
    """
    optuna = _optuna()
    (name, record), (setting, _) = _only(experiment.learners), _only(experiment.settings)
    steps = experiment.budget.steps
    if steps is None:
        raise RunError("A search needs a budget in steps, expected `budget: {steps: N}`.")
    for option in space:
        if not record.is_of_training(option):
            check_options(record.kind, {**record.options, option: None}, "space.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, {"experiment": experiment.model_dump(mode="json"), "seed": seed,
                    "space": {n: asdict(r) for n, r in space.items()}})  # fmt: skip
    family = build_family(experiment.settings[setting].family)
    higher = OBJECTIVES[family.shape.kind]().higher_is_better
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "trials.log"))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="search",
        direction="maximize" if higher else "minimize",
        load_if_exists=True,
    )
    states = optuna.trial.TrialState
    for cut in study.get_trials(states=[states.RUNNING]):
        study.tell(cut.number, state=states.FAIL)
    while len(ended := _ended(study, states)) < trials:
        # Anew for every trial: the proposal depends on what has ended, and on nothing that a kill would lose.
        sampling_seed = derive_seed(seed, "trial", len(ended)) % 2**32
        study.sampler = optuna.samplers.TPESampler(seed=sampling_seed)
        trial = study.ask()
        choice = {option: _suggest(trial, option, each) for option, each in space.items()}
        try:
            value = try_out(experiment, setting, name, family, choice, steps)
        except Exception as error:
            # Any option may be one that cannot be trained with; the others are to be tried.
            value = None
            trial.set_user_attr("error", f"{type(error).__name__}: {error}")
        # Ended without a score: Optuna's own word for it is pruned.
        study.tell(trial, value, state=states.COMPLETE if value is not None else states.PRUNED)
        told = ", ".join(f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in choice.items())  # fmt: skip
        score = "not finite" if value is None else f"{value:.4f}"
        say(f"trial {len(ended) + 1}: {told}: validation {experiment.metric} {score}")
    lines = tuple({**trial.params, "validation": trial.value} for trial in _ended(study, states))
    scored = [line for line in lines if line["validation"] is not None]
    if not scored:
        raise RunError(
            f"None of {len(lines)} trials came to a finite score, expected one. Narrow the space."
        )
    best = (max if higher else min)(scored, key=lambda line: line["validation"])
    options = {option: value for option, value in best.items() if option != "validation"}
    return Sought(options, best["validation"], lines)


def with_options(learner: LearnerRecord, options: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a learner with options that were found, to be put into an experiment."""
    training = {n: v for n, v in options.items() if learner.is_of_training(n)}
    own = {n: v for n, v in options.items() if n not in training}
    found = {"kind": learner.kind, **learner.options, **own}
    return {**found, "training": {**learner.training, **training}}


def parse_range(text: str) -> tuple[str, Range]:
    """An option and its values from `size=32,64`, `rate=0.01:0.3` or `learning_rate=1e-4:1e-2:log`.

    Raises:
        RunError: If it is none of these.
    """
    name, _, rest = text.partition("=")
    parts = rest.split(":")
    try:
        if name and len(parts) in (2, 3) and parts[2:] in ([], ["log"]):
            return name, Range(
                low=_number(parts[0]), high=_number(parts[1]), is_log=len(parts) == 3
            )
        if name and rest and len(parts) == 1:
            return name, Range(values=tuple(_plain(value) for value in rest.split(",")))
    except RunError:
        # Which is a ValueError as well: a range that is read, and makes no sense, has its own words.
        raise
    except ValueError:
        pass
    raise RunError(
        f"`--search` is {text!r}, expected size=32,64 or learning_rate=1e-4:1e-2:log, for instance."
    )


def search_in(folder: str | Path) -> tuple[Experiment, dict[str, Range], int]:
    """The experiment, the space and the seed that a folder's search was started with.

    Raises:
        RunError: If it holds none.
    """
    path = Path(folder) / "search.json"
    if not path.exists():
        raise RunError(f"{folder} holds no search, expected a folder that `netwright tune` made.")
    record = json.loads(path.read_text())
    space = {n: Range(**{**r, "values": tuple(r["values"])}) for n, r in record["space"].items()}
    return experiment_of(record["experiment"], str(path)), space, int(record["seed"])


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def _suggest(trial: Any, name: str, each: Range) -> Any:
    if each.values:
        return trial.suggest_categorical(name, list(each.values))
    if isinstance(each.low, int) and isinstance(each.high, int):
        return trial.suggest_int(name, each.low, each.high, log=each.is_log)
    return trial.suggest_float(name, each.low, each.high, log=each.is_log)


def _ended(study: Any, states: Any) -> list[Any]:
    return list(study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED]))


def _only(values: Mapping[str, Any]) -> tuple[str, Any]:
    if len(values) != 1:
        raise RunError(
            f"A search is of one learner in one setting, expected one, found {list(values)}."
        )
    return next(iter(values.items()))


def _claim(folder: Path, record: Mapping[str, Any]) -> None:
    path = folder / "search.json"
    text = json.dumps(record, indent=2) + "\n"
    if path.exists() and path.read_text() != text:
        raise RunError(
            f"{folder} holds another search, expected a new folder. Go on with it as it was started, or choose "
            "another folder."
        )
    write_file(path, text.encode())


def _optuna() -> Any:
    try:
        import optuna
        import optuna.storages.journal
    except ImportError:
        raise MissingExtraError("optuna", "hpo", "A search of options") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


__all__ = ["Range", "Sought", "default_space", "parse_range", "search_in", "seek", "with_options"]
