"""What is refused before a search begins."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

from netwright.architectures import Limits, SearchSpace
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.hypernetwork import Hypernetwork
from netwright.search.tried import COSTS


def space_for(space: SearchSpace, condition: Condition) -> SearchSpace:
    """The space with as many exchangeable classes as the support set has."""
    classes = condition.examples.classes if condition.examples is not None else None
    if classes is None or space.fixed.get("classes") in (None, classes):
        return space
    return SearchSpace(space.family, {**space.fixed, "classes": classes}, space.choices)


def check_limits(space: SearchSpace, limits: Limits) -> None:
    """Refuse limits that nothing fits, and name the smallest that would.

    Raises:
        RunError: If so.
    """
    for unit in (field.name for field in fields(Limits)):
        most = getattr(limits, unit)
        smallest = space.smallest(by=unit)  # type: ignore[arg-type]
        least = getattr(smallest.cost, unit)
        if most is not None and least > most:
            raise RunError(
                f"No {space.family} of the space has at most {most:,} {unit}: the smallest has {least:,}. "
                f"Allow at least that."
            )


def check_condition(
    hypernetwork: Hypernetwork,
    space: SearchSpace,
    condition: Condition,
    rows: Mapping[str, ExampleSet | None],
) -> None:
    """Refuse conditions and rows that do not fit the hypernetwork or the space.

    Args:
        hypernetwork: What is to write.
        space: What it is to write.
        condition: What from.
        rows: Further rows, by what a caller calls them.

    Raises:
        RunError: If the hypernetwork writes one architecture only.
        ConditionError: If the condition has what is not read, something is of several tasks, or rows have other
            inputs than the space.
    """
    reads = hypernetwork.conditioner.reads
    if "architecture" not in reads:
        raise RunError(
            f"The hypernetwork writes one architecture, {hypernetwork.child.architecture}, expected one that reads "
            "which to write. Train it on a `Sized` family: netwright train FAMILY --sizes mlp"
        )
    if unread := sorted(condition.present().keys() - set(reads)):
        raise ConditionError(
            f"The condition has {unread}, which this hypernetwork does not read; it reads {list(reads)}. Leave it "
            "out; rows to choose by are `held_out`, rows to polish on `rows`."
        )
    sets = {"condition": condition.examples, **rows}
    shape = space.smallest().input_shape
    for name, each in sets.items():
        if each is None:
            continue
        if tuple(each.x.shape[2:]) != shape:
            raise ConditionError(
                f"Rows of `{name}` have inputs of shape {tuple(each.x.shape[2:])} and networks of the space read "
                f"{shape}, expected one shape. Give rows of the task that the space is for."
            )
    tasks = {name: each.tasks for name, each in sets.items() if each is not None}
    if condition.present():
        condition.check()
        tasks["condition"] = condition.tasks
    for name, count in tasks.items():
        if count != 1:
            raise ConditionError(
                f"`{name}` is of {count} tasks, expected one. Search for each task by itself."
            )


def check_options(
    method: str,
    methods: Collection[str],
    candidates: int,
    polish: int,
    by: Sequence[str],
    most_ms: float | None,
) -> None:
    """Refuse options that are out of range.

    Raises:
        RunError: If one is.
    """
    if method not in methods:
        raise RunError(f"Method {method!r} is not known, expected one of {sorted(methods)}.")
    if candidates < 1:
        raise RunError(f"`candidates` is {candidates}, expected at least 1.")
    if polish < 0:
        raise RunError(f"`polish` is {polish}, expected steps, at least 0.")
    if most_ms is not None and not most_ms > 0:
        raise RunError(f"`latency_ms` is {most_ms}, expected more than 0.")
    if not by or (unknown := [name for name in by if name not in COSTS]):
        told = f"{unknown[0]!r}" if by else "empty"
        raise RunError(f"`by` is {told}, expected some of {list(COSTS)}.")


__all__ = ["check_condition", "check_limits", "check_options", "space_for"]
