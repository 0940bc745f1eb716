"""What maps an embedding to the parameters of T children."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.space import ParameterSpace, TensorSpec

# Tensors that the child initialises to a constant have no scale of their own: norms and their like.
SCALE_OF_CONSTANTS = 0.2
# How far from the base a new generator starts, in units of the child's own initialisation.
INITIAL_DELTA = 0.1


class WeightGenerator(nn.Module, ABC):
    """Generates a learned base plus a scaled correction that depends on the task.

    theta[t] = base + scale * delta(embedding[t])

    `base` starts as the child's own initialisation (or its pretrained values), `scale` is the
    standard deviation of that initialisation per tensor, and `delta` starts small but not at zero:
    every task starts from a well-initialised child, and every parameter has a gradient.

    Args:
        space: What is written: a child's parameter space, without tensors that have a class axis.
        embedding_size: E, the width of the embedding.
        base: Initial child parameters by name, each [*shape].

    References:
        Ha et al., HyperNetworks, arXiv:1609.09106.
        Ortiz et al., Magnitude Invariant Parametrizations, arXiv:2304.07645 (base and correction).
    """

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.space = space
        self.embedding_size = embedding_size
        theta_0 = [base[name].detach().reshape(-1).float() for name in space.names]
        self.base = nn.Parameter(torch.cat([*theta_0, torch.zeros(0)]).clone())
        self.scale: Tensor
        scales = [torch.full((spec.size,), scale_of(spec)) for spec in self.space.tensors]
        self.register_buffer("scale", torch.cat([*scales, torch.zeros(0)]))

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape]."""
        theta = torch.addcmul(self.base, self.scale, self.delta(embedding))
        return self.space.unflatten(theta)

    @abstractmethod
    def delta(self, embedding: Embedding) -> Tensor:
        """The correction [T, P], at unit scale."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""


def unit_linear(inputs: int, outputs: int, std: float) -> nn.Linear:
    """A linear layer whose outputs have standard deviation `std` for inputs of unit variance."""
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=std * inputs**-0.5)
    nn.init.zeros_(linear.bias)
    return linear


def scale_of(spec: TensorSpec) -> float:
    """The unit of a tensor's corrections: what the child's own initialisation gives it."""
    return spec.std if spec.std > 0 else SCALE_OF_CONSTANTS
