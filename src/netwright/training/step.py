"""One step of meta-training: T children, one loss, one update.

In one stage, children and hypernetwork make up one graph. In two, all parameters are written first; then
children run and are differentiated a few tasks at a time, which bounds the memory of their activations
and keeps these in a cache; then one backward pass goes through the hypernetwork. The gradient is the
same. Nothing is ever split *through* the hypernetwork: its products stay whole.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from netwright.child import Child
from netwright.conditioners.base import Embedding
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.generators import Graph, StochasticGenerator, Written
from netwright.graph import requested_graph
from netwright.hypernetwork import Hypernetwork
from netwright.objectives import Objective, Score
from netwright.process import release_freed_memory
from netwright.tasks.base import TaskBatch
from netwright.tasks.sizes import by_architecture
from netwright.writer import Writer

Stages = Literal["auto", "one", "two"]
Writes = Callable[[Condition], Written]
"""What writes params from conditions, and a penalty where it is to count."""


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
    kl_weight: float = 0.0,
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
        kl_weight: How much of the generator's penalty is added to the loss of each task; what is added is
            then among the metrics, as `penalty`.

    Raises:
        RunError: If a penalty is to count and the generator states none.
    """
    check_penalty(writer, kl_weight)
    optimiser.zero_grad(set_to_none=True)
    write: Writes = partial(_write, writer, kl_weight)
    if recompute:
        write = partial(_recomputed, write)
    chunk = writer.child.tasks_per_stage(batch.inputs)
    if batch.condition.architecture is not None:
        score = _each_architecture(writer, objective, batch, kl_weight)
    elif isinstance(writer, OwnGradient):
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


def check_penalty(writer: Writer, kl_weight: float) -> None:
    """Refuse to weigh a penalty that there is not.

    Raises:
        RunError: If what is trained states none.
    """
    if not kl_weight:
        return
    what = writer.generator if isinstance(writer, Hypernetwork) else writer
    if not isinstance(what, StochasticGenerator):
        raise RunError(
            f"`kl_weight` is {kl_weight} and {type(what).__name__} writes no distribution, expected one. "
            'Use generator="gaussian", or leave `kl_weight` out.'
        )


def _write(writer: Writer, kl_weight: float, condition: Condition) -> Written:
    """What is written, its penalty weighted."""
    if not kl_weight:
        return Written(writer(condition))
    assert isinstance(writer, Hypernetwork)
    written = writer.write(condition)
    assert written.penalty is not None
    return replace(written, penalty=kl_weight * written.penalty)


def _recomputed(write: Writes, condition: Condition) -> Written:
    written: Written = checkpoint(write, condition, use_reentrant=False)
    return written


def _penalised(score: Score, penalty: Tensor | None) -> Score:
    """The score with the penalty [T] in its loss."""
    if penalty is None:
        return score
    return Score(score.loss + penalty, {**score.metrics, "penalty": penalty.detach()})


def _one_stage(write: Writes, child: Child, objective: Objective, batch: TaskBatch) -> Score:
    """Gradients of the mean loss over tasks whose loss is finite, and their score."""
    written = write(batch.condition)
    score = _penalised(objective(child, written.params, batch), written.penalty)
    keep = _finite(score)
    if keep is not None:
        # Masking the loss would not do: 0 * infinity in the backward pass poisons every gradient.
        if not len(keep):
            return _rows(score, keep)
        batch = batch.rows(keep)
        written = write(batch.condition)
        score = _penalised(objective(child, written.params, batch), written.penalty)
    score.loss.mean().backward()
    return score


