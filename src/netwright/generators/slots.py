"""Weights as products of tokens: one token per unit of the child, whatever its width."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from netwright.attention import Attention, SetBlock
from netwright.conditioners.base import Embedding
from netwright.errors import RunError, ShapeError
from netwright.generators.base import (
    INITIAL_DELTA,
    WeightGenerator,
    scale_of,
    scale_weights,
    unit_linear,
)
from netwright.space import ParameterSpace, TensorSpec

# Numbers that tell units of one axis apart.
INDEX = 64

Base = Literal["learned", "written"]


@dataclass(frozen=True)
class Place:
    """Where a tensor's units stand among the slots.

    Args:
        rows: Group of the units along the first axis.
        columns: Group of the units that rows read from; None for a vector.
        kernel: Numbers per pair of units.
    """

    rows: int
    columns: int | None = None
    kernel: int = 1


class Slots(WeightGenerator):
    """W[o, i] = base[o, i] + scale * <U(token[o]), V(token[i])>, with a token per unit.

    Units that one layer writes to are those that the next one reads from, and have one token for both. A
    token comes from that of its layer, which has attended to the other layers and to the condition, from what
    tells it apart from its neighbours, and from the condition once more. No learned number depends on how many
    units there are, except those of a learned base: with `base="written"` the same generator writes children
    of other widths (`for_space`).

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        rank: Length of U and V.
        depth: Number of attention blocks over layers.
        start: Whether the base is `learned`, one number per number of the child, or `written` too, as products
            of what tells units apart.

    Raises:
        RunError: If the rank or `start` is not allowed.

    References:
        Zhmoginov et al., HyperTransformer, arXiv:2201.04182.
        Kofinas et al., Graph Neural Networks for Learning Equivariant Representations of Neural Networks,
        arXiv:2403.12143 (networks as units and the weights between them).
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        rank: int = 16,
        depth: int = 2,
        start: Base = "learned",
    ) -> None:
        super().__init__(space, embedding_size)
        if rank < 1:
            raise RunError(f"`rank` is {rank}, expected at least 1.")
        if start not in get_args(Base):
            raise RunError(f"`start` is {start!r}, expected one of {list(get_args(Base))}.")
        self.rank, self.depth, self.start = rank, depth, start
        self.places, self.counts = places_of(space)
        groups = len(self.counts)
        self.layers = nn.Parameter(torch.randn(groups, embedding_size))
        self.read_global = nn.Linear(embedding_size, embedding_size)
        self.blocks = nn.ModuleList(SetBlock(embedding_size, cross=True) for _ in range(depth))
        self.index = nn.ModuleList(unit_linear(INDEX, embedding_size, 1.0) for _ in range(groups))
        self.units = _UnitBlock(embedding_size)
        self.heads = nn.ModuleList(
            _PairHead(spec, place, embedding_size, rank) if place.columns is not None
            else _UnitHead(spec, embedding_size)
            for spec, place in zip(space.tensors, self.places, strict=True)
        )  # fmt: skip
        self.bases = nn.ModuleList(
            _LearnedBase(base[spec.name]) if start == "learned"
            else _WrittenBase(spec, place, base[spec.name])
            for spec, place in zip(space.tensors, self.places, strict=True)
        )  # fmt: skip

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"rank": self.rank, "depth": self.depth, "start": self.start}

    def for_space(self, space: ParameterSpace) -> "Slots":
        """The same generator, with the same learned numbers, for children of other widths.

        Raises:
            RunError: If the base is learned, and so fits one width only.
            ShapeError: If the space has other tensors, or they hang together in another way.
        """
        if self.start == "learned":
            super().for_space(space)
        places, counts = places_of(space)
        if space.names != self.space.names or places != self.places:
            raise ShapeError(
                f"The space has {list(space.names)}, expected the tensors {list(self.space.names)}, "
                "connected in the same way. Only widths may differ."
            )
        # Modules and parameters are the very same; only what follows from the widths is made anew.
        other = copy.copy(self)
        other.space, other.counts = space, counts
        return other

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        for head in self.heads:
            # Products of two factors, each of which takes half.
            scale_weights(head, factor**0.5 if isinstance(head, _PairHead) else factor)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from z [T, E] and tokens [T, M, E]."""
        tokens = self.layers + self.read_global(embedding.z).unsqueeze(1)
        for block in self.blocks:
            tokens = block(tokens, context=embedding.tokens, context_mask=embedding.mask)
        features = [
            index_features(count, group, tokens.device) for group, count in enumerate(self.counts)
        ]
        marks = torch.cat([to(x) for to, x in zip(self.index, features, strict=True)])
        repeats = torch.tensor(self.counts, device=tokens.device)
        units = tokens.repeat_interleave(repeats, dim=1, output_size=sum(self.counts)) + marks
        units = self.units(units, embedding).split(self.counts, dim=1)
        params = {}
        for spec, place, head, base in zip(
            self.space.tensors, self.places, self.heads, self.bases, strict=True
        ):
            rows, columns = place.rows, place.columns
            start = base(spec, features[rows], None if columns is None else features[columns])
            read = (units[rows],) if columns is None else (units[rows], units[columns])
            params[spec.name] = head(start, scale_of(spec), *read).reshape(-1, *spec.shape)
        return params


def places_of(space: ParameterSpace) -> tuple[list[Place], list[int]]:
    """Where each tensor's units stand, and how many units each group has.

    Tensors are taken in order: rows of a matrix are new units, columns are those that the matrix before wrote
    to, if their number fits (or divides, as where pictures are flattened), and vectors belong to the last rows.
    """
    places: list[Place] = []
    counts: list[int] = []
    last: int | None = None

    def new(count: int) -> int:
        counts.append(count)
        return len(counts) - 1

    for spec in space.tensors:
        if len(spec.shape) < 2:
            if last is None or counts[last] != spec.size:
                last = new(spec.size)
            places.append(Place(last))
            continue
        inputs, kernel = spec.shape[1], prod(spec.shape[2:])
        if spec.role == "embedding":
            # A table is read by rows: what it writes to are its columns.
            rows, last = new(spec.shape[0]), new(inputs)
            places.append(Place(rows, last, kernel))
            continue
        if last is not None and counts[last] and inputs % counts[last] == 0:
            columns, kernel = last, kernel * (inputs // counts[last])
        else:
            columns = new(inputs)
        last = new(spec.shape[0])
        places.append(Place(last, columns, kernel))
    return places, counts


def index_features(count: int, group: int, device: torch.device) -> Tensor:
    """What tells the units of a group apart, [count, INDEX]: a longer list begins with the shorter one."""
    drawn = np.random.default_rng(group).standard_normal((count, INDEX), dtype=np.float32)
    # All of one length: a layer that reads from a single unit must start as large as any other.
    drawn *= (INDEX / np.square(drawn).sum(axis=1, keepdims=True)) ** 0.5
    return torch.from_numpy(drawn).to(device)


class _UnitBlock(nn.Module):
    """Each unit attends to the condition and thinks for itself: linear in the number of units."""

    def __init__(self, size: int, heads: int = 4) -> None:
        super().__init__()
        self.norm_attend = nn.LayerNorm(size)
        self.attend = Attention(size, heads)
        self.norm_mlp = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))
        self.norm = nn.LayerNorm(size)

    def forward(self, units: Tensor, embedding: Embedding) -> Tensor:
        units = units + self.attend(self.norm_attend(units), embedding.tokens, embedding.mask)
        out: Tensor = self.norm(units + self.mlp(self.norm_mlp(units)))
        return out


class _PairHead(nn.Module):
    """base + scale * left @ right, left from the units of rows, right from those of columns."""

    def __init__(self, spec: TensorSpec, place: Place, size: int, rank: int) -> None:
        super().__init__()
        self.rank, self.kernel = rank, place.kernel
        # A product of r pairs of numbers of this spread has the spread of a correction.
        spread = (INITIAL_DELTA * rank**-0.5) ** 0.5
        self.left = unit_linear(size, rank, spread)
        self.right = unit_linear(size, rank * place.kernel, spread)

    def forward(self, base: Tensor, scale: float, rows: Tensor, columns: Tensor) -> Tensor:
        left = self.left(rows) * scale
        right = self.right(columns).unflatten(2, (self.rank, self.kernel))
        right = right.permute(0, 2, 1, 3).flatten(2)
        return torch.baddbmm(base.expand(len(left), -1, -1), left, right)


class _UnitHead(nn.Module):
    """base + scale * <weight, token>, for each unit."""

    def __init__(self, spec: TensorSpec, size: int) -> None:
        super().__init__()
        self.out = unit_linear(size, 1, INITIAL_DELTA)

    def forward(self, base: Tensor, scale: float, rows: Tensor) -> Tensor:
        return torch.add(base, self.out(rows).squeeze(2), alpha=scale)


class _LearnedBase(nn.Module):
    """One number per number of the child."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        value = value.detach().float().clone()
        self.value = nn.Parameter(value.reshape(len(value), -1) if value.dim() > 1 else value)

    def forward(self, spec: TensorSpec, rows: Tensor, columns: Tensor | None) -> Tensor:
        return self.value


class _WrittenBase(nn.Module):
    """mean + std * <row, M column>, with the spread of the child's own initialisation at any width."""

    def __init__(self, spec: TensorSpec, place: Place, value: Tensor) -> None:
        super().__init__()
        if place.columns is None:
            mix = torch.randn(INDEX)
        else:
            # Orthogonal: products of features then have one variance, whichever column they are taken with.
            mix = torch.stack(
                [nn.init.orthogonal_(torch.empty(INDEX, INDEX)) for _ in range(place.kernel)]
            )
        self.mix = nn.Parameter(mix * INDEX**-0.5)
        self.mean = nn.Parameter(value.detach().float().mean())

    def forward(self, spec: TensorSpec, rows: Tensor, columns: Tensor | None) -> Tensor:
        if columns is None:
            return torch.add(self.mean, rows @ self.mix, alpha=spec.std)
        pairs = torch.einsum("oa,kab,ib->oik", rows, self.mix, columns)
        value: Tensor = self.mean + spec.std * pairs.flatten(1)
        return value


__all__ = ["Slots", "index_features", "places_of"]
