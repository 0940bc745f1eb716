"""Ways to turn a support set into a predictor, all used in the same manner."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.objectives import Objective
from netwright.tasks import TaskBatch, TaskFamily
from netwright.training.train import TrainingResult, train
from netwright.writer import Writer

Predictor = Callable[[Tensor], Tensor]
"""Logits or values [T, Q, C] for queries [T, Q, *] of the T tasks that were adapted to."""


@dataclass(frozen=True)
class Cost:
    """How large a learner is.

    Args:
        trained_parameters: Numbers that meta-training changes.
        deployed_parameters: Numbers that are kept to serve one task, once it was adapted to.
        deployed_bytes: The same in bytes, as they lie in memory.
    """

    trained_parameters: int
    deployed_parameters: int
    deployed_bytes: int


class Learner(ABC):
    """Learns from training tasks, then adapts to T tasks at once; tasks never see each other.

    `writer` is what meta-training trains; None if there is nothing that tasks share.
    """

    writer: Writer | None = None

    def training_tasks(self, family: TaskFamily) -> TaskFamily:
        """What meta-training draws from: the family's own tasks, unless a learner sees them otherwise."""
        return family

    def meta_train(
        self,
        family: TaskFamily,
        *,
        folder: str | Path | None = None,
        resume: bool = False,
        objective: Objective | None = None,
        progress: bool = False,
        **settings: Any,
    ) -> TrainingResult | None:
        """Learn what tasks share, in place; None if there is nothing. For arguments see `netwright.train`.

        Raises:
            RunError: If a setting is unknown or out of range, or the folder belongs to another run.
            TrainingError: If losses stay not finite.
        """
        if self.writer is None:
            return None
        tasks = self.training_tasks(family)
        return train(
            self.writer,
            tasks,
            folder=folder,
            resume=resume,
            objective=objective,
            progress=progress,
            **settings,
        )

    def tries(self, batch: TaskBatch, *, seed: int = 0) -> TaskBatch:
        """The same tasks, with what the learner found out in them by itself in their conditions; see `Writer.tries`."""
        return batch if self.writer is None else self.writer.tries(batch, seed=seed)

    @abstractmethod
    def adapt(self, condition: Condition) -> Predictor:
        """A predictor for the T tasks of a condition."""

    @abstractmethod
    def cost(self, condition: Condition) -> Cost:
        """What is trained, and what is kept for the first task of a condition."""

    def chosen(self, **options: Any) -> Self:
        """The same learner, with what it has learned, and other options of how it adapts.

        Raises:
            RunError: If it has no such options.
        """
        if options:
            raise RunError(
                f"{type(self).__name__} has no option {sorted(options)[0]!r} that may change after "
                "training, expected none. Leave it out."
            )
        return self

    def adapt_each(
        self, condition: Condition, choices: Sequence[Mapping[str, Any]]
    ) -> list[Predictor]:
        """A predictor for each choice of options; one run may serve several of them."""
        return [self.chosen(**choice).adapt(condition) for choice in choices]


def trained_numbers(writer: Writer | None) -> int:
    """How many numbers meta-training changes."""
    if writer is None:
        return 0
    return sum(p.numel() for p in writer.parameters() if p.requires_grad)


def cost_of_child(writer: Writer | None, child: Child, params: Mapping[str, Tensor]) -> Cost:
    """The cost of a learner that leaves a finished child network per task."""
    network = child.materialise(params)
    tensors = [*network.parameters(), *network.buffers()]
    return Cost(
        trained_numbers(writer),
        sum(tensor.numel() for tensor in tensors),
        sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )


__all__ = ["Cost", "Learner", "Predictor", "cost_of_child", "trained_numbers"]
