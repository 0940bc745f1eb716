"""Policies that remember: recurrent children whose sequences may go on."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from netwright.architectures.base import Architecture, check_outputs, check_sizes
from netwright.architectures.cost import Meter


@dataclass(frozen=True)
class RecurrentPolicy(Architecture):
    """A gated recurrent layer over a sequence, and a head that says something at every step.

    Args:
        inputs: D, numbers per step.
        hidden: H, numbers that are remembered from step to step.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.

    References:
        Cho et al., arXiv:1406.1078.

    >>> RecurrentPolicy(inputs=6, hidden=48, outputs=1).parameters
    8113
    """

    inputs: int
    hidden: int = 48
    classes: int | None = None
    outputs: int | None = None

    def __post_init__(self) -> None:
        check_sizes("recurrent-policy", inputs=self.inputs, hidden=self.hidden)
        check_outputs("recurrent-policy", self.classes, self.outputs)

    def walk(self, meter: Meter) -> None:
        """One step as torch runs it from zeros; then the head."""
        width, gates = self.hidden, 3 * self.hidden
        # The zeros, both halves of the gates, and what is made of them.
        meter.peak(width + 2 * gates + 2 * width)
        meter.layer(
            width,
            parameters=gates * (self.inputs + width + 2),
            flops=2 * gates * (self.inputs + width),
        )
        meter.linear(width, check_outputs("recurrent-policy", self.classes, self.outputs))

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: a sequence of one step; any other number of steps will do."""
        return (1, self.inputs)

    @property
    def memory(self) -> int:
        """H, numbers that can be carried from one call to the next."""
        return self.hidden

    def with_classes(self, classes: int) -> "RecurrentPolicy":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def make(self) -> nn.Module:
        """A freshly initialised module."""
        outputs = check_outputs("recurrent-policy", self.classes, self.outputs)
        return RecurrentNet(self.inputs, self.hidden, outputs)


class RecurrentNet(nn.Module):
    """What is built: `recurrent`, then `head`."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [N, L, C] of sequences [N, L, D] that begin with nothing in memory.

        A sequence may go on: of inputs [N, L, D + H] the last H numbers of the first step are what was remembered, and outputs
        [N, L, C + H] end in what is remembered after each step.
        """
        size = self.recurrent.input_size
        goes_on = x.shape[-1] > size
        memory = x[:, 0, size:].unsqueeze(0).contiguous() if goes_on else None
        remembered = self.recurrent(x[..., :size], memory)[0]
        said: Tensor = self.head(remembered)
        return torch.cat([said, remembered], dim=-1) if goes_on else said


__all__ = ["RecurrentNet", "RecurrentPolicy"]
