"""Linear maps of T tasks as one batched matrix product."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.errors import DataError
from netwright.layers.rows import Rows
from netwright.layers.weights import FilmWeight, LowRankWeight, TableWeight, Weight, dense


def run_linear(module: nn.Linear, tensors: Mapping[str, Weight], rows: Rows) -> Rows:
    """y[t] = x[t] @ weight[t].T + bias[t]; a weight or bias without task axis serves all tasks."""
    x = rows.separate
    bias = tensors.get("bias")
    assert bias is None or isinstance(bias, Tensor)
    if x.dim() == 3:
        return rows.with_separate(affine(x, tensors["weight"], bias))
    y = affine(x.flatten(1, -2), tensors["weight"], bias)
    return rows.with_separate(y.reshape(*x.shape[:-1], y.shape[-1]))


def affine(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """x[t] @ weight[t].T + bias[t] for x [T, M, I]: [T, M, O].

    Args:
        x: [T, M, I].
        weight: [O, I] or [T, O, I], or one that is never formed.
        bias: [O] or [T, O].
    """
    if isinstance(weight, LowRankWeight):
        y = _shared(x, weight.base.flatten(1), bias)
        narrow = torch.bmm(x, weight.down.transpose(1, 2))
        return torch.baddbmm(y, narrow, weight.up.transpose(1, 2))
    if isinstance(weight, FilmWeight):
        y = F.linear(x, weight.base) * (1 + weight.scale.unsqueeze(1))
        return y if bias is None else y + (bias.unsqueeze(1) if bias.dim() == 2 else bias)
    if isinstance(weight, TableWeight):
        if x.shape[1] == 1:
            y = weight.times(x.squeeze(1)).unsqueeze(1)
            return y if bias is None else y.add_(bias.unsqueeze(1) if bias.dim() == 2 else bias)
        weight = weight.dense()
    if weight.dim() == 2:
        return _shared(x, weight, bias)
    if len(weight) == 1:
        # One task: `F.linear` is one call where a batched product is several. And `squeeze`, whose
        # backward is a view; that of an index fills a buffer with zeros.
        bias = bias if bias is None or bias.dim() == 1 else bias.squeeze(0)
        return F.linear(x.squeeze(0), weight.squeeze(0), bias).unsqueeze(0)
    if bias is None:
        return torch.bmm(x, weight.transpose(1, 2))
    return torch.baddbmm(per_task(bias, 1, 3), x, weight.transpose(1, 2))


def _shared(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """One product over the rows of all tasks."""
    if bias is not None and bias.dim() == 2:
        return F.linear(x, weight) + bias.unsqueeze(1)
    return F.linear(x, weight, bias)


def run_embedding(module: nn.Embedding, tensors: Mapping[str, Weight], rows: Rows) -> Rows:
    """One lookup in the tables of all tasks laid end to end."""
    weight, ids = tensors["weight"], rows.separate
    if isinstance(weight, LowRankWeight):
        # Row v of the table is base[v] + up[v] @ down: looked up, never formed.
        base = F.embedding(ids, weight.base)
        narrow = _lookup(ids, weight.up).flatten(1, -2)
        correction = torch.bmm(narrow, weight.down)
        return rows.with_separate(base + correction.reshape(base.shape))
    if isinstance(weight, FilmWeight):
        factor = per_task(1 + weight.scale, 1, ids.dim() + 1)
        return rows.with_separate(F.embedding(ids, weight.base) * factor)
    weight = dense(weight)
    if weight.dim() == 2:
        return rows.with_separate(F.embedding(ids, weight))
    return rows.with_separate(_lookup(ids, weight))


def _lookup(ids: Tensor, tables: Tensor) -> Tensor:
    """tables[t, ids[t]] for ids [T, *] and tables [T, V, d]: [T, *, d].

    Raises:
        DataError: If an id is no row of its table: laid end to end, it would be one of another task.
    """
    rows = tables.shape[1]
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < rows:
        raise DataError(
            f"The ids run from {int(ids.min())} to {int(ids.max())}, expected 0 to {rows - 1}, the rows "
            "of the embedding. Map unknown ids to one that it has."
        )
    first_row = torch.arange(len(tables), device=ids.device) * rows
    shifted = ids + first_row.reshape(-1, *[1] * (ids.dim() - 1))
    return F.embedding(shifted, tables.flatten(0, 1))


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
