"""Each kind of step of a program as nodes of ONNX."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from netwright.errors import ExportError
from netwright.export.onnx_writer import Writer
from netwright.export.program import Rows, Step

# Functions that ONNX has under another name, with their settings.
_PLAIN = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "exp": "Exp", "log": "Log", "neg": "Neg", "abs": "Abs",
    "sqrt": "Sqrt", "reciprocal": "Reciprocal", "sin": "Sin", "cos": "Cos", "erf": "Erf", "softplus": "Softplus",
    "softsign": "Softsign", "mish": "Mish", "hardswish": "HardSwish",
}  # fmt: skip
_COMBINED = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min",
}  # fmt: skip
_REDUCED = {
    "mean": "ReduceMean", "sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin", "logsumexp": "ReduceLogSumExp",
}  # fmt: skip
# Where ONNX has the gates that torch lays one after the other.
_GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "tanh": (0,), "relu": (0,)}


def _linear(writer: Writer, step: Step) -> None:
    x, weight, *bias = (writer.name(each) for each in step.inputs)
    if len(writer.shape(step.output)) == 2 and bias:
        writer.node("Gemm", [x, weight, *bias], step.output, transB=1)
        return
    name = step.inputs[1]
    if name in writer.program.constants and weight not in writer.inputs:
        # Turned here: a product with a constant is what quantisation looks for.
        turned = writer.array(np.ascontiguousarray(writer.program.constants[str(name)].T))
    else:
        turned = writer.node("Transpose", [weight], perm=[1, 0])
    if not bias:
        writer.node("MatMul", [x, turned], step.output)
        return
    writer.node("Add", [writer.node("MatMul", [x, turned]), *bias], step.output)


def _convolve(writer: Writer, step: Step) -> None:
    options = step.options
    writer.node(
        "Conv",
        [writer.name(each) for each in step.inputs],
        step.output,
        strides=options["stride"],
        pads=[*options["padding"], *options["padding"]],
        dilations=options["dilation"],
        group=options["groups"],
    )


def _group_norm(writer: Writer, step: Step) -> None:
    x, *rest = (writer.name(each) for each in step.inputs)
    groups, shape = step.options["groups"], writer.shape(step.output)
    laid = writer.node("Reshape", [x, writer.places(0, groups, -1)])
    ones, zeros = (writer.array(np.full(groups, v, dtype=np.float32)) for v in (1, 0))
    eps = step.options["eps"]
    y = writer.node("InstanceNormalization", [laid, ones, zeros], epsilon=eps)
    y = writer.node("Reshape", [y, writer.sizes(shape)], "" if rest else step.output)
    for kind, each, output in zip(("Mul", "Add"), rest, ("", step.output), strict=False):
        beside = writer.node("Reshape", [each, writer.places(-1, *[1] * (len(shape) - 2))])
        y = writer.node(kind, [y, beside], output)


def _layer_norm(writer: Writer, step: Step) -> None:
    x, *rest = (writer.name(each) for each in step.inputs)
    axes = step.options["axes"]
    if not rest:
        rest = [writer.array(np.ones(writer.shape(step.output)[-axes:], dtype=np.float32))]
    eps = step.options["eps"]
    writer.node("LayerNormalization", [x, *rest], step.output, axis=-axes, epsilon=eps)


def _map(writer: Writer, step: Step) -> None:
    x, options, y = writer.name(step.inputs[0]), step.options, step.output
    function = options["function"]
    if function in _PLAIN:
        writer.node(_PLAIN[function], [x], y)
    elif function == "leaky_relu":
        writer.node("LeakyRelu", [x], y, alpha=options["a"])
    elif function == "elu":
        writer.node("Elu", [x], y, alpha=options["a"])
    elif function == "hardsigmoid":
        writer.node("HardSigmoid", [x], y, alpha=1 / 6, beta=0.5)
    elif function == "clamp":
        writer.node("Clip", [x, *(writer.name(float(options[n])) for n in "ab")], y)
    elif function == "square":
        writer.node("Mul", [x, x], y)
    elif function == "rsqrt":
        writer.node("Reciprocal", [writer.node("Sqrt", [x])], y)
    elif function == "silu":
        writer.node("Mul", [x, writer.node("Sigmoid", [x])], y)
    elif function == "gelu":
        inside = writer.node("Mul", [x, writer.name(sqrt(0.5))])
        _half_of(writer, x, writer.node("Erf", [inside]), y)
    else:
        assert function == "gelu_tanh"
        cube = writer.node("Mul", [writer.node("Mul", [x, x]), x])
        bent = writer.node("Add", [x, writer.node("Mul", [cube, writer.name(0.044715)])])
        inside = writer.node("Mul", [bent, writer.name(sqrt(2 / np.pi))])
        _half_of(writer, x, writer.node("Tanh", [inside]), y)


def _half_of(writer: Writer, x: str, curve: str, y: str) -> None:
    """x (1 + curve) / 2."""
    half = writer.node("Mul", [x, writer.name(0.5)])
    writer.node("Mul", [half, writer.node("Add", [curve, writer.name(1.0)])], y)


def _combine(writer: Writer, step: Step) -> None:
    operands = [writer.name(each) for each in step.inputs]
    writer.node(_COMBINED[step.options["function"]], operands, step.output)


def _softmax(writer: Writer, step: Step) -> None:
    kind = "LogSoftmax" if step.options["log"] else "Softmax"
    writer.node(kind, [writer.name(step.inputs[0])], step.output, axis=step.options["axis"])


def _reduce(writer: Writer, step: Step) -> None:
    axes = writer.places(*range(*step.options["axes"]))
    kind = _REDUCED[step.options["function"]]
    writer.node(kind, [writer.name(step.inputs[0]), axes], step.output, keepdims=0)


def _matmul(writer: Writer, step: Step) -> None:
    writer.node("MatMul", [writer.name(each) for each in step.inputs], step.output)


def _reshape(writer: Writer, step: Step) -> None:
    sizes = writer.sizes(writer.shape(step.output))
    writer.node("Reshape", [writer.name(step.inputs[0]), sizes], step.output)


def _permute(writer: Writer, step: Step) -> None:
    x = writer.name(step.inputs[0])
    writer.node("Transpose", [x], step.output, perm=step.options["axes"])


def _slice(writer: Writer, step: Step) -> None:
    axis, start, by = (step.options[name] for name in ("axis", "start", "step"))
    end = start + (writer.shape(step.output)[axis] - 1) * by + 1
    told = [writer.places(each) for each in (start, end, axis, by)]
    writer.node("Slice", [writer.name(step.inputs[0]), *told], step.output)


def _join(writer: Writer, step: Step) -> None:
    parts = [writer.name(each) for each in step.inputs]
    writer.node("Concat", parts, step.output, axis=step.options["axis"])


def _expand(writer: Writer, step: Step) -> None:
    rows = writer.node("Shape", ["x"], start=0, end=1)
    sizes = [
        writer.node("Mul", [rows, writer.places(size.times)])
        if isinstance(size, Rows)
        else writer.places(size)
        for size in writer.shape(step.output)
    ]
    shape = writer.node("Concat", sizes, axis=0)
    writer.node("Expand", [writer.name(step.inputs[0]), shape], step.output)


def _pool(writer: Writer, step: Step) -> None:
    options, x = step.options, writer.name(step.inputs[0])
    is_max = options["function"] == "max"
    settings = {
        "kernel_shape": options["kernel"],
        "strides": options["stride"],
        "pads": [*options["padding"], *options["padding"]],
        **({} if is_max else {"count_include_pad": 1}),
    }
    writer.node("MaxPool" if is_max else "AveragePool", [x], step.output, **settings)


def _adaptive_pool(writer: Writer, step: Step) -> None:
    kind = "Max" if step.options["function"] == "max" else "Average"
    before, after = writer.shape(step.inputs[0])[2:], writer.shape(step.output)[2:]
    x = writer.name(step.inputs[0])
    if after == (1, 1):
        writer.node(f"Global{kind}Pool", [x], step.output)
        return
    if any(a % b for a, b in zip(before, after, strict=True)):
        raise ExportError(
            f"A pool of {list(before)} to {list(after)} has fields of different sizes, which ONNX has no operator for, "
            "expected multiples. Export it as numpy, c or torch-export."
        )
    kernel = [a // b for a, b in zip(before, after, strict=True)]
    writer.node(f"{kind}Pool", [x], step.output, kernel_shape=kernel, strides=kernel)


def _recur(writer: Writer, step: Step) -> None:
    cell, size = step.options["cell"], writer.shape(step.output)[-1]
    states = 2 if cell == "lstm" else 1
    x, *names = (writer.name(each) for each in step.inputs)
    start, weights, biases = names[:states], names[states : states + 2], names[states + 2 :]
    told = [_raised(writer, _gates(writer, each, cell, size)) for each in weights]
    both = [_gates(writer, each, cell, size) for each in biases]
    told.append(_raised(writer, writer.node("Concat", both, axis=0)) if both else "")
    laid = writer.node("Transpose", [x], perm=[1, 0, 2])
    settings: dict[str, Any] = {"gru": {"linear_before_reset": 1}, "lstm": {}}.get(
        cell, {"activations": [cell.capitalize()]}
    )
    y = writer.node(
        {"gru": "GRU", "lstm": "LSTM"}.get(cell, "RNN"),
        [laid, *told, "", *(_raised(writer, each) for each in start)],
        hidden_size=size,
        direction="reverse" if step.options["backwards"] else "forward",
        **settings,
    )
    # [L, directions, N, H].
    one = writer.node("Squeeze", [y, writer.places(1)])
    writer.node("Transpose", [one], step.output, perm=[1, 0, 2])


def _gates(writer: Writer, weight: str, cell: str, size: int) -> str:
    order = _GATES[cell]
    if len(order) == 1:
        return weight
    parts = [
        writer.node("Slice", [weight, *(writer.places(v) for v in (g * size, (g + 1) * size, 0))])
        for g in order
    ]
    return writer.node("Concat", parts, axis=0)


def _raised(writer: Writer, name: str) -> str:
    return writer.node("Unsqueeze", [name, writer.places(0)])


def _take(writer: Writer, step: Step) -> None:
    places = writer.places(*step.options["places"])
    writer.node("Gather", [writer.name(step.inputs[0]), places], step.output, axis=0)


PRINTERS: dict[str, Callable[[Writer, Step], None]] = {
    "linear": _linear,
    "convolve": _convolve,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "map": _map,
    "combine": _combine,
    "softmax": _softmax,
    "reduce": _reduce,
    "matmul": _matmul,
    "reshape": _reshape,
    "permute": _permute,
    "slice": _slice,
    "join": _join,
    "expand": _expand,
    "pool": _pool,
    "adaptive_pool": _adaptive_pool,
    "recur": _recur,
    "take": _take,
}

__all__ = ["PRINTERS"]
