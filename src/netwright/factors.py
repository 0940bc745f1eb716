"""What is written of a tensor under its emission, and the weight that a layer runs with.

| emission | written per task, for a tensor `w` [O, *rest] | weight |
| --- | --- | --- |
| full | `w` [O, *rest] | `w` |
| low rank | `w.down` [r, I] and `w.up` [O, r], I the product of rest | base + up @ down |
| film | `w.film` [O] | (1 + film) * base |
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from netwright.emission import BiasOnly, Emission, Film, Frozen, Full, LowRank, Shared
from netwright.layers.weights import FilmWeight, LowRankWeight, Weight
from netwright.space import TensorSpec


def concrete(emission: Emission, spec: TensorSpec) -> Full | Shared | Frozen | LowRank | Film:
    """What an emission means for one tensor: vectors have no rank, class rows are written in full."""
    if isinstance(emission, (LowRank, Film, BiasOnly)) and spec.has_class_axis:
        return Full()
    if isinstance(emission, BiasOnly):
        return Full() if spec.role == "bias" else _base_of(emission.base)
    if isinstance(emission, LowRank):
        return emission if len(spec.shape) > 1 else _base_of(emission.base)
    if isinstance(emission, Film):
        return emission if len(spec.shape) > 1 else Full()
    return emission


def _base_of(base: str) -> Shared | Frozen:
    return Shared() if base == "shared" else Frozen()


def trains_base(emission: Emission) -> bool:
    """Whether the template's own tensor is learned with the hypernetwork."""
    return isinstance(emission, Shared) or getattr(emission, "base", "") == "shared"


def is_written(emission: Emission) -> bool:
    """Whether anything of a tensor is written per task."""
    return not isinstance(emission, (Shared, Frozen))


def written_specs(spec: TensorSpec, emission: Emission) -> tuple[TensorSpec, ...]:
    """Specs of what is written of a tensor."""
    if isinstance(emission, LowRank):
        outputs, inputs = spec.shape[0], spec.size // max(spec.shape[0], 1)
        rank = min(emission.rank, outputs, inputs)
        down = TensorSpec(
            f"{spec.name}.down", (rank, inputs), ("hidden", "feature"), "factor", inputs, rank**-0.5
        )
        # Beside a `down` of this size, corrections have the scale of the tensor's own initialisation.
        up = TensorSpec(
            f"{spec.name}.up", (outputs, rank), ("hidden", "feature"), "factor", rank, spec.std
        )
        return down, up
    if isinstance(emission, Film):
        outputs = spec.shape[_output_axis(spec)]
        return (TensorSpec(f"{spec.name}.film", (outputs,), ("hidden",), "scale", 1, 0.0),)
    return (spec,) if is_written(emission) else ()


def initial_values(spec: TensorSpec, emission: Emission, value: Tensor) -> dict[str, Tensor]:
    """What is written of a tensor when its weight is to be `value`, the template's own."""
    if isinstance(emission, LowRank):
        down, up = written_specs(spec, emission)
        return {
            down.name: torch.randn(down.shape, dtype=value.dtype) * down.std,
            up.name: torch.zeros(up.shape, dtype=value.dtype),
        }
    if isinstance(emission, Film):
        (film,) = written_specs(spec, emission)
        return {film.name: torch.zeros(film.shape, dtype=value.dtype)}
    return {spec.name: value.detach()}


def weight_of(
    spec: TensorSpec, emission: Emission, base: Tensor, params: Mapping[str, Tensor]
) -> Weight:
    """The weights of T tasks, from what was written and the base that they share."""
    if isinstance(emission, LowRank):
        return LowRankWeight(base, params[f"{spec.name}.down"], params[f"{spec.name}.up"])
    if isinstance(emission, Film):
        return FilmWeight(base, params[f"{spec.name}.film"], _output_axis(spec))
    return params[spec.name]


def _output_axis(spec: TensorSpec) -> int:
    # An embedding is read by rows: what it puts out are the columns.
    return 1 if spec.role == "embedding" else 0


__all__ = [
    "concrete",
    "initial_values",
    "is_written",
    "trains_base",
    "weight_of",
    "written_specs",
]
