"""What has no kernel: `vmap`, or a loop over tasks where `vmap` has no rule.

Known traps of `torch.func.functional_call`, and what is done about each: it ignores unknown names and
accepts shapes that broadcast (the caller checks both); it swaps tensors inside the module, which two
threads must not do at once (each thread has a skeleton of its own, without values); a module reachable
by two paths is restored wrongly (each slot is passed under one path only, with `tie_weights=False`, so
that it is swapped once).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from netwright.execution.slots import skeleton_of, slots_of

How = Literal["auto", "vmap", "loop"]


class Fallback:
    """Runs a module, or the part at a path of it, with the weights of T tasks.

    Args:
        module: The template. It is read, never written.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._slots = slots_of(module)
        self._paths = {id(part): path for path, part in module.named_modules()}
        self._threads = threading.local()
        self._loop_only: set[str] = set()

    def run(
        self,
        path: str,
        per_task: Mapping[str, Tensor],
        common: Mapping[str, Tensor],
        args: Sequence[Any],
        *,
        how: How = "auto",
        training: bool,
    ) -> Any:
        """Outputs with a task axis in front, for arguments [T, *]; what is no tensor serves all tasks.

        Args:
            path: Of the part.
            per_task: Tensors that differ between tasks, [T, *shape], by first path.
            common: Tensors that all tasks share, [*shape], by first path.
            args: Arguments of the part's call.
            how: `auto` tries `vmap` and remembers where it has no rule.
            training: Mode of dropout and its like.
        """
        first_path = self._paths[id(self._module.get_submodule(path))]
        prefix = f"{first_path}." if first_path else ""
        part = self._skeleton(training).get_submodule(first_path)
        own = {
            slot[len(prefix) :]: name
            for slot, name in self._slots.items()
            if slot.startswith(prefix)
        }
        mapped = {slot: per_task[name] for slot, name in own.items() if name in per_task}
        fixed = {slot: common[name] for slot, name in own.items() if name not in per_task}

        def call_one(tensors_of_task: dict[str, Tensor], *args_of_task: Any) -> Any:
            tensors = {**fixed, **tensors_of_task}
            return functional_call(part, tensors, args_of_task, tie_weights=False)

        try:
            if how != "loop" and first_path not in self._loop_only:
                try:
                    return _vmap(call_one, mapped, args)
                except RuntimeError as error:
                    if how == "vmap" or not _is_missing_rule(error):
                        raise
                    self._loop_only.add(first_path)
            return _loop(call_one, mapped, args)
        except BaseException:
            # Whatever went wrong midway, the next call starts from a fresh skeleton.
            self._threads.__dict__.clear()
            raise

    def loops(self, path: str) -> bool:
        """Whether the part at a path was found to have no `vmap` rule."""
        return self._paths[id(self._module.get_submodule(path))] in self._loop_only

    def _skeleton(self, training: bool) -> nn.Module:
        """This thread's own copy of the module, without values, in the given mode."""
        skeleton: nn.Module | None = getattr(self._threads, "skeleton", None)
        if skeleton is None:
            skeleton = skeleton_of(self._module, keeps=lambda name: False)
            self._threads.skeleton = skeleton
        if skeleton.training != training:
            skeleton.train(training)
        return skeleton


def _vmap(call_one: Callable[..., Any], mapped: dict[str, Tensor], args: Sequence[Any]) -> Any:
    functorch: Any = torch._C._functorch
    was_enabled = functorch._is_vmap_fallback_enabled()
    # Without this an operator that has no batching rule runs in a silent, slow loop of its own.
    functorch._set_vmap_fallback_enabled(False)
    dims = (0 if mapped else None, *(0 if isinstance(a, Tensor) else None for a in args))
    try:
        # "different": dropout draws a mask per task, as it would in a loop over tasks.
        return torch.vmap(call_one, in_dims=dims, randomness="different")(mapped, *args)
    finally:
        functorch._set_vmap_fallback_enabled(was_enabled)


def _loop(call_one: Callable[..., Any], mapped: dict[str, Tensor], args: Sequence[Any]) -> Any:
    # `unbind`, not `[t]`: the backward of an index fills the whole [T, ...] buffer with zeros.
    unbound = {name: value.unbind(0) for name, value in mapped.items()}
    columns = [a.unbind(0) if isinstance(a, Tensor) else None for a in args]
    tasks = next(len(c) for c in [*unbound.values(), *columns] if c is not None)
    outputs = [
        call_one(
            {name: values[t] for name, values in unbound.items()},
            *(a if c is None else c[t] for a, c in zip(args, columns, strict=True)),
        )
        for t in range(tasks)
    ]
    leaves, structure = zip(*(pytree.tree_flatten(output) for output in outputs), strict=True)
    stacked = [
        torch.stack(parts) if isinstance(parts[0], Tensor) else parts[0]
        for parts in zip(*leaves, strict=True)
    ]
    return pytree.tree_unflatten(stacked, structure[0])


def _is_missing_rule(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(word in text for word in ("vmap", "batching rule", "batchedtensor", "functorch"))
