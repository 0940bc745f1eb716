"""Mixtures of learned templates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.errors import RunError
from netwright.generators.base import INITIAL_DELTA, WeightGenerator, scale_of
from netwright.generators.dense import trunk_of
from netwright.space import ParameterSpace


class Basis(WeightGenerator):
    """Every tensor is a soft mixture of its own learned templates; the condition chooses the shares.

    theta[t] = base + scale * sum over k of share[t, k] * template[k], shares positive with sum 1 per tensor.

    All tasks live in the span of K templates: the generator cannot fit what the templates do not hold, and
    has far fewer numbers on its way from condition to weights than a dense one.

    Args:
        space: The child's parameter space, of size P.
        embedding_size: E.
        base: Initial child parameters by name.
        templates: K.
        hidden: Width of the hidden layers.

    Raises:
        RunError: If there are fewer than two templates.

    References:
        Yang et al., CondConv, arXiv:1904.04971.
        Savarese & Maire, Learning implicitly recurrent CNNs through parameter sharing, arXiv:1902.09701.
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        templates: int = 16,
        hidden: int = 128,
    ) -> None:
        super().__init__(space, embedding_size)
        if templates < 2:
            raise RunError(f"`templates` is {templates}, expected at least 2: one is no choice.")
        self.templates, self.hidden = templates, hidden
        self.trunk = trunk_of(embedding_size, hidden)
        self.shares = nn.Linear(hidden, templates * len(space.tensors))
        self.base = nn.ParameterList(
            base[spec.name].detach().reshape(-1).float().clone() for spec in space.tensors
        )
        # As large a correction as other generators start with, where all shares are equal.
        start = INITIAL_DELTA * templates**0.5
        self.template = nn.ParameterList(
            start * scale_of(spec) * torch.randn(templates, spec.size) for spec in space.tensors
        )

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""
        return {"templates": self.templates, "hidden": self.hidden}

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training."""
        for template in self.template:
            template.data.mul_(factor)

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], from the global token [T, E]."""
        logits = self.shares(self.trunk(embedding.z))
        shares = logits.unflatten(1, (-1, self.templates)).softmax(dim=2).unbind(1)
        return {
            spec.name: torch.addmm(base, share, template).reshape(len(share), *spec.shape)
            for spec, share, base, template in zip(
                self.space.tensors, shares, self.base, self.template, strict=True
            )
        }
