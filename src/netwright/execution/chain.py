"""Layers one after the other, each run by its kernel."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from netwright.layers import Kernel, Rows, Weight, kernel_of


@dataclass(frozen=True)
class Frame:
    """What one call runs with.

    Args:
        weights: Tensors that differ between tasks, by name.
        common: Tensors that all tasks share, by name.
        tasks: T.
        training: Mode of dropout and its like.
        rows: T * N, where a composite runs on the rows of all tasks.
    """

    weights: Mapping[str, Weight]
    common: Mapping[str, Tensor]
    tasks: int
    training: bool
    rows: int = 0

    def tensors(self, names: Mapping[str, str]) -> dict[str, Weight]:
        """Tensors by leaf, for names by leaf."""
        weights, common = self.weights, self.common
        return {
            leaf: weights[name] if name in weights else common[name] for leaf, name in names.items()
        }


class Chain:
    """A layer with a kernel, or nested `nn.Sequential`s of such.

    Args:
        part: The layers; their modes are followed.
        path: Path of the part in the whole module.
        slots: Slot -> name of the whole module's tensors.
        firsts: Path -> first path of the whole module's parts.
    """

    def __init__(
        self, part: nn.Module, path: str, slots: Mapping[str, str], firsts: Mapping[str, str]
    ) -> None:
        self._steps: list[tuple[nn.Module, Kernel, dict[str, str]]] = []
        self._add(part, path, slots, firsts)

    def _add(
        self, part: nn.Module, path: str, slots: Mapping[str, str], firsts: Mapping[str, str]
    ) -> None:
        kernel = kernel_of(part)
        if kernel is not None:
            names = leaf_names(part, firsts[path], slots)
            self._steps.append((part, kernel, names))
            return
        for name, inner in part._modules.items():
            assert inner is not None
            self._add(inner, f"{path}.{name}" if path else name, slots, firsts)

    def run(self, frame: Frame, rows: Rows) -> Rows:
        """Outputs of the last layer."""
        for part, kernel, names in self._steps:
            rows = kernel(part, frame.tensors(names), rows)
        return rows


def leaf_names(part: nn.Module, path: str, slots: Mapping[str, str]) -> dict[str, str]:
    """Name of each of a part's tensors, those of its own parts included, by dotted leaf."""
    prefix = f"{path}." if path else ""
    leaves = [leaf for leaf, _ in part.named_parameters(remove_duplicate=False)]
    return {leaf: slots[prefix + leaf] for leaf in leaves if prefix + leaf in slots}


def is_chain(part: nn.Module) -> bool:
    """Whether a part is a layer with a kernel, or nested `nn.Sequential`s of such."""
    if kernel_of(part) is not None:
        return True
    is_plain = type(part) is nn.Sequential and not part._forward_hooks
    return is_plain and not part._forward_pre_hooks and all(map(is_chain, part.children()))
