"""A quadrotor that flies in a plane: two pairs of rotors, to a point and stay there."""

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, Quantity, drive, uniform, wrapped

_GRAVITY = 9.81
_FAR = 3.0


class Quadrotor(Environment):
    """Fly to a waypoint and hover there.

    Quantities: mass, inertia and arm, thrust of the left and of the right rotors (their product with the mass in the textbook
    hovers at action 0), drag, and whether the two rotors' wires are swapped.
    """

    quantities = (
        Quantity("mass", 0.8, 1.25, 1.0, unit="kg"),
        Quantity("inertia", 0.07, 0.14, 0.1, unit="kg m2"),
        Quantity("arm", 0.2, 0.3, 0.25, unit="m"),
        Quantity("left", 0.85, 1.15, 1.0),
        Quantity("right", 0.85, 1.15, 1.0),
        Quantity("drag", 0.0, 0.3, 0.1, unit="Ns/m"),
        Quantity("swap", 0.0, 1.0, 0.0, "switch"),
    )
    states, observations, actions = 6, 7, 2
    steps, hold, seconds = 200, 40, 0.04

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Somewhere around the waypoint, slow, nearly level."""
        low = [-1.5, -1.5, -0.3, -0.5, -0.5, -0.3]
        return uniform(rng, low, [-v for v in low], tasks, episodes)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Semi-implicit Euler."""
        m = self.of(machine)
        x, z, tilt, vx, vz, spin = state.unbind(-1)
        first, second = drive(action).unbind(-1)
        left = torch.where(m["swap"] > 0.5, second, first)
        right = torch.where(m["swap"] > 0.5, first, second)
        # Half the textbook's weight each at action 0, nothing at -1, twice that at 1.
        half = 0.5 * _GRAVITY
        lift_left, lift_right = m["left"] * half * (1 + left), m["right"] * half * (1 + right)
        lift = (lift_left + lift_right) / m["mass"]
        dt = self.seconds
        vx = vx + dt * (-lift * tilt.sin() - m["drag"] * vx / m["mass"])
        vz = vz + dt * (lift * tilt.cos() - _GRAVITY - m["drag"] * vz / m["mass"])
        spin = spin + dt * (lift_right - lift_left) * m["arm"] / m["inertia"]
        spin = spin.clamp(-15, 15)
        return torch.stack([x + dt * vx, z + dt * vz, tilt + dt * spin, vx, vz, spin], dim=-1)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Near the waypoint, level, slow."""
        x, z, tilt, vx, vz, spin = state.unbind(-1)
        near = torch.exp(-(x.square() + z.square()))
        level = 0.1 * (1 - tilt.cos()) + 0.01 * spin.square().clamp(max=100)
        return near - level - 0.02 * (vx.square() + vz.square()).clamp(max=50)

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Place and speed relative to the waypoint, cosine and sine of the tilt, and its speed."""
        x, z, tilt, vx, vz, spin = state.unbind(-1)
        parts = [x / 1.5, z / 1.5, tilt.cos(), tilt.sin(), vx / 2, vz / 2, spin / 5]
        return torch.stack(parts, dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Within 25 cm of the waypoint, and not upside down."""
        near = state[..., 0].square() + state[..., 1].square() < 0.25**2
        return near & (wrapped(state[..., 2]).abs() < 0.8)

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where it has flown off."""
        return (state[..., 0].abs() > _FAR) | (state[..., 1].abs() > _FAR)
