"""The child that tables are served by: one hidden layer beside the columns themselves."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from netwright.architectures.base import Architecture, check_sizes
from netwright.architectures.cost import Meter
from netwright.errors import RunError

# Values beyond this many standard deviations come ever slower.
_KNEE = 4.0


class Squash(nn.Module):
    """x / sqrt(1 + (x / 4)^2): nearly x where columns usually are, at most 4 however far they go."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, of any shape."""
        return x * torch.rsqrt(1 + (x / _KNEE).square())


def bump(x: Tensor) -> Tensor:
    """exp(-x^2), elementwise: says yes near 0 only, where a ramp says ever more."""
    return torch.exp(-x.square())


class _TableModule(nn.Module):
    def __init__(self, columns: int, hidden: int, ramps: int, classes: int) -> None:
        super().__init__()
        self.ramps = ramps
        self.squash = Squash()
        self.hidden = nn.Linear(columns, hidden)
        self.head = nn.Linear(columns + hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squash(x)
        inside = self.hidden(x)
        ramps, bumps = inside[..., : self.ramps], inside[..., self.ramps :]
        out: Tensor = self.head(torch.cat([x, torch.relu(ramps), bump(bumps)], dim=-1))
        return out


@dataclass(frozen=True)
class TableNet(Architecture):
    """Logits from squashed columns and one hidden layer over them, side by side.

    Some hidden units are ramps (ReLU), the others bumps, exp(-x^2).

    Args:
        columns: D, numbers per row.
        hidden: Units of the hidden layer.
        ramps: How many of them are ramps.
        classes: C, exchangeable classes.

    >>> TableNet(columns=4, hidden=8, ramps=3, classes=3).parameters
    79
    """

    columns: int
    hidden: int = 288
    ramps: int = 96
    classes: int = 2

    def __post_init__(self) -> None:
        check_sizes("table-net", columns=self.columns, hidden=self.hidden, classes=self.classes)
        if not 0 <= self.ramps <= self.hidden:
            raise RunError(
                f"`ramps` of table-net is {self.ramps}, expected 0 to {self.hidden}, the hidden units."
            )

    def walk(self, meter: Meter) -> None:
        """The squash, the hidden layer, its ramps and bumps, all side by side, then the head."""
        columns, hidden, bumps = self.columns, self.hidden, self.hidden - self.ramps
        both = columns + hidden
        # Each elementwise step of the squash is alive together with the next one.
        meter.layer(columns, beside=columns)
        # From here on the squashed columns stay alive, with what the hidden layer made.
        meter.linear(columns, hidden)
        meter.peak(columns + self.ramps + 2 * bumps)
        meter.peak(columns + hidden + both)
        meter.linear(both, self.classes, beside=columns + both)

    @property
    def class_head(self) -> str:
        """The last layer."""
        return "head"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return (self.columns,)

    def with_classes(self, classes: int) -> "TableNet":
        """The same child for another number of classes."""
        return replace(self, classes=classes)

    def make(self) -> nn.Module:
        """A freshly initialised module."""
        return _TableModule(self.columns, self.hidden, self.ramps, self.classes)
