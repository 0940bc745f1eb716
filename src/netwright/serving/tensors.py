"""Conditions as safetensors: tensors by name, `examples.x`, `examples.y`, `context` and the like."""

from typing import Any

import numpy as np

from netwright.artifacts import tensors_from_bytes
from netwright.errors import ArtifactError
from netwright.serving.problems import invalid, malformed
from netwright.serving.strict import MOST_AXES, finite

_REAL = ("float16", "float32", "float64")
_WHOLE = ("int64", "int32", "int16", "uint8")


def condition_of_tensors(data: bytes) -> dict[str, Any]:
    """A condition as it is in JSON, with arrays in place of lists.

    Raises:
        RequestError: 400 if the bytes are no safetensors, 422 if a tensor is of another kind than is read.
    """
    try:
        tensors = tensors_from_bytes(data)
    except ArtifactError:
        raise malformed("The body is no whole safetensors file.") from None
    condition: dict[str, Any] = {}
    for name, tensor in tensors.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        part, _, leaf = name.partition(".")
        whole = leaf == "y" and kind in _WHOLE
        if kind not in _REAL and not whole:
            raise invalid(
                f"Tensors must be one of {list(_REAL)}; `examples.y` may be one of {list(_WHOLE)}, too."
            )
        if not 1 <= tensor.dim() <= MOST_AXES or not tensor.numel():
            raise invalid(f"Tensors must have 1 to {MOST_AXES} axes and at least one number.")
        values = tensor.numpy()
        array = values.astype(np.int64) if whole else finite(values, "tensors")
        if leaf:
            condition.setdefault(part, {})[leaf] = array
        else:
            condition[part] = array
    return condition
