"""CAVIA: a few context numbers are adapted, the network that reads them is shared."""

from typing import Any

import torch
from torch import Tensor, nn

from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.learners.adapted_weights import check_inner, examples_of, taking_steps
from netwright.learners.inner_loop import Values, descend
from netwright.learners.start import Start
from netwright.objectives import OBJECTIVES
from netwright.writer import Writer


class Cavia(Writer):
    """K gradient steps on a context vector that starts at zero; written tensors are linear in it.

    theta[t] = base + weight @ context[t]

    What is written is decided by the child's emissions: with the first layer's bias alone, this is a context
    that stands beside the input; with `Film`, one that scales and shifts every layer. Everything else is shared.

    Args:
        child: What is written.
        labels: What y is, a name in `OBJECTIVES`.
        context: Numbers of the context vector.
        steps: K in training.
        steps_at_use: K in use; by default the same.
        rate: Learning rate of the steps.

    Raises:
        RunError: If an option is unknown or out of range, or class rows would have to be written.

    References:
        Zintgraf et al., Fast Context Adaptation via Meta-Learning, arXiv:1810.03642.
    """

    def __init__(
        self,
        child: Child,
        labels: str,
        *,
        context: int = 5,
        steps: int = 1,
        steps_at_use: int | None = None,
        rate: float = 1.0,
    ) -> None:
        super().__init__()
        check_inner(steps, steps_at_use, rate)
        if labels not in OBJECTIVES:
            raise RunError(f"`labels` is {labels!r}, expected one of {list(OBJECTIVES)}.")
        if context < 1:
            raise RunError(f"`context` is {context}, expected at least 1.")
        if any(spec.has_class_axis for spec in child.space.tensors):
            raise RunError(
                "The child's class rows are written per task, expected shared ones: a context of a few "
                'numbers cannot write them. Give the child the emission ("head.*", "shared").'
            )
        self.start = Start(child)
        self._shares_child_of(self.start)
        self.labels, self.context, self.steps, self.rate = labels, context, steps, rate
        self.steps_at_use = steps if steps_at_use is None else steps_at_use
        self.objective = OBJECTIVES[labels]()
        self.weights = nn.ParameterList(
            nn.init.uniform_(torch.empty(spec.size, context), -(context**-0.5), context**-0.5)
            for spec in child.space.tensors
        )

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Descend the loss of the support sets from a context of zeros; each [T, *shape].

        Raises:
            ConditionError: If there are no examples.
        """
        examples = examples_of(condition)
        start = self.start(condition)

        def write(values: Values) -> dict[str, Tensor]:
            return {
                spec.name: start[spec.name] + (values["context"] @ weight.T).view(-1, *spec.shape)
                for spec, weight in zip(self.child.space.tensors, self.weights, strict=True)
            }

        def loss(values: Values) -> Tensor:
            outputs = self.child(write(values), examples.x)
            return self.objective.score(outputs, examples).loss

        zeros = examples.x.new_zeros(examples.tasks, self.context)
        found = descend(
            loss,
            {"context": zeros},
            steps=self.steps if self.training else self.steps_at_use,
            rates={"context": self.rate},
            keeps_graph=self.training,
        )
        return write(found if self.training else {"context": found["context"].detach()})

    def with_steps_at_use(self, steps: int) -> "Cavia":
        """The same writer, with the same learned numbers, taking another number of steps in use.

        Raises:
            RunError: If the number is below 0.
        """
        return taking_steps(self, steps)

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        names = ("labels", "context", "steps", "steps_at_use", "rate")
        return {
            "writer": "cavia",
            "start": self.start.record(),
            **{name: getattr(self, name) for name in names},
        }


__all__ = ["Cavia"]
