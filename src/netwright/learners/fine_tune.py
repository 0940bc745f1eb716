"""Gradient steps on the support set, from given initial weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError
from netwright.learners.base import Cost, Learner, Predictor, cost_of_child
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
        return _predictor(self.child, params)

    def cost(self, condition: Condition) -> Cost:
        """Nothing is trained beforehand; one child is kept per task."""
        params = {name: value.unsqueeze(0) for name, value in self.initial.items()}
        return cost_of_child(None, self.child, params)

    def chosen(self, **options: Any) -> "FineTune":
        """The same from the same start, with other `steps` or another `rate`."""
        if options.keys() - {"steps", "rate"}:
            return super().chosen(**options)
        own = {"steps": self.steps, "rate": self.rate, **options}
        return FineTune(self.child, self.initial, self.objective, **own)

    def adapt_each(
        self, condition: Condition, choices: Sequence[Mapping[str, Any]]
    ) -> list[Predictor]:
        """As for all learners; fewer steps are met on the way to more of the same rate."""
        wanted = [{"steps": self.steps, "rate": self.rate, **choice} for choice in choices]
        found: dict[tuple[int, float], dict[str, Tensor]] = {}
        for rate in dict.fromkeys(choice["rate"] for choice in wanted):
            at = sorted({choice["steps"] for choice in wanted if choice["rate"] == rate})
            reached = self.chosen(rate=rate).trajectory(condition, at)
            found |= {(steps, rate): params for steps, params in zip(at, reached, strict=True)}
        return [_predictor(self.child, found[c["steps"], c["rate"]]) for c in wanted]

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

    # Adapting needs gradients, also where what is made of it is only looked at.
    @torch.enable_grad()
    def _step(
        self, params: dict[str, Tensor], examples: ExampleSet, optimiser: torch.optim.Optimizer
    ) -> None:
        optimiser.zero_grad(set_to_none=True)
        outputs = self.child(params, examples.x)
        # The sum over tasks: each task's gradient is that of its own loss.
        self.objective.score(outputs, examples).loss.sum().backward()
        optimiser.step()


def _predictor(child: Child, params: Mapping[str, Tensor]) -> Predictor:
    return lambda x: child(params, x)
