"""The nearest support examples in the space of inputs."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.learners.base import Cost, Learner, Predictor

# A class without a vote has this probability, so that its logit is finite.
NO_VOTE = 1e-6


class NearestNeighbour(Learner):
    """Gives a query the votes, or the mean value, of the support examples at the smallest Euclidean distance.

    Args:
        neighbours: How many; fewer where a support set has fewer.

    Raises:
        RunError: If there are none.
    """

    def __init__(self, neighbours: int = 1) -> None:
        if neighbours < 1:
            raise RunError(f"`neighbours` is {neighbours}, expected at least 1.")
        self.neighbours = neighbours

    def adapt(self, condition: Condition) -> Predictor:
        """Keep the support sets of T tasks; logits are logarithms of shares of votes.

        Raises:
            ConditionError: If there are no examples, or a task has none that is labelled.
        """
        examples = _examples_of(condition)
        support, classes, known = examples.x.flatten(2), examples.classes, examples.has_label
        if not known.any(dim=1).all():
            t = int((~known.any(dim=1)).nonzero()[0])
            raise ConditionError(
                f"Task {t} has no labelled example, expected a neighbour with a label. Label one, or "
                "leave the task out."
            )
        examples = examples.cleared()
        y = F.one_hot(examples.y.clamp(min=0), classes).to(support) if classes else examples.y
        tasks = torch.arange(examples.tasks).view(-1, 1, 1)

        def predict(x: Tensor) -> Tensor:
            distances = torch.cdist(x.flatten(2), support)
            distances = distances.masked_fill(~known.unsqueeze(1), float("inf"))
            count = min(self.neighbours, support.shape[1])
            near, rows = distances.topk(count, dim=-1, largest=False)
            weights = near.isfinite().to(y).unsqueeze(-1)
            mean = (y[tasks, rows] * weights).sum(dim=2) / weights.sum(dim=2)
            return mean.clamp(min=NO_VOTE).log() if classes else mean

        return predict

    def cost(self, condition: Condition) -> Cost:
        """Nothing is trained; the support set of the first task is kept."""
        examples = _examples_of(condition)
        real = examples.has_label[0]
        tensors = [examples.x[0][real], examples.y[0][real]]
        return Cost(
            0,
            sum(tensor.numel() for tensor in tensors),
            sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        )

    def chosen(self, **options: Any) -> "NearestNeighbour":
        """The same with another number of `neighbours`."""
        if options.keys() - {"neighbours"}:
            return super().chosen(**options)
        return NearestNeighbour(options.get("neighbours", self.neighbours))


def _examples_of(condition: Condition) -> ExampleSet:
    if condition.examples is None:
        raise ConditionError("Nearest neighbours need examples, found none.")
    return condition.examples
