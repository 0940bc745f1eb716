"""Weights of a child of any architecture, from its graph."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log2, prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.conditioners.base import Embedding
from netwright.conditioners.graph_encoder import GraphEncoder, stacked
from netwright.errors import RunError
from netwright.generators.base import (
    INITIAL_DELTA,
    WeightGenerator,
    scale_of,
    unit_linear,
)
from netwright.generators.units import UNITS, balanced, balanced_vectors, widened
from netwright.graph import FEATURES, ChildGraph, chain_of
from netwright.space import ParameterSpace, TensorSpec

# Learned matrices are kept at about the size of a child's weights: an optimiser whose steps have one length then changes them as fast
# as it would change those. Measured on Omniglot with 16 channels, kept at 1: 84 % after 700 steps in place of 88.
KEPT = 0.05
FREQUENCY = 4.0
# Side of the largest kernel that is written position by position; larger ones repeat its edge.
SIDE = 5
# What a tensor is within its operation.
_LEAVES = (
    "weight", "bias", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "in_proj_weight", "in_proj_bias", "other",
)  # fmt: skip


class Graph(WeightGenerator):
    """W[o, i] = mean + scale * M[o, i], M a mixture of learned matrices and a product of two written ones.

    theta_0 is a mixture that follows from the architecture alone: from what an operation is, where it stands, and its
    sizes. A token per operation attends to the others, along the graph, and to the condition; it changes the mixture, and
    writes the product. Matrices are as large as the largest layer, a smaller one has their first rows and columns, and the
    scale is that of the child's own initialisation, which falls with the fan-in. No learned number depends on the child:
    the same generator writes any other whose operations are known (`for_graph`), of any depth.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name: where they are all constant there is no theta_0. Their values are
            not used: what all children start from is learned for all together.
        graph: Of the child; by default its layers one after the other.
        mixtures: K, how many matrices are mixed.
        rank: Of the product.
        depth: Number of attention blocks over operations.
        frequency: How finely theta_0 tells layers apart, by place and by size. Lower values let similar layers share more, which is
            better where networks differ in much beside their widths.
        units: Side of the learned matrices; units of a layer beyond these are mixtures of them. With the width of the widest layer a
            step costs least.
        identity: How much of its input a layer between the first and the last hands on at the start, as 1 in the middle of its
            kernel (how much later is learned, by place and size). Networks of any depth then begin as nearly the same function, and a
            feature is the same one in all layers.
        correction: Standard deviation of what the condition changes at the start, in units of the child's own initialisation: noise,
            until it is learned.

    Raises:
        RunError: If a count is below 1, `frequency` or `correction` is not above 0, or `identity` is below 0.

    References:
        Knyazev et al., Parameter prediction for unseen deep architectures (GHN-2: one tensor cut to every layer's
        size, scaled by its fan-in), arXiv:2110.13100; GHN-3, arXiv:2303.04143.
        Yu et al., Slimmable neural networks (one matrix for all widths), arXiv:1812.08928.
        Zagoruyko and Komodakis, DiracNets (layers as a multiple of the identity and a correction), arXiv:1706.00388.
    """

    reads_graph: ClassVar[bool] = True
    draws_start: ClassVar[bool] = True

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        graph: ChildGraph | None = None,
        mixtures: int = 16,
        rank: int = 8,
        depth: int = 1,
        frequency: float = FREQUENCY,
        units: int = UNITS,
        identity: float = 0.0,
        correction: float = INITIAL_DELTA,
    ) -> None:
        super().__init__(space, embedding_size)
        counts = {"mixtures": mixtures, "rank": rank, "depth": depth, "units": units}
        for name, value in counts.items():
            if value < 1:
                raise RunError(f"`{name}` is {value}, expected at least 1.")
        for name, number in (("frequency", frequency), ("correction", correction)):
            if not 0 < number < math.inf:
                raise RunError(f"`{name}` is {number}, expected a number above 0.")
        if not 0 <= identity < math.inf:
            raise RunError(f"`identity` is {identity}, expected a number that is not below 0.")
        self.frequency, self.units, self.identity = frequency, units, identity
        self.correction = correction
        self.mixtures, self.rank, self.depth = mixtures, rank, depth
        self.encoder = GraphEncoder(embedding_size, depth=depth, cross=True)
        self.read_global = unit_linear(embedding_size, embedding_size, 0.3)
        self.kind = nn.Linear(_TOLD, embedding_size)
        self.norm = nn.LayerNorm(embedding_size)
        # theta_0 follows from the architecture alone: shares of length 1, others for each tensor, times a gain.
        self.start = nn.Sequential(
            _Waves(FEATURES + _TOLD, 2 * embedding_size, frequency),
            nn.LayerNorm(2 * embedding_size),
            nn.Linear(2 * embedding_size, mixtures),
        )
        self.gain = nn.Linear(FEATURES + _TOLD, 1)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        self.passed = nn.Linear(FEATURES + _TOLD, 1) if identity else None
        if self.passed is not None:
            nn.init.zeros_(self.passed.weight)
            nn.init.constant_(self.passed.bias, identity)
        self.has_start = any(
            float(base[spec.name].std()) > 0 for spec in space.tensors if spec.size > 1
        )
        # Of the correction's variance the mixtures have three quarters, the product one.
        self.mix = unit_linear(
            embedding_size, mixtures, correction * (0.75 / mixtures) ** 0.5, bias=False
        )
        spread = (correction * (0.25 / rank) ** 0.5) ** 0.5
        self.left = unit_linear(embedding_size, units * rank, spread)
        self.right = unit_linear(embedding_size, units * rank, spread)
        self.kernel = unit_linear(embedding_size, rank * SIDE * SIDE, 1.0)
        self.matrices = nn.Parameter(KEPT * balanced(mixtures, 1, units)[0])
        self.kernels = nn.Parameter(KEPT * balanced(mixtures, SIDE * SIDE, units).movedim(0, -1))
        self.vectors = nn.Parameter(KEPT * balanced_vectors(mixtures, units))
        self._lay_out(space, chain_of(space) if graph is None else graph)

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space, base and graph."""
        own: dict[str, Any] = {"mixtures": self.mixtures, "rank": self.rank, "depth": self.depth}
        # Left out where they are the default, as in records of earlier versions.
        usually = {
            "frequency": FREQUENCY,
            "units": UNITS,
            "identity": 0.0,
            "correction": INITIAL_DELTA,
        }
        for name, usual in usually.items():
            if getattr(self, name) != usual:
                own[name] = getattr(self, name)
        return own

    def for_graph(self, space: ParameterSpace, graph: ChildGraph | None) -> "Graph":
        """The same generator, with the same learned numbers, for another child."""
        graph = chain_of(space) if graph is None else graph
        # Modules and parameters are the very same; only what follows from the child is made anew.
        other = copy.copy(self)
        other._lay_out(space, graph)
        return other

    def check(self) -> None:
        """Refuse a child with operations that no child of the training had.

        Raises:
            RunError: If there is one, and there was a training.
        """
        if unseen := self.encoder.unseen(self.graph):
            raise RunError(
                f"The child has {unseen}, which this hypernetwork never saw in training, expected operations that it "
                "saw. Ask for a child without, or train with such children."
            )

    def starts_otherwise(self) -> frozenset[str]:
        """Those that hand on what they read: the 1 in the middle of a kernel is more than all that is drawn beside it."""
        if not self.identity:
            return frozenset()
        return frozenset(
            spec.name
            for spec, passes in zip(self.space.tensors, self.passes, strict=True)
            if passes
        )

    def for_space(self, space: ParameterSpace) -> "Graph":
        """As `for_graph`, of layers one after the other."""
        return self.for_graph(space, None)

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        self.mix.weight.data.mul_(factor)
        for part in (self.left, self.right):
            part.weight.data.mul_(factor**0.5)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from z [T, E] and tokens [T, M, E]."""
        if embedding.operations is None:
            embedding = self.prepared(embedding, [self.graph] * len(embedding.z))
        return self.together([(self, embedding)])[0]

    def together(self, parts: Sequence[tuple["Graph", Embedding]]) -> list[dict[str, Tensor]]:
        """Generate params of children of several architectures, what they have in common in one product.

        Args:
            parts: For each architecture what `for_graph` made of this generator, and the `prepared` embedding of its tasks.

        Returns:
            For each architecture its params, each [T, *shape].
        """
        owns = [own for own, _ in parts]
        tasks = [len(embedding.z) for _, embedding in parts]
        counts = [len(own.places) for own in owns]
        like = parts[0][1].z
        told = torch.cat([own.told for own in owns]).to(like)
        kinds = self.kind(told).split(counts)
        # A token per tensor, [rows, E]: that of its operation, and which of its tensors it is.
        tokens = self.norm(
            torch.cat([_tokens(*part, kind) for part, kind in zip(parts, kinds, strict=True)])
        )
        shares = self.mix(tokens)
        features = torch.cat([own.graph.features[own.places] for own in owns])
        about = torch.cat([features.to(like), told], dim=1)
        if self.has_start:
            at_zero = torch.cat([own.starts_at_zero for own in owns]).to(like.device)
            starts = self._start_shares(about, at_zero).split(counts)
            shares = shares + torch.cat(
                [each.repeat(n, 1) for each, n in zip(starts, tasks, strict=True)]
            )
        passed = None if self.passed is None else self.passed(about)[:, 0].split(counts)
        values = self._values(owns, tasks, tokens, shares / KEPT)
        found: list[dict[str, Tensor]] = []
        for a, own in enumerate(owns):
            params = {}
            for i, spec in enumerate(own.space.tensors):
                scale = scale_of(spec) if spec.std > 0 else INITIAL_DELTA * scale_of(spec)
                value = (values[a, i] * scale).reshape(tasks[a], *spec.shape)
                if own.means[i]:
                    value = value + own.means[i]
                if passed is not None and own.passes[i]:
                    value = value + passed[a][i] * _identity(spec).to(value)
                params[spec.name] = value
            found.append(params)
        return found

    def prepared(self, embedding: Embedding, graphs: list[ChildGraph]) -> Embedding:
        """With the tokens of the operations of T graphs, which may differ: read once for all.

        Args:
            embedding: Of T tasks.
            graphs: Of the child of each.
        """
        features, distances, mask = stacked(graphs, embedding.z.device)
        operations = self.encoder(
            features.to(embedding.z.dtype),
            distances,
            mask,
            context=embedding.tokens,
            context_mask=embedding.mask,
            told=self.read_global(embedding.z),
        )
        return replace(embedding, operations=operations)

    def _start_shares(self, about: Tensor, at_zero: Tensor) -> Tensor:
        """How learned matrices are mixed to theta_0 of each tensor, [tensors, K]: the same for all conditions."""
        shares: Tensor = F.normalize(self.start(about), dim=-1) * self.gain(about).exp()
        # A factor that starts at nothing has no theta_0: its shares are corrections alone.
        return shares * ~at_zero.unsqueeze(-1)

    def _values(
        self, owns: Sequence["Graph"], tasks: Sequence[int], tokens: Tensor, shares: Tensor
    ) -> dict[tuple[int, int], Tensor]:
        """Of the i-th tensor of the a-th architecture [T, *], from its rows [rows, E] and [rows, K]: a kind at a time."""
        found: dict[tuple[int, int], Tensor] = {}
        for kind in _KINDS:
            which = [
                (a, i)
                for a, own in enumerate(owns)
                for i, each in enumerate(own.kinds)
                if each == kind
            ]
            if not which:
                continue
            rows = torch.tensor(_rows(which, [len(own.places) for own in owns], tasks))
            rows = rows.to(tokens.device)
            specs = [owns[a].space.tensors[i] for a, i in which]
            lengths = [tasks[a] for a, _ in which]
            parts = self._of_kind(kind, specs, lengths, tokens[rows], shares[rows])
            found.update(zip(which, parts, strict=True))
        return found

    def _of_kind(
        self,
        kind: str,
        specs: Sequence[TensorSpec],
        lengths: Sequence[int],
        tokens: Tensor,
        shares: Tensor,
    ) -> list[Tensor]:
        """Values of tensors of one kind, which are mixed in one product; each has so many rows."""
        if kind == "vector":
            mixed = (shares @ self.vectors).split(lengths)
            return [widened(own, 1, spec.size) for own, spec in zip(mixed, specs, strict=True)]
        left = self.left(tokens).unflatten(-1, (self.units, self.rank))
        right = self.right(tokens).unflatten(-1, (self.units, self.rank))
        if kind == "matrix":
            mixed = torch.einsum("nk,kab->nab", shares, self.matrices)
            mixed = (mixed + left @ right.transpose(-1, -2)).split(lengths)
            return [
                widened(widened(own, 1, spec.shape[0]), 2, spec.shape[1])
                for own, spec in zip(mixed, specs, strict=True)
            ]
        # Mixed together and then cut to size: the gradient of a cut is a whole of zeros, so that whole is to be small.
        rows, columns = (
            min(max(spec.shape[axis] for spec in specs), self.units) for axis in (0, 1)
        )
        mixed = torch.einsum("nk,kabp->nabp", shares, self.kernels[:, :rows, :columns])
        profile = self.kernel(tokens).unflatten(-1, (self.rank, SIDE * SIDE))
        each = (whole.split(lengths) for whole in (mixed, left, right, profile))
        return [self._kernel_of(*own) for own in zip(specs, *each, strict=True)]

    def _kernel_of(
        self, spec: TensorSpec, mixed: Tensor, left: Tensor, right: Tensor, profile: Tensor
    ) -> Tensor:
        """A convolution's weights, [T, O, I, positions]."""
        rows, columns = min(spec.shape[0], self.units), min(spec.shape[1], self.units)
        places = torch.tensor(_positions(spec.shape[2:]), device=mixed.device)
        mixed = mixed[:, :rows, :columns][..., places]
        mixed = mixed + torch.einsum(
            "tar,tbr,trp->tabp", left[:, :rows], right[:, :columns], profile[..., places]
        )
        return widened(widened(mixed, 1, spec.shape[0]), 2, spec.shape[1])

    def _lay_out(self, space: ParameterSpace, graph: ChildGraph) -> None:
        """What follows from the child."""
        self.space, self.graph = space, graph
        owner = graph.owner()
        # What is written of a tensor in place of all its numbers (factors, scales) belongs where that tensor does.
        self.places = [
            owner.get(spec.name, owner.get(spec.name.rpartition(".")[0], 0))
            for spec in space.tensors
        ]
        self.starts_at_zero = torch.tensor([spec.name.endswith(".up") for spec in space.tensors])
        kinds = [graph.operations[place].kind for place in self.places]
        self.told = torch.tensor([_told_of(spec) for spec in space.tensors])
        self.means = [
            float(spec.role == "scale" and kind == "norm")
            for spec, kind in zip(space.tensors, kinds, strict=True)
        ]
        layers = [
            i
            for i, spec in enumerate(space.tensors)
            if len(spec.shape) > 1
            and kinds[i] in _MIDDLE
            and spec.name.rpartition(".")[2] == "weight"
        ]
        # The first makes features of inputs, the last answers of features: neither has anything to hand on.
        self.passes = [i in layers[1:-1] for i in range(len(space.tensors))]
        self.kinds = [_KINDS[min(len(spec.shape), 3) - 1] for spec in space.tensors]


