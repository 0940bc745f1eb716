"""Reads numbers that describe a task: masses, rates, settings, store sizes."""

from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditioners.encoding import (
    Encoding,
    check_encoding,
    encoded,
    encoded_width,
    options_of,
)
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.shapes import check_shape


class Context(Conditioner):
    """An MLP over a context vector whose entries have known ranges.

    Args:
        low: Smallest value of each entry, length D.
        high: Largest value of each entry, length D; what lies outside is extrapolated, not clipped.
        size: E, the width of the embedding.
        hidden: Width of the hidden layer.
        encoding: `linear`, or `invariant` for a length that does not depend on the numbers; see `Encoding`.

    Raises:
        RunError: If the ranges differ in length or one of them is empty, or the encoding is unknown.
    """

    reads = ("context",)

    def __init__(
        self,
        low: list[float],
        high: list[float],
        *,
        size: int = 64,
        hidden: int = 128,
        encoding: Encoding = "linear",
    ) -> None:
        super().__init__()
        check_encoding(encoding)
        if len(low) != len(high) or not low or any(a >= b for a, b in zip(low, high, strict=True)):
            raise RunError(
                f"The ranges are low={low}, high={high}, expected two lists of one length with "
                "low < high everywhere. Leave out entries that never vary."
            )
        self.size, self.hidden = size, hidden
        self.encoding: Encoding = encoding
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32))
        self.trunk = nn.Sequential(
            nn.Linear(encoded_width(len(low), encoding), hidden), nn.GELU(),
            nn.Linear(hidden, size), nn.LayerNorm(size),
        )  # fmt: skip

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        ranges = {"low": self.low.tolist(), "high": self.high.tolist()}
        return {**ranges, "size": self.size, "hidden": self.hidden, **options_of(self.encoding)}

    def forward(self, condition: Condition) -> Embedding:
        """Read context vectors [T, D]."""
        context = condition.context
        if context is None:
            raise self._missing(condition, f"Give {len(self.low)} numbers per task.")
        hint = "Give the numbers that this hypernetwork was trained with, in their order."
        check_shape("context", context, "T D", D=len(self.low), hint=hint)
        # Relative to its range, so that no entry drowns the others by its unit.
        share = (self._as_weights(context) - self.low) / (self.high - self.low)
        z = self.trunk(encoded(share, self.encoding))
        return Embedding.single(z)
