"""Convolutions of T tasks: grouped, or over all rows where tasks share the weights."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.layers.linear import per_task
from netwright.layers.rows import Rows
from netwright.layers.weights import FilmWeight, LowRankWeight, TableWeight, Weight

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d

_CONVOLUTIONS: dict[type, Callable[..., Tensor]] = {
    nn.Conv1d: F.conv1d,
    nn.Conv2d: F.conv2d,
    nn.Conv3d: F.conv3d,
}
# With fewer input channels the first layout of memory is the faster one, even where the rest differs.
_FEW_CHANNELS = 4


def run_convolution(module: Convolution, tensors: Mapping[str, Weight], rows: Rows) -> Rows:
    """Task t's channels are group t; shared weights, and one task's, run over all rows at once."""
    weight, bias = tensors["weight"], tensors.get("bias")
    assert bias is None or isinstance(bias, Tensor)
    assert not isinstance(weight, TableWeight)  # tables are of linear layers
    rank = module.weight.dim()
    if isinstance(weight, LowRankWeight) and module.groups > 1:
        # Each group would need a narrow map of its own: such layers are small enough to be formed.
        weight = weight.dense()
    if isinstance(weight, LowRankWeight):
        return _low_rank(module, weight, bias, rows)
    if isinstance(weight, FilmWeight):
        y = rows.with_merged(_over_all_rows(module, rows.merged, weight.base, None)).separate
        y = y * per_channel(1 + weight.scale, y.dim())
        return rows.with_separate(y if bias is None else y + per_channel(bias, y.dim()))
    if rows.tasks == 1 and weight.dim() > rank:
        weight = weight.squeeze(0)
        bias = bias.squeeze(0) if bias is not None and bias.dim() > 1 else bias
    if weight.dim() == rank:
        if bias is None or bias.dim() == 1:
            return rows.with_merged(_over_all_rows(module, rows.merged, weight, bias))
        y = rows.with_merged(_over_all_rows(module, rows.merged, weight, None)).separate
        return rows.with_separate(y + per_channel(bias, y.dim()))
    if bias is not None:
        bias = _for_tasks(bias, 1, rows.tasks).flatten(0, 1)
    groups = rows.tasks * module.groups
    grouped = _convolve(module, rows.grouped, weight.flatten(0, 1), bias, groups=groups)
    return rows.with_grouped(grouped)


def _low_rank(module: Convolution, weight: LowRankWeight, bias: Tensor | None, rows: Rows) -> Rows:
    """The base over all rows; beside it a convolution to r channels and a 1 x 1 one, per task."""
    shared_bias = bias if bias is None or bias.dim() == 1 else None
    base = rows.with_merged(_over_all_rows(module, rows.merged, weight.base, shared_bias))
    down = weight.down.unflatten(2, weight.base.shape[1:]).flatten(0, 1)
    narrow = rows.with_grouped(_convolve(module, rows.grouped, down, None, groups=rows.tasks))
    x = narrow.separate
    places = x.flatten(3).transpose(2, 3).flatten(1, 2)
    correction = torch.bmm(places, weight.up.transpose(1, 2))
    correction = correction.unflatten(1, (x.shape[1], -1)).transpose(2, 3)
    y = base.separate
    y = y + correction.reshape(y.shape)
    if bias is not None and shared_bias is None:
        y = y + per_channel(bias, y.dim())
    return rows.with_separate(y)


def _over_all_rows(module: Convolution, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _convolve(module, x, weight, bias, groups=module.groups)


def _convolve(
    module: Convolution, x: Tensor, weight: Tensor, bias: Tensor | None, *, groups: int
) -> Tensor:
    """One call; planes on a CPU with channels last, which pooling and norms are faster in too."""
    geometry: tuple[Any, ...] = (module.stride, module.padding, module.dilation)
    is_plane = isinstance(module, nn.Conv2d) and x.device.type == "cpu"
    if is_plane and x.shape[1] >= _FEW_CHANNELS:
        x = x.contiguous(memory_format=torch.channels_last)
    y = _CONVOLUTIONS[type(module)](x, weight, bias, *geometry, groups=groups)
    # Few input channels do not settle the layout of the output: what follows needs to be told.
    return y.contiguous(memory_format=torch.channels_last) if is_plane else y


def per_channel(tensor: Tensor, ndim: int) -> Tensor:
    """View [C] or [T, C] for use beside [T, N, C, *], which has `ndim` axes."""
    tensor = per_task(tensor, 1, 3)
    return tensor.reshape(*tensor.shape, *[1] * (ndim - 3))


def _for_tasks(tensor: Tensor, rank: int, tasks: int) -> Tensor:
    return tensor if tensor.dim() > rank else tensor.expand(tasks, *tensor.shape)
