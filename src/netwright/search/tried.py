"""One architecture of a search, and what became of it."""

from dataclasses import dataclass, fields
from typing import Any

from netwright.architectures import Architecture, Cost, from_record, to_record

LATENCY = "latency_ms"
COSTS = (*(unit.name for unit in fields(Cost)), LATENCY)


@dataclass(frozen=True)
class Tried:
    """An architecture whose weights were written, and how good they are on rows that were held out.

    Args:
        number: Of the candidate, from 0.
        architecture: What was proposed.
        metric: `accuracy`, or `mse`, where less is better.
        value: Mean of the metric over held-out rows; None where it does not count, for the reason `why`.
        low: Lower end of its 95 % interval over these rows.
        high: Upper end.
        loss: Mean loss on these rows, which tells candidates of equal accuracy apart.
        latency_ms: Median milliseconds of one input on this machine; None if it was not measured.
        polished: Steps of gradient descent from the written weights; 0 for weights as they were written.
        why: Why it does not count.
    """

    number: int
    architecture: Architecture
    metric: str = "accuracy"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    loss: float | None = None
    latency_ms: float | None = None
    polished: int = 0
    why: str = ""

    @property
    def cost(self) -> Cost:
        """What the network costs."""
        return self.architecture.cost

    def cost_by(self, unit: str) -> float:
        """One of its `COSTS`; NaN for a latency that was not measured."""
        if unit != LATENCY:
            return float(getattr(self.cost, unit))
        return float("nan") if self.latency_ms is None else self.latency_ms

    @property
    def merit(self) -> tuple[float, float]:
        """The larger, the better: the metric first, then the loss."""
        if self.value is None or self.loss is None:
            return (float("-inf"), float("-inf"))
        return (self.value if self.metric == "accuracy" else -self.value, -self.loss)

    def to_json(self) -> dict[str, Any]:
        """As plain values, cost included."""
        own = {name: value for name, value in vars(self).items() if name != "architecture"}
        return {**own, "architecture": to_record(self.architecture), "cost": vars(self.cost)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Tried":
        """The inverse of `to_json`.

        Raises:
            RunError: If the architecture is not known.
        """
        own = {name: value for name, value in record.items() if name != "cost"}
        return cls(**{**own, "architecture": from_record(record["architecture"])})


__all__ = ["COSTS", "LATENCY", "Tried"]
