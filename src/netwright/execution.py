"""Running one module with the parameters of T tasks, without ever writing into the module.

`kernels` walks `nn.Sequential`s and runs each layer's kernel (netwright.layers); what has none falls
back, submodule by submodule, to `vmap`, or to a `loop` where a batching rule is missing.

Known traps of `torch.func.functional_call`, and what is done about each: it ignores unknown names and
accepts shapes that broadcast (the caller checks both); it swaps tensors inside the module, which two
threads must not do at once (each thread has a skeleton of its own, on the meta device); a module
reachable by two paths is restored wrongly (each slot is passed under one path only, with
`tie_weights=False`, so that it is swapped once).
"""

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from netwright.errors import ShapeError, UnsupportedChildError
from netwright.layers import Rows, kernel_of

Strategy = Literal["auto", "kernels", "vmap", "loop"]

# Activations of one chunk of tasks should stay within a core's L2 cache.
CHUNK_BYTES = 1_500_000


class Executor:
    """A module as a pure function of its tensors, for T tasks at once.

    Args:
        module: The template. It is read, never written.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._slots = _slots_of(module)
        self._paths = {id(part): path for path, part in module.named_modules()}
        self._threads = threading.local()
        self._loop_only: set[str] = set()

    def __deepcopy__(self, memo: dict[int, object]) -> "Executor":
        # Thread-local skeletons cannot be copied and need not be.
        return Executor(copy.deepcopy(self._module, memo))

    def __getstate__(self) -> dict[str, object]:
        return {"module": self._module}

    def __setstate__(self, state: dict[str, nn.Module]) -> None:
        Executor.__init__(self, state["module"])

    def run(
        self,
        per_task: Mapping[str, Tensor],
        common: Mapping[str, Tensor],
        x: Tensor,
        *,
        strategy: Strategy = "auto",
        training: bool = True,
    ) -> Tensor:
        """Run T children on their own inputs.

        Args:
            per_task: Tensors that differ between tasks, [T, *shape], by first path.
            common: Parameters and buffers that all tasks share, [*shape], by first path.
            x: Inputs, [T, N, *].
            strategy: `auto` and `kernels` use kernels where there are any; `vmap` and `loop` use
                none. All give the same answer.
            training: Mode of dropout and its like.

        Returns:
            Outputs, [T, N, *].
        """
        if strategy not in get_args(Strategy):
            raise UnsupportedChildError(
                f"Strategy {strategy!r} is not known, expected one of {list(get_args(Strategy))}."
            )
        if strategy in ("auto", "kernels"):
            chunk = self._tasks_per_chunk(x)
            if chunk < len(x):
                return self._run_in_chunks(per_task, common, x, chunk, training)
            return self._walk(
                self._module, "", per_task, common, Rows(x, len(x)), training
            ).separate
        return self._fall_back("", per_task, common, x, strategy, training)

    def _run_in_chunks(
        self,
        per_task: Mapping[str, Tensor],
        common: Mapping[str, Tensor],
        x: Tensor,
        chunk: int,
        training: bool,
    ) -> Tensor:
        # One split per tensor: an index per chunk would fill a whole gradient buffer each time.
        pieces = {name: value.split(chunk) for name, value in per_task.items()}
        outputs = [
            self._walk(
                self._module,
                "",
                {name: piece[i] for name, piece in pieces.items()},
                common,
                Rows(part, len(part)),
                training,
            ).separate
            for i, part in enumerate(x.split(chunk))
        ]
        return torch.cat(outputs)

    def _tasks_per_chunk(self, x: Tensor) -> int:
        """All tasks at once, but for convolutions on a CPU, whose activations should fit a cache."""
        first = next((m for m in self._module.modules() if isinstance(m, nn.Conv2d)), None)
        if first is None or x.device.type != "cpu" or x.dim() != 5:
            return len(x)
        rows, pixels = x.shape[1], x[0, 0, 0].numel() // (first.stride[0] * first.stride[-1])
        bytes_of_task = rows * pixels * first.out_channels * x.element_size()
        return max(1, min(len(x), CHUNK_BYTES // max(bytes_of_task, 1)))

    def _walk(
        self,
        module: nn.Module,
        path: str,
        per_task: Mapping[str, Tensor],
        common: Mapping[str, Tensor],
        rows: Rows,
        training: bool,
    ) -> Rows:
        if (
            type(module) is nn.Sequential
            and not module._forward_hooks
            and not module._forward_pre_hooks
        ):
            for name, part in module._modules.items():
                assert part is not None
                part_path = f"{path}.{name}" if path else name
                rows = self._walk(part, part_path, per_task, common, rows, training)
            return rows
        kernel = kernel_of(module)
        if kernel is None:
            y = self._fall_back(path, per_task, common, rows.separate, "auto", training)
            return rows.with_separate(y)
        first_path = self._paths[id(module)]
        tensors = {}
        for leaf, slot in _own_slots(module, first_path):
            name = self._slots[slot]
            tensors[leaf] = per_task[name] if name in per_task else common[name]
        if module.training != training and not tensors:
            module = self._thread_skeleton(training).get_submodule(first_path)
        return kernel(module, tensors, rows)

    def _fall_back(
        self,
        path: str,
        per_task: Mapping[str, Tensor],
        common: Mapping[str, Tensor],
        x: Tensor,
        strategy: Strategy,
        training: bool,
    ) -> Tensor:
        """Run the submodule at `path` by vmap or by a loop over tasks."""
        first_path = self._paths[id(self._module.get_submodule(path))]
        prefix = f"{first_path}." if first_path else ""
        skeleton = self._thread_skeleton(training).get_submodule(first_path)
        own = {
            slot[len(prefix) :]: name
            for slot, name in self._slots.items()
            if slot.startswith(prefix)
        }
        mapped = {slot: per_task[name] for slot, name in own.items() if name in per_task}
        fixed = {slot: common[name] for slot, name in own.items() if name not in per_task}

        def call_one(tensors_of_task: dict[str, Tensor], x_of_task: Tensor) -> Tensor:
            y = functional_call(
                skeleton, {**fixed, **tensors_of_task}, (x_of_task,), tie_weights=False
            )
            if not isinstance(y, Tensor):
                raise UnsupportedChildError(
                    f"{type(skeleton).__name__} returns {type(y).__name__}, expected one tensor "
                    "[N, *]. Wrap it in a module that returns the tensor to be scored."
                )
            return y

        try:
            if strategy != "loop" and first_path not in self._loop_only:
                try:
                    return self._vmap(call_one, mapped, x)
                except RuntimeError as error:
                    if strategy == "vmap" or not _is_missing_rule(error):
                        raise
                    self._loop_only.add(first_path)
            return _loop(call_one, mapped, x)
        except BaseException:
            # Whatever went wrong midway, the next call starts from a fresh skeleton.
            self._threads.__dict__.clear()
            raise

    def _vmap(
        self,
        call_one: Callable[[dict[str, Tensor], Tensor], Tensor],
        mapped: dict[str, Tensor],
        x: Tensor,
    ) -> Tensor:
        functorch: Any = torch._C._functorch
        was_enabled = functorch._is_vmap_fallback_enabled()
        # Without this an operator that has no batching rule runs in a silent, slow loop of its own.
        functorch._set_vmap_fallback_enabled(False)
        try:
            # "different": dropout draws a mask per task, as it would in a loop over tasks.
            y: Tensor = torch.vmap(call_one, randomness="different")(mapped, x)
        finally:
            functorch._set_vmap_fallback_enabled(was_enabled)
        return y

    def _thread_skeleton(self, training: bool) -> nn.Module:
        """This thread's own copy of the module, without values, in the given mode."""
        skeleton: nn.Module | None = getattr(self._threads, "skeleton", None)
        if skeleton is None:
            skeleton = copy.deepcopy(self._module).to("meta")
            self._threads.skeleton = skeleton
        if skeleton.training != training:
            skeleton.train(training)
        return skeleton


def _loop(
    call_one: Callable[[dict[str, Tensor], Tensor], Tensor], mapped: dict[str, Tensor], x: Tensor
) -> Tensor:
    # `unbind`, not `[t]`: the backward of an index fills the whole [T, ...] buffer with zeros.
    unbound = {name: value.unbind(0) for name, value in mapped.items()}
    outputs = [
        call_one({name: values[t] for name, values in unbound.items()}, x_of_task)
        for t, x_of_task in enumerate(x.unbind(0))
    ]
    return torch.stack(outputs)


def _is_missing_rule(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(word in text for word in ("vmap", "batching rule", "batchedtensor", "functorch"))


def _slots_of(module: nn.Module) -> dict[str, str]:
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


def _own_slots(module: nn.Module, path: str) -> list[tuple[str, str]]:
    leaves = [leaf for leaf, _ in module.named_parameters(recurse=False)]
    return [(leaf, f"{path}.{leaf}" if path else leaf) for leaf in leaves]


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
