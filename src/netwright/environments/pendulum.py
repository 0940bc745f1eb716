"""Swing a pendulum up and hold it there, with a motor that is too weak to lift it at once."""

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, Quantity, drive, uniform, wrapped

_FASTEST = 8.0
_TORQUE = 2.0


class Pendulum(Environment):
    """A rod on a hinge; the angle is 0 upright. Dynamics and reward of gymnasium's Pendulum-v1.

    Quantities: mass and length of the rod, friction of the hinge, gravity, and the motor's gain, which is negative where
    the wires are swapped. A policy that does not know the sign of the gain cannot hold the rod.
    """

    quantities = (
        Quantity("mass", 0.7, 1.4, 1.0, unit="kg"),
        Quantity("length", 0.7, 1.3, 1.0, unit="m"),
        Quantity("gain", 0.75, 1.5, 1.0, "signed"),
        Quantity("friction", 0.0, 0.1, 0.0, unit="Nms"),
        Quantity("gravity", 8.0, 12.0, 10.0, unit="m/s2"),
    )
    states, observations, actions = 2, 3, 1
    steps, hold, seconds = 200, 50, 0.05

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Any angle, slow."""
        return uniform(rng, [-np.pi, -1.0], [np.pi, 1.0], tasks, episodes)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Semi-implicit Euler, as gymnasium does it."""
        m = self.of(machine)
        angle, speed = state.unbind(-1)
        torque = _TORQUE * m["gain"] * drive(action).squeeze(-1) - m["friction"] * speed
        inertia = m["mass"] * m["length"].square() / 3
        lever = 1.5 * m["gravity"] / m["length"]
        speed = speed + (lever * angle.sin() + torque / inertia) * self.seconds
        speed = speed.clamp(-_FASTEST, _FASTEST)
        return torch.stack([angle + speed * self.seconds, speed], dim=-1)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Minus what is missing to upright, at rest, without effort."""
        angle, speed = state.unbind(-1)
        effort = (_TORQUE * drive(action).squeeze(-1)).square()
        return -(wrapped(angle).square() + 0.1 * speed.square() + 0.001 * effort)

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Cosine and sine of the angle, and the speed."""
        angle, speed = state.unbind(-1)
        return torch.stack([angle.cos(), angle.sin(), speed / _FASTEST], dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Within 18 degrees of upright."""
        return state[..., 0].cos() > 0.95
