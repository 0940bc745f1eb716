"""Machines whose physics is known, simulated for many tasks and episodes at once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.errors import DataError


@dataclass(frozen=True)
class Quantity:
    """One number in which machines of a family differ.

    Args:
        name: What it is called in commands and contexts.
        low: Smallest value in training; of a signed quantity, smallest size.
        high: Largest value in training.
        default: That of the machine in the textbook.
        kind: `range`; `signed`, a size in the range and either sign; `switch`, 0 or 1; `level`, -1, 0 or 1; `whole`, a whole
            number of the range.
        unit: Physical unit, for people.
    """

    name: str
    low: float
    high: float
    default: float
    kind: Literal["range", "signed", "switch", "level", "whole"] = "range"
    unit: str = ""

    @property
    def is_discrete(self) -> bool:
        """Whether it has a few values only."""
        return self.kind in ("switch", "level", "whole")

    @property
    def count(self) -> int:
        """Of a quantity that is discrete, how many values it has: from `low` on, one apart."""
        return round(self.high - self.low) + 1

    @property
    def least(self) -> float:
        """Smallest value, signs counted in."""
        return -self.high if self.kind == "signed" else self.low


class Environment(ABC):
    """A family of machines: T of them at once, each in N episodes.

    States are [T, N, S], actions [T, N, A] from -1 to 1 (what is beyond is cut off, as actuators do), machines
    [T, P], one number per quantity. All of it is plain tensor arithmetic, on any device, and differentiable (unless
    `differentiable` says no). Where actions are discrete they are one-hot, and policies say A logits; some keys may not
    be legal in some states.
    """

    quantities: ClassVar[tuple[Quantity, ...]]
    states: ClassVar[int]
    observations: ClassVar[int]
    actions: ClassVar[int]
    steps: ClassVar[int]
    """Length of an episode."""
    hold: ClassVar[int]
    """How many of its last steps decide whether it was a success."""
    seconds: ClassVar[float]
    """Of one step."""
    discrete: ClassVar[bool] = False
    """Whether an action is one of A keys."""
    temperature: ClassVar[float] = 0.0
    """Of the softmax that keys are drawn from without exploration; 0 for the likeliest key."""
    training_episodes: ClassVar[int] = 1
    """Per machine in a round of training: more where an episode is short and luck plays its part."""
    differentiable: ClassVar[bool] = True
    """Whether what comes of an action has a gradient."""
    hashed: ClassVar[int] = 4
    """How many of the quantities decide on the split that a machine is of."""

    @abstractmethod
    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """States [T, N, S] that episodes begin in."""

    @abstractmethod
    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """States one step later, [T, N, S]."""

    @abstractmethod
    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """What a step is worth, [T, N]: of the state it begins in and the action."""

    @abstractmethod
    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """What a policy sees, [T, N, O], numbers of the size of 1."""

    @abstractmethod
    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where the task is being done, bool [T, N]."""

    def failed(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where an episode is over, bool [T, N]: nothing more is earned, and it was no success."""
        return torch.zeros(state.shape[:2], dtype=torch.bool, device=state.device)

    def finished(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where nothing more can happen, bool [T, N]: it failed, or was done for good and counts as done until the end of time."""
        return self.failed(state, machine)

    def legal(self, state: Tensor, machine: Tensor) -> Tensor | None:
        """Which keys may be pressed, bool [T, N, A]; None where all may be in every state."""
        return None

    def advance(self, state: Tensor, action: Tensor, machine: Tensor) -> tuple[Tensor, Tensor]:
        """`step` and `reward` in one, for environments that find both by the same work."""
        return self.step(state, action, machine), self.reward(state, action, machine)

    def allows(self, machine: Tensor) -> Tensor:
        """Which machines [T, P] there are to be, bool [T]."""
        return torch.ones(len(machine), dtype=torch.bool)

    def decide(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What is done without exploration, [T, N, A], from a policy's outputs.

        Args:
            outputs: Of policies, [T, N, A]; `masked` where some keys are not legal.
            generator: Source of luck where keys are drawn; without it the likeliest is pressed.
        """
        if not self.discrete:
            return drive(outputs)
        if self.temperature and generator is not None:
            outputs = outputs / self.temperature + gumbel(outputs, generator)
        return F.one_hot(outputs.argmax(dim=-1), self.actions).to(outputs.dtype)

    def describe(self, machine: Tensor, rng: np.random.Generator) -> str:
        """What a person would say of a machine [P]."""
        said = [_words(q, float(v)) for q, v in zip(self.quantities, machine, strict=True)]
        return f"a machine with {', '.join(filter(None, said)) or 'everything as usual'}"

    def of(self, machine: Tensor) -> dict[str, Tensor]:
        """Quantities of machines [T, P] by name, each [T, 1]."""
        return {q.name: machine[:, i : i + 1] for i, q in enumerate(self.quantities)}

    def machine(self, **values: float) -> Tensor:
        """One machine, [1, P]; what is not given is as in the textbook.

        Raises:
            DataError: If a name is unknown.
        """
        check_quantities(self, values)
        return torch.tensor([[values.get(q.name, q.default) for q in self.quantities]])

    @property
    def ranges(self) -> tuple[list[float], list[float]]:
        """Smallest and largest value of each quantity in training."""
        return [q.least for q in self.quantities], [q.high for q in self.quantities]


def _words(q: Quantity, value: float) -> str:
    if q.kind == "switch":
        return "wires swapped" if value > 0.5 else ""
    size = abs(value) if q.kind == "signed" else value
    share = (size - q.low) / (q.high - q.low)
    level = ["very low", "low", "", "high", "very high"][min(4, max(0, int(share * 5)))]
    said = [f"{level} {q.name}"] if level else []
    if q.kind == "signed" and value < 0:
        said.append(f"{q.name} reversed")
    return " and ".join(said)


def check_quantities(environment: Environment, values: Mapping[str, Any]) -> None:
    """Refuse names of quantities that a machine does not have.

    Raises:
        DataError: If there is one.
    """
    names = [q.name for q in environment.quantities]
    for name in values:
        if name not in names:
            raise DataError(f"The machine has no {name!r}, expected some of {names}.")


def outside(environment: Environment, machine: Tensor) -> Tensor:
    """How far machines [T, P] lie outside of what was trained on, [T]: 0 within, 1 is half a range beyond an end."""
    beyond = []
    for i, q in enumerate(environment.quantities):
        value = machine[:, i].abs() if q.kind == "signed" else machine[:, i]
        half = (q.high - q.low) / 2 or 1.0
        beyond.append(((value - q.high).clamp(min=0) + (q.low - value).clamp(min=0)) / half)
    return torch.stack(beyond).amax(dim=0)


def drive(action: Tensor) -> Tensor:
    """Actions as an actuator takes them: cut off at -1 and 1."""
    return action.clamp(-1.0, 1.0)


def uniform(
    rng: np.random.Generator, low: Sequence[float], high: Sequence[float], tasks: int, episodes: int
) -> Tensor:
    """States drawn from a box, float32 [T, N, S]."""
    drawn = rng.uniform(low, high, (tasks, episodes, len(low)))
    return torch.from_numpy(drawn.astype(np.float32))


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of Gumbel's distribution: the largest of logits with it is a draw from their softmax."""
    return -torch.empty(like.shape).exponential_(generator=generator).log().to(like)


def masked(outputs: Tensor, legal: Tensor | None) -> Tensor:
    """Logits [*, A] with which no key is pressed that is not `legal`, bool [*, A]; None leaves them as they are."""
    return outputs if legal is None else torch.where(legal, outputs, _FORBIDDEN)


# Finite, so that a softmax over nothing that is legal has no gradient in place of none.
_FORBIDDEN = -1e9


def wrapped(angle: Tensor) -> Tensor:
    """Angles in radians as those between -pi and pi."""
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


__all__ = [
    "Environment",
    "Quantity",
    "check_quantities",
    "drive",
    "gumbel",
    "masked",
    "outside",
    "uniform",
    "wrapped",
]
