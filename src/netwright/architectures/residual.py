"""Residual children for vectors."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from netwright.architectures.base import (
    ACTIVATIONS,
    Architecture,
    check_activation,
    check_outputs,
    check_sizes,
)
from netwright.architectures.cost import Meter
from netwright.architectures.skip import Skip


@dataclass(frozen=True)
class Residual(Architecture):
    """A linear stem, blocks x + linear(activation(linear(LayerNorm(x)))), a linear head.

    Args:
        inputs: D, the width of one input.
        width: Of what runs from block to block.
        blocks: How many.
        expansion: How many times as wide a block is inside.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.
        activation: `relu`, `tanh`, `gelu` or `silu`.

    References:
        He et al., Identity Mappings in Deep Residual Networks, arXiv:1603.05027 (the norm comes first).

    >>> Residual(inputs=64, width=16, blocks=2, outputs=10).cost.parameters
    3418
    """

    inputs: int
    width: int = 32
    blocks: int = 2
    expansion: int = 2
    classes: int | None = None
    outputs: int | None = None
    activation: Literal["relu", "tanh", "gelu", "silu"] = "relu"

    def __post_init__(self) -> None:
        check_sizes(
            "residual",
            inputs=self.inputs,
            width=self.width,
            blocks=self.blocks,
            expansion=self.expansion,
        )
        check_outputs("residual", self.classes, self.outputs)
        check_activation("residual", self.activation)

    def walk(self, meter: Meter) -> None:
        """The stem, each block, the head."""
        width, inside = self.width, self.width * self.expansion
        meter.linear(self.inputs, width)
        for _ in range(self.blocks):
            walk_block(meter, width, inside)
        meter.linear(width, self._outputs)

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return (self.inputs,)

    def with_classes(self, classes: int) -> "Residual":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def make(self) -> nn.Sequential:
        """A freshly initialised module."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = nn.Linear(self.inputs, self.width)
        for number in range(1, self.blocks + 1):
            inside = self.width * self.expansion
            layers[f"block{number}"] = make_block(self.width, inside, self.activation)
        layers["head"] = nn.Linear(self.width, self._outputs)
        return nn.Sequential(layers)

    @property
    def _outputs(self) -> int:
        return check_outputs("residual", self.classes, self.outputs)


def make_block(width: int, inside: int, activation: str) -> Skip:
    """x + narrow(activation(wide(norm(x)))), for rows of `width` numbers."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["norm"] = nn.LayerNorm(width)
    parts["wide"] = nn.Linear(width, inside)
    parts["act"] = ACTIVATIONS[activation]()
    parts["narrow"] = nn.Linear(inside, width)
    return Skip(parts)


def walk_block(meter: Meter, width: int, inside: int, *, rows: int = 1) -> None:
    """What `make_block` makes, on a meter; what runs past it stays alive."""
    kept = rows * width
    # The mean and the deviation of each row come with the norm.
    meter.layer(kept, parameters=2 * width, beside=2 * rows)
    meter.linear(width, inside, rows=rows, beside=kept)
    meter.layer(rows * inside, beside=kept)
    meter.linear(inside, width, rows=rows, beside=kept)
    meter.layer(kept, beside=kept)
