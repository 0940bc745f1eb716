"""Generated networks as files and in other runtimes."""

import json

import onnxruntime
import pytest
import torch
from making import (
    make_condition,
    make_picture_condition,
    make_picture_hypernetwork,
    make_vector_hypernetwork,
    perturb,
)
from torch import nn

import netwright as nw
from netwright.artifacts import read_artifact, write_artifact
from netwright.errors import ArtifactError
from netwright.export import onnx as onnx_module


@pytest.fixture
def picture_network():
    rng = torch.Generator().manual_seed(0)
    hypernetwork = make_picture_hypernetwork("layer-tokens")
    perturb(hypernetwork, rng)
    return hypernetwork.generate(make_picture_condition(1, 3, 2, rng), labels=["a", "b", "c"])


@pytest.fixture
def vector_network():
    rng = torch.Generator().manual_seed(0)
    return make_vector_hypernetwork("dense").generate(make_condition(1, rng, "examples"))


@pytest.mark.parametrize("kind", ["picture_network", "vector_network"])
def test_a_saved_network_gives_the_same_answers(kind, request, tmp_path):
    network = request.getfixturevalue(kind)
    network.save(tmp_path / "net")
    loaded = nw.load_network(tmp_path / "net")
    x = torch.rand(4, *network.input_shape)
    assert torch.equal(loaded(x), network(x))
    assert loaded.provenance == network.provenance
    assert loaded.labels == network.labels
    assert loaded.size == network.size


@pytest.mark.parametrize("kind", ["picture_network", "vector_network"])
def test_onnx_gives_the_same_answers_for_any_number_of_rows(kind, request, tmp_path):
    network = request.getfixturevalue(kind)
    path = network.export(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (1, 2, 33):
        x = torch.rand(rows, *network.input_shape)
        (y,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), network(x).detach(), rtol=1e-5, atol=1e-5)


def test_an_export_that_answers_otherwise_is_refused_and_nothing_is_written(
    vector_network, tmp_path, monkeypatch
):
    other = nn.Linear(3, 2)
    real = onnx_module._to_onnx
    monkeypatch.setattr(onnx_module, "_to_onnx", lambda network, *rest: real(other, *rest))
    with pytest.raises(ArtifactError, match="answers differ by .*Nothing was written"):
        vector_network.export(tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


def test_a_configuration_cannot_name_code(vector_network, tmp_path):
    vector_network.save(tmp_path / "net")
    files = read_artifact(tmp_path / "net", "network")
    config = json.loads(files["config.json"])
    config["architecture"]["family"] = "os.system"
    files["config.json"] = json.dumps(config).encode()
    write_artifact(tmp_path / "net", "network", files)
    with pytest.raises(ValueError, match="Architecture 'os.system' is not known"):
        nw.load_network(tmp_path / "net")


def test_networks_of_a_users_module_load_into_that_module(tmp_path):
    rng = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    hypernetwork = nw.Hypernetwork(
        nw.Child(module), nw.conditioners.Examples((3,), outputs=2), "dense"
    )
    network = hypernetwork.generate(make_condition(1, rng, "examples"))
    network.save(tmp_path / "net")
    with pytest.raises(ArtifactError, match="a module of your own, expected that module"):
        nw.load_network(tmp_path / "net")
    with pytest.raises(ArtifactError, match="do not fit Linear"):
        nw.load_network(tmp_path / "net", module=nn.Linear(3, 2))
    loaded = nw.load_network(tmp_path / "net", module=module)
    x = torch.randn(5, 3)
    assert torch.equal(loaded(x), network(x))


def test_a_run_folder_or_checkpoint_is_no_network(tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="is a run folder, expected the folder of a network"):
        nw.load_network(tmp_path / "run")
    write_artifact(tmp_path / "step", "checkpoint", {"a": b""})
    with pytest.raises(ArtifactError, match="holds a checkpoint, expected a network"):
        nw.load_network(tmp_path / "step")
