"""Environments of gymnasium as machines: one instance per machine and episode, stepped one after the other."""

import itertools
import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment

log = logging.getLogger(__name__)


class GymnasiumEnvironment(Environment):
    """Base of machines that are environments of gymnasium, which must be installed (extra `rl`).

    A subclass says which quantities there are, how many numbers are seen and done, and how to make the environment of one
    machine. It is far slower than physics in tensors: every step of every episode is a call. A machine whose environment raises is
    reported and left out, the others go on.

    >>> from netwright.environments import ENVIRONMENTS, Quantity
    >>> class Spring(GymnasiumEnvironment):
    ...     quantities = (Quantity("g", 8.0, 12.0, 10.0),)
    ...     observations, actions, steps, hold, seconds = 3, 1, 50, 10, 0.05
    ...     def make(self, machine):
    ...         import gymnasium
    ...         return gymnasium.make("Pendulum-v1", g=machine["g"])
    ...     def is_good(self, state, machine):
    ...         return self.seen(state)[..., 0] > 0.95
    >>> ENVIRONMENTS["spring"] = Spring
    """

    states = 3
    """Number of the episode, steps done, and whether it is over."""
    differentiable = False

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._episodes: dict[int, _Episode] = {}

    @abstractmethod
    def make(self, machine: Mapping[str, float]) -> Any:
        """A gymnasium environment for one machine; actions from -1 to 1 are stretched to its own box."""

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Numbers of new episodes; they are made when their machine is known."""
        # Episodes of earlier batches are never stepped again.
        self._episodes.clear()
        state = torch.zeros(tasks, episodes, self.states)
        for t in range(tasks):
            for n in range(episodes):
                number = next(self._numbers)
                self._episodes[number] = _Episode(int(rng.integers(2**31)))
                state[t, n, 0] = number
        return state

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """One step of each environment that is not over."""
        after = state.clone()
        for episode, t, n in self._each(state, machine):
            episode.advance(int(state[t, n, 1]), self._action(action[t, n], episode))
            after[t, n, 1] = state[t, n, 1] + 1
            after[t, n, 2] = float(episode.over)
        return after

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """What the environments pay for this step; NaN where one has raised."""
        found = torch.zeros(state.shape[:2])
        for episode, t, n in self._each(state, machine):
            episode.advance(int(state[t, n, 1]), self._action(action[t, n], episode))
            found[t, n] = episode.reward
        return found

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """What the environments show."""
        found = torch.zeros(*state.shape[:2], self.observations)
        for episode, t, n in self._each(state, machine):
            found[t, n] = torch.from_numpy(episode.seen)
        return found

    def seen(self, state: Tensor) -> Tensor:
        """What was shown last, [T, N, O]; for `is_good`."""
        flat = [self._episodes[int(number)].seen for number in state[..., 0].flatten()]
        return torch.from_numpy(np.stack(flat)).view(*state.shape[:2], -1)

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where an environment has said that it is over."""
        return state[..., 2] > 0.5

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Wherever it is not over, unless a subclass knows better."""
        return ~self.failed(state, machine)

    def _each(self, state: Tensor, machine: Tensor) -> Any:
        for t in range(state.shape[0]):
            numbers = dict(zip([q.name for q in self.quantities], machine[t].tolist(), strict=True))
            for n in range(state.shape[1]):
                episode = self._episodes[int(state[t, n, 0])]
                if episode.environment is None and not episode.is_broken:
                    episode.begin(lambda: self.make(numbers), self.observations)  # noqa: B023
                yield episode, t, n

    def _action(self, action: Tensor, episode: "_Episode") -> Any:
        if self.discrete:
            return int(action.argmax())
        space = None if episode.environment is None else episode.environment.action_space
        share = (action.clamp(-1, 1).double().numpy() + 1) / 2
        return share if space is None else (space.low + share * (space.high - space.low)).astype(space.dtype)  # fmt: skip


class _Episode:
    """One environment in one episode; a step that was asked for twice is done once."""

    def __init__(self, seed: int) -> None:
        self.seed, self.done, self.reward = seed, -1, 0.0
        self.environment: Any = None
        self.over = self.is_broken = False
        self.seen = np.zeros(0, dtype=np.float32)

    def begin(self, make: Any, width: int) -> None:
        self.seen = np.full(width, np.nan, dtype=np.float32)
        try:
            self.environment = make()
            self.seen = self._shown(self.environment.reset(seed=self.seed)[0], width)
        except Exception as error:
            self._broken(error)

    def advance(self, step: int, action: Any) -> None:
        if self.over or step <= self.done or self.environment is None:
            return
        self.done = step
        try:
            seen, reward, ended, _, _ = self.environment.step(action)
            self.seen, self.reward = self._shown(seen, len(self.seen)), float(reward)
            self.over = bool(ended)
        except Exception as error:
            self._broken(error)

    def _shown(self, seen: Any, width: int) -> np.ndarray:
        flat = np.asarray(seen, dtype=np.float32).reshape(-1)
        if len(flat) != width:
            raise ValueError(f"it shows {len(flat)} numbers, expected {width}")
        return flat

    def _broken(self, error: Exception) -> None:
        log.warning(
            "an environment has raised, its machine is left out: %s: %s",
            type(error).__name__,
            str(error).splitlines()[0][:150] if str(error) else "",
        )
        self.environment, self.is_broken = None, True
        self.reward, self.seen = float("nan"), np.full_like(self.seen, np.nan)


__all__ = ["GymnasiumEnvironment"]
