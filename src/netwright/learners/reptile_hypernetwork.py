"""Reptile over the weights of a hypernetwork: another way to train it."""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.learners.adapted_weights import check_inner
from netwright.learners.reptile import minibatch
from netwright.objectives import Objective, Score
from netwright.tasks import TaskBatch
from netwright.writer import Writer

Weights = dict[str, Tensor]


class ReptileHypernetwork(Writer):
    """A hypernetwork whose weights are moved towards where K gradient steps on single tasks lead.

    For each task of a batch, K steps of gradient descent on the hypernetwork's own weights lower the loss of the child
    that it writes for that task, on mini-batches of its queries; the outer gradient is the mean over tasks of weights
    minus weights after the steps. With K = 1 that is the ordinary gradient, scaled. In use the hypernetwork writes in one
    pass, as ever.

    Args:
        hypernetwork: What is trained.
        steps: K.
        rate: Learning rate of the steps.
        batch: Queries per step.

    Raises:
        RunError: If a number is out of range.

    References:
        Nichol et al., On First-Order Meta-Learning Algorithms, arXiv:1803.02999.
    """

    def __init__(
        self, hypernetwork: Hypernetwork, *, steps: int = 3, rate: float = 0.003, batch: int = 10
    ) -> None:
        super().__init__()
        check_inner(steps, steps, rate)
        if batch < 1 or steps < 1:
            raise RunError(f"`batch` is {batch} and `steps` {steps}, expected at least 1 of each.")
        self.hypernetwork = hypernetwork
        self._shares_child_of(hypernetwork)
        self.steps, self.rate, self.batch = steps, rate, batch

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write params, each [T, *shape].

        Raises:
            ConditionError: If the condition lacks what is read.
        """
        params: dict[str, Tensor] = self.hypernetwork(condition)
        return params

    def outer_gradient(self, objective: Objective, batch: TaskBatch) -> Score:
        """Set gradients: the mean way back from where each task's steps lead; the score is from before them."""
        with torch.no_grad():
            score = objective(self.child, self(batch.condition), batch)
        own: Weights = {n: p for n, p in self.hypernetwork.named_parameters() if p.requires_grad}
        ways: list[Weights] = []
        for t in score.loss.isfinite().nonzero().flatten().tolist():
            found = self._descended(objective, own, batch.rows(slice(t, t + 1)))
            way = {name: (own[name] - found[name]).detach() for name in own}
            if all(bool(value.isfinite().all()) for value in way.values()):
                ways.append(way)
        for name, parameter in own.items():
            if ways:
                parameter.grad = torch.stack([way[name] for way in ways]).mean(dim=0)
        finite = score.loss.isfinite()
        return Score(score.loss[finite], {n: v[finite] for n, v in score.metrics.items()})

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        return {
            "writer": "reptile-hypernetwork",
            "hypernetwork": self.hypernetwork.record(),
            "steps": self.steps,
            "rate": self.rate,
            "batch": self.batch,
        }

    @torch.enable_grad()
    def _descended(self, objective: Objective, own: Weights, task: TaskBatch) -> Weights:
        """The hypernetwork's weights after the steps of one task, T = 1."""
        weights = {name: value.detach().requires_grad_() for name, value in own.items()}
        for _ in range(self.steps):
            params = functional_call(self.hypernetwork, weights, (task.condition,))
            drawn = minibatch(task.query, self.batch)
            loss = objective.score(self.child(params, drawn.x), drawn).loss.sum()
            gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
            weights = {
                name: (value - self.rate * (0 if g is None else g)).detach().requires_grad_()
                for (name, value), g in zip(weights.items(), gradients, strict=True)
            }
        return weights


__all__ = ["ReptileHypernetwork"]
