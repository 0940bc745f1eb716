"""Policies that remember: what they are told at each step of an episode, and what they carry along."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from netwright.child import Child


@runtime_checkable
class Remembers(Protocol):
    """What answers for T children that remember: called with sequences [T, N, L, D] it says [T, N, L, C]."""

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs at every step of sequences that begin with nothing in memory."""
        ...

    def begin(self) -> "UnderWay":
        """The same policies at the start of new episodes."""
        ...


class Remembering:
    """T children that remember, each with its weights.

    Args:
        child: Of an architecture with a `memory`; reads what `told` says.
        params: Each [T, *shape].
    """

    def __init__(self, child: Child, params: Mapping[str, Tensor]) -> None:
        self.child, self.params = child, params

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [T, N, L, C] of sequences [T, N, L, D]."""
        outputs: Tensor = self.child(self.params, x)
        return outputs

    def begin(self) -> "UnderWay":
        """The same policies, nothing in memory."""
        return UnderWay(self.child, self.params)


class UnderWay:
    """Policies in the middle of their episodes: called once per step, then told what came of it.

    Args:
        child: As that of `Remembering`.
        params: Each [T, *shape].
    """

    def __init__(self, child: Child, params: Mapping[str, Tensor]) -> None:
        self.child, self.params = child, params
        self._memory: Tensor | None = None
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, seen: Tensor) -> Tensor:
        """Mean actions, or logits, [T, N, A], for what is seen, [T, N, O]."""
        size = memory_of(self.child)
        if self._memory is None:
            self._memory = seen.new_zeros(*seen.shape[:2], size)
        action, reward = self._last or (None, None)
        x = torch.cat([_told(seen, action, reward, self._actions), self._memory], dim=-1)
        y: Tensor = self.child(self.params, x.unsqueeze(2)).squeeze(2)
        self._memory = y[..., -size:]
        return y[..., :-size]

    def felt(self, action: Tensor, reward: Tensor) -> None:
        """What was done, [T, N, A], as actuators took it, and what it earned, [T, N]."""
        self._last = action, reward

    @property
    def _actions(self) -> int:
        return int(self.child.architecture.outputs)  # type: ignore[union-attr]


def answering(child: Child, params: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """What T children answer with these params; where they remember, what can begin an episode."""
    return Remembering(child, params) if memory_of(child) else partial(child, params)


def begun(policy: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What is called step by step in new episodes: a policy without memory itself."""
    return policy.begin() if isinstance(policy, Remembers) else policy


def memory_of(child: Child) -> int:
    """H, numbers that a child carries from step to step; 0 for those without a memory."""
    return int(getattr(getattr(child, "architecture", None), "memory", 0))


def told_width(observations: int, actions: int) -> int:
    """D, how many numbers a policy that remembers is told at each step."""
    return observations + actions + 2


def told(seen: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """What policies that remember are told in whole episodes, [T, N, H, D].

    At each step: what is seen, the last action, the last reward, and whether the episode begins.

    Args:
        seen: Before each step, [T, N, H, O].
        actions: As actuators took them, [T, N, H, A].
        rewards: [T, N, H].
    """
    first = _told(seen[:, :, 0], None, None, actions.shape[-1]).unsqueeze(2)
    later = _told(seen[:, :, 1:], actions[:, :, :-1], rewards[:, :, :-1], actions.shape[-1])
    return torch.cat([first, later], dim=2)


def _told(seen: Tensor, action: Tensor | None, reward: Tensor | None, actions: int) -> Tensor:
    if action is None or reward is None:
        begins = seen.new_ones(*seen.shape[:-1], 1)
        return torch.cat([seen, seen.new_zeros(*seen.shape[:-1], actions + 1), begins], dim=-1)
    # Rewards of some machines are a hundred times those of others.
    size = reward.sign() * reward.abs().log1p()
    return torch.cat([seen, action, torch.stack([size, torch.zeros_like(size)], dim=-1)], dim=-1)


__all__ = [
    "Remembering",
    "Remembers",
    "UnderWay",
    "answering",
    "begun",
    "memory_of",
    "told",
    "told_width",
]
