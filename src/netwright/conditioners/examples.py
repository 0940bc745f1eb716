"""Reads a support set of (x, y) pairs as a set: order and padding carry nothing."""

from dataclasses import replace
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.attention import SetBlock, masked_mean
from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.shapes import check_shape

# Activations of more pictures leave a core's cache: 1,600 at once take twice as long as in parts.
PICTURES_AT_ONCE = 128


class Examples(Conditioner):
    """A permutation-invariant encoder of a support set.

    With exchangeable classes each class token is the mean of its examples' features; classes then
    attend to each other, without positions, so that permuting labels permutes class tokens. With
    values or fixed classes y stands beside x, and the examples' features are averaged.

    Args:
        x: Shape of one input: (C, H, W) for pictures, (D,) for vectors.
        size: E, the width of the embedding.
        outputs: C, for values or fixed classes; None for exchangeable classes.
        labels: What y is: `exchangeable-classes`, `fixed-classes` or `values`.
        channels: Width of the picture encoder, or of the vector encoder's hidden layers.
        depth: Number of attention blocks over the tokens.
        counts: Whether tokens are told of how many examples: of the task, or of their class. Means do not
            say, and how sure an answer is depends on it.

    References:
        Zaheer et al., Deep Sets, arXiv:1703.06114.
        Lee et al., Set Transformer, arXiv:1810.00825.
    """

    reads = ("examples",)

    def __init__(
        self,
        x: tuple[int, ...],
        *,
        size: int = 64,
        outputs: int | None = None,
        labels: Literal["exchangeable-classes", "fixed-classes", "values"] | None = None,
        channels: int = 64,
        depth: int = 2,
        counts: bool = False,
    ) -> None:
        super().__init__()
        labels = labels or ("exchangeable-classes" if outputs is None else "values")
        if (labels == "exchangeable-classes") != (outputs is None):
            raise RunError(
                f"`labels` is {labels!r} and `outputs` is {outputs}, expected a number of outputs for "
                "values and fixed classes, and none for exchangeable classes."
            )
        self.x, self.size, self.outputs, self.labels = tuple(x), size, outputs, labels
        self.channels, self.depth = channels, depth
        width = outputs or 0
        if len(self.x) == 3:
            self.encode_x: nn.Module = _PictureEncoder(self.x, channels, size)
            self.encode_y = nn.Linear(width, size, bias=False) if width else None
        else:
            self.encode_x = _VectorEncoder(prod(self.x) + width, channels, size)
            self.encode_y = None
        self.blocks = nn.ModuleList(SetBlock(size) for _ in range(depth))
        self.norm = nn.LayerNorm(size)
        self.encode_count = nn.Linear(1, size) if counts else None

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        options = {
            "x": list(self.x),
            "size": self.size,
            "outputs": self.outputs,
            "labels": self.labels,
            "channels": self.channels,
            "depth": self.depth,
        }
        # Only where it is on: records from before there were counts stay as they are.
        return options if self.encode_count is None else {**options, "counts": True}

    def forward(self, condition: Condition) -> Embedding:
        """Read support sets x [T, S, *], y [T, S] or [T, S, C], mask [T, S]."""
        examples = condition.examples
        if examples is None:
            raise self._missing(condition, "Give a support set of (x, y) pairs.")
        self._check(examples)
        examples = _without_padding(examples)
        if self.labels == "exchangeable-classes":
            tokens, mask, counts = self._class_tokens(examples)
        else:
            tokens, mask = self._example_features(examples), examples.mask
            counts = mask.sum(dim=1, keepdim=True)
        if self.encode_count is not None:
            tokens = tokens + self.encode_count(counts.clamp(min=1).log().to(tokens).unsqueeze(-1))
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        classes = tokens if self.labels == "exchangeable-classes" else None
        return Embedding(masked_mean(tokens, mask), tokens, mask, classes)

    def _class_tokens(self, examples: ExampleSet) -> tuple[Tensor, Tensor, Tensor]:
        features = self.encode_x(examples.x)
        member = F.one_hot(examples.y.clamp(min=0), examples.classes or 0)
        member = member * examples.mask.unsqueeze(-1)
        counts = member.sum(dim=1)
        sums = torch.einsum("tnc,tne->tce", member.to(features.dtype), features)
        return sums / counts.clamp(min=1).unsqueeze(-1), counts > 0, counts

    def _example_features(self, examples: ExampleSet) -> Tensor:
        y = examples.y
        if self.labels == "fixed-classes":
            y = F.one_hot(y.clamp(min=0), self.outputs or 0).to(examples.x.dtype)
        if self.encode_y is None:
            features: Tensor = self.encode_x(torch.cat([examples.x.flatten(2), y], dim=-1))
        else:
            features = self.encode_x(examples.x) + self.encode_y(y)
        return features

    def _check(self, examples: ExampleSet) -> None:
        axes = "T S C H W" if len(self.x) == 3 else "T S D"
        sizes = dict(zip(axes.split()[2:], self.x, strict=True))
        hint = "Give examples of the shape that this hypernetwork was trained with."
        check_shape("examples.x", examples.x, axes, hint=hint, **sizes)
        is_values = self.labels == "values"
        if is_values == (examples.classes is not None):
            raise ConditionError(
                f"`examples.y` holds {'classes' if is_values else 'values'}, expected "
                f"{self.labels.replace('-', ' ')}. Use the labels that this hypernetwork was trained with."
            )
        if is_values:
            check_shape("examples.y", examples.y, "T S C", C=self.outputs or 0, hint=hint)


def _without_padding(examples: ExampleSet) -> ExampleSet:
    """Zeros in the padding: whatever stands there must not reach a sum, not even as 0 * infinity."""
    x, y = (
        value.masked_fill(~examples.mask.reshape(*examples.mask.shape, *[1] * (value.dim() - 2)), 0)
        for value in (examples.x, examples.y)
    )
    return replace(examples, x=x, y=y)


class _PictureEncoder(nn.Module):
    """[T, S, C, H, W] to [T, S, E]: four blocks of [3x3 with stride 2, GroupNorm, ReLU].

    Widths grow as pictures shrink: at equal accuracy that costs half of one width throughout.
    """

    def __init__(self, x: tuple[int, ...], channels: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, height, width = x
        for outputs in (channels // 2, channels, channels * 3 // 2, channels * 2):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(8 if outputs % 8 == 0 else 1, outputs),
                nn.ReLU(),
            ]
            inputs, height, width = outputs, (height + 1) // 2, (width + 1) // 2
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, size))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        if rows.device.type == "cpu" and len(rows) > PICTURES_AT_ONCE:
            parts = [self.trunk(part) for part in rows.split(PICTURES_AT_ONCE)]
            features = torch.cat(parts)
        else:
            features = self.trunk(rows)
        separate: Tensor = features.unflatten(0, x.shape[:2])
        return separate


class _VectorEncoder(nn.Module):
    """[T, S, D] to [T, S, E]: an MLP of two hidden layers."""

    def __init__(self, inputs: int, channels: int, size: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(inputs, channels), nn.GELU(),
            nn.Linear(channels, channels), nn.GELU(),
            nn.Linear(channels, size),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.trunk(x.flatten(2))
        return features
