"""Convolutional children for pictures whose blocks differ."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

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
from netwright.errors import RunError

KERNELS, STRIDES, NORMS = (1, 3, 5), (1, 2), ("none", "group")


class Block(NamedTuple):
    """What one block is, and the picture that it makes."""

    inputs: int
    channels: int
    kernel: int
    stride: int
    skip: bool
    height: int
    width: int


@dataclass(frozen=True)
class ConvNet(Architecture):
    """Blocks of [convolution, GroupNorm, activation], the mean over all places, a linear head.

    Args:
        channels: Of each block.
        kernels: Of each block, 1, 3 or 5 wide; 3 if not given.
        strides: Of each block, 1 or 2; 2 if not given.
        skips: Whether a short cut leads around each block; it can where stride is 1 and channels stay as
            many. None does if not given.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.
        image: Channels, height and width of one picture.
        norm: `group` (GroupNorm with one group), or `none`.
        activation: `relu`, `tanh`, `gelu` or `silu`.

    Raises:
        RunError: If there is no such network.

    >>> net = ConvNet(channels=(8, 8), strides=(2, 1), skips=(False, True), outputs=10)
    >>> net.cost.parameters, net.cost.flops
    (770, 254176)
    """

    per_layer: ClassVar[tuple[str, ...]] = ("channels", "kernels", "strides", "skips")
    coupled: ClassVar[tuple[str, ...]] = ("skips",)

    channels: tuple[int, ...] = (8, 8, 8, 8)
    kernels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    skips: tuple[bool, ...] = ()
    classes: int | None = None
    outputs: int | None = None
    image: tuple[int, int, int] = (1, 28, 28)
    norm: Literal["none", "group"] = "group"
    activation: Literal["relu", "tanh", "gelu", "silu"] = "relu"

    def __post_init__(self) -> None:
        depth = len(self.channels)
        filled = {
            "channels": tuple(self.channels),
            "kernels": tuple(self.kernels) or (3,) * depth,
            "strides": tuple(self.strides) or (2,) * depth,
            "skips": tuple(self.skips) or (False,) * depth,
            "image": tuple(self.image),
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)
        self._check_blocks()
        check_outputs("conv-net", self.classes, self.outputs)
        check_activation("conv-net", self.activation)
        if self.norm not in NORMS:
            raise RunError(f"`norm` of conv-net is {self.norm!r}, expected one of {list(NORMS)}.")

    def walk(self, meter: Meter) -> None:
        """Each block's convolution, norm and activation, its short cut; the mean; the head."""
        # What a block reads stays alive to its end; the network's input does so anyway.
        kept = 0
        for block in self.blocks():
            places = block.height * block.width
            made, taps = block.channels * places, block.kernel**2 * block.inputs * block.channels
            bias = block.channels if self.norm == "none" else 0
            meter.layer(made, parameters=taps + bias, flops=2 * taps * places)
            if self.norm == "group":
                # The mean and the deviation come with it.
                meter.layer(made, parameters=2 * block.channels, beside=kept + 2)
            meter.layer(made, beside=kept)
            if block.skip:
                meter.layer(made, beside=kept)
            kept = made
        meter.layer(self.channels[-1])
        meter.linear(self.channels[-1], self._outputs)

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one picture."""
        return self.image

    def with_classes(self, classes: int) -> "ConvNet":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def blocks(self) -> Iterator[Block]:
        """Block by block."""
        inputs, height, width = self.image
        each = zip(self.channels, self.kernels, self.strides, self.skips, strict=True)
        for channels, kernel, stride, skip in each:
            height, width = -(-height // stride), -(-width // stride)
            yield Block(inputs, channels, kernel, stride, skip, height, width)
            inputs = channels

    def make(self) -> nn.Sequential:
        """A freshly initialised module."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, block in enumerate(self.blocks(), 1):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            parts["conv"] = nn.Conv2d(
                block.inputs,
                block.channels,
                block.kernel,
                block.stride,
                block.kernel // 2,
                # The norm that follows has one.
                bias=self.norm == "none",
            )
            if self.norm == "group":
                parts["norm"] = nn.GroupNorm(1, block.channels)
            parts["act"] = ACTIVATIONS[self.activation]()
            layers[f"block{number}"] = Skip(parts) if block.skip else nn.Sequential(parts)
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["head"] = nn.Linear(self.channels[-1], self._outputs)
        return nn.Sequential(layers)

    @classmethod
    def repaired(cls, options: Mapping[str, Any], *, keep: str | None = None) -> dict[str, Any]:
        """Where a short cut cannot be, the block is made to fit it; or it goes, if blocks are to stay."""
        found = dict(options)
        if not found.get("skips"):
            return found
        channels, strides = list(found["channels"]), list(found["strides"])
        inputs = found.get("image", cls.image)[0]
        skips = []
        for i, skip in enumerate(found["skips"]):
            if skip and keep in (None, "skips") and i > 0:
                channels[i], strides[i] = inputs, 1
            skips.append(skip and channels[i] == inputs and strides[i] == 1)
            inputs = channels[i]
        return {**found, "channels": channels, "strides": strides, "skips": skips}

    def _check_blocks(self) -> None:
        depth = len(self.channels)
        for name in self.per_layer:
            if len(getattr(self, name)) != depth or not depth:
                raise RunError(
                    f"`{name}` of conv-net has {len(getattr(self, name))} entries for {depth} blocks, "
                    "expected one per block, of one or more."
                )
        if len(self.image) != 3:
            raise RunError(f"`image` of conv-net is {self.image}, expected three numbers.")
        names = ("channels of the image", "height", "width")
        check_sizes("conv-net", **dict(zip(names, self.image, strict=True)))
        check_sizes("conv-net", **{f"channels[{i}]": c for i, c in enumerate(self.channels)})
        for name, known in (("kernels", KERNELS), ("strides", STRIDES), ("skips", (False, True))):
            for i, value in enumerate(getattr(self, name)):
                if not any(value is each for each in known):
                    raise RunError(
                        f"`{name}[{i}]` of conv-net is {value!r}, expected one of {list(known)}."
                    )
        for i, block in enumerate(self.blocks()):
            if block.skip and (block.stride != 1 or block.inputs != block.channels):
                raise RunError(
                    f"`skips[{i}]` of conv-net leads around {block.inputs} to {block.channels} channels with "
                    f"stride {block.stride}, expected as many and stride 1. Change the block or leave the skip out."
                )
            if self.norm == "group" and block.channels * block.height * block.width == 1:
                raise RunError(
                    f"Block {i + 1} of conv-net normalises a single number, expected more. "
                    'Give it more channels, or `norm="none"`.'
                )

    @property
    def _outputs(self) -> int:
        return check_outputs("conv-net", self.classes, self.outputs)
