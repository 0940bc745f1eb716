"""Tensors as bytes and back, by safetensors; no pickle is ever read."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from netwright.errors import ArtifactError

# Of forty thousand tensors; beyond, a header is made to take memory.
_LONGEST_HEADER = 4_000_000


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Named tensors, of any strides and device, as one safetensors file.

    Args:
        tensors: Dense tensors by name; one that is known by two names stands here once.

    Raises:
        ArtifactError: If two of them share memory, or one has no dense values of a plain dtype.
    """
    try:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        return bytes(safetensors.torch.save(plain))
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ArtifactError(
            f"The tensors {sorted(tensors)} cannot be saved ({_first_line(error)}), expected dense "
            "tensors of a plain dtype that share no memory. Convert them, or give a tied one once."
        ) from None


def tensors_from_bytes(data: bytes, name: str = "the file") -> dict[str, Tensor]:
    """The inverse of `tensors_to_bytes`.

    Raises:
        ArtifactError: If the bytes are not a whole safetensors file.
    """
    try:
        _check_header(data)
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    # The last four are what torch says to the shapes and dtypes of a header made by hand; too deep a header is a
    # RuntimeError, too.
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ArtifactError(
            f"{name} is not a whole safetensors file ({_first_line(error)}), expected one that "
            "netwright wrote. Copy it again from where it was saved."
        ) from None
    return tensors


def _check_header(data: bytes) -> None:
    """Refuse a header that two readers could read in two ways, or that is there to take memory.

    Raises:
        ValueError: If a name stands in it twice, or a number is none, or it is longer than any that is honest.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        return  # cut: the reader says so
    if length > _LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes, at most {_LONGEST_HEADER:,}")
    json.loads(data[8 : 8 + length], object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in the header")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} in the header")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
