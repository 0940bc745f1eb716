"""Squared error of values."""

import torch
from torch import Tensor

from netwright.conditions import ExampleSet
from netwright.objectives.base import Objective, Score, query_weights


class Regression(Objective):
    """Mean squared error, and mean absolute error, in the units of y."""

    metric = "mse"
    higher_is_better = False
    metrics = ("mse", "mae")

    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score predictions [T, Q, C] against values [T, Q, C]."""
        residual = (outputs - query.y).masked_fill(~query.has_label.unsqueeze(-1), 0)
        weights = query_weights(query, outputs.dtype)
        mse = (residual.square().mean(dim=-1) * weights).sum(dim=1)
        with torch.no_grad():
            mae = (residual.abs().mean(dim=-1) * weights).sum(dim=1)
        return Score(mse, {"mse": mse.detach(), "mae": mae})
