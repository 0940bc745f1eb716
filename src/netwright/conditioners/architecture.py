"""Reads what a network is to look like."""

from typing import Any

import torch
from torch import Tensor, nn

from netwright.attention import masked_mean
from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditioners.graph_encoder import GraphEncoder, stacked
from netwright.conditions import Condition
from netwright.errors import ConditionError, RunError
from netwright.graph import requested_graph


class Architecture(Conditioner):
    """The graph of the requested child: a token per operation, and their mean through an MLP.

    Reads architectures of `netwright.architectures`, and any module that can be traced; see `netwright.graph`.

    Args:
        size: E, the width of the embedding.
        depth: Number of attention blocks over operations. 0: nothing is read here, beside other conditioners and for a generator
            that reads the graph itself; there a second reading costs a tenth of a step or more, and did not show to be better.

    Raises:
        RunError: If `depth` is below 0.

    References:
        Zhang et al., Graph hypernetworks for neural architecture search, arXiv:1810.05749.
        Knyazev et al., arXiv:2303.04143 (attention with distances in the graph).
    """

    reads = ("architecture",)

    nothing: Tensor

    def __init__(self, *, size: int = 64, depth: int = 2) -> None:
        super().__init__()
        if depth < 0:
            raise RunError(f"`depth` is {depth}, expected a number of blocks, or 0.")
        self.size, self.depth = size, depth
        self.optional = depth == 0
        if not depth:
            self.register_buffer("nothing", torch.zeros(size), persistent=False)
            return
        self.encoder = GraphEncoder(size, depth=depth)
        self.whole = nn.Sequential(
            nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size), nn.LayerNorm(size)
        )

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {"size": self.size, "depth": self.depth}

    def forward(self, condition: Condition) -> Embedding:
        """Read the architectures of T tasks."""
        wanted = condition.architecture
        if not self.depth:
            z = self.nothing.expand(condition.tasks, -1)
            return Embedding(
                z, z[:, None][:, :0], torch.ones(len(z), 0, dtype=torch.bool, device=z.device)
            )
        if wanted is None:
            raise self._missing(condition, "Give the architecture that each network is to have.")
        graphs = [requested_graph(value) for value in wanted.values]
        features, distances, mask = stacked(graphs, next(self.parameters()).device)
        tokens = self.encoder(self._as_weights(features), distances, mask)
        z = self.whole(masked_mean(tokens, mask))
        return Embedding(z, tokens, mask)

    def check(self, condition: Condition) -> None:
        """Refuse architectures with operations that were in none of the training's."""
        super().check(condition)
        if condition.architecture is None or not self.depth:
            # A generator that reads graphs has a check of its own.
            return
        for t, value in enumerate(condition.architecture.values):
            if unseen := self.encoder.unseen(requested_graph(value)):
                raise ConditionError(
                    f"The architecture of task {t} has {unseen}, which this hypernetwork never saw in training, "
                    "expected operations that it saw. Ask for one without, or train with such architectures."
                )


__all__ = ["Architecture"]
