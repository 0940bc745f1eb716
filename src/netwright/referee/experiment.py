"""What is asked, of whom and how: a comparison as a file, checked before anything runs."""

import difflib
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from netwright.architectures import ARCHITECTURES, Architecture, from_record
from netwright.artifacts import digest
from netwright.errors import RunError
from netwright.learners.catalogue import ESTIMATOR, LEARNERS, check_options, kind_named
from netwright.runs import TrainingRecord, validated
from netwright.tasks import TaskShape
from netwright.training.recipe import check_family

# A part of a path on any system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=,-]{0,79}")
# YAML 1.1 takes 1e-3, without a dot, for a text.
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")
# Decided by the protocol, for all learners alike.
_NOT_TRAINING = ("steps", "patience", "seed", "validation_tasks")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SettingRecord(_Record):
    """Where learners meet.

    Args:
        family: {"name": name in `tasks.FAMILIES`, **options}.
        child: {"name": name in `ARCHITECTURES`, **options}, sizes that follow from the tasks left out; by default
            what suits the family.
        objective: Options of the family's objective in which it differs from the experiment's.
    """

    family: dict[str, Any]
    child: dict[str, Any] | None = None
    objective: dict[str, Any] = {}


class LearnerRecord(_Record):
    """A contestant; options of its kind stand beside these.

    Args:
        kind: Name in `LEARNERS`, or `sklearn:NAME`.
        training: Fields of `TrainingRecord` in which it differs from the experiment's.
        objective: Options of the family's objective in which it differs from the setting's.
        grid: Values by option (or by field of its training) that are tried on validation tasks, in place of
            those that the kind tries by itself; an empty grid tries nothing.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    kind: str
    training: dict[str, Any] = {}
    objective: dict[str, Any] = {}
    grid: dict[str, tuple[Any, ...]] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options of the kind that are given."""
        return dict(self.model_extra or {})

    def is_of_training(self, name: str) -> bool:
        """Whether what a grid names is a field of the training, and no option of the kind."""
        is_option = self.is_estimator or name in kind_named(self.kind).options(self.options)
        return not is_option and name in TrainingRecord.model_fields

    @property
    def is_estimator(self) -> bool:
        """Whether it is one of scikit-learn's, which are fitted on each task alone."""
        return self.kind.startswith(ESTIMATOR)


class Budget(_Record):
    """How long each learner trains: one of three.

    Args:
        steps: The same steps for all.
        cpu_minutes: As many steps as fit, for each.
        patience: Until so many validations in a row bring no gain.
        most_steps: With `patience`: an end in any case.
    """

    steps: PositiveInt | None = None
    cpu_minutes: PositiveFloat | None = None
    patience: PositiveInt | None = None
    most_steps: PositiveInt | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [n for n in ("steps", "cpu_minutes", "patience") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"has {given or 'nothing'}, expected exactly one of steps, cpu_minutes and patience"
            )
        if (self.most_steps is None) != (self.patience is None):
            raise ValueError("needs `most_steps` with `patience`, and only then")
        return self