_TOLD = len(_LEAVES) + 5
# Layers that may hand on what they read.
_MIDDLE = ("linear", "convolution")
# By the number of axes.
_KINDS = ("vector", "matrix", "kernel")


class _Waves(nn.Linear):
    """sin(W x + b), W so large that layers one place or one doubling of width apart are told apart from the start.

    Through an ordinary layer theta_0 would begin as nearly the same for all convolutions of a network. Measured on Omniglot over
    networks of 4 to 16 channels, 700 steps: where widths share theta_0, 71 and 76 % with 8 and 16 channels; where not (a frequency of 4),
    76 and 78. On Fashion-MNIST, over networks that differ in depth, kernels, strides, short cuts and norms as well, 500 steps: 44 % with
    4, 52 with 1, 49 with 0.3.

    References:
        Tancik et al., Fourier features let networks learn high frequency functions, arXiv:2006.10739.
    """

    def __init__(self, inputs: int, waves: int, frequency: float) -> None:
        self.frequency = frequency
        super().__init__(inputs, waves)

    def reset_parameters(self) -> None:
        """Phases anywhere, frequencies of a normal distribution."""
        nn.init.normal_(self.weight, std=self.frequency)
        nn.init.uniform_(self.bias, -math.pi, math.pi)

    def forward(self, x: Tensor) -> Tensor:
        """[*, W] of values [*, N]."""
        return super().forward(x).sin()


