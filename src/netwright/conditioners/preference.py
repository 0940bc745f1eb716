"""Reads how several objectives are to be weighed against each other."""

from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError, RunError
from netwright.shapes import check_shape

# How far from 1 a sum of shares may be.
_TOLERANCE = 1e-3


class Preference(Conditioner):
    """An MLP over a point of the simplex: shares of K objectives, not negative, with sum 1.

    A hypernetwork that is trained on random preferences writes a network for any trade-off, the whole
    Pareto front with one training. `Preference.draw` draws them.

    Args:
        objectives: K.
        size: E, the width of the embedding.
        hidden: Width of the hidden layer.

    Raises:
        RunError: If there are fewer than two objectives.

    References:
        Navon et al., Learning the Pareto front with hypernetworks, arXiv:2010.04104.
    """

    reads = ("preference",)

    def __init__(self, objectives: int, *, size: int = 64, hidden: int = 128) -> None:
        super().__init__()
        if objectives < 2:
            raise RunError(f"`objectives` is {objectives}, expected at least 2 to weigh.")
        self.objectives, self.size, self.hidden = objectives, size, hidden
        self.trunk = nn.Sequential(
            nn.Linear(objectives, hidden), nn.GELU(), nn.Linear(hidden, size), nn.LayerNorm(size)
        )

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {"objectives": self.objectives, "size": self.size, "hidden": self.hidden}

    @staticmethod
    def draw(tasks: int, objectives: int, *, generator: torch.Generator | None = None) -> Tensor:
        """T preferences [T, K], uniform over the simplex."""
        gaps = torch.rand(tasks, objectives, generator=generator).clamp(min=1e-12).log().neg()
        return gaps / gaps.sum(dim=1, keepdim=True)

    def forward(self, condition: Condition) -> Embedding:
        """Read preferences [T, K]."""
        preference = condition.preference
        if preference is None:
            raise self._missing(condition, f"Give shares of {self.objectives} objectives per task.")
        hint = "Give a share of each objective that this hypernetwork was trained with."
        check_shape("preference", preference, "T K", K=self.objectives, hint=hint)
        # Shares in half precision sum to 1 up to how finely that counts.
        is_real = preference.is_floating_point()
        tolerance = max(_TOLERANCE, torch.finfo(preference.dtype).eps) if is_real else _TOLERANCE
        preference = self._as_weights(preference)
        wrong = (preference < 0).any(dim=1) | ((preference.sum(dim=1) - 1).abs() > tolerance)
        if wrong.any():
            t = int(wrong.nonzero()[0])
            shares = [round(share, 4) for share in preference[t].tolist()]
            raise ConditionError(
                f"The preference of task {t} is {shares}, expected shares that are not negative and sum "
                "to 1. Divide them by their sum."
            )
        # To unit length: a corner and the middle of the simplex are then equally strong signals.
        z = self.trunk(preference / preference.norm(dim=1, keepdim=True))
        return Embedding.single(z)
