"""Spaces of architectures that fit a family's tasks, by name."""

from collections.abc import Callable
from typing import Any

from netwright.architectures import (
    SearchSpace,
    conv_space,
    mlp_space,
    recurrent_space,
    residual_space,
    transformer_space,
)
from netwright.errors import DataError
from netwright.tasks.base import TaskShape

# By number of axes of one input: vectors [D], sequences [L, D], pictures [C, H, W].
READY_SPACES: dict[int, dict[str, Callable[..., SearchSpace]]] = {
    1: {
        "mlp": lambda x, **outputs: mlp_space(x[0], width=(4, 64), **outputs),
        "residual": lambda x, **outputs: residual_space(x[0], width=(4, 64), **outputs),
    },
    2: {
        "recurrent": lambda x, **outputs: recurrent_space(x[1], x[0], **outputs),
        "transformer": lambda x, **outputs: transformer_space(x[1], x[0], **outputs),
    },
    # Small ones, for a step of training runs many of them; kernels of 1 before a global mean see no shapes.
    3: {
        "conv": lambda x, **outputs: conv_space(
            x, depth=(2, 4), channels=(4, 16), kernels=(3,), **outputs
        )
    },
}


def ready_space(name: str, shape: TaskShape) -> SearchSpace:
    """The space of a name, for the inputs and outputs of tasks.

    Args:
        name: `mlp` or `residual` for vectors, `conv` for pictures, `recurrent` or `transformer` for sequences.
        shape: Of the tasks.

    Raises:
        DataError: If there is none of that name for such inputs, or inputs are of no fixed size.

    >>> ready_space("mlp", TaskShape((64,), 10, "fixed-classes")).smallest().hidden
    (4,)
    """
    known = READY_SPACES.get(len(shape.x), {})
    if None in shape.x or name not in known:
        here = list(known) if None not in shape.x else []
        raise DataError(
            f"There is no ready space {name!r} for inputs of shape {shape.x}, expected one of {here}. "
            "Give a `SearchSpace` of your own in Python: `Sized(family=..., space=...)`."
        )
    exchangeable = shape.kind == "exchangeable-classes"
    outputs: dict[str, Any] = {"classes" if exchangeable else "outputs": shape.outputs}
    return known[name](shape.x, **outputs)


__all__ = ["READY_SPACES", "ready_space"]
