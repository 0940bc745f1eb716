"""A child as a graph of operations: what a hypernetwork reads that writes networks of any architecture."""

import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import log2, prod
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from netwright.errors import UnsupportedChildError
from netwright.space import ParameterSpace, TensorSpec

# What operations there are. A position in this list is part of what hypernetworks have learned: append only.
OPERATIONS = (
    "input", "output", "linear", "convolution", "norm", "embedding", "recurrent", "attention", "relu", "tanh",
    "gelu", "silu", "sigmoid", "softmax", "other activation", "add", "multiply", "concatenate", "pool", "mean",
    "parameter", "dropout",
)  # fmt: skip
_MODULES: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Linear,), "linear"),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), "convolution"),
    (
        (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm),
        "norm",
    ),
    ((nn.Embedding,), "embedding"),
    ((nn.RNNBase, nn.RNNCellBase), "recurrent"),
    ((nn.MultiheadAttention,), "attention"),
    ((nn.ReLU, nn.ReLU6), "relu"),
    ((nn.Tanh,), "tanh"),
    ((nn.GELU,), "gelu"),
    ((nn.SiLU,), "silu"),
    ((nn.Sigmoid,), "sigmoid"),
    ((nn.Softmax, nn.LogSoftmax), "softmax"),
    ((nn.LeakyReLU, nn.ELU, nn.SELU, nn.Mish, nn.Softplus, nn.Hardtanh, nn.Hardswish, nn.GLU), "other activation"),
    ((nn.Dropout, nn.Dropout1d, nn.Dropout2d), "dropout"),
    (
        (
            nn.AvgPool1d, nn.AvgPool2d, nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
            nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
        ),
        "pool",
    ),
)  # fmt: skip
_FUNCTIONS: dict[Any, str] = {
    torch.relu: "relu", F.relu: "relu", torch.tanh: "tanh", F.tanh: "tanh", F.gelu: "gelu", F.silu: "silu",
    torch.sigmoid: "sigmoid", F.sigmoid: "sigmoid", F.softmax: "softmax", torch.softmax: "softmax",
    F.leaky_relu: "other activation", F.elu: "other activation", F.softplus: "other activation",
    torch.sin: "other activation", operator.add: "add", torch.add: "add", operator.iadd: "add", operator.sub: "add",
    operator.mul: "multiply", torch.mul: "multiply", operator.matmul: "multiply", torch.matmul: "multiply",
    operator.truediv: "multiply", torch.div: "multiply", operator.pow: "multiply", operator.neg: "multiply",
    torch.cat: "concatenate", torch.stack: "concatenate", torch.mean: "mean", torch.sum: "mean",
    F.avg_pool2d: "pool", F.max_pool2d: "pool", F.adaptive_avg_pool2d: "pool", F.dropout: "dropout",
}  # fmt: skip
_METHODS = {
    "relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "softmax": "softmax", "mean": "mean", "sum": "mean",
    "add": "add", "add_": "add", "mul": "multiply", "matmul": "multiply",
}  # fmt: skip
# These move numbers about and compute nothing: what reads from them reads from what they read.
_MOVES: frozenset[Any] = frozenset(
    (
        operator.getitem, getattr, torch.flatten, torch.reshape, torch.transpose, torch.permute, torch.unsqueeze,
        torch.squeeze, torch.chunk, torch.split, operator.floordiv, torch.unbind,
    )
)  # fmt: skip
_MOVING_METHODS = frozenset(
    [
        "flatten",
        "reshape",
        "view",
        "transpose",
        "permute",
        "unsqueeze",
        "squeeze",
        "size",
        "contiguous",
        "unbind",
        "chunk",
        "split",
        "expand",
        "unflatten",
    ]
)
_MOVING_MODULES = (nn.Flatten, nn.Unflatten, nn.Identity)
# Operations further apart than this are all equally far.
MOST_STEPS = 8
# So are layers wider than this, where it is asked how narrow they are.
_WIDEST = 1024


@dataclass(frozen=True)
class Operation:
    """One node of a child's graph.

    Args:
        name: Path of the module, or what the operation is called in the trace.
        kind: One of `OPERATIONS`.
        tensors: Names of the parameters that it owns.
        sizes: Units that it writes and reads, positions of its kernel, and its stride; 1 where it has none.
    """

    name: str
    kind: str
    tensors: tuple[str, ...] = ()
    sizes: tuple[int, int, int, int] = (1, 1, 1, 1)


