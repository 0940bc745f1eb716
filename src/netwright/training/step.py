"""One step of meta-training: T children, one loss, one update.

In one stage, children and hypernetwork make up one graph. In two, all parameters are written first; then
children run and are differentiated a few tasks at a time, which bounds the memory of their activations
and keeps these in a cache; then one backward pass goes through the hypernetwork. The gradient is the
same. Nothing is ever split *through* the hypernetwork: its products stay whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from netwright.child import Child
from netwright.conditions import Condition
from netwright.objectives import Objective, Score
from netwright.process import release_freed_memory
from netwright.tasks.base import TaskBatch
from netwright.writer import Writer

Stages = Literal["auto", "one", "two"]
Writes = Callable[[Condition], dict[str, Tensor]]
"""What writes params from conditions: a hypernetwork, or one whose activations are not kept."""


@runtime_checkable
class OwnGradient(Protocol):
    """A writer whose update is not the gradient of its loss on the queries, such as Reptile."""

    def outer_gradient(self, objective: Objective, batch: TaskBatch) -> Score:
        """Set gradients; the score of the tasks that counted."""
        ...


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
    writer: Writer,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    batch: TaskBatch,
    *,
    clip: float,
    stages: Stages = "auto",
    recompute: bool = False,
) -> StepResult:
    """Update a hypernetwork, or a rival of one, on T tasks; a task whose loss is not finite is left out.

    Args:
        writer: What is trained.
        objective: What children are scored by.
        optimiser: Over the writer's trainable parameters.
        batch: T tasks.
        clip: Largest norm of the gradient; infinity for none.
        stages: `one`, `two`, or `auto`: two where the activations of all tasks are large.
        recompute: Whether the writer's own activations are computed again and not kept.
    """
    optimiser.zero_grad(set_to_none=True)
    write: Writes = partial(_recomputed, writer) if recompute else writer
    chunk = writer.child.tasks_per_stage(batch.query.x)
    if isinstance(writer, OwnGradient):
        score = writer.outer_gradient(objective, batch)
    elif stages == "two" or (stages == "auto" and chunk < batch.tasks):
        score = _two_stages(write, writer.child, objective, batch, min(chunk, -(-batch.tasks // 2)))
    else:
        score = _one_stage(write, writer.child, objective, batch)
    left_out = batch.tasks - len(score.loss)
    if not len(score.loss):
        return StepResult(None, {}, 0.0, left_out)
    if clip == float("inf"):
        norm = 0.0
    else:
        norm = float(nn.utils.clip_grad_norm_(writer.parameters(), clip, foreach=True))
    if not isfinite(norm):
        optimiser.zero_grad(set_to_none=True)
        return StepResult(None, {}, 0.0, batch.tasks)
    optimiser.step()
    loss = float(score.loss.detach().mean())
    return StepResult(loss, {n: float(v.mean()) for n, v in score.metrics.items()}, norm, left_out)


def _recomputed(writer: Writer, condition: Condition) -> dict[str, Tensor]:
    params: dict[str, Tensor] = checkpoint(writer, condition, use_reentrant=False)
    return params


def _one_stage(write: Writes, child: Child, objective: Objective, batch: TaskBatch) -> Score:
    """Gradients of the mean loss over tasks whose loss is finite, and their score."""
    score = objective(child, write(batch.condition), batch)
    keep = _finite(score)
    if keep is not None:
        # Masking the loss would not do: 0 * infinity in the backward pass poisons every gradient.
        if not len(keep):
            return _rows(score, keep)
        batch = batch.rows(keep)
        score = objective(child, write(batch.condition), batch)
    score.loss.mean().backward()
    return score


def _two_stages(
    write: Writes, child: Child, objective: Objective, batch: TaskBatch, chunk: int
) -> Score:
    """As `_one_stage`, children a chunk of tasks at a time."""
    params = write(batch.condition)
    written = {name: value.detach().split(chunk) for name, value in params.items()}
    scores: list[Score] = []
    gradients = {name: torch.zeros_like(value) for name, value in params.items()}
    for i, first in enumerate(range(0, batch.tasks, chunk)):
        leaves = {
            name: pieces[i].detach().requires_grad_(params[name].requires_grad)
            for name, pieces in written.items()
        }
        part = batch.rows(slice(first, first + chunk))
        scores.append(_differentiate(child, objective, leaves, part))
        for name, leaf in leaves.items():
            if leaf.grad is not None:
                gradients[name][first : first + chunk] = leaf.grad
    counted = sum(len(score.loss) for score in scores)
    if counted:
        # The mean is over the tasks that counted, which are known only now.
        for parameter in child.parameters():
            if parameter.grad is not None:
                parameter.grad /= counted
        reached = [name for name, value in params.items() if value.requires_grad]
        # Activations of children are gone; what the generator's gradients take must not come on top.
        release_freed_memory()
        torch.autograd.backward(
            [params[name] for name in reached],
            [gradients[name].div_(counted) for name in reached],
        )
    return Score(
        torch.cat([score.loss.detach() for score in scores]),
        {name: torch.cat([score.metrics[name] for score in scores]) for name in scores[0].metrics},
    )


def _differentiate(
    child: Child, objective: Objective, leaves: Mapping[str, Tensor], batch: TaskBatch
) -> Score:
    """Gradients of the sum of finite losses with respect to leaves, and the score of those tasks."""
    score = objective(child, leaves, batch)
    keep = _finite(score)
    if keep is not None:
        if not len(keep):
            return _rows(score, keep)
        kept = {name: leaf[keep] for name, leaf in leaves.items()}
        score = objective(child, kept, batch.rows(keep))
    score.loss.sum().backward()
    return score


def _finite(score: Score) -> Tensor | None:
    """Which losses are finite, or None if all are."""
    finite = score.loss.detach().isfinite()
    return None if bool(finite.all()) else finite.nonzero().flatten()


def _rows(score: Score, keep: Tensor) -> Score:
    metrics = {name: value[keep] for name, value in score.metrics.items()}
    return Score(score.loss.detach()[keep], metrics)
