"""How made-up tables come about: where columns come from, and what decides the class of a row.

All functions draw T tables at once, each of its own, from a `torch.Generator`.
"""

import math

import torch
from torch import Tensor

_ACTIVATIONS = (
    torch.tanh,
    torch.relu,
    torch.sin,
    torch.abs,
    lambda x: x,
    lambda x: torch.exp(-x.square()),
    lambda x: torch.sign(x),
)


class Mechanisms:
    """Draws of T tables with N rows, on the device of its generator.

    Args:
        tasks: T.
        rows: N.
        rng: Source of all randomness.
    """

    def __init__(self, tasks: int, rows: int, rng: torch.Generator) -> None:
        self.tasks, self.rows, self.rng, self.device = tasks, rows, rng, rng.device

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers [T, *shape]."""
        return torch.randn(self.tasks, *shape, generator=self.rng, device=self.device)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers [T, *shape]."""
        drawn = torch.rand(self.tasks, *shape, generator=self.rng, device=self.device)
        return low + (high - low) * drawn

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers [T, *shape] whose logarithm is uniform."""
        return self.uniform(*shape, low=math.log(low), high=math.log(high)).exp()

    def integer(self, low: int, high: int) -> int:
        """One whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.rng, device=self.device))

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return float(torch.rand((), generator=self.rng, device=self.device)) < probability

    def noise(self, columns: int) -> Tensor:
        """Independent numbers [T, N, D] of a shape drawn for the table: normal, flat, skewed or heavy-tailed."""
        values = self.normal(self.rows, columns)
        shapes = torch.stack(
            [
                values,
                (values * 0.7).erf() * 1.7,
                (values * 0.8).exp() - 1.4,
                values * (0.3 * self.normal(self.rows, columns)).exp(),
            ]
        )
        return shapes[self.integer(0, 3)] if self.chance(0.6) else values

    def factors(self, columns: int) -> Tensor:
        """Columns [T, N, D] that share causes, linearly, with noise of their own."""
        causes = self.integer(1, max(1, min(columns, 8)))
        loadings = self.normal(causes, columns) * causes**-0.5
        own = self.uniform(1, columns, low=0.0, high=1.2)
        shared: Tensor = self.noise(causes) @ loadings
        return shared + own * self.noise(columns)

    def clusters(self, columns: int) -> Tensor:
        """Columns [T, N, D] around a few centres, each with a spread of its own."""
        count = self.integer(2, 12)
        centres = self.normal(count, columns) * self.log_uniform(0.5, 3.0, 1, 1)
        spread = self.log_uniform(0.2, 2.0, count, columns)
        member = torch.randint(
            count, (self.tasks, self.rows, 1), generator=self.rng, device=self.device
        ).expand(-1, -1, columns)
        return centres.gather(1, member) + spread.gather(1, member) * self.noise(columns)

    def causal(self, columns: int, outputs: int) -> tuple[Tensor, Tensor]:
        """Columns [T, N, D] and scores [T, N, outputs] that are nodes of one random network."""
        width, depth = self.integer(6, 24), self.integer(2, 4)
        x = self.noise(self.integer(2, 10))
        nodes = []
        for _ in range(depth):
            keep = (self.uniform(x.shape[2], width) < self.uniform(1, 1, low=0.2, high=1.0)).float()
            weight = self.normal(x.shape[2], width) * keep * 1.5
            x = x @ weight / keep.sum(1, keepdim=True).clamp(min=1).sqrt()
            act = _ACTIVATIONS[self.integer(0, len(_ACTIVATIONS) - 1)]
            x = act(x + self.normal(1, width) * 0.5) + self.uniform(
                1, width, high=0.3
            ) * self.normal(self.rows, width)
            nodes.append(x)
        every = standardised(torch.cat(nodes, dim=2))
        late = every.shape[2] - width
        chosen = torch.randperm(every.shape[2], generator=self.rng, device=self.device)
        chosen = chosen.repeat(-(-columns // len(chosen)))[:columns]
        last = torch.randperm(width, generator=self.rng, device=self.device)
        last = late + last.repeat(-(-outputs // width))[:outputs]
        return every[..., chosen], every[..., last]

    def linear(self, x: Tensor, outputs: int) -> Tensor:
        """Scores [T, N, outputs], linear in x."""
        return x @ self.normal(x.shape[2], outputs)

    def additive(self, x: Tensor, outputs: int) -> Tensor:
        """Sums of bent functions of single columns."""
        knots = self.normal(1, 6, x.shape[2]) * 1.2
        weight = self.normal(6, x.shape[2], outputs)
        bent = torch.relu(x.unsqueeze(2) - knots)
        return torch.einsum("tnkd,tkdo->tno", bent, weight) + self.linear(x, outputs)

    def network(self, x: Tensor, outputs: int) -> Tensor:
        """Scores of a random network of one or two hidden layers."""
        width = self.integer(2, 16)
        act = _ACTIVATIONS[self.integer(0, len(_ACTIVATIONS) - 1)]
        h = act(
            x @ self.normal(x.shape[2], width) * self.log_uniform(0.4, 2.5, 1, 1)
            + self.normal(1, width)
        )
        if self.chance(0.5):
            h = torch.tanh(
                h @ self.normal(width, width) * width**-0.5 * 1.5 + self.normal(1, width) * 0.5
            )
        return h @ self.normal(width, outputs)

    def trees(self, x: Tensor, outputs: int, relevance: Tensor) -> Tensor:
        """Sums over trees that ask the same question everywhere at one depth, relevant columns more often."""
        count, depth = self.integer(1, 8), self.integer(1, 4)
        picked = torch.multinomial(
            relevance.clamp(min=1e-4), count * depth, replacement=True, generator=self.rng
        )
        values = x.gather(2, picked.unsqueeze(1).expand(-1, self.rows, -1))
        thresholds = self.normal(1, count * depth) * 0.7
        bits = (values > thresholds).long().unflatten(2, (count, depth))
        place = (bits * 2 ** torch.arange(depth, device=self.device)).sum(dim=3)
        leaves = self.normal(count, 2**depth, outputs)
        place = place.transpose(1, 2).unsqueeze(-1).expand(-1, -1, -1, outputs)
        return leaves.gather(2, place).sum(dim=1)

    def neighbours(self, x: Tensor, outputs: int) -> Tensor:
        """Scores of the nearest of a few random places: classes of many islands."""
        count = self.integer(4, 24)
        places = self.normal(count, x.shape[2])
        distance = torch.cdist(x, places).square()
        near = torch.softmax(-distance * 2.0 / max(1, x.shape[2]) ** 0.5, dim=2)
        return near @ self.normal(count, outputs) * 2


def standardised(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over rows [T, N, *]; constants stay 0."""
    x = x - x.mean(dim=1, keepdim=True)
    return x / x.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-4)


__all__ = ["Mechanisms", "standardised"]
