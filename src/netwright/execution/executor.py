"""One module as a pure function of its tensors, for T tasks at once."""

import copy
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from netwright.errors import ShapeError, UnsupportedChildError
from netwright.execution.chain import Chain, Frame, is_chain
from netwright.execution.composite import Composite
from netwright.execution.fallback import Fallback
from netwright.execution.plan import Chunking, Plan, PlanLine
from netwright.execution.probe import reason_against
from netwright.execution.slots import first_paths, skeleton_of, slots_of
from netwright.layers import (
    Rows,
    Weight,
    dense,
    dtype_of,
    kernel_of,
    padded_tasks,
    padded_weight,
    split_weight,
)

Strategy = Literal["auto", "kernels", "vmap", "loop"]
Precision = Literal["float32", "bfloat16", "float16"]


class Executor:
    """A module as a pure function of its tensors, for T tasks at once.

    Args:
        module: The template. It is read, never written.
        generated: Names of its tensors that differ between tasks.
        precision: In what kernels multiply; `vmap` and `loop` are always in full.
    """

    def __init__(
        self, module: nn.Module, generated: frozenset[str], precision: Precision = "float32"
    ) -> None:
        self._module, self._generated, self._precision = module, generated, precision
        self._slots, self._paths = slots_of(module), first_paths(module)
        self._fallback = Fallback(module)
        self._is_chain = is_chain(module)
        self._chunking = Chunking(module, is_chain=self._is_chain)
        self._threads = threading.local()
        # By mode and kind of input: why the module's own code cannot run on all rows, or None.
        self._reasons: dict[tuple[object, ...], str | None] = {}
        self._compile_options: dict[str, Any] | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> "Executor":
        # Thread-local copies of the module cannot be copied and need not be.
        return Executor(copy.deepcopy(self._module, memo), self._generated, self._precision)

    def __getstate__(self) -> dict[str, object]:
        return {"args": (self._module, self._generated, self._precision)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Executor.__init__(self, *state["args"])

    def compile(self, options: dict[str, Any]) -> None:
        """From now on run kernels through `torch.compile` with these options."""
        self._compile_options = options

    def run(
        self,
        weights: Mapping[str, Weight],
        common: Mapping[str, Tensor],
        x: Tensor,
        *,
        strategy: Strategy = "auto",
        chunk: int | None = None,
        training: bool = True,
    ) -> Tensor:
        """Run T children on their own inputs.

        Args:
            weights: Tensors that differ between tasks, by first path.
            common: Parameters and buffers that all tasks share, [*shape], by first path.
            x: Inputs, [T, N, *].
            strategy: `auto` and `kernels` use kernels where there are any; `vmap` and `loop` use
                none. All give the same answer.
            chunk: Tasks that are run at once; by default what is fastest.
            training: Mode of dropout and its like.

        Returns:
            Outputs, [T, N, *].
        """
        if strategy not in get_args(Strategy):
            raise UnsupportedChildError(
                f"Strategy {strategy!r} is not known, expected one of {list(get_args(Strategy))}."
            )
        if strategy in ("vmap", "loop"):
            return self._run_fallback(weights, common, x, strategy, training)
        chunk = self.tasks_at_once(x) if chunk is None else chunk
        if chunk >= len(x):
            return self._run_at_once(Frame(weights, common, len(x), training), x)
        pieces = {name: split_weight(weight, chunk) for name, weight in weights.items()}
        outputs = [
            self._run_at_once(
                Frame({n: piece[i] for n, piece in pieces.items()}, common, len(part), training),
                part,
            )
            for i, part in enumerate(x.split(chunk))
        ]
        return torch.cat(outputs)

    def tasks_at_once(self, x: Tensor) -> int:
        """How many tasks a call on inputs like x runs at once, by default."""
        return self._chunking.tasks_at_once(x)

    def tasks_per_stage(self, x: Tensor) -> int:
        """How many tasks a training step on inputs like x differentiates at once, by default."""
        return self._chunking.tasks_per_stage(x)

    def plan(
        self,
        weights: Mapping[str, Weight],
        common: Mapping[str, Tensor],
        x: Tensor,
        *,
        training: bool,
    ) -> Plan:
        """How inputs like x would be run."""
        chunk = min(self.tasks_at_once(x), len(x))
        frame = Frame(weights, common, len(x), training)
        if self._is_chain:
            return Plan(len(x), chunk, "chain", "", tuple(self._chain_lines()))
        reason = self._reason_against_composite(frame, x)
        if reason is not None:
            how = "loop" if self._fallback.loops("") else "vmap"
            line = PlanLine("", type(self._module).__name__, how, "all", reason)
            return Plan(len(x), len(x), how, reason, (line,))
        units = self._composite().units
        lines = tuple(self._line(unit.path, unit.kind) for unit in units)
        return Plan(len(x), chunk, "composite", "", lines)

    def _run_at_once(self, frame: Frame, x: Tensor) -> Tensor:
        if not self._is_chain and self._reason_against_composite(frame, x) is not None:
            return self._run_fallback(frame.weights, frame.common, x, "auto", frame.training)
        with self._autocast(x):
            if self._compile_options is None:
                y = self._run_kernels(frame.weights, frame.common, x, frame.training)
            else:
                y = self._run_compiled(frame, x)
        return self._in_full(y, frame)

    def _run_kernels(
        self,
        weights: Mapping[str, Weight],
        common: Mapping[str, Tensor],
        x: Tensor,
        training: bool,
    ) -> Tensor:
        frame = Frame(weights, common, len(x), training)
        if self._is_chain:
            return self._chain(training).run(frame, Rows(x, len(x))).separate
        return self._composite().run(frame, x)

    def _run_compiled(self, frame: Frame, x: Tensor) -> Tensor:
        """One graph per power of two of tasks: the last task stands in for those that are missing."""
        run = getattr(self._threads, "compiled", None)
        if run is None:
            run = torch.compile(self._run_kernels, dynamic=False, **(self._compile_options or {}))
            self._threads.compiled = run
        tasks = 1 << (len(x) - 1).bit_length()
        weights = {name: padded_weight(w, tasks) for name, w in frame.weights.items()}
        y: Tensor = run(weights, dict(frame.common), padded_tasks(x, tasks), frame.training)
        return y[: len(x)]

    def _autocast(self, x: Tensor) -> AbstractContextManager[Any]:
        """Within, products are taken in the precision asked for; sums and norms stay as they are."""
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(x.device.type, dtype=getattr(torch, self._precision))

    def _in_full(self, y: Tensor, frame: Frame) -> Tensor:
        """Outputs in the precision of the weights that were passed."""
        if self._precision == "float32" or not y.is_floating_point():
            return y
        return y.to(next((dtype_of(weight) for weight in frame.weights.values()), torch.float32))

    def _reason_against_composite(self, frame: Frame, x: Tensor) -> str | None:
        """Why the module's own code cannot run on all rows at once; found out once per kind of input."""
        key = (frame.training, x.dtype, x.device.type, tuple(x.shape[2:]))
        if key not in self._reasons:
            if not x.shape[0] or not x.shape[1]:
                return "there is nothing to try it on"
            self._reasons[key] = self._find_reason(frame, x)
        return self._reasons[key]

    def _find_reason(self, frame: Frame, x: Tensor) -> str | None:
        def composite(weights: Mapping[str, Weight], example: Tensor) -> Tensor:
            own = Frame(weights, frame.common, len(example), frame.training)
            return self._composite().run(own, example)

        def loop(weights: Mapping[str, Weight], example: Tensor) -> Tensor:
            return self._run_fallback(weights, frame.common, example, "loop", frame.training)

        def is_inside_unit() -> bool:
            return self._composite().is_inside_unit

        try:
            return reason_against(composite, is_inside_unit, loop, frame.weights, x)
        finally:
            # What was tried and failed midway must not be gone on with.
            self._threads.__dict__.clear()

    def _run_fallback(
        self,
        weights: Mapping[str, Weight],
        common: Mapping[str, Tensor],
        x: Tensor,
        strategy: Strategy,
        training: bool,
    ) -> Tensor:
        how: Literal["auto", "vmap", "loop"] = "auto" if strategy == "kernels" else strategy
        per_task = {name: dense(weight) for name, weight in weights.items()}
        y = self._fallback.run("", per_task, common, [x], how=how, training=training)
        if not isinstance(y, Tensor):
            raise UnsupportedChildError(
                f"{type(self._module).__name__} returns {type(y).__name__}, expected one tensor "
                "[N, *]. Wrap it in a module that returns the tensor to be scored."
            )
        return y

    def _composite(self) -> Composite:
        """This thread's own."""
        composite: Composite | None = getattr(self._threads, "composite", None)
        if composite is None:
            composite = Composite(self._module, self._generated, self._fallback)
            self._threads.composite = composite
        return composite

    def _chain(self, training: bool) -> Chain:
        """This thread's own, its layers in the given mode."""
        chain: tuple[Chain, nn.Module] | None = getattr(self._threads, "chain", None)
        if chain is None:
            skeleton = skeleton_of(self._module, keeps=lambda name: False)
            chain = Chain(skeleton, "", self._slots, self._paths), skeleton
            self._threads.chain = chain
        if chain[1].training != training:
            chain[1].train(training)
        return chain[0]

    def _chain_lines(self) -> list[PlanLine]:
        weighted = [
            (path, part)
            for path, part in self._module.named_modules()
            if kernel_of(part) is not None and list(part.parameters(recurse=False))
        ]
        return [self._line(path, "layer") for path, _ in weighted]

    def _line(self, path: str, kind: str) -> PlanLine:
        part = self._module.get_submodule(path)
        prefix = f"{path}." if path else ""
        written = [
            slot.removeprefix(prefix)
            for slot, name in self._slots.items()
            if slot.startswith(prefix) and name in self._generated
        ]
        how = {"layer": "kernel", "call": "kernel", "chain": "kernels", "opaque": "vmap"}[kind]
        if kind == "opaque" and self._fallback.loops(path):
            how = "loop"
        return PlanLine(path, type(part).__name__, how, ", ".join(written) or "none", "")


def check_rows(y: Tensor, x: Tensor) -> None:
    """Refuse outputs that have no row per input row: tasks or examples were mixed.

    Raises:
        ShapeError: If y is not [T, N, ...] for x [T, N, *].
    """
    if y.dim() < 3 or y.shape[:2] != x.shape[:2]:
        raise ShapeError(
            f"The child returned {list(y.shape)} for inputs {list(x.shape)}, expected [T, N, C]. "
            "A child maps each of its N rows to one row of outputs."
        )


__all__ = ["Executor", "Precision", "Strategy", "check_rows"]
