"""Spaces of architectures to start from."""

from collections.abc import Sequence
from typing import Any

from netwright.architectures.choices import Choice, LogUniform, OneOf, Uniform, choice_of
from netwright.architectures.search_space import SearchSpace

# A range (low, high), a list of values, or a choice.
Range = tuple[int, int] | list[int] | Choice
ACTIVATIONS = ("relu", "tanh", "gelu", "silu")


def mlp_space(
    inputs: int,
    *,
    outputs: int | None = None,
    classes: int | None = None,
    depth: Range = (1, 4),
    width: Range = (8, 64),
    activations: Sequence[str] = ACTIVATIONS,
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


def conv_space(
    image: tuple[int, int, int],
    *,
    outputs: int | None = None,
    classes: int | None = None,
    depth: Range = (2, 5),
    channels: Range = (4, 32),
    kernels: Sequence[int] | Choice = (1, 3, 5),
    strides: Sequence[int] | Choice = (1, 2),
    skips: Sequence[bool] | Choice = (False, True),
    norms: Sequence[str] = ("none", "group"),
    activations: Sequence[str] = ACTIVATIONS,
) -> SearchSpace:
    """Of `ConvNet`s.

    Args:
        image: Channels, height and width of one picture.
        outputs: Number of values or of fixed classes, or None.
        classes: Number of exchangeable classes, or None.
        depth: Number of blocks: (low, high) or a list.
        channels: Of each block: (low, high), of which each doubling is as likely, or a list.
        kernels: What the width of each block's kernel may be.
        strides: What each block's stride may be. Where half of the blocks keep a picture as large as it is, shallow networks see
            little of it before they take the mean: `Weighted((1, 2), (1, 3))` is kinder.
        skips: Whether a short cut may lead around a block: (False,), or (False, True). A block that one is
            drawn for is given as many channels as the block before, and stride 1.
        norms: `none`, `group` or both.
        activations: Names of activations.

    >>> import numpy as np
    >>> conv_space((1, 28, 28), classes=5).sample(np.random.default_rng(0)).kernels
    (3, 3, 3, 5, 5)
    """
    choices = {
        "depth": _depth(depth),
        "channels": _width(channels),
        "kernels": choice_of(kernels),
        "strides": choice_of(strides),
        "skips": choice_of(skips),
        "norm": OneOf(tuple(norms)),
        "activation": OneOf(tuple(activations)),
    }
    return SearchSpace("conv-net", _fixed(outputs, classes, image=image), choices)


def residual_space(
    inputs: int,
    *,
    outputs: int | None = None,
    classes: int | None = None,
    blocks: Range = (1, 4),
    width: Range = (8, 64),
    expansions: Sequence[int] = (1, 2, 4),
    activations: Sequence[str] = ACTIVATIONS,
) -> SearchSpace:
    """Of `Residual` networks.

    Args:
        inputs: D, the width of one input.
        outputs: Number of values or of fixed classes, or None.
        classes: Number of exchangeable classes, or None.
        blocks: How many: (low, high) or a list.
        width: (low, high), of which each doubling is as likely, or a list.
        expansions: How many times as wide a block may be inside.
        activations: Names of activations.

    >>> residual_space(8, outputs=2).size()
    2736
    """
    choices = {
        "blocks": _depth(blocks),
        "width": _width(width),
        "expansion": OneOf(tuple(expansions)),
        "activation": OneOf(tuple(activations)),
    }
    return SearchSpace("residual", _fixed(outputs, classes, inputs=inputs), choices)


def recurrent_space(
    inputs: int,
    steps: int,
    *,
    outputs: int | None = None,
    classes: int | None = None,
    layers: Range = (1, 3),
    width: Range = (8, 64),
    cells: Sequence[str] = ("gru", "lstm"),
    read: str = "last",
) -> SearchSpace:
    """Of `Recurrent` networks.

    Args:
        inputs: D, numbers per step.
        steps: L, the length of one sequence.
        outputs: Number of values or of fixed classes, or None.
        classes: Number of exchangeable classes, or None.
        layers: How many: (low, high) or a list.
        width: (low, high), of which each doubling is as likely, or a list.
        cells: `gru`, `lstm` or both.
        read: What the head reads, the `last` step or `all`.

    >>> recurrent_space(3, 20, outputs=2).smallest().cost.parameters
    330
    """
    choices = {"layers": _depth(layers), "width": _width(width), "cell": OneOf(tuple(cells))}
    fixed = _fixed(outputs, classes, inputs=inputs, steps=steps, read=read)
    return SearchSpace("recurrent", fixed, choices)


def transformer_space(
    inputs: int,
    steps: int,
    *,
    outputs: int | None = None,
    classes: int | None = None,
    depth: Range = (1, 3),
    width: Range = (8, 64),
    heads: Sequence[int] = (1, 2, 4),
    expansions: Sequence[int] = (1, 2, 4),
    activations: Sequence[str] = ACTIVATIONS,
) -> SearchSpace:
    """Of `Transformer`s; of widths and heads, those that go together.

    Args:
        inputs: D, numbers per step.
        steps: L, the length of one sequence.
        outputs: Number of values or of fixed classes, or None.
        classes: Number of exchangeable classes, or None.
        depth: Number of blocks: (low, high) or a list.
        width: (low, high), of which each doubling is as likely, or a list.
        heads: How many heads attention may have.
        expansions: How many times as wide a block's second part may be inside.
        activations: Names of activations.

    >>> transformer_space(3, 20, outputs=2, width=[8, 10], heads=(1, 4)).size()
    108
    """
    choices = {
        "depth": _depth(depth),
        "width": _width(width),
        "heads": OneOf(tuple(heads)),
        "expansion": OneOf(tuple(expansions)),
        "activation": OneOf(tuple(activations)),
    }
    fixed = _fixed(outputs, classes, inputs=inputs, steps=steps)
    return SearchSpace("transformer", fixed, choices)


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
