"""Fully connected children for vectors."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal

from torch import nn

from netwright.architectures.base import (
    ACTIVATIONS,
    Architecture,
    check_activation,
    check_outputs,
    check_sizes,
)
from netwright.architectures.cost import Meter


@dataclass(frozen=True)
class MLP(Architecture):
    """Linear layers with an activation between them; the last one is the head.

    Args:
        inputs: D, the width of one input.
        hidden: Widths of the hidden layers.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.
        activation: `relu`, `tanh`, `gelu` or `silu`.

    >>> MLP(inputs=64, hidden=(64, 64), outputs=10).parameters
    8970
    """

    per_layer: ClassVar[tuple[str, ...]] = ("hidden",)

    inputs: int
    hidden: tuple[int, ...] = (64, 64)
    classes: int | None = None
    outputs: int | None = None
    activation: Literal["relu", "tanh", "gelu", "silu"] = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        check_sizes(
            "mlp", inputs=self.inputs, **{f"hidden[{i}]": w for i, w in enumerate(self.hidden)}
        )
        check_outputs("mlp", self.classes, self.outputs)
        check_activation("mlp", self.activation)

    def walk(self, meter: Meter) -> None:
        """Each hidden layer, its activation; then the head."""
        *hidden, last = pairwise(self._widths)
        for a, b in hidden:
            meter.linear(a, b)
            meter.layer(b)
        meter.linear(*last)

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return (self.inputs,)

    def with_classes(self, classes: int) -> "MLP":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def make(self) -> nn.Sequential:
        """A freshly initialised module."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        *hidden, last = pairwise(self._widths)
        for i, (a, b) in enumerate(hidden):
            layers[f"linear{i + 1}"] = nn.Linear(a, b)
            layers[f"act{i + 1}"] = ACTIVATIONS[self.activation]()
        layers["head"] = nn.Linear(*last)
        return nn.Sequential(layers)

    @property
    def _widths(self) -> tuple[int, ...]:
        return (self.inputs, *self.hidden, check_outputs("mlp", self.classes, self.outputs))
