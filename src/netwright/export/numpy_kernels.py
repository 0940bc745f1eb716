"""What exported modules of NumPy run: those that a network needs are copied into its file, as they stand here."""

# mypy: disable-error-code="no-any-return"

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def erf(x: Array) -> Array:
    """The error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    powers = ((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736
    return np.sign(x) * (1 - (powers * t + 0.254829592) * t * np.exp(-x * x))


def padded(x: Array, padding: tuple[int, int], value: float) -> Array:
    """[N, C, H, W] with so many rows and columns of a value on each side."""
    (high, wide), (down, right) = x.shape[2:], padding
    if not down and not right:
        return x
    y = np.full((*x.shape[:2], high + 2 * down, wide + 2 * right), value, dtype=x.dtype)
    y[:, :, down : down + high, right : right + wide] = x
    return y


def convolve(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Array:
    """[N, I, H, W] with weights [O, I / groups, h, w]: every window as a row of one matrix product."""
    (high, wide), (down, right) = weight.shape[2:], dilation
    x = padded(x, padding, 0)
    span = ((high - 1) * down + 1, (wide - 1) * right + 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], ::down, ::right]
    count, inputs, height, width = windows.shape[:4]
    inside, outputs = inputs // groups, len(weight) // groups
    parts = []
    for group in range(groups):
        rows = windows[:, group * inside : (group + 1) * inside].transpose(0, 2, 3, 1, 4, 5)
        kernel = weight[group * outputs : (group + 1) * outputs].reshape(outputs, -1)
        parts.append(rows.reshape(count * height * width, -1) @ kernel.T)
    y = parts[0] if groups == 1 else np.concatenate(parts, axis=1)
    y = y if bias is None else y + bias
    return y.reshape(count, height, width, -1).transpose(0, 3, 1, 2)


def normalise(x: Array, eps: float) -> Array:
    """Mean 0 and variance 1 along the last axis."""
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(eps))


def group_norm(
    x: Array, groups: int, eps: float, weight: Array | None = None, bias: Array | None = None
) -> Array:
    """[N, C, *], normalised over each group of channels."""
    y = normalise(x.reshape(len(x), groups, -1), eps).reshape(x.shape)
    if weight is None or bias is None:
        return y
    beside = (-1,) + (1,) * (x.ndim - 2)
    return y * weight.reshape(beside) + bias.reshape(beside)


def layer_norm(
    x: Array, axes: int, eps: float, weight: Array | None = None, bias: Array | None = None
) -> Array:
    """Normalised over the last axes."""
    y = normalise(x.reshape(*x.shape[: x.ndim - axes], -1), eps).reshape(x.shape)
    return y if weight is None or bias is None else y * weight + bias


def log_softmax(x: Array, axis: int) -> Array:
    """x - log(sum(exp(x))) along an axis, without overflow."""
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along an axis, without overflow."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    return y / y.sum(axis=axis, keepdims=True)


def logsumexp(x: Array, axis: tuple[int, ...]) -> Array:
    """log(sum(exp(x))) over axes, without overflow."""
    most = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - most).sum(axis=axis)) + most.squeeze(axis)


def pool(
    x: Array,
    function: str,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Array:
    """The largest, or the mean, of every window of [N, C, H, W]; padding counts as 0 in a mean."""
    x = padded(x, padding, -np.inf if function == "max" else 0)
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    return windows.max(axis=(4, 5)) if function == "max" else windows.mean(axis=(4, 5))


def adaptive_pool(x: Array, function: str, height: int, width: int) -> Array:
    """The largest, or the mean, of [N, C, H, W] in height x width fields that may overlap by one."""
    high, wide = x.shape[2:]
    y = np.empty((*x.shape[:2], height, width), dtype=x.dtype)
    for i in range(height):
        top, bottom = i * high // height, -(-(i + 1) * high // height)
        for j in range(width):
            field = x[:, :, top:bottom, j * wide // width : -(-(j + 1) * wide // width)]
            y[:, :, i, j] = field.max(axis=(2, 3)) if function == "max" else field.mean(axis=(2, 3))
    return y


def recur(
    x: Array,
    cell: str,
    backwards: bool,
    states: tuple[Array, ...],
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
) -> Array:
    """The states [N, L, H] of one recurrent layer over sequences [N, L, D]; gates lie as torch lays them."""
    h, c, size = states[0], states[-1], weight_hh.shape[1]
    inputs = x @ weight_ih.T + (0 if bias_ih is None else bias_ih)
    y = np.empty((*x.shape[:2], size), dtype=x.dtype)
    steps = range(x.shape[1])
    for step in reversed(steps) if backwards else steps:
        a, b = inputs[:, step], h @ weight_hh.T + (0 if bias_hh is None else bias_hh)
        if cell == "gru":
            reset, update = (sigmoid(g) for g in np.split((a + b)[:, : 2 * size], 2, axis=1))
            new = np.tanh(a[:, 2 * size :] + reset * b[:, 2 * size :])
            h = new + update * (h - new)
        elif cell == "lstm":
            let_in, keep, new, out = np.split(a + b, 4, axis=1)
            c = sigmoid(keep) * c + sigmoid(let_in) * np.tanh(new)
            h = sigmoid(out) * np.tanh(c)
        else:
            h = np.tanh(a + b) if cell == "tanh" else np.maximum(a + b, 0)
        y[:, step] = h
    return y


# What each kernel calls.
NEEDS: dict[str, tuple[str, ...]] = {
    "convolve": ("padded",),
    "pool": ("padded",),
    "group_norm": ("normalise",),
    "layer_norm": ("normalise",),
    "recur": ("sigmoid",),
}

__all__ = [
    "NEEDS", "adaptive_pool", "convolve", "erf", "group_norm", "layer_norm", "log_softmax", "logsumexp", "normalise",
    "padded", "pool", "recur", "sigmoid", "softmax",
]  # fmt: skip
