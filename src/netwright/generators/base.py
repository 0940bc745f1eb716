"""What maps an embedding to the parameters of T children."""

from abc import ABC, abstractmethod
from typing import Any

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

    References:
        Ha et al., HyperNetworks, arXiv:1609.09106.
        Ortiz et al., Magnitude Invariant Parametrizations, arXiv:2304.07645 (base and correction).
    """

    def __init__(self, space: ParameterSpace, embedding_size: int) -> None:
        super().__init__()
        self.space = space
        self.embedding_size = embedding_size

    @abstractmethod
    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape], in the order of the space."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""


def unit_linear(inputs: int, outputs: int, std: float, *, bias: bool = True) -> nn.Linear:
    """A linear layer whose outputs have standard deviation `std` for inputs of unit variance."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(linear.weight, std=std * inputs**-0.5)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def scale_of(spec: TensorSpec) -> float:
    """The unit of a tensor's corrections: what the child's own initialisation gives it."""
    return spec.std if spec.std > 0 else SCALE_OF_CONSTANTS
