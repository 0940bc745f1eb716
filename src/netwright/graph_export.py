"""The graph of a child that is traced with an input: by torch.export, which follows what symbolic tracing cannot."""

import operator
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from netwright.errors import UnsupportedChildError
from netwright.graph import (
    OPERATIONS,
    ChildGraph,
    Operation,
    largest_stride,
    pool_stride,
    sizes_of,
)

# Operators of ATen that own the tensors which they read.
_LAYERS = {
    "linear": "linear", "bilinear": "linear", "conv1d": "convolution", "conv2d": "convolution", "conv3d": "convolution",
    "layer_norm": "norm", "group_norm": "norm", "batch_norm": "norm", "instance_norm": "norm", "rms_norm": "norm",
    "embedding": "embedding", "gru": "recurrent", "lstm": "recurrent", "rnn_tanh": "recurrent", "rnn_relu": "recurrent",
    "gru_cell": "recurrent", "lstm_cell": "recurrent", "rnn_tanh_cell": "recurrent", "rnn_relu_cell": "recurrent",
}  # fmt: skip
_OTHERS = {
    "relu": "relu", "relu6": "relu", "clamp_min": "relu", "tanh": "tanh", "gelu": "gelu", "silu": "silu", "sigmoid": "sigmoid",
    "softmax": "softmax", "log_softmax": "softmax", "leaky_relu": "other activation", "elu": "other activation",
    "selu": "other activation", "mish": "other activation", "softplus": "other activation", "hardtanh": "other activation",
    "hardswish": "other activation", "glu": "other activation", "sin": "other activation", "cos": "other activation",
    "exp": "other activation", "sqrt": "other activation", "add": "add", "sub": "add", "rsub": "add", "mul": "multiply",
    "matmul": "multiply", "bmm": "multiply", "mm": "multiply", "einsum": "multiply", "div": "multiply", "pow": "multiply",
    "neg": "multiply", "cat": "concatenate", "stack": "concatenate", "mean": "mean", "sum": "mean",
    "scaled_dot_product_attention": "attention", "dropout": "dropout", "feature_dropout": "dropout",
}  # fmt: skip
_POOLS = ("avg_pool", "max_pool")
# These move numbers about and compute nothing.
_MOVES = frozenset(
    (
        "view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "numpy_T", "unsqueeze", "squeeze", "select", "slice",
        "split", "split_with_sizes", "chunk", "unbind", "expand", "expand_as", "contiguous", "clone", "to", "_to_copy", "alias",
        "detach", "detach_", "narrow", "index_select", "flip", "roll", "repeat", "movedim", "lift_fresh_copy",
    )
)  # fmt: skip


def exported_graph(module: nn.Module, inputs: Tensor) -> ChildGraph:
    """The graph of a module as it runs on an input: loops over lengths are unrolled, branches on shapes decided.

    Args:
        module: Maps [N, *] to [N, C].
        inputs: Rows that it can run on, [N, *]; their values do not matter.

    Raises:
        UnsupportedChildError: If what is computed depends on values, or is not among `OPERATIONS`.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            exported = torch.export.export(module, (inputs,), strict=False)
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        raise UnsupportedChildError(
            f"{type(module).__name__} cannot be exported: {type(error).__name__}: {said[0][:120]}. A graph needs inputs that it "
            'runs on and a forward pass without branches on values; or use a generator that reads no graph, such as "slots".'
        ) from None
    tensors = dict(module.named_parameters())
    owned: Mapping[str, str] = exported.graph_signature.inputs_to_parameters
    user = set(exported.graph_signature.user_inputs)
    operations: list[Operation] = []
    edges: list[tuple[int, int]] = []
    # Which operation's numbers each node holds; None for constants.
    holds: dict[fx.Node, int | None] = {}
    for node in exported.graph.nodes:
        own = [
            owned[str(source.target)]
            for source in node.all_input_nodes
            if str(source.target) in owned
        ]
        if node.op == "placeholder":
            kind = _of_input(node, owned, user)
            own = [owned[str(node.target)]] if kind == "parameter" else []
        else:
            kind = "output" if node.op == "output" else _of_call(node, type(module).__name__)
        sources = [holds[each] for each in node.all_input_nodes]
        if kind is None:
            holds[node] = next((source for source in sources if source is not None), None)
            continue
        holds[node] = place = len(operations)
        edges += [(source, place) for source in sources if source is not None]
        owns = bool(own) and (kind == "parameter" or _plain(node) in _LAYERS)
        operations.append(
            Operation(
                own[0].rpartition(".")[0] or own[0] if owns else node.name,
                kind,
                tuple(dict.fromkeys(own)) if owns else (),
                _sizes(node, [tensors[name] for name in own])
                if owns
                else (1, 1, 1, pool_stride(node, kind)),
            )
        )
    return ChildGraph(tuple(operations), tuple(sorted(set(edges))))


def _of_input(node: fx.Node, owned: Mapping[str, str], user: set[Any]) -> str | None:
    """A parameter is an operation of its own only where something that is no layer reads it."""
    if node.name in user:
        return "input"
    if str(node.target) not in owned:
        return None
    readers = [reader for reader in node.users if reader.op != "output"]
    return None if all(_plain(reader) in _LAYERS for reader in readers) else "parameter"


def _of_call(node: fx.Node, what: str) -> str | None:
    """What a call computes; None if it only moves numbers about, or makes constants."""
    name = _plain(node)
    kind = _LAYERS.get(name, _OTHERS.get(name))
    if kind is None and any(pool in name for pool in _POOLS):
        kind = "pool"
    if kind is not None:
        return kind
    if name in _MOVES or node.target is operator.getitem or not node.all_input_nodes:
        return None
    raise UnsupportedChildError(
        f"{what} calls {name!r} at {node.name!r}, which is none of the operations that graphs have, expected some of "
        f'{list(OPERATIONS)}. Write it with these, or use a generator that reads no graph, such as "slots".'
    )


def _plain(node: fx.Node) -> str:
    """Name of an operator without its namespace and overload; what works in place is called as what does not."""
    schema = getattr(node.target, "_schema", None)
    name = str(node.target) if schema is None else str(schema.name).rpartition("::")[2]
    return name[:-1] if name.endswith("_") and name[:-1] in _OTHERS else name


def _sizes(node: fx.Node, tensors: list[nn.Parameter]) -> tuple[int, int, int, int]:
    widest = max(tensors, key=lambda tensor: (tensor.dim(), tensor.numel()))
    stride: Any = 1
    if _plain(node).startswith("conv") and len(node.args) > 3:
        stride = node.args[3]
    return sizes_of(tuple(widest.shape), largest_stride(stride))


__all__ = ["exported_graph"]
