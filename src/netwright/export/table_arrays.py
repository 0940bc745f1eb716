"""The weights of a network for tables as arrays of NumPy."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ExportError

NAMES = ("hidden.weight", "hidden.bias", "head.weight", "head.bias")


def export_npz(network: nn.Module, path: Path) -> Path:
    """Write the weights of a network for tables as arrays, and `ramps`, how many hidden units are ReLU.

    Args:
        network: A built `TableNet`.
        path: The file.

    Raises:
        ExportError: If it is another network.
        ArtifactError: If the file cannot be written.
    """
    weights = {name: value.detach().cpu() for name, value in network.named_parameters()}
    if set(weights) != set(NAMES) or not hasattr(network, "ramps"):
        raise ExportError(
            f"{type(network).__name__} is no network for tables, expected one. Export it as numpy, c or onnx."
        )
    arrays = {name: weights[name].to(torch.float32).numpy() for name in NAMES}
    file = io.BytesIO()
    told = {**arrays, "ramps": np.array(network.ramps)}
    np.savez(file, **{name.replace(".", "_"): value for name, value in told.items()})  # type: ignore[arg-type]
    write_file(path, file.getvalue())
    return path


__all__ = ["export_npz"]
