"""Child families as plain values: JSON-able, validated, with their cost known before any memory is touched."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from netwright.errors import RunError


@dataclass(frozen=True)
class Architecture(ABC):
    """A declarative child: `build` makes the module, `parameters` counts without making it."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A freshly initialised module."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers the built module holds."""

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
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


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
