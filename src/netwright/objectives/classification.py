"""Cross-entropy of classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import ExampleSet
from netwright.objectives.base import Objective, Score, query_weights


class Classification(Objective):
    """Mean cross-entropy in nats; accuracy as a fraction.

    Labels may be probabilities, [T, Q, C], such as a teacher gives: the most likely class then counts as the right one.

    References:
        Hinton et al., Distilling the knowledge in a neural network, arXiv:1503.02531.
    """

    metric = "accuracy"
    higher_is_better = True
    metrics = ("accuracy",)

    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Score logits [T, Q, C] against classes [T, Q], or probabilities [T, Q, C]."""
        weights = query_weights(query, outputs.dtype)
        known = query.has_label
        if query.y.is_floating_point():
            wanted = query.y.masked_fill(~known.unsqueeze(-1), 0)
            y = wanted.argmax(dim=-1)
        else:
            wanted = y = query.y.masked_fill(~known, 0)
        losses = F.cross_entropy(outputs.flatten(0, 1), wanted.flatten(0, 1), reduction="none")
        with torch.no_grad():
            accuracy = ((outputs.argmax(dim=-1) == y) * weights).sum(dim=1)
        return Score((losses.view_as(y) * weights).sum(dim=1), {"accuracy": accuracy})
