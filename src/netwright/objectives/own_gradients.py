"""Gradients of T children, each looked at by itself before all of them reach what wrote the children."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def limited(params: Mapping[str, Tensor], most: float) -> dict[str, Tensor]:
    """The same params; in the backward pass no task's gradient is longer than `most` times the median of all tasks'.

    Lengths are compared with each other, not with a number: rewards of some machines are a hundred times those of others. A task whose
    gradient is not finite has none.

    Args:
        params: Each [T, *shape].
        most: Largest length, in medians.
    """
    found: tuple[Tensor, ...] = _Limited.apply(most, *params.values())  # type: ignore[no-untyped-call]
    return dict(zip(params, found, strict=True))


def steered(values: Tensor, params: Mapping[str, Tensor], slopes: Mapping[str, Tensor]) -> Tensor:
    """Values [T] whose gradient with respect to params is given, as it is where it has been estimated.

    Args:
        values: Of T tasks.
        params: Each [T, *shape].
        slopes: The gradient of each task's value, by the same names, each [T, *shape].
    """
    own = [slopes[name] for name in params]
    found: Tensor = _Steered.apply(values, own, *params.values())  # type: ignore[no-untyped-call]
    return found


def _beside(factor: Tensor, value: Tensor) -> Tensor:
    return factor.view(-1, *[1] * (value.dim() - 1))


class _Limited(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, most: float, *params: Tensor) -> tuple[Tensor, ...]:
        ctx.most = most
        return tuple(param.view_as(param) for param in params)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        length = torch.stack([g.flatten(1).square().sum(dim=1) for g in gradients]).sum(dim=0).sqrt()  # fmt: skip
        sound = length.isfinite()
        if not bool(sound.any()):
            return (None, *(torch.zeros_like(g) for g in gradients))
        most = ctx.most * length[sound].median()
        factor = (most / length.clamp(min=1e-30)).clamp(max=1)
        return (
            None,
            *(torch.where(_beside(sound, g), g * _beside(factor, g), 0.0) for g in gradients),
        )


class _Steered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, slopes: list[Tensor], *params: Tensor) -> Tensor:
        ctx.slopes = slopes
        return values.clone()

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(_beside(weight, slope) * slope for slope in ctx.slopes))


__all__ = ["limited", "steered"]
