"""Normalisations of T tasks at once."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.errors import ShapeError
from netwright.layers.linear import per_task
from netwright.layers.rows import Rows


def run_group_norm(module: nn.GroupNorm, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """Groups of one task never meet those of another: T * G groups over T * C channels."""
    weight, bias = (_for_channels(tensors.get(name), rows) for name in ("weight", "bias"))
    groups = rows.tasks * module.num_groups
    return rows.with_grouped(F.group_norm(rows.grouped, groups, weight, bias, module.eps))


def run_batch_norm(
    module: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d,
    tensors: Mapping[str, Tensor],
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


def run_layer_norm(module: nn.LayerNorm, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """Normalised once over all rows, then scaled and shifted per task."""
    x = rows.separate
    rank = len(module.normalized_shape)
    y = F.layer_norm(x, module.normalized_shape, eps=module.eps)
    weight, bias = tensors.get("weight"), tensors.get("bias")
    if weight is None:
        return rows.with_separate(y)
    weight = per_task(weight, rank, y.dim())
    if bias is None:
        return rows.with_separate(y * weight)
    return rows.with_separate(torch.addcmul(per_task(bias, rank, y.dim()), y, weight))


def _for_channels(tensor: Tensor | None, rows: Rows) -> Tensor | None:
    """[C] or [T, C] as [T * C]."""
    if tensor is None:
        return None
    return (tensor if tensor.dim() == 2 else tensor.expand(rows.tasks, -1)).reshape(-1)
