"""Loops over arrays in C, and the places that their counters point to."""

from collections.abc import Sequence
from math import prod


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Numbers between neighbours along each axis."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def index_of(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> str:
    """The place of what the counters `i0`, `i1`, ... of a shape point to."""
    terms = [
        f"i{axis}" if stride == 1 else f"i{axis} * {stride}"
        for axis, (size, stride) in enumerate(zip(shape, strides, strict=True))
        if stride and size > 1
    ]
    return " + ".join([*terms, *([str(offset)] if offset or not terms else [])])


def loops(shape: Sequence[int], body: str) -> str:
    """A line of C for every place of a shape."""
    heads = [
        f"for (int i{axis} = 0; i{axis} < {size}; i{axis}++)" for axis, size in enumerate(shape)
    ]
    return " ".join([*heads, body])


def at(place: str, index: str) -> str:
    return f"{place}[{index}]"


def moved(place: str, offset: int) -> str:
    return f"{place} + {offset}" if offset else place


__all__ = ["at", "index_of", "loops", "moved", "strides_of"]
