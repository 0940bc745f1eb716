"""Recurrent children for sequences."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from netwright.architectures.base import Architecture, check_outputs, check_sizes
from netwright.architectures.cost import Meter
from netwright.errors import RunError

# By name: the layer, and how many gates it has.
_CELLS: dict[str, tuple[type[nn.GRU | nn.LSTM], int]] = {"gru": (nn.GRU, 3), "lstm": (nn.LSTM, 4)}
_READS = ("last", "all")


class _RecurrentModule(nn.Module):
    def __init__(self, layers: nn.GRU | nn.LSTM, head: nn.Linear, *, reads_all: bool) -> None:
        super().__init__()
        self.layers, self.head, self.reads_all = layers, head, reads_all

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.layers(x)[0]
        out: Tensor = self.head(states if self.reads_all else states[:, -1])
        return out


@dataclass(frozen=True)
class Recurrent(Architecture):
    """GRU or LSTM layers over a sequence [L, D], and a linear head on the last step, or on each.

    Args:
        inputs: D, numbers per step.
        steps: L, the length of one sequence.
        width: Of the state of each layer.
        layers: How many, one on top of the other.
        cell: `gru` or `lstm`.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.
        read: What the head reads: the `last` step, or `all`; outputs are then [L, C].

    >>> Recurrent(inputs=3, steps=20, width=16, outputs=2).cost.parameters
    1042
    """

    inputs: int
    steps: int
    width: int = 32
    layers: int = 1
    cell: Literal["gru", "lstm"] = "gru"
    classes: int | None = None
    outputs: int | None = None
    read: Literal["last", "all"] = "last"

    def __post_init__(self) -> None:
        check_sizes(
            "recurrent",
            inputs=self.inputs,
            steps=self.steps,
            width=self.width,
            layers=self.layers,
        )
        check_outputs("recurrent", self.classes, self.outputs)
        for name, known in (("cell", _CELLS), ("read", _READS)):
            if getattr(self, name) not in known:
                raise RunError(
                    f"`{name}` of recurrent is {getattr(self, name)!r}, expected one of {list(known)}."
                )

        if self.read == "all" and self.classes is not None:
            raise RunError(
                "recurrent reads `all` steps with classes of its own, expected `outputs`: a class head reads "
                'vectors. Pass `outputs=`, or `read="last"`.'
            )

    def walk(self, meter: Meter) -> None:
        """Layer by layer as torch runs them step by step; then the head."""
        width, steps, gates = self.width, self.steps, _CELLS[self.cell][1] * self.width
        # A GRU has one state, an LSTM two; both start at zeros that stay alive.
        states = (1 if self.cell == "gru" else 2) * width
        zeros = self.layers * states
        sequence, inputs, whole = 0, self.inputs, steps * width
        for layer in range(self.layers):
            # Zeros, what the layer reads, last states of layers below, and gates of all steps.
            kept = zeros + sequence + layer * states + steps * gates
            # At the last step: states of earlier ones, its gates, and what it makes of them.
            earlier = (steps - 1) * width
            if self.cell == "gru":
                step = earlier + gates + 2 * width
            else:
                step = earlier + gates + 3 * width + (width if steps > 1 else 0)
            # Then all states are laid side by side; an LSTM's other state is alive as well.
            meter.peak(kept + max(step, 2 * whole + states - width))
            meter.layer(
                0,
                parameters=gates * (inputs + width + 2),
                flops=2 * steps * gates * (inputs + width),
            )
            sequence, inputs = whole, width
        # Last states of all layers are laid side by side.
        meter.peak(zeros + whole + 2 * zeros)
        meter.layer(whole)
        meter.linear(width, self._outputs, rows=steps if self.read == "all" else 1)

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sequence."""
        return (self.steps, self.inputs)

    def with_classes(self, classes: int) -> "Recurrent":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def make(self) -> nn.Module:
        """A freshly initialised module."""
        kind = _CELLS[self.cell][0]
        layers = kind(self.inputs, self.width, self.layers, batch_first=True)
        head = nn.Linear(self.width, self._outputs)
        return _RecurrentModule(layers, head, reads_all=self.read == "all")

    @property
    def _outputs(self) -> int:
        return check_outputs("recurrent", self.classes, self.outputs)
