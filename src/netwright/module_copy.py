"""Copies of modules, as `copy.deepcopy` makes them and several times faster."""

import copy
from collections import OrderedDict
from functools import cache
from typing import Any, TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)
_UNCHANGING = frozenset((int, float, complex, bool, str, bytes, type(None)))


def copy_module(module: M, memo: dict[int, Any] | None = None) -> M:
    """A deep copy of a module.

    Most of what a module consists of are empty dicts of hooks, for each of which `copy.deepcopy` asks the pickle protocol
    how to copy it: three quarters of its time. Here they are copied as the dicts that they are.

    Args:
        module: What is copied.
        memo: Copies by the `id` of what they are of, as for `copy.deepcopy`: what stands in it is not copied again.
    """
    memo = {} if memo is None else memo
    copied: M = _copied(module, memo)
    return copied


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    kind: Any = type(value)
    if kind in _UNCHANGING:
        return value
    found = memo.get(id(value))
    if found is not None:
        return found
    if kind is dict or kind is OrderedDict:
        made = memo[id(value)] = kind()
        for key, item in value.items():
            made[_copied(key, memo)] = _copied(item, memo)
    elif isinstance(value, nn.Module) and _is_plain(kind):
        made = memo[id(value)] = kind.__new__(kind)
        state = made.__dict__
        for name, item in value.__getstate__().items():
            state[name] = item if type(item) in _UNCHANGING else _copied(item, memo)
    else:
        return copy.deepcopy(value, memo)
    return made


@cache
def _is_plain(kind: Any) -> bool:
    """Whether a class leaves its copying to its dict."""
    return not (
        hasattr(kind, "__deepcopy__")
        or any(vars(base).get("__slots__") for base in kind.__mro__)
        or kind.__reduce_ex__ is not object.__reduce_ex__
        or kind.__reduce__ is not object.__reduce__
        or kind.__getstate__ is not nn.Module.__getstate__
        or kind.__setstate__ is not nn.Module.__setstate__
    )
