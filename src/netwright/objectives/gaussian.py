"""Likelihood of values under Gaussian noise of known size."""

from math import log, pi
from typing import Any

import torch
from torch import Tensor

from netwright.conditions import ExampleSet
from netwright.errors import RunError
from netwright.objectives.base import Objective, Score, query_weights


class GaussianLikelihood(Objective):
    """Negative log likelihood of all queries of a task together, in nats: y ~ N(child(x), noise^2).

    The sum, and not the mean: beside a divergence from a prior (`kl_weight=1`) and with the support set as
    queries, it is the negative evidence lower bound.

    Args:
        noise: Standard deviation of the noise, in the units of y.

    Raises:
        RunError: If it is not more than 0.

    References:
        Blundell et al., Weight uncertainty in neural networks, arXiv:1505.05424.
    """

    metric = "nll"
    higher_is_better = False
    metrics = ("nll", "mse")

    def __init__(self, noise: float) -> None:
        if not 0 < noise < float("inf"):
            raise RunError(f"`noise` is {noise}, expected a standard deviation of more than 0.")
        self.noise = noise

    def options(self) -> dict[str, Any]:
        """The size of the noise."""
        return {"noise": self.noise}

    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score predictions [T, Q, C] against values [T, Q, C]; `nll` and `mse` are means over queries."""
        residual = (outputs - query.y).masked_fill(~query.mask.unsqueeze(-1), 0)
        squared = residual.square().sum(dim=(1, 2)) / self.noise**2
        counts, outputs_each = query.mask.sum(dim=1), query.y.shape[2]
        loss = 0.5 * (squared + counts * outputs_each * log(2 * pi * self.noise**2))
        with torch.no_grad():
            weights = query_weights(query, outputs.dtype)
            mse = (residual.square().mean(dim=-1) * weights).sum(dim=1)
            nll = loss / counts.clamp(min=1)
        return Score(loss, {"nll": nll, "mse": mse})
