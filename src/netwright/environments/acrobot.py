"""Two links, a motor at the elbow only: swing the tip up."""

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, Quantity, drive, uniform, wrapped

_FASTEST = (4 * np.pi, 9 * np.pi)


class Acrobot(Environment):
    """Swing the tip above its line, one link's length above the hinge. Dynamics of gymnasium's Acrobot-v1 (the book's equations).

    Quantities: length of the first link, masses of both, and the motor's gain, negative where wires are swapped.
    """

    quantities = (
        Quantity("length", 0.8, 1.2, 1.0, unit="m"),
        Quantity("upper", 0.8, 1.2, 1.0, unit="kg"),
        Quantity("lower", 0.8, 1.2, 1.0, unit="kg"),
        Quantity("gain", 1.0, 2.0, 1.0, "signed"),
    )
    states, observations, actions = 4, 6, 1
    steps, hold, seconds = 200, 1, 0.2

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Hanging, nearly at rest."""
        return uniform(rng, [-0.1] * 4, [0.1] * 4, tasks, episodes)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """One Runge-Kutta step of fourth order, as gymnasium does it."""
        torque = self.of(machine)["gain"] * drive(action).squeeze(-1)
        dt = self.seconds
        k1 = self._slope(state, torque, machine)
        k2 = self._slope(state + dt / 2 * k1, torque, machine)
        k3 = self._slope(state + dt / 2 * k2, torque, machine)
        k4 = self._slope(state + dt * k3, torque, machine)
        first, second, spin1, spin2 = (state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)).unbind(-1)
        moved = torch.stack(
            [
                wrapped(first),
                wrapped(second),
                spin1.clamp(-_FASTEST[0], _FASTEST[0]),
                spin2.clamp(-_FASTEST[1], _FASTEST[1]),
            ],
            dim=-1,
        )
        # Once there it stays there: what is asked for is done.
        return torch.where(self.is_good(state, machine).unsqueeze(-1), state, moved)

    def _slope(self, state: Tensor, torque: Tensor, machine: Tensor) -> Tensor:
        m = self.of(machine)
        m1, m2, l1 = m["upper"], m["lower"], m["length"]
        c1, c2, inertia, g = 0.5 * l1, 0.5, 1.0, 9.8
        first, second, spin1, spin2 = state.unbind(-1)
        cosine, sine = second.cos(), second.sin()
        d1 = m1 * c1**2 + m2 * (l1**2 + c2**2 + 2 * l1 * c2 * cosine) + 2 * inertia
        d2 = m2 * (c2**2 + l1 * c2 * cosine) + inertia
        phi2 = m2 * c2 * g * (first + second).sin()
        phi1 = (
            -m2 * l1 * c2 * spin2.square() * sine
            - 2 * m2 * l1 * c2 * spin2 * spin1 * sine
            + (m1 * c1 + m2 * l1) * g * first.sin()
            + phi2
        )
        turn2 = (torque + d2 / d1 * phi1 - m2 * l1 * c2 * spin1.square() * sine - phi2) / (
            m2 * c2**2 + inertia - d2**2 / d1
        )
        turn1 = -(d2 * turn2 + phi1) / d1
        return torch.stack([spin1, spin2, turn1, turn2], dim=-1)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """-1 a step until it is done, less for the tip being high."""
        height = self._height(state, machine)
        rest = (1 - self.is_good(state, machine).to(state.dtype)) * (
            1 - 0.25 * (height + 1).clamp(max=2)
        )
        return -rest

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Cosines and sines of both angles, and their speeds."""
        first, second, spin1, spin2 = state.unbind(-1)
        parts = [first.cos(), first.sin(), second.cos(), second.sin(), spin1 / 5, spin2 / 10]
        return torch.stack(parts, dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """The tip above its line."""
        return self._height(state, machine) > 1.0

    def _height(self, state: Tensor, machine: Tensor) -> Tensor:
        """Of the tip above the hinge, in metres."""
        first, second = state[..., 0], state[..., 1]
        return -self.of(machine)["length"] * first.cos() - (first + second).cos()
