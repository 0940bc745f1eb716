"""Tokens for the operations of a graph."""

import torch
from torch import Tensor, nn

from netwright.attention import SetBlock
from netwright.graph import FEATURES, MOST_STEPS, OPERATIONS, ChildGraph

# Distances of `ChildGraph.distances`: itself, forwards, backwards, and neither.
_DISTANCES = 2 * MOST_STEPS + 2


class GraphEncoder(nn.Module):
    """A token per operation of a child, told by what it is, its sizes, and who reads from whom.

    Operations attend to each other with a learned bias for how far apart they are, forwards or backwards.

    Args:
        size: E, the width of a token.
        depth: Number of attention blocks.
        heads: Attention heads; must divide E.
        cross: Whether operations attend to a context as well.

    References:
        Knyazev et al., Parameter prediction for unseen deep architectures (GHN-2), arXiv:2110.13100.
        Knyazev et al., Can we scale transformers to predict parameters of diverse ImageNet models? (GHN-3: attention
        with distances), arXiv:2303.04143.
    """

    def __init__(self, size: int, *, depth: int = 2, heads: int = 4, cross: bool = False) -> None:
        super().__init__()
        # Of unit size before anything is added: what an operation is must not drown in what is around it.
        self.read = nn.Sequential(
            nn.Linear(FEATURES, size), nn.GELU(), nn.Linear(size, size), nn.LayerNorm(size)
        )
        self.blocks = nn.ModuleList(SetBlock(size, heads=heads, cross=cross) for _ in range(depth))
        tables = [nn.Embedding(_DISTANCES, heads) for _ in range(depth)]
        for table in tables:
            nn.init.normal_(table.weight, std=0.5)
        self.near = nn.ModuleList(tables)
        self.norm = nn.LayerNorm(size)
        # Which kinds of operations were met in training: of others nothing is known.
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(len(OPERATIONS), dtype=torch.bool))

    def forward(
        self,
        features: Tensor,
        distances: Tensor,
        mask: Tensor | None = None,
        *,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        told: Tensor | None = None,
    ) -> Tensor:
        """Tokens [T, M, E] of graphs.

        Args:
            features: Of the operations, [T, M, FEATURES].
            distances: Between them, int64 [T, M, M].
            mask: True where an operation is real, [T, M].
            context: What operations attend to, [T, B, E].
            context_mask: True where it is real, [T, B].
            told: Added to every token, [T, E].
        """
        if self.training:
            kinds = features[..., : len(OPERATIONS)].flatten(0, -2).amax(dim=0) > 0
            self.seen |= kinds
        tokens = self.read(features)
        if told is not None:
            tokens = tokens + told.unsqueeze(1)
        for block, near in zip(self.blocks, self.near, strict=True):
            bias = near(distances).permute(0, 3, 1, 2)
            tokens = block(tokens, mask, context=context, context_mask=context_mask, bias=bias)
        out: Tensor = self.norm(tokens)
        return out

    def unseen(self, graph: ChildGraph) -> list[str]:
        """Kinds of operations in a graph that were in no graph of the training; none before any training."""
        if not self.seen.any():
            return []
        known = {kind for kind, seen in zip(OPERATIONS, self.seen.tolist(), strict=True) if seen}
        return sorted(graph.kinds - known)


def stacked(graphs: list[ChildGraph], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Features [T, M, FEATURES], distances [T, M, M] and mask [T, M] of T graphs, padded to the largest."""
    most = max(len(graph.operations) for graph in graphs)
    features = torch.zeros(len(graphs), most, FEATURES)
    distances = torch.full((len(graphs), most, most), _DISTANCES - 1)
    mask = torch.zeros(len(graphs), most, dtype=torch.bool)
    for t, graph in enumerate(graphs):
        count = len(graph.operations)
        features[t, :count] = graph.features
        distances[t, :count, :count] = graph.distances
        mask[t, :count] = True
    return features.to(device), distances.to(device), mask.to(device)


__all__ = ["GraphEncoder", "stacked"]
