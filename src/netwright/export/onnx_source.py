"""Programs as ONNX."""

from collections.abc import Sequence
from typing import Any

from netwright._version import __version__
from netwright.export.onnx_steps import PRINTERS
from netwright.export.onnx_writer import Writer
from netwright.export.program import Program

OPSETS = range(18, 24)
# What onnxruntime and browsers have read for years.
_IR_VERSION = 8


def onnx_model(
    program: Program,
    *,
    opset: int = 18,
    inputs: Sequence[str] = (),
    free_axes: dict[str, dict[int, str]] | None = None,
) -> Any:
    """A program as an `onnx.ModelProto`: input `x` with a free number of rows, output `y`.

    Args:
        program: What is written.
        opset: ONNX operator set, one of `OPSETS`.
        inputs: Parameters, by the module's own names, that become inputs after `x`, in this order.
        free_axes: Names of the axes of an input or of `y` whose size is free.
    """
    from onnx import TensorProto, checker, helper

    writer = Writer(program, frozenset(inputs))
    for step in program.steps:
        PRINTERS[step.kind](writer, step)
    writer.node("Identity", [writer.name(program.result)], "y")
    free = {"x": {0: "rows"}, "y": {0: "rows"}, **(free_axes or {})}
    by_name = {own: name for name, own in program.parameters.items()}

    def told(name: str, shape: Sequence[Any]) -> Any:
        sizes = [free.get(name, {}).get(axis, size) for axis, size in enumerate(shape)]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)

    shapes = {name: program.shapes[by_name[name]] for name in inputs}
    graph = helper.make_graph(
        writer.nodes,
        "netwright",
        [told("x", ("rows", *program.input_shape)), *(told(n, s) for n, s in shapes.items())],
        [told("y", ("rows", *program.output_shape))],
        writer.initializers(),
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=_IR_VERSION,
        producer_name="netwright",
        producer_version=__version__,
    )
    checker.check_model(model)
    return model


__all__ = ["OPSETS", "onnx_model"]
