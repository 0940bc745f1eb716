"""Small convolutional children for pictures."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from math import ceil

from torch import nn

from netwright.architectures.base import Architecture, check_outputs, check_sizes
from netwright.architectures.cost import Meter


@dataclass(frozen=True)
class Conv(Architecture):
    """`depth` blocks of [3x3 convolution with stride 2, GroupNorm, ReLU], then a linear head.

    Args:
        channels: Channels of every block.
        depth: Number of blocks; each halves height and width.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.
        image: Channels, height and width of one picture.
        groups: Groups of GroupNorm; 1 normalises over all channels.

    >>> Conv(channels=8, depth=4, classes=5).parameters
    2029
    """

    channels: int = 8
    depth: int = 4
    classes: int | None = None
    outputs: int | None = None
    image: tuple[int, int, int] = (1, 28, 28)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", tuple(self.image))
        check_sizes("conv", channels=self.channels, depth=self.depth, groups=self.groups)
        check_outputs("conv", self.classes, self.outputs)

    @property
    def features(self) -> int:
        """F, how many numbers the head reads."""
        _, height, width = self.image
        shrink = 1 << self.depth
        return self.channels * ceil(height / shrink) * ceil(width / shrink)

    def walk(self, meter: Meter) -> None:
        """Each block's convolution, norm and activation; then the head."""
        inputs, height, width = self.image
        for _ in range(self.depth):
            height, width = ceil(height / 2), ceil(width / 2)
            made, taps = self.channels * height * width, 9 * inputs * self.channels
            meter.layer(made, parameters=taps, flops=2 * taps * height * width)
            # GroupNorm makes the mean and the deviation of each group as well.
            meter.layer(made, parameters=2 * self.channels, beside=2 * self.groups)
            meter.layer(made)
            inputs = self.channels
        meter.linear(self.features, self._outputs)

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one picture."""
        return self.image

    def with_classes(self, classes: int) -> "Conv":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def make(self) -> nn.Sequential:
        """A freshly initialised module."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(self.depth):
            inputs = self.image[0] if i == 0 else self.channels
            # No bias: the norm that follows has one.
            layers[f"conv{i + 1}"] = nn.Conv2d(inputs, self.channels, 3, 2, 1, bias=False)
            layers[f"norm{i + 1}"] = nn.GroupNorm(self.groups, self.channels)
            layers[f"relu{i + 1}"] = nn.ReLU()
        layers["flatten"] = nn.Flatten()
        layers["head"] = nn.Linear(self.features, self._outputs)
        return nn.Sequential(layers)

    @property
    def _outputs(self) -> int:
        return check_outputs("conv", self.classes, self.outputs)
