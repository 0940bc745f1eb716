"""What maps an embedding to the parameters of T children."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.conditioners.base import Embedding
from netwright.errors import RunError
from netwright.generators.distribution import WeightDistribution
from netwright.space import ParameterSpace, TensorSpec

# Tensors that the child initialises to a constant have no scale of their own: norms and their like.
SCALE_OF_CONSTANTS = 0.2
# How far from the base a new generator starts, in units of the child's own initialisation.
INITIAL_DELTA = 0.1

Precision = Literal["float32", "bfloat16"]
"""In what the product that writes corrections is taken; the base is added in float32."""


@dataclass(frozen=True)
class Written:
    """What was written for T tasks.

    Args:
        params: By name, each [T, *shape].
        penalty: What training may add to the loss of each task, [T], in nats: how far the distribution
            that was written is from its prior. None where none was written.
    """

    params: dict[str, Tensor]
    penalty: Tensor | None = None


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

    reads_graph: ClassVar[bool] = False
    """Whether it is told the graph of the child, as the option `graph`."""

    draws_start: ClassVar[bool] = False
    """Whether theta_0 is a draw of its own, and not the values of `base`."""

    correction: float = INITIAL_DELTA
    """Standard deviation of corrections at the start, in units of the child's own initialisation."""

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

    def write(self, embedding: Embedding) -> Written:
        """As a call, with what training may add to its loss."""
        return Written(self(embedding))

    def check(self) -> None:
        """Refuse to write networks for use that training says nothing of; most generators refuse none.

        Raises:
            RunError: If there is a reason.
        """

    def starts_otherwise(self) -> frozenset[str]:
        """Names of tensors that are not meant to start with the variance of the child's own initialisation; mostly none."""
        return frozenset()

    def rescale(self, factor: float) -> None:
        """Multiply all corrections by a factor, before training.

        Raises:
            RunError: If the generator cannot.
        """
        raise RunError(
            f"The corrections of {type(self).__name__} cannot be rescaled, expected a generator whose can. "
            'Leave `initialisation` at "bias-hyper-init".'
        )

    def for_space(self, space: ParameterSpace) -> "WeightGenerator":
        """The same generator, with the same learned numbers, for children of other widths.

        Raises:
            RunError: If it has numbers that fit one width only, as most generators have.
        """
        raise RunError(
            f"{type(self).__name__} has learned numbers that fit children of one width, expected none. "
            'Use generator="slots", start="written" to write other widths.'
        )


class StochasticGenerator(WeightGenerator):
    """Writes a distribution over children: a sample in training mode, its mean in evaluation mode.

    `write` gives a penalty beside the params.
    """

    @abstractmethod
    def write(self, embedding: Embedding) -> Written:
        """As a call, and the divergence [T] from the prior."""

    @abstractmethod
    def distribution(self, embedding: Embedding) -> WeightDistribution:
        """The distribution over theta [T, P], in the order of the space."""

    def sample(self, embedding: Embedding, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """A sample of params, each [T, *shape], in any mode.

        Args:
            embedding: Of T tasks.
            rng: Source of randomness; None for torch's global one.
        """
        return self.space.unflatten(self.distribution(embedding).rsample(rng))


def unit_linear(inputs: int, outputs: int, std: float, *, bias: bool = True) -> nn.Linear:
    """A linear layer whose outputs have standard deviation `std` for inputs of unit variance."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(linear.weight, std=std * inputs**-0.5)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def scale_weights(module: nn.Module, factor: float) -> None:
    """Multiply every parameter called `weight`, in place."""
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2] == "weight":
            parameter.data.mul_(factor)


def product(h: Tensor, weight: Tensor, precision: Precision) -> Tensor:
    """h @ weight.T for h [..., H] and weight [W, H], in float32 whatever it is taken in."""
    if precision == "float32":
        return F.linear(h, weight)
    dtype = getattr(torch, precision)
    return F.linear(h.to(dtype), weight.to(dtype)).float()


def check_precision(precision: str) -> None:
    """Refuse what no product can be taken in.

    Raises:
        RunError: If it is unknown.
    """
    if precision not in get_args(Precision):
        raise RunError(
            f"`precision` is {precision!r}, expected one of {list(get_args(Precision))}."
        )


def scale_of(spec: TensorSpec) -> float:
    """The unit of a tensor's corrections: what the child's own initialisation gives it."""
    return spec.std if spec.std > 0 else SCALE_OF_CONSTANTS
