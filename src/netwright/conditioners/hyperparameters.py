"""Reads settings of a training: rates, penalties, dropout."""

from collections.abc import Sequence
from math import log
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
from netwright.errors import ConditionError, RunError
from netwright.shapes import check_shape


class Hyperparameters(Conditioner):
    """An MLP over settings, each on a linear or logarithmic scale between its ends.

    A hypernetwork that is trained with random settings is a best response to any of them: they can
    then be tuned by its gradient, without training again.

    Args:
        low: Smallest value of each setting, length D.
        high: Largest value of each setting, length D.
        logarithmic: Which settings are read by their logarithm; all by default.
        size: E, the width of the embedding.
        hidden: Width of the hidden layer.
        encoding: `linear`, or `invariant` for a length that does not depend on the settings; see `Encoding`.

    Raises:
        RunError: If lengths differ, a range is empty, a logarithmic one reaches 0, or the encoding is unknown.

    References:
        Lorraine & Duvenaud, Stochastic hyperparameter optimization through hypernetworks, arXiv:1802.09419.
    """

    reads = ("hyperparameters",)

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        *,
        logarithmic: Sequence[bool] | None = None,
        size: int = 64,
        hidden: int = 128,
        encoding: Encoding = "linear",
    ) -> None:
        super().__init__()
        check_encoding(encoding)
        logs = [True] * len(low) if logarithmic is None else list(logarithmic)
        fits = len(low) == len(high) == len(logs) > 0
        if not fits or any(
            a >= b or (g and a <= 0) for a, b, g in zip(low, high, logs, strict=True)
        ):
            raise RunError(
                f"The settings are low={list(low)}, high={list(high)}, logarithmic={logs}, expected lists of "
                "one length with low < high, and 0 < low on a logarithmic scale."
            )
        self.ranges, self.logarithmic = (list(low), list(high)), logs
        self.size, self.hidden = size, hidden
        self.encoding: Encoding = encoding
        self.is_log: Tensor
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("is_log", torch.tensor(logs), persistent=False)
        for name, ends in (("low", low), ("high", high)):
            scaled = [log(end) if g else float(end) for end, g in zip(ends, logs, strict=True)]
            self.register_buffer(name, torch.tensor(scaled), persistent=False)
        self.trunk = nn.Sequential(
            nn.Linear(encoded_width(len(logs), encoding), hidden), nn.GELU(),
            nn.Linear(hidden, size), nn.LayerNorm(size),
        )  # fmt: skip

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        low, high = self.ranges
        return {
            "low": low, "high": high, "logarithmic": self.logarithmic,
            "size": self.size, "hidden": self.hidden, **options_of(self.encoding),
        }  # fmt: skip

    def forward(self, condition: Condition) -> Embedding:
        """Read settings [T, D]; what lies outside its range is extrapolated, not clipped."""
        settings = condition.hyperparameters
        if settings is None:
            raise self._missing(condition, f"Give {len(self.logarithmic)} settings per task.")
        hint = "Give the settings that this hypernetwork was trained with, in their order."
        check_shape("hyperparameters", settings, "T D", D=len(self.logarithmic), hint=hint)
        settings = self._as_weights(settings)
        wrong = self.is_log & (settings <= 0)
        if wrong.any():
            t, d = wrong.nonzero()[0].tolist()
            raise ConditionError(
                f"Setting {d} of task {t} is {float(settings[t, d]):g}, expected more than 0: it is on a "
                "logarithmic scale."
            )
        # The logarithm of 1 where none is taken: 0 must not make a gradient that is no number.
        logs = torch.where(self.is_log, settings, 1.0).log()
        scaled = torch.where(self.is_log, logs, settings)
        z = self.trunk(encoded((scaled - self.low) / (self.high - self.low), self.encoding))
        return Embedding.single(z)
