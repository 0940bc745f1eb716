"""What a batch of generated children is scored by."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from netwright.child import Child
from netwright.conditions import ExampleSet
from netwright.tasks.base import TaskBatch


@dataclass(frozen=True)
class Score:
    """Loss and metrics of T tasks, each [T]."""

    loss: Tensor
    metrics: dict[str, Tensor]


class Objective(ABC):
    """Scores T children on their queries.

    `metric` is the one that validation and reports go by; `higher_is_better` says which way.
    """

    metric: str
    higher_is_better: bool

    def __call__(self, child: Child, params: Mapping[str, Tensor], batch: TaskBatch) -> Score:
        """Run the children on their queries and score them."""
        return self.score(child(params, batch.query.x), batch.query)

    @abstractmethod
    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score outputs [T, Q, C] against y; queries without y do not count."""


def query_weights(query: ExampleSet, dtype: torch.dtype) -> Tensor:
    """Weights [T, Q] with which a sum over queries is the mean over those whose y is known."""
    weights = query.has_label.to(dtype)
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
