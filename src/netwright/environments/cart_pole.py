"""A pole on a cart: keep it up, or swing it up first."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, Quantity, drive, uniform

_FORCE = 10.0
_SPEED, _SPIN = 5.0, 10.0


class _CartPole(Environment):
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("cart", 0.6, 1.6, 1.0, unit="kg"),
        Quantity("pole", 0.05, 0.2, 0.1, unit="kg"),
        Quantity("length", 0.35, 0.75, 0.5, unit="m, half the pole"),
        Quantity("gain", 0.75, 1.5, 1.0, "signed"),
        Quantity("gravity", 8.0, 12.0, 9.8, unit="m/s2"),
    )
    states, observations, actions = 4, 5, 1
    seconds = 0.02
    edge: ClassVar[float]
    """Where the track ends, in metres from its middle."""

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Euler, as gymnasium's CartPole-v1 does it."""
        m = self.of(machine)
        place, speed, angle, spin = state.unbind(-1)
        force = _FORCE * m["gain"] * drive(action).squeeze(-1)
        total = m["cart"] + m["pole"]
        moment = m["pole"] * m["length"]
        sine, cosine = angle.sin(), angle.cos()
        push = (force + moment * spin.square() * sine) / total
        turn = (m["gravity"] * sine - cosine * push) / (
            m["length"] * (4 / 3 - m["pole"] * cosine.square() / total)
        )
        pull = push - moment * turn * cosine / total
        dt = self.seconds
        return torch.stack(
            [place + dt * speed, speed + dt * pull, angle + dt * spin, spin + dt * turn], dim=-1
        )

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Place and speed of the cart, cosine and sine of the angle, and its speed."""
        place, speed, angle, spin = state.unbind(-1)
        return torch.stack(
            [place / self.edge, speed / _SPEED, angle.cos(), angle.sin(), spin / _SPIN], dim=-1
        )

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where the cart has left its track."""
        return state[..., 0].abs() > self.edge


class CartPole(_CartPole):
    """Keep the pole up. Dynamics of gymnasium's CartPole-v1, with a force of any size up to its own.

    Quantities: masses of cart and pole, half the pole's length, the motor's gain (negative where wires are swapped),
    gravity. Over is what leaves the track, or falls beyond 12 degrees, as there.
    """

    steps, hold = 200, 50
    edge = 2.4

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Nearly upright, nearly at rest."""
        return uniform(rng, [-0.05] * 4, [0.05] * 4, tasks, episodes)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """1 a step, a little less away from the middle."""
        return 1 - 0.05 * state[..., 0].square() - 0.01 * drive(action).squeeze(-1).square()

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Wherever it has not failed."""
        return ~self.failed(state, machine)

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """Off the track, or beyond 12 degrees."""
        return super().failed(state, machine) | (state[..., 2].abs() > 12 * 2 * np.pi / 360)


class CartPoleSwingUp(_CartPole):
    """Swing the pole up and hold it there, on a track of 4.8 metres; the cart-pole of `CartPole`."""

    steps, hold = 300, 60
    edge = 2.4

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Hanging, nearly at rest."""
        low, high = [-0.2, -0.1, np.pi - 0.3, -0.2], [0.2, 0.1, np.pi + 0.3, 0.2]
        return uniform(rng, low, high, tasks, episodes)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """How far up, in the middle, slow."""
        place, _, angle, spin = state.unbind(-1)
        up = 0.5 * (1 + angle.cos())
        return (
            up * (1 - 0.1 * place.square())
            - 0.002 * spin.square()
            - 0.01 * drive(action).squeeze(-1).square()
        )

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Within 18 degrees of upright, on the track."""
        return (state[..., 2].cos() > 0.95) & ~self.failed(state, machine)
