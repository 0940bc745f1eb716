"""Gradient steps on the support set, from given initial weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError
from netwright.learners.base import Learner, Predictor
from netwright.objectives import Objective


class FineTune(Learner):
    """K steps of Adam on the support loss, for T children at once.

    From the child's own initialisation this is training from scratch; from the weights of a model
    that was trained on all training tasks it is the transfer baseline.

    Args:
        child: The network that is tuned, the same one that a hypernetwork would write.
        initial: Weights to start from by name, each [*shape].
        objective: What is minimised.
        steps: K.
        rate: Learning rate.
    """

    def __init__(
        self,
        child: Child,
        initial: Mapping[str, Tensor],
        objective: Objective,
        *,
        steps: int,
        rate: float,
    ) -> None:
        self.child, self.objective = child, objective
        self.initial = {name: value.detach() for name, value in initial.items()}
        self.steps, self.rate = steps, rate

    def adapt(self, condition: Condition) -> Predictor:
        """Tune the children of T tasks."""
        params = self.trajectory(condition, [self.steps])[0]
        return lambda x: self.child(params, x)

    def trajectory(self, condition: Condition, at: list[int]) -> list[dict[str, Tensor]]:
        """Params after each number of steps in `at`, ascending: one run serves to choose among them.

        Raises:
            ConditionError: If there are no examples.
        """
        examples = condition.examples
        if examples is None:
            raise ConditionError("Fine-tuning needs examples, found none.")
        # NaN in the padding would come back from a gradient of zero as NaN.
        examples, tasks = examples.cleared(), examples.tasks
        params = {
            name: value.expand(tasks, *value.shape).clone().requires_grad_()
            for name, value in self.initial.items()
        }
        # One optimiser for all tasks: Adam works number by number, so tasks stay independent.
        optimiser = torch.optim.Adam(params.values(), lr=self.rate, fused=True)
        found = []
        for step in range(max(at) + 1):
            if step in at:
                found.append({name: value.detach().clone() for name, value in params.items()})
            if step < max(at):
                self._step(params, examples, optimiser)
        return found

    def _step(
        self, params: dict[str, Tensor], examples: ExampleSet, optimiser: torch.optim.Optimizer
    ) -> None:
        optimiser.zero_grad(set_to_none=True)
        outputs = self.child(params, examples.x)
        # The sum over tasks: each task's gradient is that of its own loss.
        self.objective.score(outputs, examples).loss.sum().backward()
        optimiser.step()
