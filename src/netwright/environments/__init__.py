"""Machines to be controlled, as physics in tensors.

`ENVIRONMENTS` turns the names in commands and run records into classes; a name is never reused.
"""

from netwright.environments.acrobot import Acrobot
from netwright.environments.base import (
    Environment,
    Quantity,
    check_quantities,
    drive,
    gumbel,
    masked,
    outside,
)
from netwright.environments.cart_pole import CartPole, CartPoleSwingUp
from netwright.environments.connect_directions import (
    ConnectDirections,
    ConnectDirectionsLookingAhead,
)
from netwright.environments.connect_k import ConnectK, ConnectKLookingAhead
from netwright.environments.grid_world import GridWorld
from netwright.environments.gymnasium import GymnasiumEnvironment
from netwright.environments.half_cheetah import HalfCheetah
from netwright.environments.hopper import Hopper
from netwright.environments.mountain_car import MountainCar
from netwright.environments.mujoco import MujocoEnvironment
from netwright.environments.pendulum import Pendulum
from netwright.environments.quadrotor import Quadrotor
from netwright.environments.reacher import Reacher
from netwright.environments.upright import UprightEnvironment
from netwright.environments.walker import Walker

ENVIRONMENTS: dict[str, type[Environment]] = {
    "acrobot": Acrobot,
    "cart-pole": CartPole,
    "cart-pole-swing-up": CartPoleSwingUp,
    "connect-directions": ConnectDirections,
    "connect-directions-looking-ahead": ConnectDirectionsLookingAhead,
    "connect-k": ConnectK,
    "connect-k-looking-ahead": ConnectKLookingAhead,
    "grid-world": GridWorld,
    "half-cheetah": HalfCheetah,
    "hopper": Hopper,
    "mountain-car": MountainCar,
    "pendulum": Pendulum,
    "quadrotor": Quadrotor,
    "reacher": Reacher,
    "walker": Walker,
}

__all__ = [
    "ENVIRONMENTS",
    "Acrobot",
    "CartPole",
    "CartPoleSwingUp",
    "ConnectDirections",
    "ConnectDirectionsLookingAhead",
    "ConnectK",
    "ConnectKLookingAhead",
    "Environment",
    "GridWorld",
    "GymnasiumEnvironment",
    "HalfCheetah",
    "Hopper",
    "MountainCar",
    "MujocoEnvironment",
    "Pendulum",
    "Quadrotor",
    "Quantity",
    "Reacher",
    "UprightEnvironment",
    "Walker",
    "check_quantities",
    "drive",
    "gumbel",
    "masked",
    "outside",
]
