"""Layers without weights: they never see which task a row belongs to."""

from collections.abc import Mapping

from torch import Tensor, nn

from netwright.layers.rows import Rows

ELEMENTWISE: tuple[type[nn.Module], ...] = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU,
    nn.Mish, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish,
    nn.Hardsigmoid, nn.LogSigmoid, nn.Tanhshrink, nn.Dropout,
)  # fmt: skip
WITHIN_CHANNEL: tuple[type[nn.Module], ...] = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
    nn.Upsample,
)  # fmt: skip
WITHIN_ROW: tuple[type[nn.Module], ...] = (
    nn.Flatten, nn.Unflatten, nn.Softmax, nn.LogSoftmax, nn.GLU, nn.PixelShuffle, nn.Dropout2d,
)  # fmt: skip


def run_elementwise(module: nn.Module, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """In whatever layout the activations are; dropout draws anew for every row of every task."""
    return rows.with_same_layout(module(rows.data))


def run_within_channel(module: nn.Module, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """Channels of all tasks side by side if they are so already, else rows of all tasks."""
    if rows.is_grouped:
        return rows.with_grouped(module(rows.grouped))
    return rows.with_merged(module(rows.merged))


def run_within_row(module: nn.Module, tensors: Mapping[str, Tensor], rows: Rows) -> Rows:
    """On [T * N, *], which the layer takes for one batch."""
    return rows.with_merged(module(rows.merged))
