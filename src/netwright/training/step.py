"""One step of meta-training: T children, one loss, one update."""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor, nn

from netwright.hypernetwork import Hypernetwork
from netwright.objectives import Objective, Score
from netwright.tasks.base import TaskBatch


@dataclass(frozen=True)
class StepResult:
    """What one step did.

    Args:
        loss: Mean over the tasks that counted; None if none did.
        metrics: Means over the same tasks.
        gradient_norm: Before clipping; 0 if the step was not taken.
        left_out: Tasks whose loss or gradient was not finite.
    """

    loss: float | None
    metrics: dict[str, float]
    gradient_norm: float
    left_out: int


def training_step(
    hypernetwork: Hypernetwork,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    batch: TaskBatch,
    *,
    clip: float,
) -> StepResult:
    """Update the hypernetwork on T tasks; a task whose loss is not finite is left out.

    Args:
        hypernetwork: What is trained.
        objective: What children are scored by.
        optimiser: Over the hypernetwork's trainable parameters.
        batch: T tasks.
        clip: Largest norm of the gradient.
    """
    optimiser.zero_grad(set_to_none=True)
    score = _score(hypernetwork, objective, batch)
    finite = score.loss.isfinite()
    left_out = batch.tasks - int(finite.sum())
    if left_out:
        # Masking the loss would not do: 0 * infinity in the backward pass poisons every gradient.
        keep = finite.nonzero().flatten()
        if not len(keep):
            return StepResult(None, {}, 0.0, left_out)
        score = _score(hypernetwork, objective, batch.rows(keep))
    loss = score.loss.mean()
    loss.backward()
    norm = float(nn.utils.clip_grad_norm_(hypernetwork.parameters(), clip, foreach=True))
    if not isfinite(norm):
        optimiser.zero_grad(set_to_none=True)
        return StepResult(None, {}, 0.0, batch.tasks)
    optimiser.step()
    return StepResult(float(loss.detach()), _means(score.metrics), norm, left_out)


def _score(hypernetwork: Hypernetwork, objective: Objective, batch: TaskBatch) -> Score:
    return objective(hypernetwork.child, hypernetwork(batch.condition), batch)


def _means(metrics: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.mean()) for name, value in metrics.items()}
