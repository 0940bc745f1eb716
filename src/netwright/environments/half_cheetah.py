"""A cheetah in a plane, with two legs: run at a given speed."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from netwright.environments.base import Quantity, drive
from netwright.environments.mujoco import MujocoEnvironment

_COST = 0.05
# Motors of the hind leg come first.
_HIND = 3


class HalfCheetah(MujocoEnvironment):
    """Run at the speed that the machine's numbers tell, HalfCheetah-v5 otherwise.

    Quantities: the speed, backwards if it is negative; a factor of all masses; factors of what the motors of the hind leg and of
    the front leg are able to; friction of the ground. A step is worth 1 - |v - v*| / |v*| - 0.05 mean(a^2): standing still
    earns nothing, running at the speed v* asked for nearly 1, whichever it is.
    """

    quantities = (
        Quantity("speed", 1.0, 4.0, 2.0, "signed", unit="m/s"),
        Quantity("mass", 0.6, 1.6, 1.0),
        Quantity("hind", 0.5, 1.5, 1.0),
        Quantity("front", 0.5, 1.5, 1.0),
        Quantity("friction", 0.3, 1.0, 0.4),
    )
    body, substeps, positions, noise = "half_cheetah.xml", 5, 9, (0.1, 0.1)
    states, observations, actions = 29, 17, 6
    steps, hold, seconds = 150, 50, 0.05
    sizes = (0.2, 0.5, *[0.5] * 6, 2.0, 1.0, 3.0, *[10.0] * 6)

    def adjust(self, model: Any, machine: Mapping[str, float]) -> None:
        """Set masses, friction and what motors are able to."""
        model.body_mass *= machine["mass"]
        model.body_inertia *= machine["mass"]
        model.geom_friction[:, 0] = machine["friction"]
        model.actuator_gear[:_HIND, 0] *= machine["hind"]
        model.actuator_gear[_HIND:, 0] *= machine["front"]

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """How near the speed of the last step is to the one asked for, less a cost of the action."""
        wanted = self.of(machine)["speed"]
        off = (self.forward(state) - wanted).abs() / wanted.abs()
        return 1 - off - _COST * drive(action).square().mean(dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """A speed, on average over the last second, within a fifth of the one asked for."""
        wanted = self.of(machine)["speed"]
        good: Tensor = (state[..., -1] - wanted).abs() < 0.2 * wanted.abs()
        return good


__all__ = ["HalfCheetah"]
