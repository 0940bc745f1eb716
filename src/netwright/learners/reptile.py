"""Reptile: move the start towards where gradient steps lead."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.errors import RunError
from netwright.learners.adapted_weights import AdaptedWeights, check_inner, examples_of
from netwright.learners.inner_loop import Values, descend
from netwright.learners.start import Start
from netwright.objectives import Objective, Score
from netwright.tasks import TaskBatch
from netwright.writer import Writer


class Reptile(Writer):
    """A start that is moved towards the weights that K gradient steps on each task lead to.

    The outer gradient is the mean over tasks of start - weights after K steps on mini-batches of all of a
    task's examples, support and queries; nothing is differentiated through. In use, K steps on the support.

    Args:
        start: Learned weights.
        labels: What y is, a name in `OBJECTIVES`.
        steps: K in training.
        steps_at_use: K in use; by default the same.
        rate: Learning rate of the steps.
        batch: Examples per step in training.

    Raises:
        RunError: If a number is out of range, or the child has shared tensors.

    References:
        Nichol et al., On First-Order Meta-Learning Algorithms, arXiv:1803.02999.
    """

    def __init__(
        self,
        start: Start,
        labels: str,
        *,
        steps: int = 5,
        steps_at_use: int | None = None,
        rate: float = 0.02,
        batch: int = 10,
    ) -> None:
        super().__init__()
        check_inner(steps, steps_at_use, rate)
        if batch < 1:
            raise RunError(f"`batch` is {batch}, expected at least 1.")
        if any(parameter.requires_grad for parameter in start.child.parameters()):
            raise RunError(
                "The child has tensors that all tasks share, expected none: gradient steps of a task move "
                "what is written only. Leave `emissions` out."
            )
        at_use = steps if steps_at_use is None else steps_at_use
        self._shares_child_of(start)
        self.labels = labels
        self.steps, self.steps_at_use, self.rate, self.batch = steps, at_use, rate, batch
        self.adapted = AdaptedWeights(start, labels, steps=at_use, rate=rate, order=1)

    @property
    def start(self) -> Start:
        """The learned weights."""
        start = self.adapted.start
        assert isinstance(start, Start)
        return start

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Descend from the start on the support sets; each [T, *shape].

        Raises:
            ConditionError: If there are no examples.
        """
        params: dict[str, Tensor] = self.adapted(condition)
        return params

    def outer_gradient(self, objective: Objective, batch: TaskBatch) -> Score:
        """Set the gradient of the start; the score is that of the queries after the steps."""
        examples = joined(examples_of(batch.condition), batch.query)
        with torch.no_grad():
            params: Values = self.start(batch.condition)

        def loss(values: Values) -> Tensor:
            drawn = minibatch(examples, self.batch)
            return objective.score(self.child(values, drawn.x), drawn).loss

        rates = dict.fromkeys(params, self.rate)
        found = descend(loss, params, steps=self.steps, rates=rates, keeps_graph=False)
        with torch.no_grad():
            score = objective(self.child, found, batch)
        finite = score.loss.isfinite()
        for spec, value in zip(self.child.space.tensors, self.start.values, strict=True):
            moved = (params[spec.name] - found[spec.name]).detach()[finite]
            if len(moved):
                shared = (
                    moved.mean(dim=1, keepdim=True) if moved.shape[1:] != value.shape else moved
                )
                value.grad = shared.mean(dim=0)
        metrics = {name: value[finite] for name, value in score.metrics.items()}
        return Score(score.loss[finite], metrics)

    def with_steps_at_use(self, steps: int) -> "Reptile":
        """The same writer, with the same learned numbers, taking another number of steps in use.

        Raises:
            RunError: If the number is below 0.
        """
        other = copy.copy(self)
        # The copy's parts are its own: setting one must not reach into this writer.
        other._modules = {**self._modules, "adapted": self.adapted.with_steps_at_use(steps)}
        other.steps_at_use = steps
        return other

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        names = ("labels", "steps", "steps_at_use", "rate", "batch")
        return {
            "writer": "reptile",
            "start": self.start.record(),
            **{name: getattr(self, name) for name in names},
        }


def joined(a: ExampleSet, b: ExampleSet) -> ExampleSet:
    """The examples of both that have a label, task by task."""
    pairs = ((a.x, b.x), (a.y, b.y), (a.has_label, b.has_label))
    x, y, mask = (torch.cat(pair, dim=1) for pair in pairs)
    return ExampleSet(x, y, mask, a.classes)


def minibatch(examples: ExampleSet, size: int) -> ExampleSet:
    """`size` examples of each task, drawn without replacement; padding last, and only if there is no other."""
    keys = torch.rand(examples.mask.shape, device=examples.mask.device) + (~examples.mask)
    rows = keys.argsort(dim=1)[:, :size]
    tasks = torch.arange(examples.tasks, device=rows.device).unsqueeze(1)
    x, y, mask = (value[tasks, rows] for value in (examples.x, examples.y, examples.mask))
    return replace(examples, x=x, y=y, mask=mask)


__all__ = ["Reptile", "joined", "minibatch"]
