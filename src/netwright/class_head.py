"""The rows of a class head: a closed form, a generated residual, or both."""

import copy
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from netwright.anchors import ANCHORS
from netwright.child import Child
from netwright.conditioners import Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError, ShapeError
from netwright.generators.base import scale_of, unit_linear

# Of more examples, all tasks together, features are computed in parts, each of about AT_ONCE.
MOST_KEPT, AT_ONCE = 8192, 1024

Head = Literal["anchored", "anchor-only", "residual-only"]


class ClassHead(nn.Module):
    """Writes tensors with a class axis row by row, the same map for every class.

    row[c] = anchor[c] + base + scale * residual(token of class c, anchor[c])

    The anchor is a classical answer in the child's own feature space. The residual is told where the
    anchor stands: it need not guess what the body that was written for this task makes of a class.
    Base and map are shared by all classes, so that permuting classes permutes rows.

    Args:
        child: What is written; it must have a class head.
        embedding_size: E, the width of a class token.
        kind: `anchored`, `anchor-only` or `residual-only`.
        anchor: Name in `ANCHORS`.

    References:
        Snell et al., Prototypical Networks, arXiv:1703.05175.
        Requeima et al., CNAPs (class rows from class means), arXiv:1906.07697.
    """

    def __init__(self, child: Child, embedding_size: int, *, kind: Head, anchor: str) -> None:
        super().__init__()
        self.space = child.space.select(lambda spec: spec.has_class_axis)
        self.name = str(child.class_head)
        sizes = [spec.size // spec.shape[0] for spec in self.space.tensors]
        features = child.template.get_parameter(f"{self.name}.weight").shape[1]
        self.anchor = None if kind == "residual-only" else ANCHORS[anchor](features)
        self.residual = (
            None
            if kind == "anchor-only"
            else ClassRows(
                sizes,
                [scale_of(spec) for spec in self.space.tensors],
                embedding_size,
                reads_anchor=self.anchor is not None,
            )
        )

    def for_child(self, child: Child) -> "ClassHead":
        """The same head, with the same learned numbers, for a child that reads out another number of features."""
        other = copy.copy(self)
        other.space = child.space.select(lambda spec: spec.has_class_axis)
        other.name = str(child.class_head)
        return other

    def forward(
        self,
        child: Child,
        params: Mapping[str, Tensor],
        embedding: Embedding,
        condition: Condition,
    ) -> dict[str, Tensor]:
        """Rows [T, C, ...] by name, for bodies with `params`.

        Raises:
            ConditionError: If the condition has no classes.
        """
        if embedding.classes is None:
            raise ConditionError(
                "The child has a row per class and the condition has no classes, expected a "
                "conditioner that reads class labels. Use `conditioners.Examples` without `outputs`."
            )
        anchor = None
        if self.anchor is not None:
            assert condition.examples is not None
            features = _features(child, params, condition.examples.x)
            weight, bias = self.anchor(features, condition.examples)
            by_leaf = {"weight": weight, "bias": bias.unsqueeze(-1)}
            leaves = [spec.name.rpartition(".")[2] for spec in self.space.tensors]
            anchor = [by_leaf[leaf] for leaf in leaves]
        if self.residual is None:
            assert anchor is not None
            rows = anchor
        else:
            rows = self.residual(embedding.classes, anchor)
        return {
            spec.name: row.reshape(*row.shape[:2], *spec.shape[1:])
            for spec, row in zip(self.space.tensors, rows, strict=True)
        }


def class_head_for(head: ClassHead | None, own: Child, child: Child) -> ClassHead | None:
    """The class head that was made for one child, for another.

    Args:
        head: What was made; None if the child that it was made for has no classes of its own.
        own: The child that it was made for.
        child: The other.

    Raises:
        ShapeError: If it has learned rows, and those of the child are of another length, or if the child has other rows.
    """
    there, wanted = (
        [(spec.name, spec.shape[1:]) for spec in each.space.tensors if spec.has_class_axis]
        for each in (own, child)
    )
    if there == wanted:
        return head
    leaves = [[name.rpartition(".")[2] for name, _ in each] for each in (there, wanted)]
    if head is None or head.residual is not None or leaves[0] != leaves[1]:
        raise ShapeError(
            f"The child has class rows {wanted}, expected {there}. Keep the width of what the head reads, or train with "
            'head="anchor-only", which has no rows of its own.'
        )
    return head.for_child(child)


def _features(child: Child, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Features [T, S, F] of a support set; of thousands of examples, a part of them at a time."""
    tasks, count = x.shape[:2]
    # Statistics of a batch are those of all its examples: these cannot be taken in parts.
    if tasks * count <= MOST_KEPT or child.batch_norm == "batch":
        return child.features(params, x)
    parts = x.split(max(1, AT_ONCE // tasks), dim=1)
    if not torch.is_grad_enabled():
        return torch.cat([child.features(params, part) for part in parts], dim=1)
    # Activations of so many are computed again for the gradient and not kept.
    return torch.cat(
        [checkpoint(child.features, params, part, use_reentrant=False) for part in parts], dim=1
    )


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

    def forward(self, classes: Tensor, anchor: list[Tensor] | None) -> list[Tensor]:
        """Rows [T, C, n] of each tensor from class tokens [T, C, E] and rows of the anchor."""
        if self.read is None or anchor is None:
            rows = torch.addcmul(self.base, self.scale, self.out(self.trunk(classes)))
        else:
            start = torch.cat(anchor, dim=-1)
            tokens = classes + self.read(start)
            rows = start + torch.addcmul(self.base, self.scale, self.out(self.trunk(tokens)))
        return list(rows.split(self.sizes, dim=-1))
