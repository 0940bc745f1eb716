"""A network for tables as one file of C99 that needs nothing but `math.h`, or as arrays of NumPy."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ArtifactError
from netwright.export.c_array import array_in_c
from netwright.export.c_layers import export_c_layers, is_layers

_TEMPLATE = """\
/* A network for tables. Written by netwright {version}.
   Inputs are encoded rows of {columns} numbers, outputs {classes} numbers: of classes they are logits, the largest one names
   the class, and exp(y[c]) over their sum is its probability; of a value they are its mean and its quantiles. */
#include <math.h>

#define COLUMNS {columns}
#define HIDDEN {hidden}
#define RAMPS {ramps}
#define CLASSES {classes}

{arrays}

void netwright_outputs(const float *x, float *y)
{{
    float z[COLUMNS + HIDDEN];
    for (int d = 0; d < COLUMNS; d++)
        z[d] = x[d] / sqrtf(1.0f + x[d] * x[d] / 16.0f);
    for (int h = 0; h < HIDDEN; h++) {{
        float sum = hidden_bias[h];
        for (int d = 0; d < COLUMNS; d++)
            sum += hidden_weight[h * COLUMNS + d] * z[d];
        z[COLUMNS + h] = h < RAMPS ? (sum > 0 ? sum : 0) : expf(-sum * sum);
    }}
    for (int c = 0; c < CLASSES; c++) {{
        float sum = head_bias[c];
        for (int i = 0; i < COLUMNS + HIDDEN; i++)
            sum += head_weight[c * (COLUMNS + HIDDEN) + i] * z[i];
        y[c] = sum;
    }}
}}
"""
NAMES = ("hidden.weight", "hidden.bias", "head.weight", "head.bias")


def export_c(network: nn.Module, path: Path, *, version: str) -> Path:
    """Write a network as C: `void netwright_outputs(const float *x, float *y)`.

    Args:
        network: A built `TableNet`, or linear layers and activations in sequence.
        path: The file.
        version: Of what writes it.

    Raises:
        ArtifactError: If it is another network, or the file cannot be written.
    """
    if is_layers(network):
        return export_c_layers(network, path, version=version)
    arrays = _arrays_of(network)
    classes, both = arrays["head.weight"].shape
    hidden, columns = arrays["hidden.weight"].shape
    assert both == columns + hidden
    source = _TEMPLATE.format(
        version=version,
        columns=columns,
        hidden=hidden,
        ramps=int(arrays["ramps"]),
        classes=classes,
        arrays="\n".join(array_in_c(name, arrays[name]) for name in NAMES),
    )
    write_file(path, source.encode())
    return path


def export_npz(network: nn.Module, path: Path) -> Path:
    """Write the weights of a network for tables as arrays, and `ramps`, how many hidden units are ReLU.

    Args:
        network: A built `TableNet`.
        path: The file.

    Raises:
        ArtifactError: If it is another network, or the file cannot be written.
    """
    arrays = _arrays_of(network)
    file = io.BytesIO()
    np.savez(file, **{name.replace(".", "_"): value for name, value in arrays.items()})  # type: ignore[arg-type]
    write_file(path, file.getvalue())
    return path


def _arrays_of(network: nn.Module) -> dict[str, np.ndarray]:
    weights = {name: value.detach().cpu() for name, value in network.named_parameters()}
    if set(weights) != set(NAMES) or not hasattr(network, "ramps"):
        raise ArtifactError(
            f"{type(network).__name__} is no network for tables, expected one. Export it as ONNX."
        )
    arrays = {name: weights[name].to(torch.float32).numpy() for name in NAMES}
    return {**arrays, "ramps": np.array(network.ramps)}


__all__ = ["export_c", "export_npz"]
