"""One tensor of many networks, at rest: in full, at half precision, or as bytes."""

from typing import Literal, get_args

import torch
from torch import Tensor

from netwright.errors import RunError
from netwright.space import TensorSpec

AtRest = Literal["float32", "float16", "int8"]


class Table:
    """Values of one tensor in numbered slots, [S, *shape] at rest.

    `float16` halves the memory at a relative error of 2^-11 per number. `int8` keeps a scale per row (of
    the first axis) beside bytes from -127 to 127: a quarter of the memory, at an error of half of 1/127
    of the row's largest number. Vectors stay in full: they are few numbers and carry much.

    Args:
        spec: Of the tensor.
        at_rest: How values are kept.
        is_turned: Whether they lie inputs by outputs, as lookups of linear layers read them.
    """

    def __init__(self, spec: TensorSpec, at_rest: AtRest, *, is_turned: bool) -> None:
        if at_rest not in get_args(AtRest):
            raise RunError(f"`at_rest` is {at_rest!r}, expected one of {list(get_args(AtRest))}.")
        self.spec, self.is_turned = spec, is_turned
        self.at_rest: AtRest = at_rest if len(spec.shape) > 1 else "float32"
        shape = spec.shape[::-1] if is_turned else spec.shape
        self.values = torch.empty(0, *shape, dtype=getattr(torch, self.at_rest))
        self.scales = torch.empty(0, *shape[:1]) if self.at_rest == "int8" else None

    @property
    def bytes_of_one(self) -> int:
        """Bytes of one network's tensor at rest."""
        scales = 0 if self.scales is None else 4 * self.scales.shape[1]
        return self.spec.size * self.values.element_size() + scales

    def resize(self, slots: int) -> None:
        """Make room for so many slots; what is there stays."""
        self.values = _resized(self.values, slots)
        if self.scales is not None:
            self.scales = _resized(self.scales, slots)

    def keep(self, slots: Tensor) -> None:
        """Let go of all but these slots [k], which become slots 0 to k - 1."""
        self.values = self.values.index_select(0, slots)
        if self.scales is not None:
            self.scales = self.scales.index_select(0, slots)

    def write(self, slots: Tensor, values: Tensor) -> None:
        """Put values [k, *shape] into slots [k]."""
        values = values.detach().float().cpu()
        if self.is_turned:
            values = values.transpose(1, 2)
        if self.scales is not None:
            largest = values.flatten(2).abs().amax(dim=2)
            self.scales[slots] = scales = largest / 127
            places = [len(values), -1, *[1] * (values.dim() - 2)]
            values = (values / scales.clamp(min=1e-30).reshape(places)).round()
        self.values[slots] = values.to(self.values.dtype)

    def read(self, slots: Tensor) -> Tensor:
        """Values in slots [k], as they were written up to rounding: float32 [k, *shape]."""
        values = self.as_they_lie(slots)
        return values.transpose(1, 2) if self.is_turned else values

    def as_they_lie(self, slots: Tensor) -> Tensor:
        """Values in slots [k] in float32, inputs by outputs if they are turned."""
        values = self.values.index_select(0, slots).float()
        if self.scales is None:
            return values
        scales = self.scales.index_select(0, slots)
        return values * scales.reshape(len(slots), -1, *[1] * (values.dim() - 2))


def _resized(values: Tensor, slots: int) -> Tensor:
    larger = values.new_zeros(slots, *values.shape[1:])
    kept = min(slots, len(values))
    larger[:kept] = values[:kept]
    return larger
