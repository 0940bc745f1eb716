"""A network as a list of steps on arrays: what the printers of NumPy and of C have in common.

A step reads values by name and makes one new value. Sizes are numbers, or multiples of N, how many rows there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rows:
    """A size that is `times` as large as the number of rows."""

    times: int = 1


Size = int | Rows
Shape = tuple[Size, ...]


@dataclass(frozen=True)
class Step:
    """One operation.

    Args:
        kind: One of `KINDS`.
        output: Name of the value that it makes.
        inputs: Names of the values and constants that it reads; a number stands for itself.
        options: What else it needs to know.
    """

    kind: str
    output: str
    inputs: tuple[str | float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """Steps from `x` to `result`.

    Args:
        shapes: Of every value and constant, by name.
        constants: Weights, and what follows from weights alone, float32 by name; names are plain identifiers.
        steps: In the order in which they run.
        result: Name of the value that is answered.
        parameters: Of the constants that are parameters of the module, its own names for them.
    """

    shapes: Mapping[str, Shape]
    constants: Mapping[str, np.ndarray]
    steps: tuple[Step, ...]
    result: str
    parameters: Mapping[str, str]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return fixed(self.shapes["x"])[1:]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one output."""
        return fixed(self.shapes[self.result])[1:]

    @property
    def size(self) -> int:
        """How many numbers the constants hold."""
        return sum(value.size for value in self.constants.values())


# Each printer has a function for each of them.
KINDS = (
    "linear", "convolve", "group_norm", "layer_norm", "map", "combine", "softmax", "reduce", "matmul", "reshape",
    "permute", "slice", "join", "expand", "pool", "adaptive_pool", "recur", "take",
)  # fmt: skip


def fixed(shape: Shape, rows: int = 1) -> tuple[int, ...]:
    """A shape for so many rows.

    >>> fixed((Rows(2), 3), rows=5)
    (10, 3)
    """
    return tuple(size.times * rows if isinstance(size, Rows) else size for size in shape)


__all__ = ["KINDS", "Program", "Rows", "Shape", "Size", "Step", "fixed"]
