"""A module whose weights are written from learned embeddings."""

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from netwright.child import check_supported
from netwright.emission import Selector, selects
from netwright.errors import ParameterNameError, RunError, UnsupportedChildError
from netwright.static.blocks import BlockGenerator


class StaticHypernetwork(nn.Module):
    """Any module, with its large weights written from learned embeddings: the same network of fewer numbers.

    A weight is cut into blocks of `block` outputs and inputs; each block has an embedding, and one small
    generator writes them all. What is not written stays as it is: ordinary parameters, and buffers that
    are updated as ever. It is called, trained, moved and saved like the module itself; weights are written
    at every call. `materialise` gives an ordinary module for use.

    What is written starts afresh, with the variance of the weight that it replaces: pretrained values
    of such weights are lost. The module that is passed in is copied and never modified. While a call
    runs, others wait, in other threads too. Activations may be recomputed (`torch.utils.checkpoint`) of a
    call as a whole, and not of parts inside the module, whose weights are gone by then.

    Args:
        module: Any module.
        select: What is written: a glob, a layer type or a predicate of (name, parameter), or several of
            them; what has fewer than two axes stays as it is. By default weights with at least `block`
            outputs and `block` inputs.
        embedding: E, width of the embedding of a block.
        hidden: Width of the generator's hidden vectors.
        block: Outputs and inputs of a block.

    Raises:
        RunError: If a size is below 1.
        ParameterNameError: If nothing is selected.
        UnsupportedChildError: If a selected tensor cannot be written, or the module cannot be run with
            other tensors than its own.

    References:
        Ha et al., HyperNetworks, arXiv:1609.09106, section 3.1.

    >>> network = StaticHypernetwork(nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)))
    >>> network(torch.randn(3, 256)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        select: Selector | Sequence[Selector] | None = None,
        embedding: int = 64,
        hidden: int = 64,
        block: int = 16,
    ) -> None:
        super().__init__()
        if min(embedding, hidden, block) < 1:
            raise RunError(
                f"The sizes are embedding={embedding}, hidden={hidden}, block={block}, expected at least 1."
            )
        check_supported(module)
        self.module = copy.deepcopy(module)
        chosen = _chosen(self.module, select, block)
        self.generator = BlockGenerator(chosen, embedding=embedding, hidden=hidden, block=block)
        kind = next(iter(chosen.values()))
        self.generator.to(kind.device, kind.dtype)
        names = {id(parameter): name for name, parameter in chosen.items()}
        _check_nothing_else_holds(self.module, names)
        # Where what is written goes: each module that holds it, its leaf and its name; ties share a name.
        self._places = [
            (part, leaf, names[id(parameter)])
            for part in self.module.modules()
            for leaf, parameter in part._parameters.items()
            if id(parameter) in names
        ]
        self._orders = [(part, list(part._parameters)) for part, _, _ in self._places]
        for part, leaf, _ in self._places:
            del part._parameters[leaf]
            _refresh(part)
        self._lock = threading.RLock()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns with the weights that are written."""
        with self._lock, self._holding(self.write()):
            return self.module(*args, **kwargs)

    def write(self) -> dict[str, Tensor]:
        """What is written, by name."""
        weights: dict[str, Tensor] = self.generator()
        return weights

    @property
    def learned(self) -> int:
        """How many numbers are learned: embeddings, generator, and what of the module is not written."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def size(self) -> int:
        """How many numbers the module holds, those that are written included."""
        grids = self.generator.grids.values()
        written = sum(grid.shape[0] * grid.shape[1] * grid.kernel for grid in grids)
        return written + sum(p.numel() for p in self.module.parameters())

    def materialise(self) -> nn.Module:
        """An ordinary module of the same kind as the one passed in, with the present weights, outside any graph."""
        with self._lock, torch.no_grad():
            weights = {name: nn.Parameter(value.clone()) for name, value in self.write().items()}
            network, places, orders = copy.deepcopy((self.module, self._places, self._orders))
        for part, leaf, name in places:
            setattr(part, leaf, weights[name])
        for part, leaves in orders:
            # As in the module that was passed in: optimisers and files go by this order.
            parameters = {leaf: part._parameters[leaf] for leaf in leaves}
            part._parameters.clear()
            part._parameters.update(parameters)
        return network

    @contextmanager
    def _holding(self, weights: dict[str, Tensor]) -> Iterator[None]:
        """The module with these weights, as plain attributes in the place of parameters."""
        try:
            for part, leaf, name in self._places:
                setattr(part, leaf, weights[name])
            yield
        finally:
            for part, leaf, _ in self._places:
                part.__dict__.pop(leaf, None)
                _refresh(part)

    def __getstate__(self) -> dict[str, Any]:
        # A lock belongs to one object of one process.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._lock = threading.RLock()


def _chosen(
    module: nn.Module, select: Selector | Sequence[Selector] | None, block: int
) -> dict[str, nn.Parameter]:
    """What is to be written, by name."""
    weights = {name: p for name, p in module.named_parameters() if p.dim() >= 2}
    if select is None:
        chosen = {
            name: p
            for name, p in weights.items()
            if _reason_against(p) is None and min(p.shape[:2]) >= block
        }
        if not chosen:
            shapes = {name: list(p.shape) for name, p in weights.items()}
            raise ParameterNameError(
                f"{type(module).__name__} has no weight of at least {block} outputs and {block} inputs to "
                f"write, only {shapes}. Pass a smaller `block`, or say which with `select`."
            )
    else:
        rules = [select] if isinstance(select, str) or callable(select) else list(select)
        if not rules:
            raise ParameterNameError(
                f"`select` is empty, expected what of {list(weights)} is to be written. Leave `select` out for "
                "all weights of some size."
            )
        chosen = {}
        for rule in rules:
            found = {n: p for n, p in weights.items() if selects(rule, module, n, p)}
            if not found:
                raise ParameterNameError(
                    f"The rule {rule!r} selects no weight, expected one of {list(weights)}. "
                    "Write a glob such as 'body.*', a layer type or a predicate of (name, parameter)."
                )
            chosen |= found
        for name, parameter in chosen.items():
            if reason := _reason_against(parameter):
                raise UnsupportedChildError(
                    f"{name!r} {reason}, expected a weight that is trained and starts with values that "
                    "vary. Leave it out of `select`."
                )
    kinds = {(parameter.dtype, parameter.device) for parameter in chosen.values()}
    if len(kinds) > 1:
        raise UnsupportedChildError(
            f"What is to be written is of {sorted(map(str, kinds))}, expected one type on one device. "
            "Convert the module, or select less."
        )
    return chosen


def _check_nothing_else_holds(module: nn.Module, names: Mapping[int, str]) -> None:
    """Refuse weights that a part keeps in a list of its own: it would go on with what was there before."""
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            # The list of a recurrent layer is brought up to date.
            if key == "_parameters" or (key == "_flat_weights" and isinstance(part, nn.RNNBase)):
                continue
            for entry in _entries(value):
                if isinstance(entry, Tensor) and id(entry) in names:
                    raise UnsupportedChildError(
                        f"{type(part).__name__} at {path!r} keeps {names[id(entry)]!r} in `{key}` too, expected "
                        "it in its place only: what is written would not be seen there. Look it up when it is "
                        "used, or leave it out of `select`."
                    )


def _entries(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else (value,)


def _reason_against(parameter: nn.Parameter) -> str | None:
    """Why a weight cannot be written; None if it can."""
    if not parameter.requires_grad:
        return "is not trained"
    if not parameter.is_floating_point():
        return f"is {parameter.dtype}"
    if parameter.numel() < 2 or not parameter.detach().std() > 0:
        return "starts as a constant"
    return None


def _refresh(part: nn.Module) -> None:
    """Recurrent layers keep a list of their weights beside their attributes."""
    if isinstance(part, nn.RNNBase):
        part._init_flat_weights()
