"""Transformers for sequences."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from netwright.architectures.base import (
    Architecture,
    check_activation,
    check_outputs,
    check_sizes,
)
from netwright.architectures.cost import Meter
from netwright.architectures.residual import make_block, walk_block
from netwright.architectures.skip import Skip
from netwright.errors import RunError


class SelfAttention(nn.Module):
    """softmax(q k^T / sqrt(d)) v in each of `heads` parts of the width.

    Written out, so that each product is one that can be counted, exported and run for many tasks at once.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, L, E] to [N, L, E]."""
        parts = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        weights = torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
        # Heads of one number each would be joined without a copy, and then multiplied in two steps.
        joined = (weights @ v).transpose(1, 2).flatten(2).contiguous()
        y: Tensor = self.out(joined)
        return y


class Placed(nn.Module):
    """Each step of [N, L, D] by a linear map, and added to it what is learned of its place: [N, L, E]."""

    steps: Tensor

    def __init__(self, inputs: int, steps: int, width: int) -> None:
        super().__init__()
        self.values = nn.Linear(inputs, width)
        self.positions = nn.Embedding(steps, width)
        self.register_buffer("steps", torch.arange(steps)[None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Of sequences of L steps."""
        y: Tensor = self.values(x) + self.positions(self.steps)
        return y


class MeanOverSteps(nn.Module):
    """[N, L, E] to [N, E]."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any number of steps."""
        return x.mean(dim=1)


@dataclass(frozen=True)
class Transformer(Architecture):
    """Sequences [L, D]: a linear map, learned positions, encoder blocks, the mean over steps, a head.

    Args:
        inputs: D, numbers per step.
        steps: L, the length of one sequence.
        width: Of each step inside; a multiple of `heads`.
        heads: Of the attention.
        depth: Number of blocks of [LayerNorm, attention] and [LayerNorm, linear, activation, linear], each
            with a short cut.
        expansion: How many times as wide the second of these is inside.
        classes: Number of exchangeable classes (each task has its own), or None.
        outputs: Number of values or of fixed classes, or None.
        activation: `relu`, `tanh`, `gelu` or `silu`.

    References:
        Vaswani et al., Attention Is All You Need, arXiv:1706.03762.
        Xiong et al., On Layer Normalization in the Transformer, arXiv:2002.04745 (the norm comes first).

    >>> Transformer(inputs=3, steps=20, width=16, heads=2, outputs=2).cost.parameters
    2642
    """

    coupled: ClassVar[tuple[str, ...]] = ("width", "heads")

    inputs: int
    steps: int
    width: int = 32
    heads: int = 4
    depth: int = 1
    expansion: int = 2
    classes: int | None = None
    outputs: int | None = None
    activation: Literal["relu", "tanh", "gelu", "silu"] = "gelu"

    def __post_init__(self) -> None:
        check_sizes(
            "transformer",
            inputs=self.inputs,
            steps=self.steps,
            width=self.width,
            heads=self.heads,
            depth=self.depth,
            expansion=self.expansion,
        )
        check_outputs("transformer", self.classes, self.outputs)
        check_activation("transformer", self.activation)
        if self.width % self.heads:
            raise RunError(
                f"`width` of transformer is {self.width} with {self.heads} heads, expected a multiple."
            )

    def walk(self, meter: Meter) -> None:
        """Embedding and positions, each block's attention and layers, the mean, the head."""
        steps, width, inside = self.steps, self.width, self.width * self.expansion
        kept, scores = steps * width, self.heads * steps * steps
        meter.linear(self.inputs, width, rows=steps)
        # Positions, then their sum with what was embedded.
        meter.layer(kept, parameters=kept, beside=kept)
        for _ in range(self.depth):
            self._walk_attention(meter, kept, scores)
            walk_block(meter, width, inside, rows=steps)
        meter.layer(width)
        meter.linear(width, self._outputs)

    def _walk_attention(self, meter: Meter, kept: int, scores: int) -> None:
        steps, width = self.steps, self.width
        meter.layer(kept, parameters=2 * width, beside=2 * steps)
        # What the norm made, queries, keys and values stay alive to the end of it; of scores there are two
        # copies at a time, or one beside what they mix, before and after their heads are joined.
        inside = 3 * kept + max(2 * scores, scores + 2 * kept)
        meter.layer(
            kept,
            parameters=4 * width * (width + 1),
            flops=8 * steps * width * width + 4 * steps * steps * width,
            beside=inside,
        )
        meter.layer(kept, beside=kept)

    @property
    def class_head(self) -> str | None:
        """`head` if classes are exchangeable."""
        return "head" if self.classes is not None else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sequence."""
        return (self.steps, self.inputs)

    def with_classes(self, classes: int) -> "Transformer":
        """The same child for another number of exchangeable classes."""
        return replace(self, classes=classes, outputs=None)

    def make(self) -> nn.Sequential:
        """A freshly initialised module."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["embed"] = Placed(self.inputs, self.steps, self.width)
        for number in range(1, self.depth + 1):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            parts["norm"] = nn.LayerNorm(self.width)
            parts["attention"] = SelfAttention(self.width, self.heads)
            layers[f"attend{number}"] = Skip(parts)
            inside = self.width * self.expansion
            layers[f"block{number}"] = make_block(self.width, inside, self.activation)
        layers["mean"] = MeanOverSteps()
        layers["head"] = nn.Linear(self.width, self._outputs)
        return nn.Sequential(layers)

    @property
    def _outputs(self) -> int:
        return check_outputs("transformer", self.classes, self.outputs)
