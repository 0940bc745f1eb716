"""The hypernetwork as a learner: one forward pass."""

import torch

from netwright.conditions import Condition
from netwright.hypernetwork import Hypernetwork
from netwright.learners.base import Learner, Predictor


class Generate(Learner):
    """Writes a network per task.

    Args:
        hypernetwork: A trained hypernetwork.
    """

    def __init__(self, hypernetwork: Hypernetwork) -> None:
        self.hypernetwork = hypernetwork.eval()

    def adapt(self, condition: Condition) -> Predictor:
        """Write the networks of T tasks."""
        with torch.no_grad():
            params = self.hypernetwork(condition)
        return lambda x: self.hypernetwork.child(params, x)
