"""The nearest support example in the space of inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import Condition
from netwright.errors import ConditionError
from netwright.learners.base import Learner, Predictor


class NearestNeighbour(Learner):
    """Gives a query the class of the support example at the smallest Euclidean distance."""

    def adapt(self, condition: Condition) -> Predictor:
        """Keep the support sets of T tasks.

        Raises:
            ConditionError: If there are no examples with classes, or a task has none that is labelled.
        """
        examples = condition.examples
        if examples is None or examples.classes is None:
            raise ConditionError("Nearest neighbour needs examples with classes, found none.")
        support, classes, known = examples.x.flatten(2), examples.classes, examples.has_label
        if not known.any(dim=1).all():
            t = int((~known.any(dim=1)).nonzero()[0])
            raise ConditionError(
                f"Task {t} has no labelled example, expected a neighbour with a class. Label one, or "
                "leave the task out."
            )

        def predict(x: Tensor) -> Tensor:
            distances = torch.cdist(x.flatten(2), support)
            distances = distances.masked_fill(~known.unsqueeze(1), float("inf"))
            nearest = examples.y.gather(1, distances.argmin(dim=-1))
            return F.one_hot(nearest, classes).to(x.dtype)

        return predict
