"""A hopper in a plane, with one leg: go at a given speed without falling."""

from collections.abc import Mapping
from typing import Any

from netwright.environments.base import Quantity
from netwright.environments.upright import UprightEnvironment

# Of the foot in the textbook, the largest there is.
_FRICTION = 2.0


class Hopper(UprightEnvironment):
    """Go forwards at the speed that the machine's numbers tell, Hopper-v5 otherwise.

    Quantities: the speed; a factor of all masses; factors of what the motors of thigh, leg and foot are able to; friction of the
    foot on the ground (that of all other parts is as many times the usual).
    """

    quantities = (
        Quantity("speed", 0.8, 2.0, 1.5, unit="m/s"),
        Quantity("mass", 0.8, 1.25, 1.0),
        Quantity("thigh", 0.7, 1.3, 1.0),
        Quantity("leg", 0.7, 1.3, 1.0),
        Quantity("foot", 0.7, 1.3, 1.0),
        Quantity("friction", 1.0, 2.5, _FRICTION),
    )
    body, substeps, positions, noise = "hopper.xml", 4, 6, (0.005, 0.005)
    states, observations, actions = 20, 11, 3
    steps, hold, seconds, memory = 400, 100, 0.008, 60.0
    height, tilt, reach = (0.7, float("inf")), 0.2, 100.0
    sizes = (1.0, 0.1, 0.5, 0.5, 0.5, 2.0, 1.5, 1.5, 4.0, 4.0, 4.0)

    def adjust(self, model: Any, machine: Mapping[str, float]) -> None:
        """Set masses, friction and what motors are able to."""
        model.body_mass *= machine["mass"]
        model.body_inertia *= machine["mass"]
        model.geom_friction[:, 0] *= machine["friction"] / _FRICTION
        model.actuator_gear[:, 0] *= [machine[motor] for motor in ("thigh", "leg", "foot")]


__all__ = ["Hopper"]
