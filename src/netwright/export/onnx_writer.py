"""A graph of ONNX in the making."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netwright.export.program import Program, Rows

# Names of the graph's own input and output; what it makes in between begins with a stroke.
_OURS = ("x", "y")


class Writer:
    """Nodes of a graph and the arrays that they read."""

    def __init__(self, program: Program, inputs: frozenset[str]) -> None:
        self.program, self.inputs = program, inputs
        self.nodes: list[Any] = []
        self._arrays: dict[str, np.ndarray] = {}

    def name(self, value: str | float) -> str:
        """What a value, a constant or a number is called in the graph."""
        if isinstance(value, float):
            return self.array(np.array(value, dtype=np.float32))
        if value not in self.program.constants:
            return value if value == "x" else f"/{value}"
        own = self.program.parameters.get(value, value)
        if own in self.inputs:
            return own
        name = value if own in _OURS else own
        self._arrays[name] = self.program.constants[value]
        return name

    def array(self, values: Any) -> str:
        """A constant of the graph."""
        name = f"/constant{len(self._arrays)}"
        self._arrays[name] = np.asarray(values)
        return name

    def places(self, *values: int) -> str:
        """A constant of whole numbers."""
        return self.array(np.array(values, dtype=np.int64))

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **settings: Any) -> str:
        """Add a node of one output; returns its name."""
        from onnx import helper

        # A step's own output, by its name in the program.
        output = f"/{output}" if output in self.program.shapes else output or f"/n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **settings))
        return output

    def initializers(self) -> list[Any]:
        """The arrays that nodes read."""
        from onnx import numpy_helper

        read = {name for node in self.nodes for name in node.input}
        return [numpy_helper.from_array(v, name=n) for n, v in self._arrays.items() if n in read]

    def shape(self, name: str | float) -> tuple[Any, ...]:
        """Of a value of the program."""
        return tuple(self.program.shapes[name]) if isinstance(name, str) else ()

    def sizes(self, shape: Sequence[Any]) -> str:
        """A constant of a shape of which one size may be free."""
        return self.places(*(-1 if isinstance(size, Rows) else size for size in shape))


__all__ = ["Writer"]
