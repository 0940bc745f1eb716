"""Ridge regression to class labels, as a linear layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.anchors.base import Anchor
from netwright.conditions import ExampleSet


class Ridge(Anchor):
    """Logits are a f @ W, W the ridge solution of one-hot labels in features with a constant.

    W = (X'X + penalty I)^-1 X'Y, with a learned penalty and a learned scale a of the outputs, which are no logits
    by themselves. (A shift that all classes share would change no probability.)

    Args:
        features: F, the width of features.
        penalty: Initial penalty.
        scale: Initial a.

    References:
        Bertinetto et al., Meta-learning with differentiable closed-form solvers (R2D2), arXiv:1805.08136.
    """

    def __init__(self, features: int, penalty: float = 1.0, scale: float = 4.0) -> None:
        super().__init__(features)
        self.log_penalty = nn.Parameter(torch.tensor(penalty).log())
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, features: Tensor, examples: ExampleSet) -> tuple[Tensor, Tensor]:
        """Weight [T, C, F] and bias [T, C]; a class without examples gets zeros."""
        real = examples.has_label.unsqueeze(-1)
        labels = F.one_hot(examples.y.masked_fill(~examples.has_label, 0), examples.classes or 0)
        y = (labels * real).to(features.dtype)
        # Rows of zeros, for padding and where no label is known, count for nothing in either form.
        x = torch.cat([features, torch.ones_like(features[..., :1])], dim=-1).masked_fill(~real, 0)
        penalty = self.log_penalty.exp()
        solution = self.scale * _solve(x, y, penalty)
        return solution[:, :-1].transpose(1, 2), solution[:, -1]


def _solve(x: Tensor, y: Tensor, penalty: Tensor) -> Tensor:
    """The ridge solution [T, F, C] of x [T, S, F] to y [T, S, C], by the smaller of two systems."""
    examples, features = x.shape[1:]
    transposed = x.transpose(1, 2)
    if examples <= features:
        inner = x @ transposed + penalty * torch.eye(examples, dtype=x.dtype, device=x.device)
        dual: Tensor = torch.linalg.solve(inner, y)
        return transposed @ dual
    inner = transposed @ x + penalty * torch.eye(features, dtype=x.dtype, device=x.device)
    primal: Tensor = torch.linalg.solve(inner, transposed @ y)
    return primal
