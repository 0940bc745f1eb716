"""Child families as plain values: JSON-able, validated, with their cost known before any memory is touched."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

from torch import nn

from netwright.architectures.cost import Cost, Meter, check_cost
from netwright.errors import RunError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


@dataclass(frozen=True)
class Architecture(ABC):
    """A declarative child: `build` makes the module, `cost` is known without making it."""

    # Options that hold one value per layer: together their length is the depth.
    per_layer: ClassVar[tuple[str, ...]] = ()
    # Options of which not every combination exists.
    coupled: ClassVar[tuple[str, ...]] = ()

    def build(self) -> nn.Module:
        """A freshly initialised module.

        Raises:
            RunError: If it has more than 10^8 parameters, or than `parameter_limit` says.
        """
        check_cost(self)
        return self.make()

    @abstractmethod
    def make(self) -> nn.Module:
        """A freshly initialised module, however large."""

    @abstractmethod
    def walk(self, meter: Meter) -> None:
        """Put the layers on a meter in the order in which they run."""

    @property
    def cost(self) -> Cost:
        """What the built module has and needs."""
        meter = Meter(prod(self.input_shape))
        self.walk(meter)
        return meter.cost

    @property
    def parameters(self) -> int:
        """How many numbers the built module holds."""
        return self.cost.parameters

    @property
    @abstractmethod
    def class_head(self) -> str | None:
        """Path of the layer whose outputs count exchangeable classes, if there is one."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without task and example axes."""

    @abstractmethod
    def with_classes(self, classes: int) -> "Architecture":
        """The same child for another number of exchangeable classes."""

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this architecture again."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}

    @classmethod
    def repaired(cls, options: Mapping[str, Any], *, keep: str | None = None) -> dict[str, Any]:
        """Options for which an architecture exists, near to the given ones.

        Args:
            options: What the architecture would be made of.
            keep: An option that is to stay as it is.
        """
        return dict(options)


def check_sizes(family: str, **sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        RunError: If a size is not a whole number of at least 1.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise RunError(
                f"`{name}` of {family} is {size!r}, expected a whole number of at least 1."
            )


def check_outputs(family: str, classes: int | None, outputs: int | None) -> int:
    """The number of outputs, of which exactly one kind must be given.

    Raises:
        RunError: If neither or both are given.
    """
    if (classes is None) == (outputs is None):
        raise RunError(
            f"{family} has classes={classes} and outputs={outputs}, expected exactly one of them: "
            "`classes` if each task has classes of its own, `outputs` for values or fixed classes."
        )
    count = classes if classes is not None else outputs
    assert count is not None
    check_sizes(family, outputs=count)
    return count


def check_activation(family: str, activation: str) -> None:
    """Refuse an activation that is not known.

    Raises:
        RunError: If it is not.
    """
    if activation not in ACTIVATIONS:
        raise RunError(
            f"`activation` of {family} is {activation!r}, expected one of {list(ACTIVATIONS)}."
        )
