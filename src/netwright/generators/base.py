"""What maps an embedding to the parameters of T children."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Embedding
from netwright.errors import ConditionError
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

    Tensors with a class axis are written row by row: the row of class c from the token of class c.

    Args:
        space: The child's parameter space.
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
        self.body_space = space.select(lambda spec: not spec.has_class_axis)
        class_space = space.select(lambda spec: spec.has_class_axis)
        theta_0 = [base[name].detach().reshape(-1).float() for name in self.body_space.names]
        self.base = nn.Parameter(torch.cat([*theta_0, torch.zeros(0)]).clone())
        self.scale: Tensor
        scales = [torch.full((spec.size,), _scale_of(spec)) for spec in self.body_space.tensors]
        self.register_buffer("scale", torch.cat([*scales, torch.zeros(0)]))
        self.class_rows = ClassRows(class_space, embedding_size) if class_space.tensors else None

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Generate params, each [T, *shape].

        Raises:
            ConditionError: If the child has class rows and the condition has no classes.
        """
        theta = torch.addcmul(self.base, self.scale, self.delta(embedding))
        params = self.body_space.unflatten(theta)
        if self.class_rows is None:
            return params
        if embedding.classes is None:
            raise ConditionError(
                "The child has a row per class and the condition has no classes, expected a "
                "conditioner that reads class labels. Use `conditioners.Examples` without `outputs`."
            )
        params.update(self.class_rows(embedding.classes))
        return {name: params[name] for name in self.space.names}

    @abstractmethod
    def delta(self, embedding: Embedding) -> Tensor:
        """The correction [T, P] of all tensors without class axis, at unit scale."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this generator again, beside space and base."""


class ClassRows(nn.Module):
    """Tensors with a class axis: one row per class token, the same map for every class.

    The learned base row is shared by all classes, so that permuting classes permutes rows.
    """

    def __init__(self, space: ParameterSpace, embedding_size: int) -> None:
        super().__init__()
        self.space = space
        self.row_sizes = [spec.size // spec.shape[0] for spec in space.tensors]
        row = sum(self.row_sizes)
        self.base = nn.Parameter(torch.zeros(row))
        self.scale: Tensor
        sizes_and_scales = zip(self.row_sizes, map(_scale_of, space.tensors), strict=True)
        self.register_buffer("scale", torch.cat([torch.full((n,), s) for n, s in sizes_and_scales]))
        self.trunk = nn.Sequential(
            nn.Linear(embedding_size, 2 * embedding_size),
            nn.GELU(),
            nn.LayerNorm(2 * embedding_size),
        )
        # Full scale from the start, beside an anchor too: measured, it learns faster than a small one.
        self.out = unit_linear(2 * embedding_size, row, 1.0)

    def forward(self, classes: Tensor) -> dict[str, Tensor]:
        """Rows [T, C, ...] by name from class tokens [T, C, E]."""
        rows = torch.addcmul(self.base, self.scale, self.out(self.trunk(classes)))
        pieces = rows.split(self.row_sizes, dim=-1)
        return {
            spec.name: piece.reshape(*piece.shape[:2], *spec.shape[1:])
            for spec, piece in zip(self.space.tensors, pieces, strict=True)
        }


def unit_linear(inputs: int, outputs: int, std: float) -> nn.Linear:
    """A linear layer whose outputs have standard deviation `std` for inputs of unit variance."""
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=std * inputs**-0.5)
    nn.init.zeros_(linear.bias)
    return linear


def _scale_of(spec: TensorSpec) -> float:
    return spec.std if spec.std > 0 else SCALE_OF_CONSTANTS
