"""What a child costs, from its description alone: no module is made and no tensor."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

from netwright.errors import RunError

Unit = Literal["parameters", "flops", "bytes", "activation_bytes"]
_FLOAT32 = 4
_most_parameters: ContextVar[int] = ContextVar("most_parameters", default=10**8)


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Args:
        parameters: Numbers of the built module.
        flops: Of one input; a multiply-add is two. Products are counted (linear, convolutional, attention,
            recurrent), as `torch.utils.flop_counter` does.
        bytes: Of the parameters in float32.
        activation_bytes: The most that is alive at once while one input is run at inference in float32:
            the input and what each layer makes, not the parameters.
    """

    parameters: int
    flops: int
    bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Limits:
    """What a network may cost at most; None where anything will do.

    >>> Limits(bytes=4096).allow(Cost(parameters=1000, flops=2000, bytes=4000, activation_bytes=64))
    True
    """

    parameters: int | None = None
    flops: int | None = None
    bytes: int | None = None
    activation_bytes: int | None = None

    def __str__(self) -> str:
        """Such as "at most 4,096 bytes"."""
        told = [f"at most {v:,} {name}" for name, v in vars(self).items() if v is not None]
        return " and ".join(told) or "any cost"

    def record(self) -> dict[str, int]:
        """JSON-able: what is limited."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Limits":
        """The inverse of `record`.

        Raises:
            RunError: If it limits what there is not, or to less than 1.
        """
        known = [field.name for field in fields(cls)]
        for name, value in record.items():
            if name not in known or type(value) is not int or value < 1:
                raise RunError(
                    f"{name}={value!r} is no limit, expected whole numbers of at least 1 for some of {known}."
                )
        return cls(**record)

    def allow(self, cost: Cost) -> bool:
        """Whether a cost is within all limits."""
        return not self.excess(cost)

    def excess(self, cost: Cost) -> str:
        """What is beyond which limit, or nothing."""
        found = []
        for field in fields(self):
            most, value = getattr(self, field.name), getattr(cost, field.name)
            if most is not None and value > most:
                found.append(f"{value:,} {field.name} of at most {most:,}")
        return ", ".join(found)


class Meter:
    """Adds up what layers cost, one after the other, as one input runs through them.

    The network's input is alive from beginning to end (its caller holds it), beside it what the last layer
    made, and what the next one makes of that.

    Args:
        inputs: How many numbers one input has.
    """

    __slots__ = ("_flops", "_held", "_inputs", "_most", "_parameters")

    def __init__(self, inputs: int) -> None:
        self._inputs = self._most = inputs
        self._held = self._parameters = self._flops = 0

    def layer(self, made: int, *, parameters: int = 0, flops: int = 0, beside: int = 0) -> None:
        """A layer that replaces what the last one made.

        Args:
            made: Numbers that it makes.
            parameters: Numbers that it has.
            flops: Of its products.
            beside: Numbers that are alive while it runs, besides what it reads and makes.
        """
        self._parameters += parameters
        self._flops += flops
        self.peak(made + beside)
        self._held = made

    def linear(self, inputs: int, outputs: int, *, rows: int = 1, beside: int = 0) -> None:
        """An `nn.Linear` with bias, on so many rows."""
        self.layer(
            rows * outputs,
            parameters=(inputs + 1) * outputs,
            flops=2 * rows * inputs * outputs,
            beside=beside,
        )

    def peak(self, more: int) -> None:
        """So many numbers are alive for a moment, besides the input and what the last layer made."""
        self._most = max(self._most, self._inputs + self._held + more)

    @property
    def cost(self) -> Cost:
        """Of all layers so far."""
        weights, most = _FLOAT32 * self._parameters, _FLOAT32 * self._most
        return Cost(self._parameters, self._flops, weights, most)


class HasCost(Protocol):
    """What knows its cost."""

    @property
    def cost(self) -> Cost:
        """What it costs."""
        ...


def check_cost(architecture: HasCost, *, most_parameters: int | None = None) -> None:
    """Refuse an architecture that is too large, before memory is touched.

    Args:
        architecture: What would be built.
        most_parameters: At most so many; by default 10^8, or what `parameter_limit` says.

    Raises:
        RunError: If it has more parameters.
    """
    most = _most_parameters.get() if most_parameters is None else most_parameters
    cost = architecture.cost
    if cost.parameters > most:
        raise RunError(
            f"{type(architecture).__name__} has {cost.parameters:,} parameters ({cost.bytes:,} bytes), expected "
            f"at most {most:,}. Make it smaller, or build it within "
            f"`with netwright.architectures.parameter_limit({cost.parameters}):`."
        )


@contextmanager
def parameter_limit(most_parameters: int) -> Iterator[None]:
    """Within it, architectures of at most so many parameters are built, in place of 10^8."""
    token = _most_parameters.set(most_parameters)
    try:
        yield
    finally:
        _most_parameters.reset(token)
