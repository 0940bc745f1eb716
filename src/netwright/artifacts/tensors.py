"""Tensors as bytes and back, by safetensors; no pickle is ever read."""

from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from netwright.errors import ArtifactError


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
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    # The last four are what torch says to the shapes and dtypes of a header made by hand.
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ArtifactError(
            f"{name} is not a whole safetensors file ({_first_line(error)}), expected one that "
            "netwright wrote. Copy it again from where it was saved."
        ) from None
    return tensors


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
