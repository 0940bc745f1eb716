"""Networks of linear layers as C, compiled and compared."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

from netwright.errors import ArtifactError
from netwright.export import export_c

POINTER = ctypes.POINTER(ctypes.c_float)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2)),
        nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 9)),
        nn.Sequential(nn.Linear(2, 3, bias=False)),
        nn.Sequential(nn.Linear(2, 3), nn.Tanh()),
        nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.Linear(5, 2)),
    ],
)
def test_the_compiled_network_says_the_same(network, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "n.c", tmp_path / "n.so"
    export_c(network, source, version="0")
    options = ["-std=c99", "-Wall", "-Wno-unused-variable", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, source, "-o", library, "-lm"], check=True)
    function = ctypes.CDLL(str(library)).netwright_outputs
    x = torch.randn(20, network[0].in_features, generator=torch.Generator().manual_seed(0))
    expected = network(x).detach().numpy()
    for row, answer in zip(x.numpy(), expected, strict=True):
        out = np.zeros(len(answer), dtype=np.float32)
        function(np.ascontiguousarray(row).ctypes.data_as(POINTER), out.ctypes.data_as(POINTER))
        np.testing.assert_allclose(out, answer, atol=1e-5)


def test_other_networks_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no network for tables, expected one"):
        export_c(nn.Sequential(nn.Conv2d(1, 1, 3)), tmp_path / "n.c", version="0")
    assert not (tmp_path / "n.c").exists()