class Experiment(_Record):
    """A comparison of learners, as a file says it.

    Args:
        name: What it is called.
        question: What it is to answer.
        hypotheses: What was expected before it ran.
        settings: Where learners meet, by name.
        metric: What the verdict goes by, one that the families' objective gives.
        reference: The learner that others are compared with.
        learners: Contestants by name.
        seeds: Of weights and training tasks; the tasks of the test are the same for all.
        budget: How long each trains.
        training: Fields of `TrainingRecord`, beside those that the protocol decides.
        objective: Options of the objective that suits the families' labels, such as {discount: 0.99}.
        test_episodes: Test tasks that all are scored on.
        validation_episodes: Validation tasks that every choice is made on.
        stopping_rule: When the experiment ends; said before it runs.
    """

    name: str
    question: str = ""
    hypotheses: tuple[str, ...] = ()
    settings: dict[str, SettingRecord] = Field(min_length=1)
    metric: str
    reference: str
    learners: dict[str, LearnerRecord] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    budget: Budget
    training: dict[str, Any] = {}
    objective: dict[str, Any] = {}
    test_episodes: int = Field(default=600, ge=2)
    validation_episodes: int = Field(default=200, ge=2)
    stopping_rule: str = "All seeds run to the end of their budget."

    @field_validator("settings", "learners")
    @classmethod
    def _names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"name {name!r}: expected letters, digits and any of . _ + = , - (it names a folder)"
                )
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or min(value, default=0) < 0:
            raise ValueError(f"{list(value)}: expected distinct whole numbers of at least 0")
        return value

    @property
    def hash(self) -> str:
        """Identity of the experiment: equal hashes, equal comparisons on one machine."""
        record = self.model_dump(mode="json")
        # Options of objectives came later: without any, an experiment keeps the identity that it had.
        for part in (record, *record["settings"].values(), *record["learners"].values()):
            if not part["objective"]:
                del part["objective"]
        return digest(record)[:16]

    def to_yaml(self) -> str:
        """The canonical text, all defaults written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_experiment(path: str | Path) -> Experiment:
    """An experiment from a YAML file.

    Raises:
        RunError: If the file is not there, not YAML, or a key or value is wrong; the message names its place.
    """
    path = Path(path)
    try:
        record = yaml.safe_load(path.read_text())
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}), expected an experiment in YAML."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} is not YAML ({reason}), expected an experiment.") from None
    if not isinstance(record, Mapping):
        raise RunError(
            f"{path} holds {type(record).__name__}, expected keys such as settings and learners."
        )
    return experiment_of(_with_numbers(record), str(path))


def experiment_of(record: Mapping[str, Any], name: str = "experiment") -> Experiment:
    """An experiment from plain values, everything checked that needs no data.

    Raises:
        RunError: If a key or value is wrong; the message names its place and the nearest valid name.
    """
    try:
        experiment = Experiment.model_validate(record)
    except ValidationError as error:
        raise RunError(_first_mistake(error, name)) from None
    if experiment.reference not in experiment.learners:
        raise RunError(
            f"`reference` of {name} is {experiment.reference!r}, expected one of the learners "
            f"{list(experiment.learners)}.{_nearest(experiment.reference, experiment.learners)}"
        )
    _check_training(experiment.training, "training")
    for key, setting in experiment.settings.items():
        _check_names(setting, f"settings.{key}")
    for key, learner in experiment.learners.items():
        _check_learner(learner, f"learners.{key}")
    return experiment


def child_of(record: Mapping[str, Any] | None, shape: TaskShape) -> Architecture | None:
    """The child that a setting names, its inputs and outputs taken from the tasks; None for the default.

    Raises:
        RunError: If the family of children or an option is unknown.
    """
    if record is None:
        return None
    options = dict(record)
    family = options.pop("name")
    outputs = "classes" if shape.kind == "exchangeable-classes" else "outputs"
    follows = {"inputs": prod(n or 1 for n in shape.x), "image": shape.x, outputs: shape.outputs}
    fields = ARCHITECTURES[family].__dataclass_fields__
    return from_record(
        {"family": family, **{n: v for n, v in follows.items() if n in fields}, **options}
    )


def _with_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _check_training(record: Mapping[str, Any], place: str) -> None:
    for name in record:
        if name in _NOT_TRAINING:
            raise RunError(
                f"`{place}.{name}` is decided by the protocol, expected no such key. Use `budget`, `seeds` and "
                "`validation_episodes`."
            )
        if name not in TrainingRecord.model_fields:
            known = [n for n in TrainingRecord.model_fields if n not in _NOT_TRAINING]
            raise RunError(
                f"`{place}.{name}` is not known, expected some of {known}.{_nearest(name, known)}"
            )
    validated(TrainingRecord, dict(record), place)


def _check_names(setting: SettingRecord, place: str) -> None:
    check_family(setting.family, f"{place}.family")
    if setting.child is None:
        return
    name = setting.child.get("name")
    if name not in ARCHITECTURES:
        raise RunError(
            f"`{place}.child.name` is {name!r}, expected one of {list(ARCHITECTURES)}."
            f"{_nearest(str(name), ARCHITECTURES)}"
        )
    known = list(ARCHITECTURES[name].__dataclass_fields__)
    for option in setting.child:
        if option != "name" and option not in known:
            raise RunError(
                f"`{place}.child.{option}` is not known, expected some of {known}.{_nearest(option, known)}"
            )


def _check_learner(learner: LearnerRecord, place: str) -> None:
    if not learner.is_estimator and learner.kind not in LEARNERS:
        raise RunError(
            f"`{place}.kind` is {learner.kind!r}, expected one of {list(LEARNERS)} or `{ESTIMATOR}NAME`."
            f"{_nearest(learner.kind, LEARNERS)}"
        )
    _check_training(learner.training, f"{place}.training")
    grid = learner.grid or {}
    for name, values in grid.items():
        if not values:
            raise RunError(f"`{place}.grid.{name}` is empty, expected values to try. Leave it out.")
        if name in learner.options or name in learner.training:
            raise RunError(
                f"`{place}.grid.{name}` is tried and given at once, expected one of both. Remove one."
            )
        if learner.is_of_training(name):
            for value in values:
                _check_training({name: value}, f"{place}.grid")
        elif not learner.is_estimator:
            check_options(learner.kind, {name: values}, f"{place}.grid.")
    if not learner.is_estimator:
        check_options(learner.kind, learner.options, f"{place}.")


def _first_mistake(error: ValidationError, name: str) -> str:
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    place = ".".join(loc) or name
    if first["type"] == "extra_forbidden":
        known = _fields_at(loc[:-1])
        return (
            f"`{place}` of {name} is not known, expected some of {known}.{_nearest(loc[-1], known)}"
        )
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"`{place}` of {name}: {message[0].lower()}{message[1:]}."


def _fields_at(loc: list[str]) -> list[str]:
    kinds: dict[str, type[BaseModel]] = {"settings": SettingRecord, "budget": Budget}
    kind = kinds.get(loc[0], LearnerRecord) if loc else Experiment
    return list(kind.model_fields)


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean `{near[0]}`?" if near else ""


__all__ = [
    "Budget",
    "Experiment",
    "LearnerRecord",
    "SettingRecord",
    "child_of",
    "experiment_of",
    "read_experiment",
]
