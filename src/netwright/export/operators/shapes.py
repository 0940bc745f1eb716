"""What moves numbers about and computes nothing, as steps of a program."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from netwright.export.lowering import Lowering, Operand
from netwright.export.program import Rows, Shape

_END = 1 << 40


def same(lowering: Lowering, shape: Shape, x: Operand, *rest: Any, **options: Any) -> Operand:
    return x


def reshape(lowering: Lowering, shape: Shape, x: Operand, *rest: Any) -> str:
    return lowering.step("reshape", shape, (x,))


def permute(lowering: Lowering, shape: Shape, x: Operand, axes: Sequence[int]) -> str:
    return lowering.step("permute", shape, (x,), axes=tuple(axis % len(shape) for axis in axes))


def transpose(lowering: Lowering, shape: Shape, x: Operand, a: int = 0, b: int = 1) -> str:
    axes = list(range(len(shape)))
    axes[a], axes[b] = axes[b], axes[a]
    return lowering.step("permute", shape, (x,), axes=tuple(axes))


def slice_of(
    lowering: Lowering,
    shape: Shape,
    x: Operand,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Operand:
    size = lowering.shape(x)[dim]
    start, end = start or 0, _END if end is None else end
    if isinstance(size, Rows):
        if (start, step) != (0, 1) or (isinstance(end, int) and end < _END):
            raise lowering.refuse("a choice among rows")
        return x
    start, end, step = slice(start, end, step).indices(size)
    if (start, end, step) == (0, size, 1):
        return x
    return lowering.step("slice", shape, (x,), axis=dim % len(shape), start=start, step=step)


def select(lowering: Lowering, shape: Shape, x: Operand, dim: int, index: int) -> str:
    before = lowering.shape(x)
    dim, size = dim % len(before), before[dim]
    if isinstance(size, Rows):
        raise lowering.refuse("a choice among rows")
    kept = (*before[:dim], 1, *before[dim + 1 :])
    one = lowering.step("slice", kept, (x,), axis=dim, start=index % size, step=1)
    return lowering.step("reshape", shape, (one,))


def unbind(lowering: Lowering, shapes: list[Shape], x: Operand, dim: int = 0) -> list[str]:
    return [select(lowering, shape, x, dim, i) for i, shape in enumerate(shapes)]


def split(
    lowering: Lowering, shapes: list[Shape], x: Operand, sizes: Any, dim: int = 0
) -> list[str]:
    found, start = [], 0
    for shape in shapes:
        axis = dim % len(shape)
        found.append(lowering.step("slice", shape, (x,), axis=axis, start=start, step=1))
        size = shape[axis]
        if isinstance(size, Rows):
            raise lowering.refuse("a choice among rows")
        start += size
    return found


def cat(lowering: Lowering, shape: Shape, parts: Sequence[Operand], dim: int = 0) -> str:
    return lowering.step("join", shape, tuple(parts), axis=dim % len(shape))


def stack(lowering: Lowering, shape: Shape, parts: Sequence[Operand], dim: int = 0) -> str:
    dim %= len(shape)
    one = (*shape[:dim], 1, *shape[dim + 1 :])
    raised = tuple(lowering.step("reshape", one, (part,)) for part in parts)
    return lowering.step("join", shape, raised, axis=dim)


def expand(lowering: Lowering, shape: Shape, x: Operand, *rest: Any) -> str:
    return lowering.step("expand", shape, (x,))


def embedding(
    lowering: Lowering, shape: Shape, weight: Operand, places: Operand, *rest: Any
) -> str:
    """Rows of a weight that may be another one later, at places that are known."""
    if isinstance(places, str):
        raise lowering.refuse("an embedding of its inputs")
    count = places.numel()
    taken = lowering.step(
        "take", (count, *shape[places.dim() :]), (weight,), places=tuple(places.flatten().tolist())
    )
    return lowering.step("reshape", shape, (taken,))


def filled(value: float) -> Callable[..., str]:
    """As many of one number as are asked for."""

    def fill(lowering: Lowering, shape: Shape, *rest: Any) -> str:
        constant = torch.full([1] * len(shape), value)
        return lowering.step("expand", shape, (constant,))

    return fill


__all__ = [
    "cat",
    "expand",
    "filled",
    "permute",
    "reshape",
    "same",
    "select",
    "slice_of",
    "split",
    "stack",
    "transpose",
    "unbind",
]
