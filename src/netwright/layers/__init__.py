"""Kernels: how one layer runs for T tasks at once, by its exact type."""

from collections.abc import Callable

from torch import nn

from netwright.layers.convolution import run_convolution
from netwright.layers.linear import run_embedding, run_linear
from netwright.layers.normalisation import run_batch_norm, run_group_norm, run_layer_norm
from netwright.layers.rows import Rows
from netwright.layers.weightless import (
    ELEMENTWISE,
    WITHIN_CHANNEL,
    WITHIN_ROW,
    run_elementwise,
    run_within_channel,
    run_within_row,
)

Kernel = Callable[..., Rows]

KERNELS: dict[type[nn.Module], Kernel] = {
    nn.Linear: run_linear,
    nn.Embedding: run_embedding,
    nn.Conv1d: run_convolution,
    nn.Conv2d: run_convolution,
    nn.Conv3d: run_convolution,
    nn.GroupNorm: run_group_norm,
    nn.LayerNorm: run_layer_norm,
    nn.BatchNorm1d: run_batch_norm,
    nn.BatchNorm2d: run_batch_norm,
    nn.BatchNorm3d: run_batch_norm,
    **dict.fromkeys(ELEMENTWISE, run_elementwise),
    **dict.fromkeys(WITHIN_CHANNEL, run_within_channel),
    **dict.fromkeys(WITHIN_ROW, run_within_row),
}

__all__ = ["KERNELS", "Kernel", "Rows", "kernel_of"]


def kernel_of(module: nn.Module) -> Kernel | None:
    """The kernel that runs `module` for T tasks at once, or None if it has none.

    Only exact types count (a subclass may compute anything), without hooks, in the common settings.
    """
    kernel = KERNELS.get(type(module))
    if kernel is None or _has_hooks(module):
        return None
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and module.padding_mode != "zeros":
        return None
    if isinstance(module, nn.Embedding) and (
        module.max_norm is not None or module.scale_grad_by_freq or module.sparse
    ):
        return None
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        return None
    if isinstance(module, nn.Flatten) and module.start_dim < 1:
        return None
    if isinstance(module, (nn.Softmax, nn.LogSoftmax, nn.GLU)) and module.dim in (None, 0):
        return None
    return None if isinstance(module, nn.Unflatten) and module.dim == 0 else kernel


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