@dataclass(frozen=True)
class ChildGraph:
    """The operations of a child and which reads from which.

    Args:
        operations: M of them, in an order in which they can run.
        edges: Pairs (from, to) of positions.
    """

    operations: tuple[Operation, ...]
    edges: tuple[tuple[int, int], ...]

    @cached_property
    def features(self) -> Tensor:
        """What is told of each operation, [M, FEATURES]."""
        before, after, shrunk = self._depths(), self._heights(), self._reductions()
        to, on = self._narrowest(after)
        rows = []
        for i, each in enumerate(self.operations):
            kind = [0.0] * len(OPERATIONS)
            kind[OPERATIONS.index(each.kind)] = 1.0
            # Scaled to about 1: widths of 2 to 512 are 0.25 to 2.25.
            sizes = [log2(size) / 4 for size in each.sizes]
            # The first and the last layers differ from the others more than these from each other.
            ends = [1.0 / (1 + n) for n in (before[i], after[i])]
            # So do the narrowest from wider ones.
            narrow = [2.0 / size for size in each.sizes[:2]]
            reduced = [(shrunk[i] + more) / 4 for more in (0.0, log2(each.sizes[3]))]
            places = [before[i] / 4, after[i] / 4, *ends]
            narrowest = [log2(width) / 4 for width in (to[i], on[i])]
            about = [*places, *reduced, *narrow, *self._follows(i), *narrowest]
            rows.append([*kind, *sizes, *about])
        return torch.tensor(rows, dtype=torch.float32)

    @cached_property
    def distances(self) -> Tensor:
        """Steps from i to j along the edges, int64 [M, M].

        0 for itself, 1 to `MOST_STEPS` forwards, the same beyond `MOST_STEPS` backwards, and one more
        number where neither reads from the other.
        """
        count = len(self.operations)
        steps = torch.full((count, count), float("inf"))
        steps.fill_diagonal_(0)
        for i, j in self.edges:
            steps[i, j] = 1
        # Operations are in an order in which they can run: what leads to j is settled before j.
        for i, j in sorted(self.edges, key=lambda edge: edge[1]):
            steps[:, j] = torch.minimum(steps[:, j], steps[:, i] + 1)
        forwards = steps.clamp(max=MOST_STEPS)
        found = torch.full((count, count), 2 * MOST_STEPS + 1, dtype=torch.long)
        there = steps.isfinite()
        found[there.T] = (forwards.T[there.T] + MOST_STEPS).long()
        found[there] = forwards[there].long()
        return found

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of operations in it."""
        return frozenset(each.kind for each in self.operations)

    def owner(self) -> dict[str, int]:
        """Position of the operation that owns each tensor, by the tensor's name."""
        return {name: i for i, each in enumerate(self.operations) for name in each.tensors}

    def _depths(self) -> list[int]:
        """Layers with weights on the longest way to each operation."""
        found = [0] * len(self.operations)
        for i, j in sorted(self.edges, key=lambda edge: edge[1]):
            found[j] = max(found[j], found[i] + self._counts(i))
        return found

    def _heights(self) -> list[int]:
        """Layers with weights on the longest way from each operation on."""
        found = [0] * len(self.operations)
        for i, j in sorted(self.edges, key=lambda edge: -edge[0]):
            found[i] = max(found[i], found[j] + self._counts(j))
        return found

    def _reductions(self) -> list[float]:
        """How often strides have halved what each operation reads, on the way from the input where they did most.

        Where they did so often, a kernel meets little but padding: which of its positions count follows from this.
        """
        found = [0.0] * len(self.operations)
        for i, j in sorted(self.edges, key=lambda edge: edge[1]):
            found[j] = max(found[j], found[i] + log2(self.operations[i].sizes[3]))
        return found

    def _narrowest(self, after: list[int]) -> tuple[list[int], list[int]]:
        """Units of the narrowest layer on the widest way to each operation, and from it on; itself counted in.

        All that is known of an input has to go through these. Layers with none after them make answers, and do not count.
        """
        own = [
            min(each.sizes[0], _WIDEST) if self._counts(i) and after[i] else _WIDEST
            for i, each in enumerate(self.operations)
        ]
        to, on = list(own), list(own)
        reads: dict[int, list[int]] = {}
        is_read: dict[int, list[int]] = {}
        for i, j in self.edges:
            reads.setdefault(j, []).append(i)
            is_read.setdefault(i, []).append(j)
        for j in range(len(own)):
            to[j] = min(own[j], max((to[i] for i in reads.get(j, ())), default=_WIDEST))
        for i in reversed(range(len(own))):
            on[i] = min(own[i], max((on[j] for j in is_read.get(i, ())), default=_WIDEST))
        return to, on

    def _follows(self, i: int) -> list[float]:
        """Kinds of the operations from this one to the next layers: weights before a norm are not those before none."""
        reach, seen = [i], set[int]()
        while reach:
            own = {b for a, b in self.edges if a == reach[-1]} - seen
            reach.pop()
            seen |= own
            reach += [b for b in own if not self._counts(b)]
        kinds = {self.operations[b].kind for b in seen}
        return [0.5 * (kind in kinds) for kind in OPERATIONS]

    def _counts(self, i: int) -> int:
        return int(self.operations[i].kind in _LAYERS)


