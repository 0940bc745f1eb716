"""T policies, each in N stretches of time, with gradients through the physics."""

from dataclasses import dataclass

import torch
from torch import Tensor

from netwright.environments import Environment
from netwright.objectives.base import Predict
from netwright.objectives.rollout import check_actions


@dataclass(frozen=True)
class Stretch:
    """What happened over H steps; whatever follows from the policies has their gradient.

    Args:
        states: Before each step, [T, N, H, S].
        seen: What policies saw there, [T, N, H, O].
        means: What they said, [T, N, H, A].
        rewards: [T, N, H]; 0 once an episode is over.
        alive: Whether it was still going on before each step, bool [T, N, H].
        last: What was seen after the last step, [T, N, O].
        survived: Whether it was still going on then, bool [T, N].
    """

    states: Tensor
    seen: Tensor
    means: Tensor
    rewards: Tensor
    alive: Tensor
    last: Tensor
    survived: Tensor


def unroll(
    policy: Predict,
    environment: Environment,
    machine: Tensor,
    state: Tensor,
    nudges: Tensor,
    alive: Tensor | None = None,
) -> Stretch:
    """Let policies act for as many steps as there are nudges.

    Actions are what a policy says plus a nudge: exploration whose gradient is that of the policy.

    Args:
        policy: From what is seen, [T, N, O], to actions, [T, N, A].
        environment: What moves the machines; its step has to be differentiable.
        machine: The machines, [T, P].
        state: States to begin in, [T, N, S].
        nudges: Added to actions, [T, N, H, A].
        alive: Which of these are of episodes that go on, bool [T, N]; by default those that are not finished.

    Raises:
        ConditionError: If policies say another number of actions than machines take.
    """
    if alive is None:
        alive = ~environment.finished(state, machine)
    states, seen, means, rewards, alives = [], [], [], [], []
    for nudge in nudges.unbind(2):
        sight = environment.observe(state, machine)
        mean = policy(sight)
        check_actions(mean, environment)
        moved, reward = environment.advance(state, mean + nudge, machine)
        states.append(state)
        seen.append(sight)
        means.append(mean)
        alives.append(alive)
        rewards.append(reward * alive)
        state = torch.where(alive.unsqueeze(-1), moved, state)
        alive = alive & ~environment.finished(state, machine)
    return Stretch(
        torch.stack(states, dim=2),
        torch.stack(seen, dim=2),
        torch.stack(means, dim=2),
        torch.stack(rewards, dim=2),
        torch.stack(alives, dim=2),
        environment.observe(state, machine),
        alive,
    )


__all__ = ["Stretch", "unroll"]