def _each_architecture(
    writer: Writer, objective: Objective, batch: TaskBatch, kl_weight: float
) -> Score:
    """As `_one_stage`, children of one architecture at a time: their gradients add up in what writes them all."""
    if not isinstance(writer, Hypernetwork) or kl_weight:
        raise RunError(
            f"The tasks ask for architectures, and {type(writer).__name__} with kl_weight={kl_weight} writes one, "
            "expected a hypernetwork without penalty. Use a family that asks for none."
        )
    scores: list[Score] = []
    # Conditions are read once for all, and what is common to children of all architectures is written once.
    read = writer.read(batch.condition)
    wanted = batch.condition.architecture
    if isinstance(writer.generator, Graph) and wanted is not None:
        read = writer.generator.prepared(read, [requested_graph(each) for each in wanted.values])
    every = torch.arange(batch.tasks)
    groups = [
        (cast(Hypernetwork, own), part, every if place is None else place)
        for own, part, place in by_architecture(writer, batch)
    ]
    written = _written([(own, read.mapped(partial(_at, place))) for own, _, place in groups])
    # Rows of classes are made of features of the child and of what was read: its part of the gradient adds up.
    leaves = read.mapped(lambda t: t.detach().requires_grad_())
    reached: list[tuple[Tensor, Tensor | None]] = []
    finite: list[Tensor] = []
    for (own, part, place), params in zip(groups, written, strict=True):
        own_leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        embedding = leaves.mapped(partial(_at, place))
        whole = own.with_class_rows(own_leaves, embedding, part.condition)
        score = objective(own.child, whole, part)
        keep = _finite(score)
        finite.append(place if keep is None else place[keep.to(place.device)])
        if keep is None:
            score.loss.sum().backward()
            scores.append(Score(score.loss.detach(), score.metrics))
            reached += [(params[name], leaf.grad) for name, leaf in own_leaves.items()]
    kept = torch.cat(finite)
    if len(kept) < batch.tasks:
        # As in one stage: what is not finite must not be part of what is differentiated.
        writer.zero_grad(set_to_none=True)
        if not len(kept):
            return Score(torch.zeros(0), {})
        return _each_architecture(writer, objective, batch.rows(kept), kl_weight)
    reached += [(a, b.grad) for a, b in read.pairs(leaves)]
    there = [(a, b) for a, b in reached if b is not None and a.requires_grad]
    torch.autograd.backward([a for a, _ in there], [b for _, b in there])
    counted = sum(len(score.loss) for score in scores)
    for parameter in writer.parameters():
        if parameter.grad is not None:
            parameter.grad /= counted
    return joined(scores)


def _at(place: Tensor, value: Tensor) -> Tensor:
    return value[place]


def _written(parts: list[tuple[Hypernetwork, Embedding]]) -> list[dict[str, Tensor]]:
    """What generators write of children of several architectures."""
    first = parts[0][0].generator
    if isinstance(first, Graph):
        return first.together([(cast(Graph, own.generator), each) for own, each in parts])
    return [own.generator(embedding) for own, embedding in parts]


def joined(scores: list[Score]) -> Score:
    """Scores of parts of a batch as one."""
    return Score(
        torch.cat([score.loss.detach() for score in scores]),
        {name: torch.cat([score.metrics[name] for score in scores]) for name in scores[0].metrics},
    )


def _two_stages(
    write: Writes, child: Child, objective: Objective, batch: TaskBatch, chunk: int
) -> Score:
    """As `_one_stage`, children a chunk of tasks at a time."""
    written = write(batch.condition)
    params, penalty = written.params, written.penalty
    tensors = [*params.values()] if penalty is None else [*params.values(), penalty]
    pieces = [tensor.detach().split(chunk) for tensor in tensors]
    scores: list[Score] = []
    gradients = [torch.zeros_like(tensor) for tensor in tensors]
    for i, first in enumerate(range(0, batch.tasks, chunk)):
        leaves = [
            piece[i].detach().requires_grad_(tensor.requires_grad)
            for piece, tensor in zip(pieces, tensors, strict=True)
        ]
        own = Written(
            dict(zip(params, leaves, strict=False)), None if penalty is None else leaves[-1]
        )
        part = batch.rows(slice(first, first + chunk))
        scores.append(_differentiate(child, objective, own, part))
        for gradient, leaf in zip(gradients, leaves, strict=True):
            if leaf.grad is not None:
                gradient[first : first + chunk] = leaf.grad
    counted = sum(len(score.loss) for score in scores)
    if counted:
        # The mean is over the tasks that counted, which are known only now.
        for parameter in child.parameters():
            if parameter.grad is not None:
                parameter.grad /= counted
        reached = [pair for pair in zip(tensors, gradients, strict=True) if pair[0].requires_grad]
        # Activations of children are gone; what the generator's gradients take must not come on top.
        release_freed_memory()
        torch.autograd.backward(
            [tensor for tensor, _ in reached],
            [gradient.div_(counted) for _, gradient in reached],
        )
    return joined(scores)


def _differentiate(child: Child, objective: Objective, leaves: Written, batch: TaskBatch) -> Score:
    """Gradients of the sum of finite losses with respect to leaves, and the score of those tasks."""
    score = _penalised(objective(child, leaves.params, batch), leaves.penalty)
    keep = _finite(score)
    if keep is not None:
        if not len(keep):
            return _rows(score, keep)
        kept = {name: leaf[keep] for name, leaf in leaves.params.items()}
        penalty = None if leaves.penalty is None else leaves.penalty[keep]
        score = _penalised(objective(child, kept, batch.rows(keep)), penalty)
    score.loss.sum().backward()
    return score


def _finite(score: Score) -> Tensor | None:
    """Which losses are finite, or None if all are."""
    finite = score.loss.detach().isfinite()
    return None if bool(finite.all()) else finite.nonzero().flatten()


def _rows(score: Score, keep: Tensor) -> Score:
    metrics = {name: value[keep] for name, value in score.metrics.items()}
    return Score(score.loss.detach()[keep], metrics)
