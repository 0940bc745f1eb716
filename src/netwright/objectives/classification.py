"""Cross-entropy of classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import ExampleSet
from netwright.objectives.base import Objective, Score, query_weights


class Classification(Objective):
    """Mean cross-entropy in nats; accuracy as a fraction."""

    metric = "accuracy"
    higher_is_better = True
    metrics = ("accuracy",)

    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score logits [T, Q, C] against classes [T, Q]."""
        y = query.y.masked_fill(~query.has_label, 0)
        weights = query_weights(query, outputs.dtype)
        losses = F.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none").view_as(y)
        with torch.no_grad():
            accuracy = ((outputs.argmax(dim=-1) == y) * weights).sum(dim=1)
        return Score((losses * weights).sum(dim=1), {"accuracy": accuracy})
