"""Axes: where a value lies, and which values are labelled."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from netwright.referee.report.notation import number_text

# A larger ratio of positive values is drawn on a logarithmic axis.
WIDE = 20.0
# What is smaller is zero but for rounding, and its ratios leave the range of floats.
LEAST = 1e-100


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers.

    Args:
        title: What is on it.
        low: Value at its start.
        high: Value at its end.
        is_log: Whether equal distances are equal ratios.
        label: How a value is written.
        given: Values to be labelled; empty for round ones.
    """

    title: str
    low: float
    high: float
    is_log: bool = False
    label: Callable[[float], str] = number_text
    given: tuple[float, ...] = ()

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the start and 1 at the end.

        >>> Axis("x", 1, 100, is_log=True).share(10)
        0.5
        """
        if not self.is_log:
            return (value - self.low) / (self.high - self.low)
        start = math.log(self.low)
        return (math.log(value) - start) / (math.log(self.high) - start)

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Values to be labelled, within the axis."""
        if self.given:
            return self.given[:: math.ceil(len(self.given) / most)]
        if self.is_log:
            return _log_ticks(self.low, self.high, most)
        return _linear_ticks(self.low, self.high, most)


def axis_over(
    title: str,
    values: Iterable[float],
    *,
    label: Callable[[float], str] = number_text,
    margin: float = 0.06,
    wide: float = WIDE,
) -> Axis:
    """An axis that holds all values with a margin; logarithmic if they are positive and far apart.

    Args:
        title: What is on it.
        values: At least one finite number.
        label: How a value is written.
        margin: On both sides, as a share of the length.
        wide: The ratio from which on it is logarithmic.
    """
    known = list(values)
    low, high = min(known), max(known)
    if low > LEAST and high / low > wide:
        factor = (high / low) ** margin
        return Axis(title, low / factor, high * factor, True, label)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return Axis(title, low - room, high + room, False, label)


def _linear_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    for step in _steps((high - low) / most):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            # Digits that come from adding up are cut off.
            return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))
    raise AssertionError("a step of ten times the least is always enough")


def _steps(least: float) -> Iterator[float]:
    """1, 2, 5, 10, ... times a power of ten, from a little below `least` to beyond ten times it."""
    power = math.floor(math.log10(least))
    for exponent in (power, power + 1):
        for factor in (1, 2, 5):
            yield factor * 10.0**exponent


def _log_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: tuple[float, ...] = ()
    for factors in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        candidates = (factor * 10.0**power for power in powers for factor in factors)
        wider = tuple(value for value in candidates if low <= value <= high)
        if found and len(wider) > most:
            break
        found = wider
        if len(found) >= 3:
            break
    skip = math.ceil(len(found) / most)
    return found[::skip]
