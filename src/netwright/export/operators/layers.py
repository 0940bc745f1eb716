"""Layers with weights, pools and norms, as steps of a program."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.export.lowering import Lowering, Operand
from netwright.export.program import Shape, fixed


def linear(
    lowering: Lowering, shape: Shape, x: Operand, weight: Operand, bias: Operand | None = None
) -> str:
    return lowering.step("linear", shape, (x, weight) if bias is None else (x, weight, bias))


def addmm(lowering: Lowering, shape: Shape, bias: Operand, a: Operand, b: Operand) -> str:
    product = lowering.step("matmul", shape, (a, b))
    return lowering.step("combine", shape, (product, bias), function="add")


def convolve(
    lowering: Lowering,
    shape: Shape,
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> str:
    """Of one axis or two; one is a picture that is one high."""
    flat = len(shape) == 3
    sizes = fixed(lowering.shape(weight))
    if isinstance(padding, str):
        spans = [
            d * (k - 1) for d, k in zip(_pair(dilation, flat), (1, *sizes[2:])[-2:], strict=True)
        ]
        if padding == "same" and any(span % 2 for span in spans):
            raise lowering.refuse("a convolution that is padded on one side more than on the other")
        padding = [span // 2 for span in spans] if padding == "same" else (0, 0)
    elif flat:
        padding = _pair(padding, flat, 0)
    if flat:
        x = lowering.step("reshape", _raised(lowering.shape(x)), (x,))
        weight = (
            weight.unsqueeze(2)
            if isinstance(weight, Tensor)
            else lowering.step("reshape", _raised(sizes), (weight,))
        )
    y = lowering.step(
        "convolve",
        _raised(shape) if flat else shape,
        (x, weight) if bias is None else (x, weight, bias),
        stride=_pair(stride, flat),
        padding=_pair(padding, False),
        dilation=_pair(dilation, flat),
        groups=groups,
    )
    return lowering.step("reshape", shape, (y,)) if flat else y


def pool_of(kind: str) -> Callable[..., str]:
    def pool(
        lowering: Lowering,
        shape: Shape,
        x: Operand,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        *rest: Any,
    ) -> str:
        # Of a maximum: dilation, ceil_mode. Of a mean: ceil_mode, count_include_pad, divisor_override.
        known = (([1], [1, 1]), (False,)) if kind == "max" else ((False,), (True,), (None,))
        if any(
            not any(each == v and type(each) is type(v) for v in ok)
            for each, ok in zip(rest, known, strict=False)
        ):
            raise lowering.refuse("a pool with dilation, partial windows or a divisor of its own")
        flat = len(shape) == 3
        if flat:
            x = lowering.step("reshape", _raised(lowering.shape(x)), (x,))
        y = lowering.step(
            "pool",
            _raised(shape) if flat else shape,
            (x,),
            function=kind,
            kernel=_pair(kernel, flat),
            stride=_pair(stride or kernel, flat),
            padding=_pair(padding, flat, 0),
        )
        return lowering.step("reshape", shape, (y,)) if flat else y

    return pool


def adaptive(kind: str) -> Callable[..., Any]:
    def adaptive(
        lowering: Lowering, shape: Shape | list[Shape], x: Operand, sizes: Sequence[int]
    ) -> Any:
        # Max pooling also says where each largest value stood.
        whole: Shape = shape[0] if isinstance(shape, list) else shape
        flat = len(whole) == 3
        if flat:
            x = lowering.step("reshape", _raised(lowering.shape(x)), (x,))
        y = lowering.step("adaptive_pool", _raised(whole) if flat else whole, (x,), function=kind)
        y = lowering.step("reshape", whole, (y,)) if flat else y
        return (y, None) if isinstance(shape, list) else y

    return adaptive


def group_norm(
    lowering: Lowering,
    shape: Shape,
    x: Operand,
    groups: int,
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> str:
    inputs = _affine(weight, bias, int(shape[1]))  # type: ignore[arg-type]
    return lowering.step("group_norm", shape, (x, *inputs), groups=groups, eps=eps)


def layer_norm(
    lowering: Lowering,
    shape: Shape,
    x: Operand,
    normalised: Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> str:
    inputs = _affine(weight, bias, *normalised)
    return lowering.step("layer_norm", shape, (x, *inputs), axes=len(normalised), eps=eps)


def batch_norm(
    lowering: Lowering,
    shape: Shape,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> str:
    if mean is None or variance is None or training:
        raise lowering.refuse("BatchNorm with statistics of the batch")
    beside = (-1, *[1] * (len(shape) - 2))
    scale = torch.rsqrt(variance + eps)
    shift = -mean * scale
    if not isinstance(weight, str) and not isinstance(bias, str):
        scale = scale * (1 if weight is None else weight)
        shift = (0 if bias is None else bias) - mean * scale
        weight = bias = None
    y = lowering.step("combine", shape, (x, scale.reshape(beside)), function="mul")
    y = lowering.step("combine", shape, (y, shift.reshape(beside)), function="add")
    for function, each in (("mul", weight), ("add", bias)):
        if each is not None:
            laid = lowering.step("reshape", (lowering.shape(each)[0], *beside[1:]), (each,))
            y = lowering.step("combine", shape, (y, laid), function=function)
    return y


def _affine(
    weight: Operand | None, bias: Operand | None, *shape: int
) -> tuple[()] | tuple[Operand, Operand]:
    if weight is None and bias is None:
        return ()
    return (
        torch.ones(*shape) if weight is None else weight,
        torch.zeros(*shape) if bias is None else bias,
    )


def dropout(lowering: Lowering, shape: Shape, x: Operand, p: float, train: bool) -> Operand:
    if train and p:
        raise lowering.refuse("dropout that is at work")
    return x


def _raised(shape: Shape) -> Shape:
    """[N, C, L] as [N, C, 1, L]."""
    return (*shape[:2], 1, *shape[2:])


def _pair(values: Sequence[int] | int, flat: bool, beside: int = 1) -> tuple[int, int]:
    """A setting of both axes."""
    given = (values,) if isinstance(values, int) else tuple(values)
    if flat:
        return (beside, given[-1])
    return (given[0], given[-1])


__all__ = [
    "adaptive",
    "addmm",
    "batch_norm",
    "convolve",
    "dropout",
    "group_norm",
    "layer_norm",
    "linear",
    "pool_of",
]
