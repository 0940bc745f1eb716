"""Objectives by name and options: what suits a kind of labels, and what a run's record says."""

import difflib
from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from pydantic import TypeAdapter, ValidationError

from netwright.errors import RunError
from netwright.objectives.analytic import AnalyticGradient
from netwright.objectives.base import Objective
from netwright.objectives.classification import Classification
from netwright.objectives.evolution import EvolutionStrategies
from netwright.objectives.gaussian import GaussianLikelihood
from netwright.objectives.imitation import Imitation
from netwright.objectives.policy_gradient import PolicyGradient
from netwright.objectives.regression import Regression

OBJECTIVES: dict[str, type[Objective]] = {
    "exchangeable-classes": Classification,
    "fixed-classes": Classification,
    "values": Regression,
    "actions": PolicyGradient,
}

# Names live on in records of runs: never reuse one.
NAMED: dict[str, type[Objective]] = {
    "analytic-gradient": AnalyticGradient,
    "classification": Classification,
    "evolution-strategies": EvolutionStrategies,
    "gaussian-likelihood": GaussianLikelihood,
    "imitation": Imitation,
    "policy-gradient": PolicyGradient,
    "regression": Regression,
}

# Names that can be asked for in place of what is usual, by kind of labels.
SUITED: dict[str, tuple[str, ...]] = {
    "exchangeable-classes": ("classification",),
    "fixed-classes": ("classification",),
    "values": ("regression", "gaussian-likelihood"),
    "actions": ("policy-gradient", "analytic-gradient", "evolution-strategies"),
}


def objective_record(objective: Objective) -> dict[str, Any]:
    """{"name": name in `NAMED`, or that of a class of the user's own, **options}, JSON-able."""
    names = [name for name, kind in NAMED.items() if kind is type(objective)]
    return {"name": names[0] if names else type(objective).__name__, **objective.options()}


def objective_for(kind: str, options: Mapping[str, Any], place: str = "objective") -> Objective:
    """What suits a kind of labels, with options.

    Args:
        kind: Name in `OBJECTIVES`.
        options: Of its constructor; texts that are numbers count as these. With `name`, one in `SUITED`, of another one than is usual.
        place: Where the options stand, for messages.

    Raises:
        RunError: If an option is unknown, of another type or out of range, or the name is none that suits.
    """
    options = dict(options)
    name = options.pop("name", None)
    if name is None:
        return _made(OBJECTIVES[kind], options, place)
    if name not in SUITED[kind]:
        near = difflib.get_close_matches(str(name), SUITED[kind], 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise RunError(
            f"`{place}` names {name!r}, expected one of {list(SUITED[kind])} for these tasks.{hint}"
        )
    return _made(NAMED[name], options, place)


def objective_from_record(record: Mapping[str, Any]) -> Objective:
    """The inverse of `objective_record`.

    Raises:
        RunError: If a record cannot hold the objective: one of the user's own, or one with a teacher; or if an option does not fit.
    """
    options = dict(record)
    name = options.pop("name", None)
    if name not in NAMED:
        raise RunError(
            f"Objective {name!r} is not known, expected one of {list(NAMED)}. Pass an objective of your own: "
            "train(..., objective=...)."
        )
    if NAMED[name] is Imitation:
        raise RunError(
            "The objective has a teacher, which no record can hold, expected that teacher. Go on from Python: "
            "train(..., objective=Imitation(teacher, ...), resume=True)."
        )
    return _made(NAMED[name], options, "objective")


def _made(kind: type[Objective], options: Mapping[str, Any], place: str) -> Objective:
    known = {} if kind.__init__ is object.__init__ else dict(signature(kind).parameters)
    checked = {}
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean `{near[0]}`?" if near else " Leave it out."
            raise RunError(
                f"`{place}.{name}` is no option of {kind.__name__}, expected some of {list(known)}.{hint}"
            )
        checked[name] = _value(known[name], value, place)
    try:
        return kind(**checked)
    except RunError as error:
        raise RunError(f"`{place}`: {error}") from None


def _value(parameter: Parameter, value: Any, place: str) -> Any:
    try:
        return TypeAdapter(parameter.annotation).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"].lower()
        raise RunError(f"`{place}.{parameter.name}` is {value!r}: {said}.") from None


__all__ = [
    "NAMED",
    "OBJECTIVES",
    "SUITED",
    "objective_for",
    "objective_from_record",
    "objective_record",
]
