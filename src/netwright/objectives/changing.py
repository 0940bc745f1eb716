"""Lessons from machines that become others under way."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from netwright.conditions import ExampleSet
from netwright.errors import RunError
from netwright.objectives.rollout import Episodes
from netwright.objectives.under_way import Rewriting, under_way
from netwright.rng import derive_seed
from netwright.tasks.control import EpisodeBatch
from netwright.writer import Writer

# Steps after a change in which it is to be found out.
_SOON = 10


@torch.no_grad()
def change(
    writer: Writer,
    batch: EpisodeBatch,
    own: slice,
    episodes: Episodes,
    params: Mapping[str, Tensor],
    seed: int,
) -> tuple[Episodes, dict[str, Tensor]]:
    """Let some machines become another one in their first episode, while their policies are rewritten from what was seen of late.

    Args:
        writer: What writes policies.
        batch: T machines.
        own: Which of them change, each into the one before.
        episodes: What all of them did without a change; the first episode of those that do is replaced.
        params: Of the policies to begin with.
        seed: Of when each changes.

    Returns:
        The episodes, and what policies were written from, to be kept for `up_to_now`.

    Raises:
        RunError: If policies are written from something else than a probe, or fewer than two machines are to change.
    """
    if batch.condition.examples is None or batch.condition.context is not None:
        raise RunError(
            "Policies that are rewritten under way read something else than a probe, expected `sources` examples alone. "
            "Leave out `changing`."
        )
    environment = batch.environment
    machine = batch.machine[own]
    if len(machine) < 2:
        raise RunError(
            f"Of {batch.tasks} machines {len(machine)} are to change, expected at least 2: each becomes another one of them. "
            "Take more tasks per step, or a larger share for `changing`."
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "change"))
    # Early enough for something to follow, late enough for most to be doing their task.
    ends = (environment.steps // 8, max(environment.steps // 8 + 1, environment.steps * 5 // 8))
    at = torch.randint(*ends, (len(machine),), generator=generator).to(machine.device)
    was_training = writer.training
    course = under_way(
        writer.eval(),
        environment,
        machine,
        batch.query.x[own, :1],
        {name: value[own] for name, value in params.items()},
        steps=environment.steps,
        rewriting=Rewriting(every=1, only_when_needed=True),
        seed=seed,
        becomes=machine.roll(1, dims=0),
        at=at,
    )
    writer.train(was_training)
    seen, alive = episodes.seen.clone(), episodes.alive.clone()
    seen[own, 0], alive[own, 0] = course.x[..., : seen.shape[-1]], course.alive
    kept = {
        "course_x": course.x, "course_y": course.y, "since": course.since, "needed": ~course.quiet,
        "machines": course.machines, "changed": at,
    }  # fmt: skip
    return replace(episodes, seen=seen, alive=alive), kept


def up_to_now(
    kept: Mapping[str, Tensor],
    own: slice,
    examples: ExampleSet,
    machine: Tensor,
    generator: torch.Generator,
) -> tuple[ExampleSet, Tensor]:
    """Of machines that change, what was seen up to some moment in place of the probe, and what they were then.

    Args:
        kept: What `change` told.
        own: Which of T machines change.
        examples: Probes of all, [T, B].
        machine: What all were in the beginning, [T, P].
        generator: Of the moments.
    """
    since, needed = kept["since"], kept["needed"]
    tasks, steps = since.shape
    longest = examples.mask.shape[1]
    luck = torch.rand(tasks, steps + 1, generator=generator).to(since.device)
    # A moment in which a policy was written anew, if there was one; every other time one soon after the change.
    late = torch.arange(steps, device=since.device) - kept["changed"].unsqueeze(1)
    soon = (late > 0) & (late <= _SOON) & (luck[:, -1:] < 0.5)
    luck = luck[:, :-1] + needed + soon
    luck[:, :4] = 0
    now = luck.argmax(dim=1, keepdim=True)
    places = now - longest + torch.arange(longest, device=since.device)
    mask = places >= since.gather(1, now)
    at = places.clamp(min=0).unsqueeze(-1)
    found = []
    for name, whole in (("course_x", examples.x), ("course_y", examples.y)):
        value = kept[name]
        changed = whole.clone()
        changed[own] = value.gather(1, at.expand(-1, -1, value.shape[-1]))
        found.append(changed)
    whole_mask, machine = examples.mask.clone(), machine.clone()
    whole_mask[own] = mask & (places >= 0)
    known = kept["machines"]
    machine[own] = known.gather(1, now.unsqueeze(-1).expand(-1, -1, known.shape[-1]))[:, 0]
    return replace(examples, x=found[0], y=found[1], mask=whole_mask), machine


__all__ = ["change", "up_to_now"]
