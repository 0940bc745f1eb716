"""From a plain stack of layers to a `Program`, layer by layer: milliseconds, where tracing takes a second.

For `nn.Sequential` of convolutions, group norms, linear layers, flattening and activations: what `Conv` and `MLP` build.
The steps are those that the traced graph has.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from netwright.export.lowering import Lowering, Operand
from netwright.export.program import Program, Rows, Shape

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
}
_LAYERS = (nn.Conv2d, nn.GroupNorm, nn.Linear, nn.Flatten, *_ACTIVATIONS)


def is_stack(network: nn.Module) -> bool:
    """Whether a network is layers that are known here, one after the other, and nothing else happens in it."""
    layers = list(network.children())
    weights = [id(weight) for _, weight in network.named_parameters(remove_duplicate=False)]
    return (
        type(network) is nn.Sequential
        # A layer that comes twice is one child, and weights that are shared have two names.
        and len(layers) == len(network)
        and len(set(weights)) == len(weights)
        and all(map(_is_known, layers))
        and not any(map(_is_watched, (network, *layers)))
    )


@torch.no_grad()
def stack_program(
    network: nn.Module, input_shape: tuple[int, ...], free: Callable[[str], bool]
) -> Program:
    """As `program_of`, for a network of which `is_stack` holds."""
    from netwright.export.operators import OPERATIONS

    lowering = Lowering(type(network).__name__)
    weights: dict[str, Operand] = {}
    for name, parameter in network.named_parameters():
        value = lowering.named(name, parameter.detach(), is_parameter=True)
        weights[name] = lowering.operand(value) if free(name) else value
    example = torch.zeros(1, *input_shape)
    x = lowering.input((Rows(1), *input_shape))
    for name, layer in network.named_children():
        example = layer(example)
        shape: Shape = (Rows(1), *example.shape[1:])
        own = [weights.get(f"{name}.{leaf}") for leaf in ("weight", "bias")]
        operator, *more = _call_of(layer, own)
        x = OPERATIONS[operator](lowering, shape, x, *more)
    return lowering.program(x)


def _call_of(layer: nn.Module, own: list[Operand | None]) -> list[Any]:
    """The operator that a layer is, and its arguments after the input."""
    if isinstance(layer, nn.Conv2d):
        return ["conv2d", *own, layer.stride, layer.padding, layer.dilation, layer.groups]
    if isinstance(layer, nn.GroupNorm):
        return ["group_norm", layer.num_groups, *own, layer.eps]
    if isinstance(layer, nn.Linear):
        return ["linear", *own]
    return ["flatten" if isinstance(layer, nn.Flatten) else _ACTIVATIONS[type(layer)]]


def _is_known(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return False
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
        return False
    return type(layer) in _LAYERS


def _is_watched(module: nn.Module) -> bool:
    """What is hung on a module runs with it, and is not seen here."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


__all__ = ["is_stack", "stack_program"]
