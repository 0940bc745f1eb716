"""ONNX of a plain stack of layers, node by node: milliseconds, where tracing takes seconds.

For `nn.Sequential` of convolutions, group norms, linear layers and activations. What is written is the same as a
traced graph computes, and is run and compared in the same way.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "Relu",
    nn.Tanh: "Tanh",
    nn.Sigmoid: "Sigmoid",
}
_NODES = (nn.Conv2d, nn.GroupNorm, nn.Linear, nn.Flatten, *_ACTIVATIONS)
# What an ONNX file of this operator set says of itself.
_IR_VERSION = 10


def is_stack(network: nn.Module) -> bool:
    """Whether every layer of a network is one that is written here, one after the other."""
    return isinstance(network, nn.Sequential) and all(_is_known(layer) for layer in network)


def _is_known(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return type(layer) in _NODES


@torch.no_grad()
def stack_to_onnx(network: nn.Module, input_shape: tuple[int, ...], opset: int) -> bytes:
    """A stack of layers as ONNX with a free number of rows: input `x`, output `y`.

    Args:
        network: One for which `is_stack` holds.
        input_shape: Shape of one input.
        opset: ONNX operator set, at least 18.
    """
    from onnx import TensorProto, checker, helper

    assert isinstance(network, nn.Sequential)
    graph = _Graph(helper.make_node)
    example = torch.zeros(2, *input_shape)
    value = "x"
    for name, layer in network.named_children():
        example_out = layer(example)
        value = graph.layer(name, layer, value, tuple(example_out.shape[1:]))
        example = example_out
    graph.nodes.append(helper.make_node("Identity", [value], ["y"]))
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", *input_shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", *example.shape[1:]])],
        initializer=[_tensor(name, array) for name, array in graph.constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        made, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="netwright"
    )
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


class _Graph:
    """Nodes and constants, as they come."""

    def __init__(self, make_node: Callable[..., Any]) -> None:
        self._make_node = make_node
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def layer(self, name: str, layer: nn.Module, x: str, shape: tuple[int, ...]) -> str:
        """Write one layer that makes values of a shape; the name of what it makes."""
        if isinstance(layer, nn.Conv2d):
            down, across = (int(n) for n in layer.padding)
            return self._node(
                "Conv",
                name,
                [x, *self._weights(name, layer)],
                strides=list(layer.stride),
                pads=[down, across, down, across],
                dilations=list(layer.dilation),
                group=layer.groups,
            )
        if isinstance(layer, nn.Linear):
            weights = self._weights(name, layer)
            return self._node("Gemm", name, [x, *weights], transB=1)
        if isinstance(layer, nn.GroupNorm):
            return self._group_norm(name, layer, x, shape)
        if isinstance(layer, nn.Flatten):
            return self._node("Flatten", name, [x], axis=1)
        return self._node(_ACTIVATIONS[type(layer)], name, [x])

    def _group_norm(self, name: str, layer: nn.GroupNorm, x: str, shape: tuple[int, ...]) -> str:
        # Of groups as of instances: GroupNormalization changed its meaning between operator sets.
        groups = layer.num_groups
        apart = self._constant(f"{name}.apart", np.array([0, groups, -1]))
        ones = self._constant(f"{name}.ones", np.ones(groups, np.float32))
        zeros = self._constant(f"{name}.zeros", np.zeros(groups, np.float32))
        together = self._constant(f"{name}.together", np.array([0, *shape]))
        grouped = self._node("Reshape", f"{name}.grouped", [x, apart])
        normal = self._node(
            "InstanceNormalization", f"{name}.normal", [grouped, ones, zeros], epsilon=layer.eps
        )
        value = self._node("Reshape", f"{name}.spread", [normal, together])
        if not layer.affine:
            return value
        along = (-1, *[1] * (len(shape) - 1))
        scale, shift = (
            self._constant(f"{name}.{leaf}", _array(getattr(layer, leaf).reshape(along)))
            for leaf in ("weight", "bias")
        )
        scaled = self._node("Mul", f"{name}.scaled", [value, scale])
        return self._node("Add", name, [scaled, shift])

    def _weights(self, name: str, layer: nn.Conv2d | nn.Linear) -> list[str]:
        there = [leaf for leaf in ("weight", "bias") if getattr(layer, leaf) is not None]
        return [self._constant(f"{name}.{leaf}", _array(getattr(layer, leaf))) for leaf in there]

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        return name

    def _node(self, kind: str, name: str, inputs: list[str], **options: Any) -> str:
        output = f"{name}:y"
        self.nodes.append(self._make_node(kind, inputs, [output], name=name, **options))
        return output


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())


def _tensor(name: str, array: np.ndarray) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(array, name)


__all__ = ["is_stack", "stack_to_onnx"]
