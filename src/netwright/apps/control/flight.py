"""One machine under a policy that was written for it, and rewritten when the machine changes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netwright.environments import Environment, check_quantities, outside
from netwright.errors import ConditionError, DataError
from netwright.objectives.under_way import WINDOW, Rewriting, under_way
from netwright.rng import stream
from netwright.tasks.control import Control
from netwright.writer import Writer

log = logging.getLogger(__name__)

# Beyond so many half ranges outside of what was trained on, no policy is written.
FARTHEST = 3.0


@dataclass(frozen=True)
class Change:
    """A machine that becomes another one under way.

    Args:
        step: Before which step.
        machine: What it becomes, [1, P].
    """

    step: int
    machine: Tensor


@dataclass(frozen=True)
class Flight:
    """One episode.

    Args:
        states: Before each step and after the last, [H + 1, S].
        actions: As actuators took them, [H, A].
        rewards: [H].
        machines: The machine at each step, [H, P].
        good: Whether the task was being done after each step, or had been for good, bool [H].
        rewrites: Steps before which the policy was written anew.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    machines: Tensor
    good: Tensor
    rewrites: tuple[int, ...]


@torch.no_grad()
def fly(
    writer: Writer,
    family: Control,
    machine: Tensor,
    *,
    seed: int = 0,
    steps: int | None = None,
    start: Tensor | None = None,
    change: Change | None = None,
    rewrite_every: int = 0,
    window: int = WINDOW,
    only_when_needed: bool = False,
) -> list[Flight]:
    """T machines, each in one episode, under policies that are written for them at the start.

    With `rewrite_every`, policies are written anew every so many steps: from the machine's numbers of that moment where
    they are what is read, from the last transitions of the episode where a probe is.

    Args:
        writer: What writes policies.
        family: What machines are told by.
        machine: The machines, [T, P].
        seed: Of states to begin in and of probes.
        steps: H; by default the environment's own.
        start: States to begin in, [T, 1, S].
        change: Machines that they become under way, [T, P] or [1, P].
        rewrite_every: Steps between rewrites; 0 for none.
        window: Transitions of late that policies are rewritten from; they become more while a task is not being done.
        only_when_needed: Whether a policy is left as it is while the task is being done and the machine is at rest.

    Raises:
        ConditionError: If a machine is too far outside of what was trained on, or is to be rewritten from a description.
    """
    environment = family.environment
    check_machine(environment, machine)
    if rewrite_every and family.sources == ("description",):
        raise ConditionError(
            "Policies are written from a description, which does not change under way, expected numbers or a probe. "
            "Leave out `rewrite_every`."
        )
    rng = stream(seed, "fly")
    course = under_way(
        writer,
        environment,
        machine,
        environment.start(rng, len(machine), 1) if start is None else start,
        writer(family.condition(machine, rng)),
        steps=steps or environment.steps,
        rewriting=Rewriting(
            rewrite_every,
            window,
            only_when_needed,
            "examples" in family.sources,
            # A probe of a machine that is under way is what was seen of late.
            None if family.sources == ("examples",) else lambda now: family.condition(now, rng),
        ),
        seed=seed,
        becomes=None if change is None else change.machine.expand_as(machine),
        at=None if change is None else torch.full((len(machine),), change.step),
    )
    each = zip(
        course.states, course.actions, course.rewards, course.machines, course.good, strict=True
    )
    return [Flight(*parts, course.rewrites) for parts in each]


def check_machine(environment: Environment, machine: Tensor) -> None:
    """Warn of machines outside of what was trained on, and refuse those far outside.

    Raises:
        ConditionError: If there is one, a number is not finite, or a quantity of a few values has another.
    """
    if not machine.isfinite().all():
        raise ConditionError("A machine's numbers are not finite, expected finite ones.")
    for i, q in enumerate(environment.quantities):
        values = machine[:, i]
        odd = (values != values.round()) | (values < q.low) | (values > q.high)
        if q.is_discrete and bool(odd.any()):
            raise ConditionError(
                f"`{q.name}` is {float(values[odd][0]):g}, expected a whole number from {q.low:g} to {q.high:g}."
            )
    far = float(outside(environment, machine).max())
    if far > FARTHEST:
        raise ConditionError(
            f"A machine is {far:.1f} half ranges outside of what was trained on, expected at most {FARTHEST:.0f}. "
            f"Ranges: {_told(environment)}."
        )
    if far > 1e-5:
        log.warning(
            "the machine is %.2f half ranges outside of what was trained on (%s)",
            far,
            _told(environment),
        )


def parse_machine(environment: Environment, pairs: Sequence[str]) -> Tensor:
    """A machine, [1, P], from texts such as mass=1.3; what is not said is as in the textbook.

    Raises:
        DataError: If a name is unknown or a value is no number.
    """
    values: dict[str, Any] = {}
    for pair in (part for text in pairs for part in text.split(",") if part):
        name, equals, value = pair.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise DataError(f"{pair!r} is no setting of a machine, expected one such as mass=1.3.")
    check_quantities(environment, values)
    return environment.machine(**values)


def _told(environment: Environment) -> str:
    return ", ".join(f"{q.name} {q.least:g} to {q.high:g}" for q in environment.quantities)


def recovery(flight: Flight, change: int, within: int, hold: int = 10) -> int | None:
    """After how many steps from a change on the task was being done again for `hold` steps; None if not within so many.

    A machine that never stopped doing it has recovered after 0 steps.
    """
    good = flight.good[change:].numpy()
    for first in range(min(within, len(good) - hold) + 1):
        if good[first : first + hold].all():
            rest = good[first:]
            return first if rest.mean() > 0.8 else None
    return None


__all__ = [
    "FARTHEST",
    "Change",
    "Flight",
    "check_machine",
    "fly",
    "parse_machine",
    "recovery",
]
