"""What one option of an architecture may be: drawn at random, or changed a little."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np

from netwright.errors import RunError


class Choice(ABC):
    """Values that an option may have."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Any:
        """One of them."""

    @abstractmethod
    def near(self, value: Any, rng: np.random.Generator) -> Any:
        """Another one, close to `value`; `value` itself if it is the only one."""

    @abstractmethod
    def __contains__(self, value: object) -> bool:
        """Whether it is one of them."""

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @property
    @abstractmethod
    def values(self) -> Sequence[Any]:
        """All of them."""

    @property
    def extremes(self) -> Sequence[Any]:
        """The least and the largest; all, if they have no order."""
        return tuple(dict.fromkeys((self.values[0], self.values[-1])))

    @abstractmethod
    def record(self) -> Any:
        """JSON-able; see `choice_of`."""


@dataclass(frozen=True)
class OneOf(Choice):
    """Any value of a list, each as likely as the others.

    >>> OneOf((1, 3, 5)).near(1, np.random.default_rng(0))
    3
    """

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) < len(self.options):
            raise RunError(
                f"{list(self.options)} is no choice, expected one or more values, each once."
            )
        if self._has_order:
            object.__setattr__(self, "options", tuple(sorted(self.options)))

    def draw(self, rng: np.random.Generator) -> Any:
        """Uniform."""
        return self.options[int(rng.integers(len(self.options)))]

    def near(self, value: Any, rng: np.random.Generator) -> Any:
        """The next larger or smaller number; any other, of what has no order."""
        place = self.options.index(value)
        if self._has_order:
            others = [i for i in (place - 1, place + 1) if 0 <= i < len(self.options)]
        else:
            others = [i for i in range(len(self.options)) if i != place]
        return self.options[others[int(rng.integers(len(others)))]] if others else value

    def __contains__(self, value: object) -> bool:
        return any(value == each and type(value) is type(each) for each in self.options)

    def __len__(self) -> int:
        return len(self.options)

    @property
    def values(self) -> Sequence[Any]:
        """In order, if they are numbers."""
        return self.options

    @property
    def extremes(self) -> Sequence[Any]:
        """The least and the largest number; all, if they have no order."""
        return super().extremes if self._has_order else self.options

    def record(self) -> list[Any]:
        """A list."""
        return list(self.options)

    @property
    def _has_order(self) -> bool:
        return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in self.options)


@dataclass(frozen=True)
class Weighted(OneOf):
    """Any value of a list, some more likely than others.

    >>> Weighted((1, 2), (1, 3)).record()
    {'weighted': [[1, 1], [2, 3]]}
    """

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.options) or not all(w > 0 for w in self.weights):
            raise RunError(
                f"{list(self.weights)} are no weights of {list(self.options)}, expected one above 0 for each value."
            )
        weight_of = dict(zip(self.options, self.weights, strict=True))
        super().__post_init__()
        object.__setattr__(self, "weights", tuple(weight_of[value] for value in self.options))

    def draw(self, rng: np.random.Generator) -> Any:
        """As likely as its weight says."""
        shares = np.cumsum(self.weights)
        place = np.searchsorted(shares, rng.random() * shares[-1], side="right")
        return self.options[min(int(place), len(self.options) - 1)]

    def record(self) -> Any:
        """{"weighted": [[value, weight], ...]}."""
        return {"weighted": [list(pair) for pair in zip(self.options, self.weights, strict=True)]}


@dataclass(frozen=True)
class Uniform(Choice):
    """Whole numbers from `low` to `high`, each as likely as the others."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)

    def draw(self, rng: np.random.Generator) -> int:
        """Uniform."""
        return int(rng.integers(self.low, self.high + 1))

    def near(self, value: int, rng: np.random.Generator) -> int:
        """One more or one less."""
        others = [v for v in (value - 1, value + 1) if v in self]
        return others[int(rng.integers(len(others)))] if others else value

    def __contains__(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high

    def __len__(self) -> int:
        return self.high - self.low + 1

    @property
    def values(self) -> range:
        """In order."""
        return range(self.low, self.high + 1)

    def record(self) -> dict[str, list[int]]:
        """{"uniform": [low, high]}."""
        return {"uniform": [self.low, self.high]}


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Whole numbers from `low` to `high`, of which each doubling is as likely as the next one."""

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if self.low < 1:
            raise RunError(f"`low` of a logarithmic choice is {self.low}, expected at least 1.")

    def draw(self, rng: np.random.Generator) -> int:
        """log-uniform."""
        return self._between(self.low, self.high, rng)

    def near(self, value: int, rng: np.random.Generator) -> int:
        """Another number between half of it and twice as much."""
        low, high = max(self.low, value // 2), min(self.high, 2 * value)
        if low == high:
            return value
        while (found := self._between(low, high, rng)) == value:
            pass
        return found

    def record(self) -> dict[str, list[int]]:
        """{"log-uniform": [low, high]}."""
        return {"log-uniform": [self.low, self.high]}

    @staticmethod
    def _between(low: int, high: int, rng: np.random.Generator) -> int:
        drawn = int(exp(rng.uniform(log(low), log(high + 1))))
        return min(max(drawn, low), high)


_RANGES: dict[str, type[Uniform]] = {"uniform": Uniform, "log-uniform": LogUniform}


def choice_of(record: object) -> Choice:
    """A choice as it is, or from its record.

    That is a list, {"uniform": [1, 4]}, {"log-uniform": [8, 64]} or {"weighted": [[1, 0.25], [2, 0.75]]}.

    Raises:
        RunError: If it is none of these.
    """
    if isinstance(record, Choice):
        return record
    if isinstance(record, (list, tuple)):
        return OneOf(tuple(record))
    if isinstance(record, Mapping) and len(record) == 1:
        ((kind, bounds),) = record.items()
        if kind in _RANGES and isinstance(bounds, (list, tuple)) and len(bounds) == 2:
            return _RANGES[kind](*bounds)
        if kind == "weighted" and _are_pairs(bounds):
            return Weighted(*(tuple(each) for each in zip(*bounds, strict=True)))
    raise RunError(
        f'{record!r} is no choice, expected a list of values, {{"uniform": [low, high]}}, '
        '{"log-uniform": [low, high]} or {"weighted": [[value, weight], ...]}.'
    )


def _are_pairs(value: object) -> bool:
    """Whether it is a list of one or more values with a number each."""
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 and type(pair[1]) in (int, float)
            for pair in value
        )
    )


def _check_range(low: object, high: object) -> None:
    is_range = type(low) is int and type(high) is int and 0 <= low <= high
    if not is_range:
        raise RunError(f"{low!r} to {high!r} is no range, expected whole numbers, the least first.")
