"""A hypernetwork, or a rival of one, as a learner: it writes a network per task."""

import copy
from typing import Any, Self

import torch

from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.learners.adapted_weights import TakesSteps
from netwright.learners.base import Cost, Learner, Predictor, cost_of_child
from netwright.objectives.memory import answering
from netwright.writer import Writer


class Generate(Learner):
    """Writes a network per task, by whatever way its writer has.

    Args:
        writer: A hypernetwork or another writer, trained or to be trained.
    """

    writer: Writer

    def __init__(self, writer: Writer) -> None:
        self.writer = writer.eval()

    def adapt(self, condition: Condition) -> Predictor:
        """Write the networks of T tasks."""
        with torch.no_grad():
            params = self.writer(condition)
        return answering(self.writer.child, params)

    def cost(self, condition: Condition) -> Cost:
        """What is trained, and the network that is written for the first task."""
        with torch.no_grad():
            params = self.writer(condition.rows(slice(0, 1)))
        return cost_of_child(self.writer, self.writer.child, params)

    def chosen(self, **options: Any) -> Self:
        """The same with another number of steps at use (`steps_at_use`), where there are steps.

        Raises:
            RunError: If the writer has no such option, or it is out of range.
        """
        if not options:
            return self
        if options.keys() != {"steps_at_use"} or not isinstance(self.writer, TakesSteps):
            raise RunError(
                f"{type(self.writer).__name__} cannot change {sorted(options)} after training, expected "
                "`steps_at_use` of a writer that takes gradient steps. Leave it out."
            )
        other = copy.copy(self)
        other.writer = self.writer.with_steps_at_use(options["steps_at_use"])
        return other