_LAYERS = frozenset(("linear", "convolution", "recurrent", "attention", "embedding"))
# Kind, sizes, place (from both ends, twice), how often what it reads and what it makes was halved, how narrow it is, what follows,
# and how narrow the narrowest layers before and after it are.
FEATURES = 2 * len(OPERATIONS) + 4 + 4 + 2 + 2 + 2


def graph_of(module: nn.Module) -> ChildGraph:
    """The graph of a module, by tracing it symbolically: nothing is run.

    Layers of torch are operations as they are; modules of the user's own are looked into.

    Raises:
        UnsupportedChildError: If the module cannot be traced, or does something that is not among `OPERATIONS`.
    """
    tracer = _Tracer()
    try:
        traced = tracer.trace(module)
    except Exception as error:
        within = tracer.within or type(module).__name__
        said = str(error).strip().splitlines() or [""]
        raise UnsupportedChildError(
            f"{type(module).__name__} cannot be traced: {within} fails with {type(error).__name__}: {said[0][:120]}. "
            "A graph needs a forward pass without branches on values and loops over their lengths: move these "
            "into a layer of torch, give an input to trace it with (`exported_graph`), or use a generator that reads no "
            'graph, such as "slots".'
        ) from None
    names = _names(module)
    operations: list[Operation] = []
    edges: list[tuple[int, int]] = []
    # Which operation's numbers each node of the trace holds; None for constants.
    holds: dict[fx.Node, int | None] = {}
    for node in traced.nodes:
        sources = [holds[each] for each in node.all_input_nodes]
        found = _operation(node, module, names)
        if found is None:
            holds[node] = next((source for source in sources if source is not None), None)
            continue
        holds[node] = len(operations)
        edges += [(source, len(operations)) for source in sources if source is not None]
        operations.append(found)
    return ChildGraph(tuple(operations), tuple(sorted(set(edges))))


def requested_graph(value: Any) -> ChildGraph:
    """The graph of an architecture (kept for the last thousands of them) or of a module.

    Raises:
        UnsupportedChildError: If it cannot be traced.
    """
    return graph_of(value) if isinstance(value, nn.Module) else _graph_of_architecture(value)


@lru_cache(maxsize=4096)
def _graph_of_architecture(architecture: Hashable) -> ChildGraph:
    # On no device: a graph needs no numbers.
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return graph_of(architecture.build())  # type: ignore[attr-defined]


def chain_of(space: ParameterSpace) -> ChildGraph:
    """The graph of layers one after the other, as a space alone tells them."""
    owners: dict[str, list[TensorSpec]] = {}
    for spec in space.tensors:
        owners.setdefault(spec.name.rpartition(".")[0], []).append(spec)
    operations = [Operation("input", "input")]
    for path, specs in owners.items():
        widest = max(specs, key=lambda spec: (len(spec.shape), spec.size))
        kind = _kind_of_space(widest)
        tensors = tuple(spec.name for spec in specs)
        operations.append(Operation(path, kind, tensors, sizes_of(widest.shape)))
    operations.append(Operation("output", "output"))
    edges = tuple((i, i + 1) for i in range(len(operations) - 1))
    return ChildGraph(tuple(operations), edges)


