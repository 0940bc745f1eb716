"""Convolutions of T tasks as one grouped convolution."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from netwright.layers.rows import Rows

_CONVOLUTIONS: dict[type, Callable[..., Tensor]] = {
    nn.Conv1d: F.conv1d,
    nn.Conv2d: F.conv2d,
    nn.Conv3d: F.conv3d,
}


def run_convolution(
    module: nn.Conv1d | nn.Conv2d | nn.Conv3d, tensors: Mapping[str, Tensor], rows: Rows
) -> Rows:
    """Task t's channels are group t; shared weights run over all rows at once."""
    convolve = _CONVOLUTIONS[type(module)]
    weight, bias = tensors["weight"], tensors.get("bias")
    geometry: tuple[Any, ...] = (module.stride, module.padding, module.dilation)
    rank = module.weight.dim()
    if weight.dim() == rank and (bias is None or bias.dim() == 1):
        merged = convolve(rows.merged, weight, bias, *geometry, groups=module.groups)
        return rows.with_merged(merged)
    weight = _expand(weight, rank, rows.tasks).flatten(0, 1)
    if bias is not None:
        bias = _expand(bias, 1, rows.tasks).flatten(0, 1)
    groups = rows.tasks * module.groups
    return rows.with_grouped(convolve(rows.grouped, weight, bias, *geometry, groups=groups))


def _expand(tensor: Tensor, rank: int, tasks: int) -> Tensor:
    return tensor if tensor.dim() > rank else tensor.expand(tasks, *tensor.shape)
