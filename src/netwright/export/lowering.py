"""From a module to a `Program`: traced by torch, and each operator said in steps."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from netwright.errors import ExportError
from netwright.export.program import Program, Rows, Shape, Size, Step
from netwright.export.tracing import trace

Operand = Tensor | str
"""What an operator reads: a constant that is known now, or the name of a value of the program."""


def program_of(
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    free: Callable[[str], bool] = lambda name: False,
) -> Program:
    """A network in evaluation mode as steps on arrays.

    What depends on weights alone is computed here and stands among the constants.

    Args:
        network: Any module that maps [N, *] to [N, *].
        input_shape: Shape of one input.
        free: Which parameters may be other ones later: nothing that depends on them is computed here.

    Raises:
        ExportError: If it cannot be traced, or does what there is no step for.
    """
    from netwright.export.operators import OPERATIONS
    from netwright.export.stack import is_stack, stack_program

    if is_stack(network):
        return stack_program(network, input_shape, free)
    exported = trace(network, input_shape)
    lowering = Lowering(type(network).__name__)
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    values: dict[fx.Node, Any] = {}
    tensors = {**exported.state_dict, **exported.constants}
    signature = exported.graph_signature
    weights = {
        spec.arg.name: str(spec.target) for spec in signature.input_specs if spec.target is not None
    }
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            if node.name in weights:
                name = weights[node.name]
                value = lowering.named(
                    name, tensors[name].detach(), is_parameter=name in parameters
                )
                values[node] = (
                    lowering.operand(value) if name in parameters and free(name) else value
                )
            else:
                values[node] = lowering.input(_shape_of(node))
        elif node.op == "output":
            (results,) = node.args
            result = values[results[0]] if len(results) == 1 else None
            if not isinstance(result, str):
                raise ExportError(
                    f"{lowering.name} answers with {len(results)} tensors that depend on its input, expected one. "
                    "Wrap it in a module that returns one tensor."
                )
            return lowering.program(result)
        else:
            values[node] = _run(node, values, lowering, OPERATIONS)
    raise AssertionError("a graph without output")


def _run(
    node: fx.Node, values: dict[fx.Node, Any], lowering: "Lowering", operations: Mapping[str, Any]
) -> Any:
    """What a node of the graph computes: an operand, several of them, a size, or nothing."""
    found = node.meta.get("val")
    if isinstance(found, torch.SymInt | int | bool | torch.SymBool):
        return _size(found) if isinstance(found, torch.SymInt) else found
    name = str(node.target).removeprefix("aten.")
    if found is None or name.startswith(("_assert", "sym_constrain")):
        return None
    if any(values[each] is None for each in node.all_input_nodes):
        raise lowering.refuse(f"a use for another result of {node.args[0]} than its first")
    args = fx.node.map_arg(node.args, lambda each: values[each])
    kwargs = fx.node.map_arg(node.kwargs, lambda each: values[each])
    if name == "<built-in function getitem>":
        (parts, place) = args
        return parts[place]  # type: ignore[index]
    if not lowering.depends(args) and not lowering.depends(kwargs):
        return node.target(*args, **kwargs)  # type: ignore[operator]
    # Of an operator that changes its input in place, the input is the result from here on.
    in_place = re.fullmatch(r"(\w*[a-z0-9])_\.(\w+)", name)
    plain = f"{in_place[1]}.{in_place[2]}" if in_place else name
    short = plain.partition(".")[0]
    handler = operations.get(plain) or operations.get(short)
    if handler is None:
        raise ExportError(
            f"{lowering.name} calls {name!r}, which there is no step for in NumPy and C. Export it as onnx or "
            "torch-export."
        )
    shapes = [_shape(each) for each in found] if isinstance(found, list | tuple) else _shape(found)
    kwargs = {key: value for key, value in kwargs.items() if key not in _PLACES}
    try:
        result = handler(lowering, shapes, *args, **kwargs)
    except TypeError as error:
        raise ExportError(
            f"{lowering.name} calls {name!r} in a way that there is no step for in NumPy and C ({error}). "
            "Export it as onnx or torch-export."
        ) from None
    if in_place:
        values[node.args[0]] = result  # type: ignore[index]
    return result


# Where and in what layout a tensor is made, which arrays of float32 on a CPU have no say in.
_PLACES = ("device", "pin_memory", "layout", "memory_format", "non_blocking", "dtype")


class Lowering:
    """A program in the making."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._shapes: dict[str, Shape] = {}
        self._constants: dict[str, np.ndarray] = {}
        self._steps: list[Step] = []
        self._names: dict[int, str] = {}
        self._parameters: dict[str, str] = {}
        # Kept, so that an `id` is not given twice.
        self._kept: list[Tensor] = []

    def input(self, shape: Shape) -> str:
        """The one input of the program."""
        if self._shapes.get("x") is not None:
            raise ExportError(f"{self.name} takes several inputs, expected one.")
        self._shapes["x"] = shape
        return "x"

    def named(self, name: str, value: Tensor, *, is_parameter: bool = False) -> Tensor:
        """A constant that has a name, for when it is needed."""
        plain = "w_" + re.sub(r"[^A-Za-z0-9_]", "_", name)
        taken = set(self._names.values())
        unique, number = plain, 1
        while unique in taken:
            number += 1
            unique = f"{plain}_{number}"
        self._names[id(value)] = unique
        if is_parameter:
            self._parameters[unique] = name
        self._kept.append(value)
        return value

    def operand(self, value: Operand) -> str:
        """The name of an operand; a constant becomes one of the program's."""
        if isinstance(value, str):
            return value
        if id(value) not in self._names:
            self.named(f"constant{len(self._constants) + 1}", value)
        name = self._names[id(value)]
        if name not in self._constants:
            array = np.ascontiguousarray(value.detach().to(torch.float32).numpy())
            self._constants[name], self._shapes[name] = array, tuple(array.shape)
        return name

    def shape(self, value: Operand) -> Shape:
        """Of a value or a constant."""
        return self._shapes[value] if isinstance(value, str) else tuple(value.shape)

    def step(
        self, kind: str, shape: Shape, inputs: tuple[Operand | float, ...], **options: Any
    ) -> str:
        """Add a step; returns the name of what it makes."""
        output = f"v{len(self._steps) + 1}"
        names = tuple(
            float(each) if isinstance(each, int | float) else self.operand(each) for each in inputs
        )
        self._shapes[output] = shape
        self._steps.append(Step(kind, output, names, options))
        return output

    def refuse(self, what: str) -> ExportError:
        """The error for something that there is no step for."""
        return ExportError(
            f"{self.name} has {what}, which there is no step for in NumPy and C. Export it as onnx or torch-export."
        )

    def depends(self, value: Any) -> bool:
        """Whether a value of the program, or the number of rows, is anywhere in it."""
        if isinstance(value, list | tuple):
            return any(self.depends(each) for each in value)
        if isinstance(value, dict):
            return any(self.depends(each) for each in value.values())
        return isinstance(value, Rows) or (isinstance(value, str) and value in self._shapes)

    def program(self, result: str) -> Program:
        """The whole, without steps and constants that nothing reads."""
        needed, steps = {result}, []
        for step in reversed(self._steps):
            if step.output in needed:
                needed |= {each for each in step.inputs if isinstance(each, str)}
                steps.append(step)
        constants = {name: value for name, value in self._constants.items() if name in needed}
        shapes = {name: shape for name, shape in self._shapes.items() if name in {*needed, "x"}}
        parameters = {name: own for name, own in self._parameters.items() if name in constants}
        return Program(shapes, constants, tuple(reversed(steps)), result, parameters)


def _shape_of(node: fx.Node) -> Shape:
    return _shape(node.meta["val"])


def _shape(value: Tensor) -> Shape:
    return tuple(_size(size) for size in value.shape)


def _size(size: Any) -> Size:
    """A number, or a multiple of the number of rows."""
    if not isinstance(size, torch.SymInt):
        return int(size)
    expression = size.node.expr
    (symbol,) = expression.free_symbols
    counts = [int(expression.subs(symbol, rows)) for rows in (0, 1, 2, 3)]
    if counts[0] or len({b - a for a, b in pairwise(counts)}) > 1:
        raise ExportError(
            f"A size of the network is {expression} for {symbol} rows, expected a multiple of them. "
            "Export it as onnx or torch-export."
        )
    return Rows(counts[1])


__all__ = ["Lowering", "Operand", "program_of"]
