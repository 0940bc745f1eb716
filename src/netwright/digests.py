"""What conditions and weights are known by."""

import hashlib

import torch
from torch import Tensor, nn

from netwright.conditions import Architectures, Condition, ExampleSet, Texts
from netwright.shapes import describe_shape


def condition_digest(condition: Condition) -> str:
    """Digest of everything in a condition, padding and the order of examples included."""
    sha = hashlib.sha256()
    for name, value in condition.present().items():
        if isinstance(value, Texts | Architectures):
            sha.update(f"{name} {value.values!r}".encode())
            continue
        parts = _parts_of(value) if isinstance(value, ExampleSet) else [value]
        for tensor in parts:
            sha.update(f"{name} {tensor.dtype} {describe_shape(tensor)}".encode())
            sha.update(_bytes_of(tensor))
    return sha.hexdigest()[:16]


def weights_digest(module: nn.Module) -> str:
    """Digest of all parameters and buffers of a module, by name."""
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {describe_shape(tensor)}".encode())
        sha.update(_bytes_of(tensor))
    return sha.hexdigest()[:16]


def _parts_of(examples: ExampleSet) -> list[Tensor]:
    """What tells one set from another; what stands in y beside an unlabelled row does not."""
    if examples.labelled is None:
        return [examples.x, examples.y, examples.mask]
    unknown = (~examples.labelled).reshape(*examples.labelled.shape, *[1] * (examples.y.dim() - 2))
    return [examples.x, examples.y.masked_fill(unknown, 0), examples.mask, examples.labelled]


def _bytes_of(tensor: Tensor) -> bytes:
    # As bytes before numpy sees it: numpy has no bfloat16.
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


__all__ = ["condition_digest", "weights_digest"]
