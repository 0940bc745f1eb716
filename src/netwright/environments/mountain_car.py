"""A car in a valley, too weak to climb out at once."""

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, Quantity, drive, uniform

_FASTEST = 0.07
_LEFT, _RIGHT = -1.2, 0.6


class MountainCar(Environment):
    """Reach the flag on the right. Dynamics of gymnasium's MountainCarContinuous-v0.

    Quantities: the motor's power (negative where wires are swapped), gravity, friction, and the flag's place.
    """

    quantities = (
        Quantity("power", 0.0012, 0.0022, 0.0015, "signed"),
        Quantity("gravity", 0.0022, 0.0028, 0.0025),
        Quantity("friction", 0.0, 0.01, 0.0),
        Quantity("flag", 0.35, 0.5, 0.45),
    )
    states, observations, actions = 2, 2, 1
    steps, hold, seconds = 300, 1, 1.0

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """At rest in the valley."""
        return uniform(rng, [-0.6, 0.0], [-0.4, 0.0], tasks, episodes)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """As gymnasium does it; the wall on the left stops the car."""
        m = self.of(machine)
        place, speed = state.unbind(-1)
        pull = m["power"] * drive(action).squeeze(-1) - m["gravity"] * (3 * place).cos()
        moved_speed = (speed * (1 - m["friction"]) + pull).clamp(-_FASTEST, _FASTEST)
        moved = (place + moved_speed).clamp(_LEFT, _RIGHT)
        moved_speed = torch.where((moved <= _LEFT) & (moved_speed < 0), 0.0, moved_speed)
        # Once there it stays there: what is asked for is done.
        is_done = self.is_good(state, machine).unsqueeze(-1)
        return torch.where(is_done, state, torch.stack([moved, moved_speed], dim=-1))

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """-1 a step until it is done, less for energy."""
        place, speed = state.unbind(-1)
        energy = (speed / _FASTEST).square() + 0.5 * (1 + (3 * place).sin())
        return -(1 - self.is_good(state, machine).to(state.dtype)) * (1 - 0.4 * energy.clamp(max=2))

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Place and speed."""
        place, speed = state.unbind(-1)
        return torch.stack([(place + 0.3) / 0.9, speed / _FASTEST], dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """At the flag."""
        return state[..., 0] >= self.of(machine)["flag"]
