"""Fully connected networks as one file of C99 that needs nothing but `math.h`."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ArtifactError
from netwright.export.c_array import array_in_c

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "v > 0 ? v : 0",
    nn.Tanh: "tanhf(v)",
    nn.GELU: "0.5f * v * (1.0f + erff(v * 0.70710678f))",
    nn.SiLU: "v / (1.0f + expf(-v))",
}
_TEMPLATE = """\
/* A fully connected network. Written by netwright {version}.
   {inputs} inputs, {outputs} outputs, {numbers} numbers. */
#include <math.h>

{arrays}

static void layer(const float *w, const float *b, const float *x, float *y, int inputs, int outputs)
{{
    for (int o = 0; o < outputs; o++) {{
        float sum = b[o];
        for (int i = 0; i < inputs; i++)
            sum += w[o * inputs + i] * x[i];
        y[o] = sum;
    }}
}}

void netwright_outputs(const float *x, float *y)
{{
    float a[{widest}], c[{widest}];
{steps}
}}
"""


def is_layers(network: nn.Module) -> bool:
    """Whether a network is linear layers and activations, one after the other, and no more."""
    parts = list(network.children()) if isinstance(network, nn.Sequential) else []
    known = all(isinstance(part, nn.Linear) or type(part) in _ACTIVATIONS for part in parts)
    return known and bool(parts) and isinstance(parts[0], nn.Linear)


def export_c_layers(network: nn.Module, path: Path, *, version: str) -> Path:
    """Write a network of linear layers as C: `void netwright_outputs(const float *x, float *y)`.

    Args:
        network: Linear layers and activations in sequence.
        path: The file.
        version: Of what writes it.

    Raises:
        ArtifactError: If it is another network, or the file cannot be written.
    """
    if not is_layers(network):
        raise ArtifactError(
            f"{type(network).__name__} is more than linear layers and activations, expected these. Export it as ONNX."
        )
    parts = list(network.children())
    last = max(i for i, part in enumerate(parts) if isinstance(part, nn.Linear))
    arrays, steps, widths, source, numbers = [], [], [1], "x", 0
    width, count = 0, 0
    for i, part in enumerate(parts):
        if isinstance(part, nn.Linear):
            bias = part.bias if part.bias is not None else torch.zeros(part.out_features)
            for kind, tensor in (("w", part.weight), ("b", bias)):
                values = tensor.detach().cpu().to(torch.float32).numpy()
                arrays.append(array_in_c(f"{kind}{count}", np.asarray(values)))
                numbers += values.size
            into = "y" if i == last else ("a" if source != "a" else "c")
            steps.append(
                f"    layer(w{count}, b{count}, {source}, {into}, {part.in_features}, {part.out_features});"
            )
            source, width, count = into, part.out_features, count + 1
            widths.append(width)
            continue
        formula = _ACTIVATIONS[type(part)]
        steps.append(
            f"    for (int i = 0; i < {width}; i++) {{ float v = {source}[i]; {source}[i] = {formula}; }}"
        )
    first = next(part for part in parts if isinstance(part, nn.Linear))
    text = _TEMPLATE.format(
        version=version,
        inputs=first.in_features,
        outputs=width,
        numbers=numbers,
        arrays="\n".join(arrays),
        widest=max(widths),
        steps="\n".join(steps),
    )
    write_file(path, text.encode())
    return path


__all__ = ["export_c_layers", "is_layers"]