class _Tracer(fx.Tracer):
    """As torch's own, and remembers which module is being looked into."""

    within = ""

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        path = self.path_of_module(m)
        if not self.is_leaf_module(m, path):
            self.within = f"{path} ({type(m).__name__})"
        return super().call_module(m, forward, args, kwargs)


def _operation(node: fx.Node, module: nn.Module, names: Mapping[int, str]) -> Operation | None:
    """What a node of the trace computes; None if it only moves numbers about."""
    if node.op == "placeholder":
        return Operation(node.name, "input")
    if node.op == "output":
        return Operation(node.name, "output")
    if node.op == "get_attr":
        target: Any = module
        for part in str(node.target).split("."):
            target = getattr(target, part)
        if not isinstance(target, nn.Parameter):
            return None
        name = names[id(target)]
        return Operation(name, "parameter", (name,), sizes_of(tuple(target.shape)))
    if node.op == "call_module":
        return _layer(str(node.target), module.get_submodule(str(node.target)), names)
    if node.op == "call_method":
        if str(node.target) in _MOVING_METHODS:
            return None
        kind = _METHODS.get(str(node.target))
    else:
        if node.target in _MOVES:
            return None
        kind = _FUNCTIONS.get(node.target)
    if kind is None:
        called = getattr(node.target, "__name__", str(node.target))
        raise UnsupportedChildError(
            f"{type(module).__name__} calls {called!r} at {node.name!r}, which is none of the operations that graphs "
            f"have, expected some of {list(OPERATIONS)}. Write it with these, or use a generator that reads no "
            'graph, such as "slots".'
        )
    return Operation(node.name, kind, sizes=(1, 1, 1, pool_stride(node, kind)))


def _layer(path: str, layer: nn.Module, names: Mapping[int, str]) -> Operation | None:
    if isinstance(layer, _MOVING_MODULES):
        return None
    kind = next((kind for types, kind in _MODULES if isinstance(layer, types)), None)
    if kind is None:
        raise UnsupportedChildError(
            f"Layer {path!r} is a {type(layer).__name__}, which is none of the operations that graphs have, expected "
            f'some of {list(OPERATIONS)}. Use one of these, or a generator that reads no graph, such as "slots".'
        )
    own = list(layer.parameters())
    tensors = tuple(dict.fromkeys(names[id(parameter)] for parameter in own))
    stride = largest_stride(getattr(layer, "stride", 1))
    if not own:
        return Operation(path, kind, sizes=(1, 1, 1, stride))
    widest = max(own, key=lambda parameter: (parameter.dim(), parameter.numel()))
    return Operation(path, kind, tensors, sizes_of(tuple(widest.shape), stride))


def _names(module: nn.Module) -> dict[int, str]:
    """The first path of each parameter, which is the one that spaces name it by."""
    return {id(parameter): name for name, parameter in module.named_parameters()}


def sizes_of(shape: tuple[int, ...], stride: int = 1) -> tuple[int, int, int, int]:
    """What a tensor of this shape writes and reads, how many positions its kernel has, and the stride."""
    if len(shape) < 2:
        return (shape[0] if shape else 1, 1, 1, stride)
    return (shape[0], shape[1], prod(shape[2:]), stride)


def largest_stride(value: Any) -> int:
    """Of a layer's strides along height and width; 1 where they are known only once it runs."""
    strides = value if isinstance(value, (tuple, list)) else (value,)
    return max((n for n in strides if isinstance(n, int)), default=1)


def pool_stride(node: fx.Node, kind: str) -> int:
    """Stride of a call that pools: as long as its window if none is given; 1 where it has none, and of other calls."""
    if kind != "pool" or "adaptive" in str(node.target):
        return 1
    given: Any = dict(zip(("input", "kernel_size", "stride"), node.args, strict=False))
    given.update(node.kwargs)
    return largest_stride(given.get("stride") or given.get("kernel_size", 1))


def _kind_of_space(spec: TensorSpec) -> str:
    if spec.role == "embedding":
        return "embedding"
    if spec.role == "scale":
        return "norm"
    if len(spec.shape) > 2:
        return "convolution"
    return "linear" if len(spec.shape) == 2 else "parameter"


__all__ = [
    "FEATURES",
    "MOST_STEPS",
    "OPERATIONS",
    "ChildGraph",
    "Operation",
    "chain_of",
    "graph_of",
    "largest_stride",
    "pool_stride",
    "requested_graph",
    "sizes_of",
]
