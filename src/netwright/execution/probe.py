"""Is running a module's own code on the rows of all tasks the same as running it task by task?

Code can mix rows (a mean over the batch), decide by values (`if x.sum() > 0`) or read weights in
passing. A small example tells: two tasks with weights and rows of their own, against a loop.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from netwright.layers import TableWeight, Weight

_TASKS, _ROWS = 2, 3
_DROPOUTS = (
    torch.nn.functional.dropout,
    torch.nn.functional.dropout1d,
    torch.nn.functional.dropout2d,
    torch.nn.functional.dropout3d,
    torch.nn.functional.alpha_dropout,
    torch.nn.functional.feature_alpha_dropout,
    torch.dropout,
)


class DecidesByValuesError(Exception):
    """The code looked at values of activations to decide what to do."""


class ReadsAWeightError(Exception):
    """The code used a weight that differs between tasks outside of the part that it belongs to."""


class _NoDropout(TorchFunctionMode):
    """Dropout passes its input on: two ways of running could not draw the same."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _DROPOUTS:
            return args[0]
        kwargs = dict(kwargs or {})
        if func is torch.nn.functional.scaled_dot_product_attention:
            kwargs["dropout_p"] = 0.0
        return func(*args, **kwargs)


class _OnlyRows(TorchDispatchMode):
    """Refuses what reads values of tensors into Python, or weights that have none.

    Some operators take a tensor on the meta device beside others without a word, and leave their output
    as they found the memory: no comparison of results would be sure to find that out.

    Args:
        is_exempt: Whether what runs now is no code of the module's, but one of our kernels.
    """

    def __init__(self, is_exempt: Callable[[], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_exempt = is_exempt

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if any(isinstance(a, Tensor) and a.is_meta for a in pytree.tree_leaves((args, kwargs))):
            raise ReadsAWeightError(f"it reads a weight in passing ({func})")
        tags = torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape
        if any(tag in func.tags for tag in tags) and not self.is_exempt():
            raise DecidesByValuesError(f"it decides by values ({func})")
        return func(*args, **(kwargs or {}))


def small_example(weights: Mapping[str, Weight], x: Tensor) -> tuple[dict[str, Weight], Tensor]:
    """Two tasks of three rows: weights and values of the given ones, moved apart at random."""
    rng = torch.Generator().manual_seed(0)
    tasks = torch.arange(_TASKS) % len(x)
    rows = torch.arange(_ROWS) % x.shape[1]
    example = x.detach()[tasks.to(x.device)][:, rows.to(x.device)]
    if example.is_floating_point():
        example = _moved(example, rng)
    return {name: _moved_weight(weight, tasks, rng) for name, weight in weights.items()}, example


def reason_against(
    composite: Callable[[Mapping[str, Weight], Tensor], Tensor],
    is_inside_unit: Callable[[], bool],
    loop: Callable[[Mapping[str, Weight], Tensor], Tensor],
    weights: Mapping[str, Weight],
    x: Tensor,
) -> str | None:
    """Why the code of a composite cannot run on the rows of all tasks; None if it can."""
    own, example = small_example(weights, x)
    in_full = torch.autocast(x.device.type, enabled=False)
    with torch.no_grad(), in_full, _kept_random_state(x.device), _NoDropout():
        try:
            expected = loop(own, example)
            with _OnlyRows(is_inside_unit):
                found = composite(own, example)
        # Whatever a user's code may raise on such an example, or where weights have no values: it is run
        # otherwise, and an error of the user's own comes up there.
        except Exception as error:
            return _first_line(error)
    if found.shape != expected.shape:
        return f"it gives {list(found.shape)} in place of {list(expected.shape)}"
    if not is_same(found, expected):
        return "it mixes rows"
    return None


def is_same(found: Tensor, expected: Tensor) -> bool:
    """Equal up to rounding, far below what mixing rows or tasks would change."""
    tolerance = 1e-5 if found.dtype == torch.float64 else 2e-2 if found.element_size() < 4 else 1e-3
    scale = float(expected.float().abs().max()) if expected.numel() else 0.0
    return torch.allclose(
        found.float(), expected.float(), rtol=tolerance, atol=tolerance * max(scale, 1e-6)
    )


def _moved_weight(weight: Weight, tasks: Tensor, rng: torch.Generator) -> Weight:
    if isinstance(weight, TableWeight):
        # The few that are tried, and not the table.
        weight = TableWeight(weight.table, weight.slots[tasks.to(weight.slots.device)]).dense()
        return _moved(weight.detach(), rng)
    if isinstance(weight, Tensor):
        return _moved(weight.detach()[tasks.to(weight.device)], rng)
    moved = {
        name: _moved(value.detach()[tasks.to(value.device)], rng)
        for name, value in vars(weight).items()
        if isinstance(value, Tensor) and name != "base"
    }
    return type(weight)(**{**vars(weight), **moved})


def _moved(value: Tensor, rng: torch.Generator) -> Tensor:
    spread = value.float().std().nan_to_num(0.0) if value.numel() > 1 else value.new_zeros(())
    noise = torch.randn(value.shape, generator=rng).to(value.device)
    return value + (noise * (0.3 * spread + 0.03)).to(value.dtype)


@contextmanager
def _kept_random_state(device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
