"""One machine under a policy that was written for it, and rewritten when the machine changes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.environments import Environment, check_quantities, masked, outside
from netwright.errors import ConditionError, DataError
from netwright.rng import stream
from netwright.tasks.control import Control, transition
from netwright.writer import Writer

log = logging.getLogger(__name__)

# Beyond so many half ranges outside of what was trained on, no policy is written.
FARTHEST = 3.0
# Transitions that a policy is rewritten from, under way: of late, and not of before a change. Of a machine that does its task no
# longer, or moves, those since so many steps before it began to.
WINDOW = 4
# And never more than so many.
LONGEST = 32
# A machine of which nothing that is seen changes by more in a step is at rest.
REST = 0.005


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
        only_when_needed: Whether a policy is left as it is while the task is being done and the machine is at rest: it then tells
            nothing of itself. To wait until the task is no longer being done is too late: a pendulum that is held up and whose
            motor is reversed moves for some six steps before; a policy of the right sign after four saves 99 in 100, after six 88.

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
    state = environment.start(rng, len(machine), 1) if start is None else start
    params = writer(family.condition(machine, rng))
    luck = torch.Generator().manual_seed(seed)
    past: list[tuple[Tensor, Tensor]] = []
    # Per machine, the first transition that counts.
    since = torch.zeros(len(machine), dtype=torch.long)
    states, actions, rewards, machines, good, rewrites = [state], [], [], [], [], []
    alive = ~environment.finished(state, machine)
    failed = environment.failed(state, machine)
    quiet = torch.zeros_like(alive[:, 0])
    for step in range(steps or environment.steps):
        if change is not None and step == change.step:
            machine = change.machine.expand_as(machine)
        if rewrite_every and step and step % rewrite_every == 0:
            recent = _recent(past, since) if "examples" in family.sources else None
            told = family.condition(machine, rng)
            written = writer(Condition(examples=recent, context=told.context))
            needed = ~quiet | (not only_when_needed)
            params = {n: torch.where(_beside(needed, v), v, params[n]) for n, v in written.items()}
            if bool(needed.any()):
                rewrites.append(step)
        outputs = writer.child(params, environment.observe(state, machine))
        if not outputs.isfinite().all():
            raise ConditionError("A policy's actions are not finite; what it sees is too extreme.")
        outputs = masked(outputs, environment.legal(state, machine))
        action = environment.decide(outputs, luck)
        moved, reward = environment.advance(state, action, machine)
        moved = torch.where(alive[..., None], moved, state)
        past.append(transition(environment, machine, state, action, moved))
        rewards.append(reward * alive)
        alive = alive & ~environment.finished(moved, machine)
        failed = failed | environment.failed(moved, machine)
        good.append(environment.is_good(moved, machine) & ~failed)
        step_seen = environment.observe(moved, machine) - environment.observe(state, machine)
        rests = (step_seen.abs().amax(dim=-1) <= REST)[:, 0]
        quiet = environment.is_good(moved, machine)[:, 0] & rests
        latest = torch.full_like(since, max(0, step + 1 - window))
        since = torch.where(quiet | (not only_when_needed), latest, since)
        since = since.clamp(min=step + 1 - LONGEST)
        actions.append(action)
        machines.append(machine)
        states.append(moved)
        state = moved
    return [
        Flight(
            torch.stack([each[t, 0] for each in states]),
            torch.stack([each[t, 0] for each in actions]),
            torch.stack([each[t, 0] for each in rewards]),
            torch.stack([each[t] for each in machines]),
            torch.stack([each[t, 0] for each in good]),
            tuple(rewrites),
        )
        for t in range(len(machine))
    ]


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


def _beside(chosen: Tensor, value: Tensor) -> Tensor:
    """Tasks that are chosen, bool [T], beside a tensor [T, *]."""
    return chosen.view(-1, *[1] * (value.dim() - 1))


def _recent(past: Sequence[tuple[Tensor, Tensor]], since: Tensor) -> ExampleSet:
    """Transitions of each machine from its own first one on."""
    first = int(since.min())
    x, y = (torch.cat(parts, dim=1) for parts in zip(*past[first:], strict=True))
    places = torch.arange(first, len(past))
    return replace(ExampleSet.of(x, y), mask=places >= since.unsqueeze(1))


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
    "WINDOW",
    "Change",
    "Flight",
    "check_machine",
    "fly",
    "parse_machine",
    "recovery",
]
