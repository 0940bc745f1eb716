"""Squared error of values."""

import torch
from torch import Tensor

from netwright.conditions import ExampleSet
from netwright.objectives.base import Objective, Score, mean_over_queries


class Regression(Objective):
    """Mean squared error, and mean absolute error, in the units of y."""

    metric = "mse"
    higher_is_better = False

    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score predictions [T, Q, C] against values [T, Q, C]."""
        residual = (outputs - query.y).masked_fill(~query.mask.unsqueeze(-1), 0)
        mse = mean_over_queries(residual.square().mean(dim=-1), query.mask)
        with torch.no_grad():
            mae = mean_over_queries(residual.abs().mean(dim=-1), query.mask)
        return Score(mse, {"mse": mse.detach(), "mae": mae})
