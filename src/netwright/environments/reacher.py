"""An arm of two links in a plane: bring its tip to a goal and keep it there."""

import numpy as np
import torch
from torch import Tensor

from netwright.environments.base import Environment, Quantity, drive, uniform

_TORQUE = 1.0
_FASTEST = 10.0


class Reacher(Environment):
    """Reach for a goal that only the machine's numbers tell: a policy does not see it.

    Quantities: lengths of both links, mass of what is carried at the tip, friction of the joints, whether the wires of
    shoulder and elbow are swapped, and the goal's place as an angle around the shoulder (its distance is three quarters of the arm).
    """

    quantities = (
        Quantity("upper", 0.4, 0.6, 0.5, unit="m"),
        Quantity("lower", 0.4, 0.6, 0.5, unit="m"),
        Quantity("payload", 0.0, 0.5, 0.1, unit="kg"),
        Quantity("friction", 0.1, 0.4, 0.2, unit="Nms"),
        Quantity("swap", 0.0, 1.0, 0.0, "switch"),
        Quantity("goal", -1.5, 1.5, 0.0, unit="rad"),
    )
    states, observations, actions = 4, 6, 2
    steps, hold, seconds = 100, 20, 0.04

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Any pose with the elbow bent, at rest."""
        return uniform(rng, [-1.5, 0.3, 0, 0], [1.5, 2.0, 0, 0], tasks, episodes)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Semi-implicit Euler of two uniform rods of 1 kg per metre and a payload at the tip; no gravity."""
        m = self.of(machine)
        shoulder, elbow, spin1, spin2 = state.unbind(-1)
        first, second = drive(action).unbind(-1)
        torque1 = torch.where(m["swap"] > 0.5, second, first) * _TORQUE - m["friction"] * spin1
        torque2 = torch.where(m["swap"] > 0.5, first, second) * _TORQUE - m["friction"] * spin2
        l1, l2 = m["upper"], m["lower"]
        m1, m2, load = l1, l2, m["payload"]
        # Mass matrix and Coriolis terms in joint angles.
        around_elbow = m2 * l2.square() / 3 + load * l2.square()
        lever = l1 * l2 * (m2 / 2 + load)
        cosine, sine = elbow.cos(), elbow.sin()
        m11 = m1 * l1.square() / 3 + (m2 + load) * l1.square() + around_elbow + 2 * lever * cosine
        m12 = around_elbow + lever * cosine
        m22 = around_elbow
        b1 = torque1 + lever * sine * (2 * spin1 * spin2 + spin2.square())
        b2 = torque2 - lever * sine * spin1.square()
        det = m11 * m22 - m12.square()
        spin1 = (spin1 + self.seconds * (m22 * b1 - m12 * b2) / det).clamp(-_FASTEST, _FASTEST)
        spin2 = (spin2 + self.seconds * (m11 * b2 - m12 * b1) / det).clamp(-_FASTEST, _FASTEST)
        return torch.stack(
            [shoulder + self.seconds * spin1, elbow + self.seconds * spin2, spin1, spin2], dim=-1
        )

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """Near the goal, slow."""
        off = self._off(state, machine)
        speed = state[..., 2:].square().sum(dim=-1).clamp(max=50)
        return torch.exp(-10 * off.square()) - 0.5 * off - 0.01 * speed

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Cosines and sines of both joints, and their speeds."""
        shoulder, elbow, spin1, spin2 = state.unbind(-1)
        parts = [shoulder.cos(), shoulder.sin(), elbow.cos(), elbow.sin(), spin1 / 5, spin2 / 5]
        return torch.stack(parts, dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """The tip within 8 cm of the goal."""
        return self._off(state, machine) < 0.08

    def _off(self, state: Tensor, machine: Tensor) -> Tensor:
        """Distance of the tip from the goal, in metres."""
        m = self.of(machine)
        shoulder, elbow = state[..., 0], state[..., 1]
        x = m["upper"] * shoulder.cos() + m["lower"] * (shoulder + elbow).cos()
        y = m["upper"] * shoulder.sin() + m["lower"] * (shoulder + elbow).sin()
        reach = 0.75 * (m["upper"] + m["lower"])
        gx, gy = reach * m["goal"].cos(), reach * m["goal"].sin()
        return ((x - gx).square() + (y - gy).square() + 1e-12).sqrt()
