"""The nearest class mean in the feature space of a trained model."""

from collections.abc import Mapping

import torch
from torch import Tensor

from netwright.anchors import Prototype
from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import ConditionError
from netwright.learners.base import Cost, Learner, Predictor, cost_of_child


class NearestMean(Learner):
    """Prototypes of the support set in a child's features; nothing is trained for a task.

    Args:
        child: A child with a class head.
        params: Weights of its body by name, each [*shape].

    References:
        Snell et al., Prototypical Networks, arXiv:1703.05175.
    """

    def __init__(self, child: Child, params: Mapping[str, Tensor]) -> None:
        self.child = child
        self.params = {name: value.detach() for name, value in params.items()}
        self.anchor = Prototype(child.template.get_parameter(f"{child.class_head}.weight").shape[1])

    def adapt(self, condition: Condition) -> Predictor:
        """Class means of T tasks.

        Raises:
            ConditionError: If there are no examples.
        """
        params = self._params(condition)
        return lambda x: self.child(params, x)

    def cost(self, condition: Condition) -> Cost:
        """Nothing is trained here; a child whose head is the class means of the first task."""
        return cost_of_child(None, self.child, self._params(condition.rows(slice(0, 1))))

    def _params(self, condition: Condition) -> dict[str, Tensor]:
        examples = condition.examples
        if examples is None:
            raise ConditionError("Class means need examples, found none.")
        tasks = examples.tasks
        params = {name: value.expand(tasks, *value.shape) for name, value in self.params.items()}
        with torch.no_grad():
            weight, bias = self.anchor(self.child.features(params, examples.x), examples)
        head = {f"{self.child.class_head}.weight": weight, f"{self.child.class_head}.bias": bias}
        return {**params, **head}
