"""Spaces of architectures to start from."""

from collections.abc import Sequence
from typing import Any

from netwright.architectures.choices import Choice, LogUniform, OneOf, Uniform
from netwright.architectures.search_space import SearchSpace

# A range (low, high), a list of values, or a choice.
Range = tuple[int, int] | list[int] | Choice


def mlp_space(
    inputs: int,
    *,
    outputs: int | None = None,
    classes: int | None = None,
    depth: Range = (1, 4),
    width: Range = (8, 64),
    activations: Sequence[str] = ("relu", "tanh", "gelu", "silu"),
) -> SearchSpace:
    """Of `MLP`s.

    Args:
        inputs: D, the width of one input.
        outputs: Number of values or of fixed classes, or None.
        classes: Number of exchangeable classes, or None.
        depth: Number of hidden layers: (low, high) or a list.
        width: Of each hidden layer: (low, high), of which each doubling is as likely, or a list.
        activations: Names of activations.

    >>> import numpy as np
    >>> from netwright.architectures import Limits
    >>> mlp_space(64, outputs=10).sample(np.random.default_rng(0), most=Limits(bytes=4096)).cost.bytes
    2880
    """
    choices = {
        "depth": _depth(depth),
        "hidden": _width(width),
        "activation": OneOf(tuple(activations)),
    }
    return SearchSpace("mlp", _fixed(outputs, classes, inputs=inputs), choices)


def _fixed(outputs: int | None, classes: int | None, **options: Any) -> dict[str, Any]:
    return {**options, "outputs": outputs, "classes": classes}


def _depth(given: Range) -> Choice:
    if isinstance(given, Choice):
        return given
    return OneOf(tuple(given)) if isinstance(given, list) else Uniform(*given)


def _width(given: Range) -> Choice:
    if isinstance(given, Choice):
        return given
    return OneOf(tuple(given)) if isinstance(given, list) else LogUniform(*given)
