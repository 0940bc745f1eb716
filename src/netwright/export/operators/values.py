"""Functions of numbers, sums, products and attention, as steps of a program."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.export.lowering import Lowering, Operand
from netwright.export.operators.shapes import transpose
from netwright.export.program import Rows, Shape


def map_of(function: str, *names: str, **fixed: float) -> Callable[..., str]:
    """A function of one number, whose settings are the operator's arguments of these names."""

    def apply(lowering: Lowering, shape: Shape, x: Operand, *rest: Any) -> str:
        if len(rest) > len(names):
            raise lowering.refuse(f"{function} with settings of its own")
        given = {n: float(v) for n, v in zip(names, rest, strict=False) if v is not None}
        return lowering.step("map", shape, (x,), function=function, **{**fixed, **given})

    return apply


def gelu(lowering: Lowering, shape: Shape, x: Operand, *, approximate: str = "none") -> str:
    return lowering.step(
        "map", shape, (x,), function="gelu" if approximate == "none" else "gelu_tanh"
    )


def softplus(
    lowering: Lowering, shape: Shape, x: Operand, beta: float = 1, threshold: float = 20
) -> str:
    """Beyond the threshold torch leaves x as it is; so does the formula, to the last digit that float32 has."""
    if beta != 1 or threshold < 15:
        raise lowering.refuse("a softplus with settings of its own")
    return lowering.step("map", shape, (x,), function="softplus")


def elu(
    lowering: Lowering, shape: Shape, x: Operand, alpha: float = 1, scale: float = 1, *rest: Any
) -> str:
    if any(each != 1 for each in rest):
        raise lowering.refuse("an ELU of scaled inputs")
    y = lowering.step("map", shape, (x,), function="elu", a=float(alpha))
    return y if scale == 1 else lowering.step("combine", shape, (y, scale), function="mul")


def selu(lowering: Lowering, shape: Shape, x: Operand) -> str:
    # Its two constants, arXiv:1706.02515, equation 14.
    return elu(lowering, shape, x, 1.6732632423543772, 1.0507009873554805)


def combine(function: str, *, turned: bool = False) -> Callable[..., str]:
    def combine(
        lowering: Lowering,
        shape: Shape,
        a: Operand | float,
        b: Operand | float,
        *rest: Any,
        alpha: float = 1,
        rounding_mode: str | None = None,
    ) -> str:
        if alpha != 1 or rounding_mode is not None or rest:
            raise lowering.refuse(f"{function} with settings of its own")
        return lowering.step("combine", shape, (b, a) if turned else (a, b), function=function)

    return combine


def softmax(kind: str) -> Callable[..., str]:
    def softmax(lowering: Lowering, shape: Shape, x: Operand, dim: int, *rest: Any) -> str:
        return lowering.step("softmax", shape, (x,), axis=dim % len(shape), log=kind == "log")

    return softmax


def reduce_of(kind: str) -> Callable[..., Any]:
    def reduce(
        lowering: Lowering,
        shape: Shape | list[Shape],
        x: Operand,
        dims: Sequence[int] | int | None = None,
        keepdim: bool = False,
        **options: Any,
    ) -> Any:
        before = lowering.shape(x)
        given = [dims] if isinstance(dims, int) else list(dims or range(len(before)))
        axes = sorted(dim % len(before) for dim in given)
        if any(isinstance(before[axis], Rows) for axis in axes):
            raise lowering.refuse(f"a {kind} over all rows")
        rest = [axis for axis in range(len(before)) if axis not in axes]
        if axes != list(range(axes[0], axes[-1] + 1)):
            order = [*rest, *axes]
            x = lowering.step("permute", tuple(before[i] for i in order), (x,), axes=tuple(order))
            axes = list(range(len(rest), len(before)))
        whole = shape[0] if isinstance(shape, list) else shape
        made = lowering.step(
            "reduce",
            tuple(before[i] for i in rest),
            (x,),
            function=kind,
            axes=(axes[0], axes[-1] + 1),
        )
        y = lowering.step("reshape", whole, (made,)) if keepdim else made
        # With places of the largest or least, which nothing but an index can be made of.
        return (y, None) if isinstance(shape, list) else y

    return reduce


def matmul(lowering: Lowering, shape: Shape, a: Operand, b: Operand) -> str:
    if min(len(lowering.shape(a)), len(lowering.shape(b))) < 2:
        raise lowering.refuse("a product with a vector")
    return lowering.step("matmul", shape, (a, b))


def attention(
    lowering: Lowering,
    shape: Shape,
    q: Operand,
    k: Operand,
    v: Operand,
    mask: Operand | None = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    scale: float | None = None,
    **rest: Any,
) -> str:
    """softmax(q k^T / sqrt(d) + mask) v."""
    before, keys = lowering.shape(q), lowering.shape(k)
    turned = transpose(lowering, (*keys[:-2], keys[-1], keys[-2]), k, -2, -1)
    scores: Shape = (*before[:-1], keys[-2])
    found = lowering.step("matmul", scores, (q, turned))
    by = float(before[-1]) ** -0.5 if scale is None else scale  # type: ignore[arg-type]
    found = lowering.step("combine", scores, (found, by), function="mul")
    if causal:
        length, other = int(before[-2]), int(keys[-2])  # type: ignore[arg-type]
        mask = torch.full((length, other), -1e30).triu(1)
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape).masked_fill(~mask, -1e30)
    if mask is not None:
        found = lowering.step("combine", scores, (found, mask), function="add")
    weights = lowering.step("softmax", scores, (found,), axis=len(scores) - 1, log=False)
    return lowering.step("matmul", shape, (weights, v))


__all__ = [
    "attention",
    "combine",
    "elu",
    "gelu",
    "map_of",
    "matmul",
    "reduce_of",
    "selu",
    "softmax",
    "softplus",
]
