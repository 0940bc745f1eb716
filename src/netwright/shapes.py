"""Checks of tensors where a user's value enters."""

import torch
from torch import Tensor

from netwright.errors import ShapeError


def describe_shape(tensor: Tensor) -> str:
    """`[4, 12]` for a tensor of that shape."""
    return "[" + ", ".join(map(str, tensor.shape)) + "]"


def check_shape(name: str, tensor: Tensor, axes: str, *, hint: str = "", **sizes: int) -> None:
    """Refuse `tensor` unless it has the named `axes`, with the given `sizes`.

    Args:
        name: What the user calls the tensor.
        tensor: Any tensor.
        axes: Axis names separated by spaces; a final `*` stands for any further axes.
        hint: How to mend it; ends the message.
        sizes: Required sizes by axis name.

    Raises:
        ShapeError: If the rank or a size differs.
    """
    names = axes.split()
    open_ended = bool(names) and names[-1] == "*"
    fixed = names[:-1] if open_ended else names
    rank_fits = tensor.dim() >= len(fixed) if open_ended else tensor.dim() == len(fixed)
    sizes_fit = rank_fits and all(
        sizes.get(axis, size) == size
        for axis, size in zip(fixed, tensor.shape[: len(fixed)], strict=True)
    )
    if not sizes_fit:
        expected = [f"{axis}={sizes[axis]}" if axis in sizes else axis for axis in names]
        raise ShapeError(
            f"`{name}` is {describe_shape(tensor)}, expected [{', '.join(expected)}]. {hint}".strip()
        )


def check_dtype(name: str, tensor: Tensor, expected: torch.dtype, *, hint: str = "") -> None:
    """Refuse `tensor` unless its numbers are of the expected type.

    Under autocast any floating type will do where one is expected: operations convert as they need.

    Args:
        name: What the user calls the tensor.
        tensor: Any tensor.
        expected: The type.
        hint: How to mend it; ends the message.

    Raises:
        ShapeError: If the type differs.
    """
    if tensor.dtype == expected:
        return
    converts = tensor.is_floating_point() and expected.is_floating_point
    if converts and torch.is_autocast_enabled(tensor.device.type):
        return
    raise ShapeError(f"`{name}` is {tensor.dtype}, expected {expected}. {hint}".strip())