def _tokens(own: Graph, embedding: Embedding, kind: Tensor) -> Tensor:
    """Those of a child's tensors, task after task, [T * tensors, E]."""
    assert embedding.operations is not None
    places = torch.tensor(own.places, device=kind.device)
    return (embedding.operations[:, places] + kind).flatten(0, 1)


def _rows(
    which: Sequence[tuple[int, int]], counts: Sequence[int], tasks: Sequence[int]
) -> list[int]:
    """Where tokens of tensors stand, those of one tensor together: of the i-th of the a-th architecture, for its tasks."""
    first = [0]
    for count, n in zip(counts, tasks, strict=True):
        first.append(first[-1] + count * n)
    return [first[a] + t * counts[a] + i for a, i in which for t in range(tasks[a])]


def _identity(spec: TensorSpec) -> Tensor:
    """Weights that leave an input as it is, of the shape of the tensor: 1 in the middle of the kernel."""
    found = torch.zeros(*spec.shape[:2], prod(spec.shape[2:]))
    found[..., found.shape[-1] // 2] = torch.eye(*spec.shape[:2])
    return found.reshape(spec.shape)


def _told_of(spec: TensorSpec) -> list[float]:
    """Which tensor of its operation it is, and its size."""
    leaf = spec.name.rpartition(".")[2]
    stem, _, layer = leaf.partition("_l")
    stem = stem if stem in _LEAVES else "other"
    which = [float(stem == name) for name in _LEAVES]
    level = float(layer[0]) if layer[:1].isdigit() else 0.0
    rows, columns = spec.shape[0], spec.shape[1] if len(spec.shape) > 1 else 1
    sizes = [log2(max(1, n)) / 4 for n in (rows, columns, prod(spec.shape[2:]))]
    return [*which, level / 4, float(layer.endswith("reverse")), *sizes]


def _positions(kernel: tuple[int, ...]) -> list[int]:
    """Where the numbers of a kernel stand in one of SIDE x SIDE, whose middle is theirs."""
    height, width = (1, *kernel) if len(kernel) == 1 else (kernel[0], prod(kernel[1:]))

    def along(count: int) -> list[int]:
        return [min(SIDE - 1, max(0, i + (SIDE - count) // 2)) for i in range(count)]

    return [r * SIDE + c for r in along(height) for c in along(width)]


__all__ = ["Graph"]
