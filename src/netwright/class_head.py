"""The rows of a class head: a closed form, a generated residual, or both."""

import copy
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from netwright.anchors import ANCHORS
from netwright.child import Child
from netwright.class_rows import AnyClassRows, ClassRows
from netwright.conditioners import Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError, ShapeError
from netwright.generators.base import scale_of

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
        any_width: Whether learned rows fit children whose heads read any number of features.

    References:
        Snell et al., Prototypical Networks, arXiv:1703.05175.
        Requeima et al., CNAPs (class rows from class means), arXiv:1906.07697.
    """

    def __init__(
        self,
        child: Child,
        embedding_size: int,
        *,
        kind: Head,
        anchor: str,
        any_width: bool = False,
    ) -> None:
        super().__init__()
        self.space = child.space.select(lambda spec: spec.has_class_axis)
        self.name = str(child.class_head)
        sizes = [spec.size // spec.shape[0] for spec in self.space.tensors]
        features = child.template.get_parameter(f"{self.name}.weight").shape[1]
        self.anchor = None if kind == "residual-only" else ANCHORS[anchor](features)
        self.residual: AnyClassRows | ClassRows | None = None
        if kind != "anchor-only" and any_width:
            leaves = [spec.name.rpartition(".")[2] for spec in self.space.tensors]
            self.residual = AnyClassRows(leaves, embedding_size, reads_anchor=kind == "anchored")
        elif kind != "anchor-only":
            scales = [scale_of(spec) for spec in self.space.tensors]
            reads = self.anchor is not None
            self.residual = ClassRows(sizes, scales, embedding_size, reads_anchor=reads)

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
            rows = self.residual(embedding.classes, anchor, self.space)
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
    if head is None or isinstance(head.residual, ClassRows) or leaves[0] != leaves[1]:
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


__all__ = ["ClassHead", "Head", "class_head_for"]
