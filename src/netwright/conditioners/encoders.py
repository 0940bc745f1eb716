"""What reads the input of one example: pictures, sequences and vectors, [T, S, *] to [T, S, E]."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Activations of more rows leave a core's cache: 1,600 pictures at once take twice as long as in parts.
PICTURES_AT_ONCE = 128
# On other devices parts are there for memory alone.
PICTURES_AT_ONCE_ELSEWHERE = 4096
# Of more rows no activations are kept for the backward pass: they are computed again, part by part.
MOST_PICTURES_KEPT = 8192


class PictureEncoder(nn.Module):
    """[T, S, C, H, W] to [T, S, E]: four blocks of [3x3 with stride 2, GroupNorm, ReLU].

    Widths grow as pictures shrink: at equal accuracy that costs half of one width throughout.
    """

    def __init__(self, x: Sequence[int], channels: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, height, width = x
        for outputs in (channels // 2, channels, channels * 3 // 2, channels * 2):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(8 if outputs % 8 == 0 else 1, outputs),
                nn.ReLU(),
            ]
            inputs, height, width = outputs, (height + 1) // 2, (width + 1) // 2
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, size))

    def forward(self, x: Tensor) -> Tensor:
        """Features of pictures."""
        return _in_parts(self.trunk, x)


class SequenceEncoder(nn.Module):
    """[T, S, L, D] to [T, S, E], for any length L: convolutions over time, then attention over it.

    Each step is told where in the sequence it stands, from -1 to 1: what comes first and what comes last
    can be told apart over any distance. The mean over time is weighed by a learned attention.
    """

    def __init__(self, inputs: int, channels: int, size: int) -> None:
        super().__init__()
        groups = 8 if channels % 8 == 0 else 1
        layers: list[nn.Module] = []
        width = inputs + 1
        for stride in (1, 2, 2):
            layers += [
                nn.Conv1d(width, channels, 5, stride=stride, padding=2, bias=False),
                nn.GroupNorm(groups, channels),
                nn.ReLU(),
            ]
            width = channels
        self.trunk = nn.Sequential(*layers, _AttentionOverTime(channels), nn.Linear(channels, size))

    def forward(self, x: Tensor) -> Tensor:
        """Features of sequences."""
        length = x.shape[2]
        # The middle for a single step.
        ends = (-1, 1) if length > 1 else (0, 0)
        when = torch.linspace(*ends, length, dtype=x.dtype, device=x.device)
        when = when.view(1, 1, length, 1).expand(*x.shape[:3], 1)
        return _in_parts(self.trunk, torch.cat([x, when], dim=-1).transpose(2, 3))


class VectorEncoder(nn.Module):
    """[T, S, D] to [T, S, E]: an MLP of two hidden layers."""

    def __init__(self, inputs: int, channels: int, size: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(inputs, channels), nn.GELU(),
            nn.Linear(channels, channels), nn.GELU(),
            nn.Linear(channels, size),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Features of vectors."""
        features: Tensor = self.trunk(x)
        return features


class _AttentionOverTime(nn.Module):
    """[N, C, L] to [N, C]: a mean over time whose weights are a softmax of a learned score."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv1d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = (x * self.score(x).softmax(dim=-1)).sum(dim=-1)
        return mean


def _in_parts(trunk: nn.Module, x: Tensor) -> Tensor:
    """The trunk on the examples of all tasks, x [T, S, *], a part of them at a time: [T, S, E]."""
    rows = x.flatten(0, 1)
    at_once = PICTURES_AT_ONCE if rows.device.type == "cpu" else PICTURES_AT_ONCE_ELSEWHERE
    forgets = torch.is_grad_enabled() and len(rows) > MOST_PICTURES_KEPT
    if len(rows) <= at_once:
        features = trunk(rows)
    else:
        parts = [
            checkpoint(trunk, part, use_reentrant=False) if forgets else trunk(part)
            for part in rows.split(at_once)
        ]
        features = torch.cat(parts)
    separate: Tensor = features.unflatten(0, x.shape[:2])
    return separate
