"""Where a module keeps its tensors, and copies of a module that keep them elsewhere."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def slots_of(module: nn.Module) -> dict[str, str]:
    """Slot -> name of the tensor in it: each module's own slots by its first path.

    A tensor tied across modules has one name (its first slot) and several slots.
    """
    names: dict[int, str] = {}
    slots: dict[str, str] = {}
    for path, part in module.named_modules():
        for leaf, tensor in [
            *part.named_parameters(recurse=False),
            *part.named_buffers(recurse=False),
        ]:
            slot = f"{path}.{leaf}" if path else leaf
            slots[slot] = names.setdefault(id(tensor), slot)
    return slots


def first_paths(module: nn.Module) -> dict[str, str]:
    """Path -> the first path that leads to the same part."""
    firsts: dict[int, str] = {}
    paths = module.named_modules(remove_duplicate=False)
    return {path: firsts.setdefault(id(part), path) for path, part in paths}


def own_slots(part: nn.Module, path: str) -> dict[str, str]:
    """Leaf -> slot of a part's own parameters."""
    leaves = [leaf for leaf, _ in part.named_parameters(recurse=False)]
    return {leaf: f"{path}.{leaf}" if path else leaf for leaf in leaves}


def skeleton_of(module: nn.Module, *, keeps: Callable[[str], bool]) -> nn.Module:
    """A copy whose tensors have no values (they are on the meta device), but for those it `keeps`.

    Kept ones are the module's own, not copies.
    """
    memo: dict[int, object] = {}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        memo[id(tensor)] = tensor if keeps(name) else _without_values(tensor)
    return copy.deepcopy(module, memo)


def _without_values(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty


def buffer_slots(module: nn.Module, slots: Mapping[str, str]) -> list[tuple[nn.Module, str, str]]:
    """Each buffer's module, leaf and name, once per slot."""
    return [
        (part, leaf, slots[f"{path}.{leaf}" if path else leaf])
        for path, part in module.named_modules()
        for leaf, buffer in part._buffers.items()
        if buffer is not None
    ]
