"""Tensors as bytes and back, by safetensors; no pickle is ever read."""

from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from netwright.errors import ArtifactError


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Named tensors as one safetensors file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return bytes(safetensors.torch.save(plain))


def tensors_from_bytes(data: bytes, name: str = "the file") -> dict[str, Tensor]:
    """The inverse of `tensors_to_bytes`.

    Raises:
        ArtifactError: If the bytes are not a whole safetensors file.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise ArtifactError(
            f"{name} is not a whole safetensors file ({str(error).splitlines()[0]}), expected one that "
            "netwright wrote. Copy it again from where it was saved."
        ) from None
    return tensors
