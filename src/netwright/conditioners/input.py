"""Reads the very input that a network is to be run on."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditioners.encoders import PictureEncoder, VectorEncoder
from netwright.conditions import Condition
from netwright.errors import RunError, ShapeError
from netwright.shapes import check_shape

_AXES = {1: "T D", 3: "T C H W"}


class Input(Conditioner):
    """An encoder of one input per task: with it a network is written for a single sample.

    `netwright.dynamic.PerSample` runs each of them on its own sample.

    Args:
        x: Shape of one input: (C, H, W) for pictures, (D,) for vectors.
        size: E, the width of the embedding.
        channels: Width of the picture encoder, or of the vector encoder's hidden layers.

    Raises:
        RunError: If x is not the shape of a picture or a vector, or a size is below 1.

    References:
        De Brabandere et al., Dynamic filter networks, arXiv:1605.09673.
    """

    reads = ("input",)

    def __init__(self, x: Sequence[int], *, size: int = 64, channels: int = 64) -> None:
        super().__init__()
        self.x, self.size, self.channels = tuple(x), size, channels
        if len(self.x) not in _AXES or min(*self.x, size) < 1 or channels < 2:
            raise RunError(
                f"`x` is {self.x}, `size` {size} and `channels` {channels}, expected (C, H, W) or (D,) of "
                "at least 1 each, a size of at least 1 and at least 2 channels."
            )
        self.encode: nn.Module = (
            PictureEncoder(self.x, channels, size)
            if len(self.x) == 3
            else VectorEncoder(self.x[0], channels, size)
        )
        self.norm = nn.LayerNorm(size)

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {"x": list(self.x), "size": self.size, "channels": self.channels}

    def forward(self, condition: Condition) -> Embedding:
        """Read inputs [T, *], one per task."""
        x = condition.input
        if x is None:
            raise self._missing(condition, "Give one input per task, such as the sample itself.")
        axes = _AXES[len(self.x)]
        sizes = dict(zip(axes.split()[1:], self.x, strict=True))
        hint = "Give inputs of the shape that this hypernetwork was trained with."
        check_shape("input", x, axes, hint=hint, **sizes)
        self._check_type(x)
        # The encoders read sets: here each task has a single member.
        return Embedding.single(self.norm(self.encode(x.unsqueeze(1)).squeeze(1)))

    def _check_type(self, x: Tensor) -> None:
        expected = self.norm.weight.dtype
        if x.dtype != expected:
            raise ShapeError(
                f"`input` is {x.dtype}, expected {expected}. Convert it: `x.to({expected})`."
            )
