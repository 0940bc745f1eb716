"""The nearest-mean classifier as a linear layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.anchors.base import Anchor
from netwright.conditions import ExampleSet


class Prototype(Anchor):
    """Logits are minus squared distances to class means, up to what is common to all classes.

    -s |f - p_c|^2 = 2 s p_c . f - s |p_c|^2 + const, with a learned sharpness s > 0.

    Args:
        features: F, the width of features.
        sharpness: Initial s.

    References:
        Snell et al., Prototypical Networks, arXiv:1703.05175.
        Triantafillou et al., Meta-Dataset (initialising a head from prototypes), arXiv:1903.03096.
    """

    def __init__(self, features: int, sharpness: float = 0.3) -> None:
        super().__init__(features)
        self.log_sharpness = nn.Parameter(torch.tensor(sharpness).log())

    def forward(self, features: Tensor, examples: ExampleSet) -> tuple[Tensor, Tensor]:
        """Weight [T, C, F] and bias [T, C]; a class without examples gets zeros."""
        means = class_means(features, examples)
        # Distances grow with the number of features: children of other widths are as sharp.
        sharpness = self.log_sharpness.exp() * (self.features / features.shape[-1])
        return 2 * sharpness * means, -sharpness * means.square().sum(dim=-1)


def class_means(features: Tensor, examples: ExampleSet) -> Tensor:
    """Means [T, C, F] of features [T, S, F] by class; zeros for a class without labelled examples."""
    known = examples.has_label
    member = F.one_hot(examples.y.masked_fill(~known, 0), examples.classes or 0)
    member = (member * known.unsqueeze(-1)).to(features.dtype)
    features = features.masked_fill(~known.unsqueeze(-1), 0)
    counts = member.sum(dim=1).clamp(min=1).unsqueeze(-1)
    return torch.einsum("tsc,tsf->tcf", member, features) / counts
