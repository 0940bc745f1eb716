"""What a batch of generated children is scored by."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netwright.child import Child
from netwright.conditions import ExampleSet
from netwright.objectives.memory import answering
from netwright.tasks.base import TaskBatch, TaskFamily
from netwright.writer import Writer


@dataclass(frozen=True)
class Score:
    """Loss and metrics of T tasks, each [T]."""

    loss: Tensor
    metrics: dict[str, Tensor]


Predict = Callable[[Tensor], Tensor]
"""What T children answer: outputs [T, N, C] of inputs [T, N, *]."""


class Objective(ABC):
    """Scores T children on their queries.

    `metric` is the one that validation and reports go by; `higher_is_better` says which way. `metrics` names all of
    them, that one first.
    """

    metric: str
    higher_is_better: bool
    metrics: tuple[str, ...]

    def __call__(self, child: Child, params: Mapping[str, Tensor], batch: TaskBatch) -> Score:
        """Run the children on their queries and score them."""
        return self.judge(answering(child, params), batch)

    def judge(self, predict: Predict, batch: TaskBatch) -> Score:
        """Score whatever answers for T children, of any learner."""
        return self.score(predict(batch.query.x), batch.query)

    def check(self, family: TaskFamily, child: Child) -> None:
        """Refuse tasks and children that it cannot teach, before a training begins; by default none are.

        Raises:
            RunError: If they are of those.
        """
        return

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this objective again: they are part of a run's record."""
        return {}

    @abstractmethod
    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score outputs [T, Q, C] against y; queries without y do not count."""


class Experienced(ABC):
    """An objective that learns from what children do, and keeps what it saw between steps.

    Training asks it before each step what the step is to learn from, and saves what it keeps with every checkpoint.
    """

    @abstractmethod
    def drawn_at(self, step: int) -> int:
        """The step whose tasks a step learns from: several may share their tasks."""

    @abstractmethod
    def gather(
        self, writer: Writer, batch: TaskBatch, *, step: int, steps: int, seed: int
    ) -> TaskBatch:
        """What a step learns from, in place of the tasks that were drawn.

        Args:
            writer: What writes the children.
            batch: T tasks.
            step: Number of this step, from 0.
            steps: Of the whole training.
            seed: Of the training; all randomness follows from it and the step.
        """

    @abstractmethod
    def kept(self) -> dict[str, Tensor]:
        """What it keeps, by name; empty at the start."""

    @abstractmethod
    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `kept`."""


def query_weights(query: ExampleSet, dtype: torch.dtype) -> Tensor:
    """Weights [T, Q] with which a sum over queries is the mean over those whose y is known."""
    weights = query.has_label.to(dtype)
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
