"""Machines for tests: one on which what counts can only be found out by trial, and all others by name."""

import numpy as np
import pytest
import torch
from torch import Tensor

from netwright.environments import ENVIRONMENTS, Environment, Quantity, drive
from netwright.environments.base import uniform
from netwright.errors import MissingExtraError
from netwright.tasks import Control


class Line(Environment):
    """Bring a point to the middle of a line; the motor's wires may be swapped, and the point shows its place alone."""

    quantities = (Quantity("gain", 0.8, 1.2, 1.0, "signed"), Quantity("drag", 0.0, 0.2, 0.1))
    states = observations = actions = 1
    steps, hold, seconds, hashed = 24, 6, 0.1, 2

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        return uniform(rng, [-1.0], [1.0], tasks, episodes)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        m, place = self.of(machine), state.squeeze(-1)
        pushed = 0.2 * m["gain"] * drive(action).squeeze(-1)
        return ((1 - 0.1 * m["drag"]) * place + pushed).clamp(-2, 2).unsqueeze(-1)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        return -state.squeeze(-1).square()

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        return state

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        return torch.lt(state[..., 0].abs(), 0.25)


def environment_named(name):
    """What needs a package that is not installed skips the test."""
    try:
        return ENVIRONMENTS[name]()
    except MissingExtraError as missing:
        pytest.skip(str(missing))


def family_of(name, **options):
    environment_named(name)
    return Control(name, **options)
