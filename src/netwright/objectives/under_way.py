"""Machines that become others under way, under policies that are written anew from what was seen of late."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.environments import Environment, masked
from netwright.errors import ConditionError
from netwright.tasks.control import transition
from netwright.writer import Writer

# Transitions that a policy is rewritten from, under way: of late, and not of before a change. Of a machine that does its task no
# longer, those since so many steps before it ceased to.
WINDOW = 4
# And never more than so many.
LONGEST = 32
# A machine whose sight changes by less than this in a step is at rest: that tells nothing of it.
REST = 0.005


@dataclass(frozen=True)
class Rewriting:
    """When policies are written anew, and from what.

    Args:
        every: Steps between two times; 0 for never.
        window: Transitions of late that they are written from; they become more while a task is not being done.
        only_when_needed: Whether a policy is left as it is while the task is being done and the machine is at rest: it then tells
            nothing of itself. To wait until the task is no longer being done is too late: a pendulum that is held up and whose
            motor is reversed moves for some six steps before; a policy of the right sign after four saves 99 in 100, after six 88.
        from_examples: Whether transitions of late are read.
        told: What else is read, by the machines of that moment [T, P]; nothing if not given.
    """

    every: int = 0
    window: int = WINDOW
    only_when_needed: bool = False
    from_examples: bool = True
    told: Callable[[Tensor], Condition] | None = None


@dataclass(frozen=True)
class Course:
    """What happened to T machines over H steps.

    Args:
        states: Before each step and after the last, [T, H + 1, S].
        actions: As actuators took them, [T, H, A].
        rewards: [T, H].
        machines: At each step, [T, H, P].
        good: Whether the task was being done after each step, or had been for good, bool [T, H].
        alive: Whether the episode was going on before each step, bool [T, H].
        x: Transitions as examples of a probe, [T, H, O + A].
        y: The same, [T, H, O + 1 + (O + A) O].
        since: The first transition that counts for what is written before each step, int64 [T, H].
        quiet: Whether the task was being done and the machine was at rest before each step, bool [T, H].
        rewrites: Steps before which some policy was written anew.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    machines: Tensor
    good: Tensor
    alive: Tensor
    x: Tensor
    y: Tensor
    since: Tensor
    quiet: Tensor
    rewrites: tuple[int, ...]


@torch.no_grad()
def under_way(
    writer: Writer,
    environment: Environment,
    machine: Tensor,
    start: Tensor,
    params: Mapping[str, Tensor],
    *,
    steps: int,
    rewriting: Rewriting,
    seed: int = 0,
    becomes: Tensor | None = None,
    at: Tensor | None = None,
) -> Course:
    """Let T policies act, each in one episode.

    Args:
        writer: What writes policies.
        environment: What the machines are.
        machine: The machines, [T, P].
        start: States to begin in, [T, 1, S].
        params: Of the policies to begin with.
        steps: H.
        rewriting: When policies are written anew.
        seed: Of keys that are drawn.
        becomes: What machines become under way, [T, P].
        at: Before which step each does, int64 [T].

    Raises:
        ConditionError: If a policy's actions are not finite.
    """
    own, state = dict(params), start
    luck = torch.Generator().manual_seed(seed)
    # Per machine, the first transition that counts.
    since = torch.zeros(len(machine), dtype=torch.long, device=machine.device)
    states, actions, rewards, machines, good, rewrites = [state], [], [], [], [], []
    xs: list[Tensor] = []
    ys: list[Tensor] = []
    firsts: list[Tensor] = []
    quiets: list[Tensor] = []
    alives: list[Tensor] = []
    alive = ~environment.finished(state, machine)
    failed = environment.failed(state, machine)
    quiet = torch.zeros_like(alive[:, 0])
    for step in range(steps):
        if becomes is not None and at is not None:
            machine = torch.where((at <= step).unsqueeze(1), becomes, machine)
        firsts.append(since)
        quiets.append(quiet)
        alives.append(alive)
        if rewriting.every and step and step % rewriting.every == 0:
            needed = ~quiet if rewriting.only_when_needed else torch.ones_like(quiet)
            if bool(needed.any()):
                told = rewriting.told(machine) if rewriting.told is not None else Condition()
                recent = recent_of(xs, ys, since) if rewriting.from_examples else None
                condition = Condition(examples=recent, context=told.context).rows(needed)
                for name, value in writer(condition).items():
                    own[name] = own[name].masked_scatter(_beside(needed, value), value)
                rewrites.append(step)
        outputs = writer.child(own, environment.observe(state, machine))
        if not outputs.isfinite().all():
            raise ConditionError("A policy's actions are not finite; what it sees is too extreme.")
        outputs = masked(outputs, environment.legal(state, machine))
        action = environment.decide(outputs, luck)
        moved, reward = environment.advance(state, action, machine)
        moved = torch.where(alive[..., None], moved, state)
        x, y = transition(environment, machine, state, action, moved)
        xs.append(x)
        ys.append(y)
        rewards.append(reward * alive)
        alive = alive & ~environment.finished(moved, machine)
        failed = failed | environment.failed(moved, machine)
        good.append(environment.is_good(moved, machine) & ~failed)
        change = environment.observe(moved, machine) - environment.observe(state, machine)
        quiet = environment.is_good(moved, machine)[:, 0] & (change.abs().amax(dim=-1)[:, 0] < REST)
        settled = quiet if rewriting.only_when_needed else torch.ones_like(quiet)
        latest = torch.full_like(since, max(0, step + 1 - rewriting.window))
        since = torch.where(settled, latest, since).clamp(min=step + 1 - LONGEST)
        actions.append(action)
        machines.append(machine)
        states.append(moved)
        state = moved
    return Course(
        states=torch.cat(states, dim=1),
        actions=torch.cat(actions, dim=1),
        rewards=torch.cat(rewards, dim=1),
        machines=torch.stack(machines, dim=1),
        good=torch.cat(good, dim=1),
        alive=torch.cat(alives, dim=1),
        x=torch.cat(xs, dim=1),
        y=torch.cat(ys, dim=1),
        since=torch.stack(firsts, dim=1),
        quiet=torch.stack(quiets, dim=1),
        rewrites=tuple(rewrites),
    )


def recent_of(xs: list[Tensor], ys: list[Tensor], since: Tensor) -> ExampleSet:
    """Transitions of each machine, each [T, 1, *], from its own first one on."""
    first = int(since.min())
    x, y = (torch.cat(parts[first:], dim=1) for parts in (xs, ys))
    places = torch.arange(first, len(xs), device=since.device)
    return replace(ExampleSet.of(x, y), mask=places >= since.unsqueeze(1))


def _beside(chosen: Tensor, value: Tensor) -> Tensor:
    """Tasks that are chosen, bool [T], beside a tensor [T, *]."""
    return chosen.view(-1, *[1] * (value.dim() - 1))


__all__ = ["LONGEST", "WINDOW", "Course", "Rewriting", "under_way"]
