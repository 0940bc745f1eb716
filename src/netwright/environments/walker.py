"""A walker in a plane, with two legs: go at a given speed without falling."""

from collections.abc import Mapping
from typing import Any

from netwright.environments.base import Quantity
from netwright.environments.upright import UprightEnvironment

# Of the feet in the textbook, the largest there is.
_FRICTION = 1.9
# Motors of the right leg come first.
_RIGHT = 3


class Walker(UprightEnvironment):
    """Go forwards at the speed that the machine's numbers tell, Walker2d-v5 otherwise.

    Quantities: the speed; a factor of all masses; factors of what the motors of the right leg and of the left leg are able to;
    friction of the feet on the ground (that of all other parts is as many times the usual).
    """

    quantities = (
        Quantity("speed", 0.8, 2.0, 1.5, unit="m/s"),
        Quantity("mass", 0.8, 1.25, 1.0),
        Quantity("right", 0.7, 1.3, 1.0),
        Quantity("left", 0.7, 1.3, 1.0),
        Quantity("friction", 1.0, 2.5, _FRICTION),
    )
    body, substeps, positions, noise = "walker2d_v5.xml", 4, 9, (0.005, 0.005)
    states, observations, actions = 29, 17, 6
    steps, hold, seconds, memory = 400, 100, 0.008, 60.0
    height, tilt = (0.8, 2.0), 1.0
    sizes = (1.0, 0.3, *[0.5] * 6, 2.0, 1.5, 2.0, *[5.0] * 6)

    def adjust(self, model: Any, machine: Mapping[str, float]) -> None:
        """Set masses, friction and what motors are able to."""
        model.body_mass *= machine["mass"]
        model.body_inertia *= machine["mass"]
        model.geom_friction[:, 0] *= machine["friction"] / _FRICTION
        model.actuator_gear[:_RIGHT, 0] *= machine["right"]
        model.actuator_gear[_RIGHT:, 0] *= machine["left"]


__all__ = ["Walker"]
