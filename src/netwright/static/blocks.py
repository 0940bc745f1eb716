"""Weights as blocks of a fixed number of outputs and inputs, and what writes the blocks."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import ceil, prod

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Grid:
    """A weight [O, I, *kernel] cut into blocks of `block` outputs and `block` inputs; edges are cropped.

    >>> Grid((40, 16, 3, 3), block=16).count
    3
    """

    shape: tuple[int, ...]
    block: int

    @property
    def rows(self) -> int:
        """Blocks along the outputs."""
        return ceil(self.shape[0] / self.block)

    @property
    def columns(self) -> int:
        """Blocks along the inputs."""
        return ceil(self.shape[1] / self.block)

    @property
    def count(self) -> int:
        """Blocks in all."""
        return self.rows * self.columns

    @property
    def kernel(self) -> int:
        """Numbers per pair of an output and an input."""
        return prod(self.shape[2:])

    def join(self, blocks: Tensor) -> Tensor:
        """The weight of its blocks, [blocks, inputs of a block, outputs of a block x kernel]."""
        cut = blocks.reshape(self.rows, self.columns, self.block, self.block, self.kernel)
        # To rows, outputs, columns, inputs, kernel.
        whole = cut.permute(0, 3, 1, 2, 4).reshape(
            self.rows * self.block, self.columns * self.block, self.kernel
        )
        return whole[: self.shape[0], : self.shape[1]].reshape(self.shape)


class BlockGenerator(nn.Module):
    """Writes every block of every weight from a learned embedding of that block, by two linear layers.

    For input i of a block with embedding z:

        a_i = W_i @ z + B_i                 a hidden vector per input
        block[:, i] = W_out @ a_i + B_out   all outputs and the kernel

    W_i are shared by all blocks, W_out by all blocks with kernels of as many numbers.

    Args:
        weights: What is written, by name, floating and not constant.
        embedding: E, width of the embeddings.
        hidden: Width of the hidden vectors.
        block: Inputs and outputs of a block.

    References:
        Ha et al., HyperNetworks, arXiv:1609.09106, section 3.1.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], *, embedding: int, hidden: int, block: int
    ) -> None:
        super().__init__()
        self.hidden, self.block = hidden, block
        grids = {name: Grid(tuple(weight.shape), block) for name, weight in weights.items()}
        # Weights with kernels of one size lie together, so that one product writes them all.
        by_kernel = sorted(grids, key=lambda name: grids[name].kernel)
        self.grids = {name: grids[name] for name in by_kernel}
        total = sum(grid.count for grid in self.grids.values())
        self.embedding = nn.Parameter(torch.randn(total, embedding))
        self.read = nn.Linear(embedding, block * hidden)
        kernels = dict.fromkeys(grid.kernel for grid in self.grids.values())
        self.write = nn.ModuleDict({str(k): nn.Linear(hidden, block * k) for k in kernels})
        for layer in (self.read, *self.write.values()):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        # What is written starts with the variance of what it replaces, measured and not in expectation:
        # a weight of a single block varies too much around that.
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(len(self.grids)))
        with torch.no_grad():
            drawn = self()
            own = [weights[name].float().std() / drawn[name].std() for name in self.grids]
            self.scale.copy_(torch.stack(own))

    def forward(self) -> dict[str, Tensor]:
        """All weights, by name."""
        h = self.read(self.embedding).unflatten(1, (self.block, self.hidden))
        names = [list(group) for _, group in groupby(self.grids, key=self._kernel)]
        parts = h.split([sum(self.grids[name].count for name in group) for group in names])
        blocks = [
            piece
            for group, part in zip(names, parts, strict=True)
            for piece in self.write[self._kernel(group[0])](part).split(
                [self.grids[name].count for name in group]
            )
        ]
        return {
            name: grid.join(piece) * scale
            for (name, grid), piece, scale in zip(
                self.grids.items(), blocks, self.scale.unbind(), strict=True
            )
        }

    def _kernel(self, name: str) -> str:
        return str(self.grids[name].kernel)
