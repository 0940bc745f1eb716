"""What is learned of the rows of a class head: one row per class, from a token of the class and from its anchor."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.generators.base import scale_of, unit_linear
from netwright.generators.units import UNITS, widened
from netwright.space import ParameterSpace

# How large learned corrections of any width start, in the unit of the anchor's rows.
_SMALL = 0.3
# Of rows that are all the same.
_LEAST = 1e-8


class ClassRows(nn.Module):
    """One row per tensor and class from a class token and, if told, the anchor's row.

    Args:
        sizes: Numbers per row of each tensor.
        scales: Scale of each tensor's rows.
        embedding_size: E, the width of a class token.
        reads_anchor: Whether rows start from an anchor's.
    """

    def __init__(
        self, sizes: list[int], scales: list[float], embedding_size: int, *, reads_anchor: bool
    ) -> None:
        super().__init__()
        self.sizes = sizes
        row, width = sum(sizes), 2 * embedding_size
        self.base = nn.Parameter(torch.zeros(row))
        self.scale: Tensor
        parts = [torch.full((n,), scale) for n, scale in zip(sizes, scales, strict=True)]
        self.register_buffer("scale", torch.cat(parts))
        self.read = (
            nn.Sequential(nn.LayerNorm(row), nn.Linear(row, embedding_size))
            if reads_anchor
            else None
        )
        self.trunk = nn.Sequential(nn.Linear(embedding_size, width), nn.GELU(), nn.LayerNorm(width))
        # Full scale from the start, beside an anchor too: measured, it learns faster than a small one.
        self.out = unit_linear(width, row, 1.0)

    def forward(
        self, classes: Tensor, anchor: list[Tensor] | None, space: ParameterSpace
    ) -> list[Tensor]:
        """Rows [T, C, n] of each tensor from class tokens [T, C, E] and rows of the anchor."""
        if self.read is None or anchor is None:
            rows = torch.addcmul(self.base, self.scale, self.out(self.trunk(classes)))
        else:
            start = torch.cat(anchor, dim=-1)
            tokens = classes + self.read(start)
            rows = start + torch.addcmul(self.base, self.scale, self.out(self.trunk(tokens)))
        return list(rows.split(self.sizes, dim=-1))


class AnyClassRows(nn.Module):
    """As `ClassRows`, for heads that read any number of features: no learned number depends on how many.

    A row has as many numbers as there are features, the first of `UNITS` learned ones, beyond these mixtures of them. Corrections of an anchor are in the unit of its own rows: features of
    children of different architectures are of very different sizes.

    Args:
        leaves: What the tensors of a row are, `weight` and perhaps `bias`.
        embedding_size: E, the width of a class token.
        reads_anchor: Whether rows start from an anchor's.
    """

    def __init__(self, leaves: list[str], embedding_size: int, *, reads_anchor: bool) -> None:
        super().__init__()
        self.leaves = leaves
        width = 2 * embedding_size
        self.read = nn.Linear(UNITS + 1, embedding_size) if reads_anchor else None
        self.trunk = nn.Sequential(nn.Linear(embedding_size, width), nn.GELU(), nn.LayerNorm(width))
        start = _SMALL if reads_anchor else 1.0
        # A number that is added to the bias of every class alike would change no class's probability.
        self.out = nn.ModuleList(
            unit_linear(width, UNITS, start)
            if leaf == "weight"
            else unit_linear(width, 1, start, bias=False)
            for leaf in leaves
        )

    def forward(
        self, classes: Tensor, anchor: list[Tensor] | None, space: ParameterSpace
    ) -> list[Tensor]:
        """Rows [T, C, n] of each tensor from class tokens [T, C, E] and rows of the anchor."""
        sizes = [spec.size // spec.shape[0] for spec in space.tensors]
        tokens = classes
        if self.read is not None and anchor is not None:
            tokens = classes + self._read(self.read, anchor)
        told = self.trunk(tokens)
        rows = [widened(out(told), -1, size) for out, size in zip(self.out, sizes, strict=True)]
        if anchor is None:
            return [row * scale_of(spec) for row, spec in zip(rows, space.tensors, strict=True)]
        return [start + _unit_of(start) * row for row, start in zip(rows, anchor, strict=True)]

    def _read(self, read: nn.Linear, anchor: list[Tensor]) -> Tensor:
        # Normalised by hand: `layer_norm` adds a constant, which drowns rows in a small unit.
        whole = torch.cat(anchor, dim=-1)
        whole = whole - whole.mean(dim=-1, keepdim=True)
        whole = whole / whole.square().mean(dim=-1, keepdim=True).clamp(min=_LEAST**2).sqrt()
        by_leaf = dict(
            zip(self.leaves, whole.split([part.shape[-1] for part in anchor], -1), strict=True)
        )
        row = by_leaf["weight"]
        # Columns for features as rows of `out` are: the first of UNITS, beyond these mixtures.
        columns = widened(read.weight[:, :UNITS], 1, row.shape[-1])
        out = F.linear(row * (UNITS / row.shape[-1]) ** 0.5, columns, read.bias)
        return out + by_leaf["bias"] * read.weight[:, UNITS] if "bias" in by_leaf else out


def _unit_of(rows: Tensor) -> Tensor:
    """By how much rows [T, C, n] of classes differ, [T, 1, 1]."""
    apart = rows - rows.mean(dim=1, keepdim=True)
    return apart.square().mean(dim=(1, 2), keepdim=True).clamp(min=_LEAST**2).sqrt()


__all__ = ["AnyClassRows", "ClassRows"]
