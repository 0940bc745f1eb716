"""The nearest-mean classifier in a learned metric, as a linear layer."""

import torch
from torch import Tensor, nn

from netwright.anchors.base import Anchor
from netwright.anchors.prototype import class_means
from netwright.conditions import ExampleSet


class Mahalanobis(Anchor):
    """Logits are minus squared distances to class means after a learned map L of features.

    -s |L f - L p_c|^2 = 2 s (L'L p_c) . f - s |L p_c|^2 + const, with a learned sharpness s > 0.

    L is shared by all tasks and starts as the identity, where this is `Prototype`. It can weigh and
    unmix features that a rectifier has left skewed and correlated, as no layer before it can.

    Args:
        features: F, the width of features.
        sharpness: Initial s.

    References:
        Bateni et al., Improved Few-Shot Visual Classification (class covariances), arXiv:1912.03432.
    """

    def __init__(self, features: int, sharpness: float = 0.3) -> None:
        super().__init__(features)
        self.log_sharpness = nn.Parameter(torch.tensor(sharpness).log())
        self.metric = nn.Parameter(torch.eye(features))

    def forward(self, features: Tensor, examples: ExampleSet) -> tuple[Tensor, Tensor]:
        """Weight [T, C, F] and bias [T, C]; a class without examples gets zeros."""
        mapped = class_means(features, examples) @ self.metric.T
        sharpness = self.log_sharpness.exp()
        weight = 2 * sharpness * (mapped @ self.metric)
        return weight, -sharpness * mapped.square().sum(dim=-1)
