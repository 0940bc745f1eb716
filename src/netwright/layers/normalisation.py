"""Normalisations of T tasks at once."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.errors import ShapeError
from netwright.layers.linear import per_task
from netwright.layers.rows import Rows
from netwright.layers.weights import Weight, dense


def run_group_norm(module: nn.GroupNorm, tensors: Mapping[str, Weight], rows: Rows) -> Rows:
    """Groups of one task never meet those of another: T * G groups over T * C channels."""
    weight, bias = (_for_channels(tensors.get(name), rows) for name in ("weight", "bias"))
    groups = rows.tasks * module.num_groups
    return rows.with_grouped(F.group_norm(rows.grouped, groups, weight, bias, module.eps))


def run_batch_norm(
    module: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d,
    tensors: Mapping[str, Weight],
    rows: Rows,
) -> Rows:
    """Statistics of each task's own batch, whatever the mode (a child keeps no running ones).

    Raises:
        ShapeError: If a task has one value per channel, whose variance does not exist.
    """
    grouped = rows.grouped
    if grouped.numel() == grouped.shape[1]:
        raise ShapeError(
            f"BatchNorm has one value per channel ([N=1, C={grouped.shape[1] // rows.tasks}]), "
            "expected at least 2 to take statistics of. Pass more rows per task, or make the child "
            'with `batch_norm="group"`.'
        )
    weight, bias = (_for_channels(tensors.get(name), rows) for name in ("weight", "bias"))
    normalised = F.batch_norm(grouped, None, None, weight, bias, training=True, eps=module.eps)
    return rows.with_grouped(normalised)


def run_layer_norm(module: nn.LayerNorm, tensors: Mapping[str, Weight], rows: Rows) -> Rows:
    """Normalised once over all rows, then scaled and shifted per task."""
    x, shape = rows.separate, module.normalized_shape
    weight, bias = (tensors.get(name) for name in ("weight", "bias"))
    weight = None if weight is None else dense(weight)
    bias = None if bias is None else dense(bias)
    rank = len(shape)
    is_shared = all(t is None or t.dim() == rank for t in (weight, bias))
    if is_shared or rows.tasks == 1:
        weight, bias = (t if t is None or t.dim() == rank else t.squeeze(0) for t in (weight, bias))
        return rows.with_separate(F.layer_norm(x, shape, weight, bias, module.eps))
    y = F.layer_norm(x, shape, eps=module.eps)
    if weight is None:
        return rows.with_separate(y)
    weight = per_task(weight, rank, y.dim())
    if bias is None:
        return rows.with_separate(y * weight)
    return rows.with_separate(torch.addcmul(per_task(bias, rank, y.dim()), y, weight))


def _for_channels(weight: Weight | None, rows: Rows) -> Tensor | None:
    """[C] or [T, C] as [T * C]."""
    if weight is None:
        return None
    tensor = dense(weight)
    if rows.tasks == 1:
        return tensor.squeeze(0) if tensor.dim() == 2 else tensor
    return (tensor if tensor.dim() == 2 else tensor.expand(rows.tasks, -1)).reshape(-1)
