"""The nearest-mean classifier in whatever unit features come."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.anchors.base import Anchor
from netwright.anchors.prototype import class_means
from netwright.conditions import ExampleSet

# Of means that are all the same.
_LEAST = 1e-8


class RelativePrototype(Anchor):
    """As `Prototype`, with distances in units of how far class means lie apart.

    -s |f - p_c|^2 / v + const, v the mean squared distance of class means from their mean, in each task, and s > 0
    learned. Multiplying all features by a number changes no logit. For children of many architectures, whose features are
    of very different sizes: those of a global mean are small, and one sharpness for all is too low for them.

    Args:
        features: F, the width of features.
        sharpness: Initial s.

    References:
        Snell et al., Prototypical Networks, arXiv:1703.05175.
    """

    def __init__(self, features: int, sharpness: float = 1.0) -> None:
        super().__init__(features)
        self.log_sharpness = nn.Parameter(torch.tensor(sharpness).log())

    def forward(self, features: Tensor, examples: ExampleSet) -> tuple[Tensor, Tensor]:
        """Weight [T, C, F] and bias [T, C]; a class without examples gets zeros."""
        means = class_means(features, examples)
        seen = F.one_hot(examples.y.masked_fill(~examples.has_label, 0), examples.classes or 0)
        seen = (seen * examples.has_label.unsqueeze(-1)).amax(dim=1).to(means.dtype)
        share = (seen / seen.sum(dim=1, keepdim=True).clamp(min=1)).unsqueeze(-1)
        centre = (means * share).sum(dim=1, keepdim=True)
        apart = ((means - centre).square() * share).sum(dim=(1, 2)).clamp(min=_LEAST)
        sharpness = (self.log_sharpness.exp() / apart)[:, None]
        return 2 * sharpness.unsqueeze(-1) * means, -sharpness * means.square().sum(dim=-1)


__all__ = ["RelativePrototype"]
