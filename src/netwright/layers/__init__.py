"""Kernels: how one layer runs for T tasks at once, by its exact type.

`KERNELS` take one input and know layouts (`Rows`); `CALLS` take and return what the module's own call
does, with the rows of T tasks one after the other, [T * N, *].
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from netwright.layers.attention import run_attention
from netwright.layers.convolution import run_convolution
from netwright.layers.linear import affine, run_embedding, run_linear
from netwright.layers.normalisation import run_batch_norm, run_group_norm, run_layer_norm
from netwright.layers.recurrent import run_recurrent, run_recurrent_cell
from netwright.layers.rows import Rows
from netwright.layers.weightless import (
    ELEMENTWISE,
    WITHIN_CHANNEL,
    WITHIN_ROW,
    run_elementwise,
    run_within_channel,
    run_within_row,
)
from netwright.layers.weights import (
    FilmWeight,
    LowRankWeight,
    TableWeight,
    Weight,
    dense,
    dtype_of,
    padded_tasks,
    padded_weight,
    split_weight,
)

Kernel = Callable[..., Rows]
Call = Callable[..., Any]

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

CALLS: dict[type[nn.Module], Call] = {
    nn.RNN: run_recurrent,
    nn.GRU: run_recurrent,
    nn.LSTM: run_recurrent,
    nn.RNNCell: run_recurrent_cell,
    nn.GRUCell: run_recurrent_cell,
    nn.LSTMCell: run_recurrent_cell,
    nn.MultiheadAttention: run_attention,
}

__all__ = [
    "CALLS",
    "KERNELS",
    "Call",
    "FilmWeight",
    "Kernel",
    "LowRankWeight",
    "Rows",
    "TableWeight",
    "Weight",
    "affine",
    "call_of",
    "dense",
    "dtype_of",
    "kernel_of",
    "padded_tasks",
    "padded_weight",
    "split_weight",
]


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


def call_of(module: nn.Module) -> Call | None:
    """What runs a layer with several inputs or outputs for T tasks at once, or None."""
    call = CALLS.get(type(module))
    if call is None or _has_hooks(module):
        return None
    if isinstance(module, nn.LSTM) and module.proj_size:
        return None
    if isinstance(module, nn.MultiheadAttention) and (
        module.bias_k is not None or module.add_zero_attn
    ):
        return None
    return call


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
