"""Networks of every family, small and of random weights, for tests of exports; and C, compiled as strictly as can be."""

import ctypes
import shutil
import subprocess
from math import prod

import numpy as np
import pytest
import torch
from torch import nn

from netwright.architectures import (
    MLP,
    Architecture,
    Conv,
    ConvNet,
    Recurrent,
    RecurrentPolicy,
    Residual,
    TableNet,
    Transformer,
)

# At least one of each family, of more than one shape.
FAMILIES: dict[str, Architecture] = {
    "mlp": MLP(4, (8, 6), outputs=3, activation="gelu"),
    "conv": Conv(channels=4, depth=2, classes=3, image=(2, 9, 7), groups=2),
    "conv-net": ConvNet(
        (4, 4), (3, 5), (2, 1), (False, True), classes=2, image=(1, 9, 9), activation="silu"
    ),
    "residual": Residual(6, width=8, outputs=2, activation="tanh"),
    "recurrent": Recurrent(3, 5, width=4, layers=2, classes=2),
    "recurrent-policy": RecurrentPolicy(3, hidden=4, outputs=2),
    "table-net": TableNet(4, hidden=8, ramps=3, classes=3),
    "transformer": Transformer(3, 5, width=8, heads=2, classes=2),
}
# Labels that would be code, were they not data.
HOSTILE = [
    '"); system("true"); //', "*/ int main(void) { return 1; } /*", "a\\", "??/", "line\nbreak", "naïve ✓", "\x00nul",
    "%s%n", "\udc80", "",
]  # fmt: skip
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1")


def built(architecture: Architecture, seed: int = 0) -> nn.Module:
    """Its module, with weights that make each of them matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return shaken(architecture.build())


def shaken(module: nn.Module) -> nn.Module:
    """The same module with every parameter and buffer moved from where it starts: scales are no ones, biases no zeros."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=rng)
        for name, buffer in module.named_buffers():
            if "running" in name:
                buffer += torch.rand(buffer.shape, generator=rng)
    return module.eval()


def answers(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """What the module itself says."""
    with torch.no_grad():
        return module(x).numpy()


def compiled(source, x: torch.Tensor, shape, *, more=()) -> np.ndarray:
    """Answers of a .c file that a strict compiler takes without a word."""
    library = source.with_suffix(".so")
    build(source, "-shared", "-fPIC", *more, "-o", library, "-lm")
    function = ctypes.CDLL(str(library)).netwright_outputs
    pointer = ctypes.POINTER(ctypes.c_float)
    rows = []
    for row in x.numpy():
        out = np.full(prod(shape), np.nan, dtype=np.float32)
        function(np.ascontiguousarray(row).ctypes.data_as(pointer), out.ctypes.data_as(pointer))
        rows.append(out.reshape(shape))
    return np.stack(rows)


def build(*arguments) -> None:
    """Run the compiler; a test without one is skipped."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    done = subprocess.run(
        [compiler, *STRICT, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
