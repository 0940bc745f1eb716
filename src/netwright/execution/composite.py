"""A module's own code, run once on the rows of all tasks, with its weighted parts run by kernels.

The code of a module mostly calls its parts and handles rows between them: adds, reshapes, pools. Run on
[T * N, *] in place of [N, *] it does the same for every row. Only the parts that have weights of their
own per task must know which task a row is of; here their `forward` is replaced, on a copy of the module
that holds no values of such weights. Code that reads one in passing is found out by trying it first: see
`netwright.execution.probe`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from netwright.execution.chain import Chain, Frame, is_chain, leaf_names
from netwright.execution.fallback import Fallback
from netwright.execution.slots import (
    buffer_slots,
    first_paths,
    own_slots,
    skeleton_of,
    slots_of,
)
from netwright.layers import Rows, call_of, dense, kernel_of

Kind = Literal["layer", "call", "chain", "opaque"]


class NotACompositeError(Exception):
    """The module's code does not do the same for rows of all tasks as for those of one."""


@dataclass(frozen=True)
class Unit:
    """A part that is run with weights per task.

    Args:
        path: Its first path in the module.
        kind: `layer` (a kernel), `call` (a kernel with the module's own call), `chain` (layers one after
            the other) or `opaque` (no kernel: `vmap` or a loop).
    """

    path: str
    kind: Kind


def find_units(module: nn.Module, generated: frozenset[str]) -> list[Unit]:
    """The parts of a module that need weights per task, or statistics per task, each once.

    Args:
        module: The template.
        generated: Names of tensors that differ between tasks.
    """
    slots, seen = slots_of(module), set[int]()
    # Of each part, whether a weight of its own differs between tasks.
    is_written = {
        id(part): any(slots[slot] in generated for slot in own_slots(part, path).values())
        for path, part in module.named_modules()
    }
    found: list[Unit] = []

    def depends_on_task(part: nn.Module) -> bool:
        # Statistics of a batch must be those of one task's rows.
        return any(
            is_written[id(inner)] or isinstance(inner, nn.modules.batchnorm._BatchNorm)
            for inner in part.modules()
        )

    def visit(part: nn.Module, path: str) -> None:
        if id(part) in seen or not depends_on_task(part):
            return
        seen.add(id(part))
        kind = unit_kind(part)
        if kind is None and is_written[id(part)]:
            kind = "opaque"
        if kind is not None:
            found.append(Unit(path, kind))
            return
        for name, inner in part.named_children():
            visit(inner, f"{path}.{name}" if path else name)

    visit(module, "")
    return found


def unit_kind(part: nn.Module) -> Kind | None:
    """How a part is run if it is a unit by its type."""
    if is_chain(part):
        return "layer" if kernel_of(part) is not None else "chain"
    return "call" if call_of(part) is not None else None


class Composite:
    """One thread's copy of a module whose units take weights from the frame of the call.

    Args:
        module: The template. It is read, never written.
        generated: Names of tensors that differ between tasks.
        fallback: Runs opaque units.
    """

    def __init__(self, module: nn.Module, generated: frozenset[str], fallback: Fallback) -> None:
        slots, firsts = slots_of(module), first_paths(module)
        self._fallback = fallback
        self.units = find_units(module, generated)
        self._skeleton = skeleton_of(module, keeps=lambda name: name not in generated)
        self._buffers = buffer_slots(self._skeleton, slots)
        self._frame: Frame | None = None
        self.is_inside_unit = False
        for unit in self.units:
            part = self._skeleton.get_submodule(unit.path)
            if unit.kind == "opaque":
                run = partial(self._run_opaque, unit.path)
            elif unit.kind == "call":
                names = leaf_names(part, firsts[unit.path], slots)
                run = partial(self._run_call, part, call_of_template(part), names)
            else:
                chain = Chain(part, unit.path, slots, firsts)
                run = partial(self._run_chain, unit.path, chain)
            part.forward = partial(self._inside_unit, run)

    def run(self, frame: Frame, x: Tensor) -> Tensor:
        """Outputs [T, N, *] for inputs [T, N, *].

        Raises:
            NotACompositeError: If the module returns something else than rows, or read a weight in
                passing.
        """
        if self._skeleton.training != frame.training:
            self._skeleton.train(frame.training)
        for part, leaf, name in self._buffers:
            part._buffers[leaf] = frame.common[name]
        self._frame = replace(frame, rows=x.shape[0] * x.shape[1])
        try:
            y = self._skeleton(x.flatten(0, 1))
        finally:
            self._frame = None
        if (
            not isinstance(y, Tensor)
            or y.is_meta
            or not y.dim()
            or len(y) != x.shape[0] * x.shape[1]
        ):
            raise NotACompositeError("it does not return a tensor with a row per row")
        separate: Tensor = y.unflatten(0, x.shape[:2])
        return separate

    def _inside_unit(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        frame = self._frame
        assert frame is not None
        self.is_inside_unit = True
        try:
            return run(frame, *args, **kwargs)
        finally:
            self.is_inside_unit = False

    def _run_chain(
        self, path: str, chain: Chain, frame: Frame, *args: Any, **kwargs: Any
    ) -> Tensor:
        if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
            raise NotACompositeError(f"it calls {path} with more than one tensor")
        x = args[0]
        if x.dim() and len(x) == 1 and frame.rows > 1:
            # One row for all, such as positions: what becomes of it differs between tasks.
            x = x.expand(frame.rows, *x.shape[1:])
        return chain.run(frame, Rows.of_merged(x, frame.tasks)).merged

    def _run_call(
        self,
        part: nn.Module,
        call: Callable[..., Any],
        names: dict[str, str],
        frame: Frame,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        return call(part, frame.tensors(names), frame.tasks, *args, **kwargs)

    def _run_opaque(self, path: str, frame: Frame, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise NotACompositeError(f"it calls {path} with arguments by name")
        separate = [
            a.unflatten(0, (frame.tasks, -1)) if isinstance(a, Tensor) and a.dim() else a
            for a in args
        ]
        per_task = {name: dense(weight) for name, weight in frame.weights.items()}
        y = self._fallback.run(path, per_task, frame.common, separate, training=frame.training)
        if isinstance(y, Tensor):
            return y.flatten(0, 1)
        if isinstance(y, tuple) and all(isinstance(part, Tensor) for part in y):
            return tuple(part.flatten(0, 1) for part in y)
        raise NotACompositeError(f"{path} returns {type(y).__name__}")


def call_of_template(part: nn.Module) -> Callable[..., Any]:
    """The call of a part that is known to have one."""
    call = call_of(part)
    assert call is not None
    return call
