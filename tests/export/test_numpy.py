"""Exported modules of NumPy: they need NumPy alone, and a pair of files is old or new and never half of each."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from exported import FAMILIES, HOSTILE, answers, built
from torch import nn

from netwright.errors import ArtifactError, ExportError
from netwright.export import export_numpy, files_of, native, numpy_source, run_numpy

ALONE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "netwright", "onnx", "onnxruntime", "scipy"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
try:
    import torch
except ImportError:
    pass
else:
    raise SystemExit("torch is there")
import numpy as np
import net
assert "torch" not in sys.modules and "netwright" not in sys.modules
np.save("answers.npy", net.run(np.load("inputs.npy")))
"""


@pytest.mark.parametrize("family", ["conv", "transformer", "recurrent"])
def test_it_runs_where_torch_and_netwright_are_not(family, tmp_path):
    architecture = FAMILIES[family]
    network, x = built(architecture), torch.randn(3, *architecture.input_shape)
    export_numpy(network, architecture.input_shape, tmp_path / "net.py")
    np.save(tmp_path / "inputs.npy", x.numpy())
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, env={}
    )
    assert done.returncode == 0, done.stderr
    found, expected = np.load(tmp_path / "answers.npy"), answers(network, x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_labels_are_data(tmp_path):
    labels = [*HOSTILE, '"""\nraise SystemExit\n"""', "'''", "{0}", "\\N{BULLET}"]
    path = export_numpy(nn.Linear(3, len(labels)), (3,), tmp_path / "net.py", labels=labels)
    names = {"__file__": str(path), "__name__": "net"}
    exec(compile(path.read_text(), "net", "exec"), names)
    assert names["LABELS"] == tuple(labels)


def test_names_of_files_are_data(tmp_path):
    folder = tmp_path / 'a"; import os #'
    network, x = nn.Linear(3, 2), torch.randn(2, 3)
    path = export_numpy(network, (3,), folder / 'net"""\nraise SystemExit.py')
    assert "SystemExit" not in path.read_text()
    np.testing.assert_allclose(run_numpy(path)(x.numpy()), answers(network, x), atol=1e-6)


def test_names_of_parameters_cannot_name_code(tmp_path):
    network = nn.Module()
    network.register_parameter('w"]; raise SystemExit #', nn.Parameter(torch.randn(2, 3)))
    network.forward = lambda x: nn.functional.linear(x, next(network.parameters()))
    path = export_numpy(network, (3,), tmp_path / "net.py")
    x = np.ones((1, 3), dtype=np.float32)
    np.testing.assert_allclose(
        run_numpy(path)(x), x @ next(network.parameters()).detach().numpy().T, rtol=1e-6
    )


def test_a_new_export_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "net.py"
    for seed in range(2):
        torch.manual_seed(seed)
        network = nn.Linear(3, 2)
        export_numpy(network, (3,), path)
        assert set(tmp_path.iterdir()) == set(files_of(path, "numpy"))
        x = torch.randn(2, 3)
        np.testing.assert_allclose(run_numpy(path)(x.numpy()), answers(network, x), atol=1e-6)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_pair_that_cannot_be_written_leaves_the_old_pair(failing, tmp_path, monkeypatch):
    path, old, new = tmp_path / "net.py", nn.Linear(3, 2), nn.Linear(3, 2)
    export_numpy(old, (3,), path)
    before = set(tmp_path.iterdir())
    real, calls = numpy_source.write_file, []

    def write_file(target, data):
        calls.append(target)
        if len(calls) == failing + 1:
            raise ArtifactError("the disk is full")
        real(target, data)

    monkeypatch.setattr(numpy_source, "write_file", write_file)
    with pytest.raises(ArtifactError, match="the disk is full"):
        export_numpy(new, (3,), path)
    assert set(tmp_path.iterdir()) == before
    x = torch.randn(2, 3)
    np.testing.assert_allclose(run_numpy(path)(x.numpy()), answers(old, x), atol=1e-6)


def test_weights_that_were_damaged_are_refused(tmp_path):
    path = export_numpy(nn.Linear(3, 2), (3,), tmp_path / "net.py")
    beside = files_of(path, "numpy")[1]
    data = bytearray(beside.read_bytes())
    data[len(data) // 2] ^= 1
    beside.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged, expected it as it was exported"):
        run_numpy(path)


def test_inputs_of_another_shape_are_refused(tmp_path):
    path = export_numpy(nn.Linear(3, 2), (3,), tmp_path / "net.py")
    with pytest.raises(ValueError, match=r"x is \[2, 4\], expected \[n, 3\]"):
        run_numpy(path)(np.zeros((2, 4)))


def test_an_export_that_answers_otherwise_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    real = native.program_of
    monkeypatch.setattr(native, "program_of", lambda network, shape: real(nn.Linear(3, 2), shape))
    for export, name in ((export_numpy, "net.py"), (native.export_c, "net.c")):
        with pytest.raises(ExportError, match="answers differ by .*Nothing was written"):
            export(nn.Linear(3, 2), (3,), tmp_path / name)
    assert not list(tmp_path.iterdir())
