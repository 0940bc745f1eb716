"""Linear layers of T tasks as one batched matrix product."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.layers.rows import Rows


def run_linear(module: nn.Linear, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """y[t] = x[t] @ weight[t].T + bias[t]; a weight or bias without task axis serves all tasks."""
    x = rows.separate
    weight, bias = tensors["weight"], tensors.get("bias")
    if weight.dim() == 2:
        y = F.linear(x, weight)
        return rows.with_separate(y if bias is None else y + per_task(bias, 1, y.dim()))
    flat = x.reshape(rows.tasks, -1, x.shape[-1])
    if bias is None:
        y = torch.bmm(flat, weight.transpose(1, 2))
    else:
        y = torch.baddbmm(per_task(bias, 1, 3), flat, weight.transpose(1, 2))
    return rows.with_separate(y.reshape(*x.shape[:-1], weight.shape[1]))


def run_embedding(module: nn.Embedding, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """One lookup in the tables of all tasks laid end to end."""
    weight, ids = tensors["weight"], rows.separate
    if weight.dim() == 2:
        return rows.with_separate(F.embedding(ids, weight))
    first_row = torch.arange(rows.tasks, device=ids.device) * weight.shape[1]
    shifted = ids + first_row.reshape(-1, *[1] * (ids.dim() - 1))
    return rows.with_separate(F.embedding(shifted, weight.flatten(0, 1)))


def per_task(tensor: Tensor, rank: int, ndim: int) -> Tensor:
    """View a tensor of `rank` axes, with or without a task axis, for use beside [T, ..., *].

    Args:
        tensor: [*shape] or [T, *shape].
        rank: Number of axes without the task axis.
        ndim: Number of axes of the result; 1s stand between T and the rest.
    """
    if tensor.dim() == rank:
        tensor = tensor.unsqueeze(0)
    return tensor.reshape(len(tensor), *[1] * (ndim - 1 - rank), *tensor.shape[1:])
