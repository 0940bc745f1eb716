"""Machines of MuJoCo that go upright on one leg or two, and may fall."""

from typing import ClassVar

import torch
from torch import Tensor

from netwright.environments.base import drive
from netwright.environments.mujoco import MujocoEnvironment

_UPRIGHT, _COST = 0.25, 0.05
# Slower, in m/s, shares of the speed asked for say nothing.
_SLOWEST = 0.1


class UprightEnvironment(MujocoEnvironment):
    """Base of machines that go at the speed that their numbers tell, called `speed`, and are not to fall.

    A step of a machine that is upright is worth (1/4 + 3/4 / (1 + 9 (v / v* - 1)^2)) (1 - 0.05 mean(a^2)): to stand still
    earns a third of what going at the speed v* asked for does, to go backwards less, and to fall least: after that nothing is
    earned. What counts as fallen is what gymnasium calls not healthy.
    """

    height: ClassVar[tuple[float, float]]
    """Between which the trunk is up, in m."""
    tilt: ClassVar[float]
    """Up to which the trunk is upright, either way, in rad."""
    reach: ClassVar[float] = float("inf")
    """Of all that follows the height in a state, positions and speeds: beyond, either way, it counts as fallen."""
    fastest_seen = 10.0

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where it has fallen; not where its physics has broken, which is no fall of its own."""
        height, tilt, rest = state[..., 1], state[..., 2], state[..., 2 : 2 * self.positions]
        up = (height > self.height[0]) & (height < self.height[1]) & (tilt.abs() < self.tilt)
        usual = (rest.abs() < self.reach).all(dim=-1)
        return ~(up & usual) & state.isfinite().all(dim=-1)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """How near the speed of the last step is to the one asked for, and that it is upright, less a cost of the action."""
        wanted = self.of(machine)["speed"]
        off = 3 * (self.forward(state) - wanted) / wanted.abs().clamp(min=_SLOWEST)
        worth = _UPRIGHT + (1 - _UPRIGHT) / (1 + off.square())
        # A factor and no difference: never below 0, or it would be worth falling.
        worth = worth * (1 - _COST * drive(action).square().mean(dim=-1))
        return torch.where(self.failed(state, machine), 0.0, worth)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Upright, at an average speed within a fifth of the one asked for."""
        wanted = self.of(machine)["speed"]
        near = (state[..., -1] - wanted).abs() < 0.2 * wanted.abs().clamp(min=_SLOWEST)
        return near & ~self.failed(state, machine)


__all__ = ["UprightEnvironment"]
