"""One graph for every child of a space."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exported import FAMILIES, answers, built
from making import make_picture_condition, make_picture_hypernetwork, perturb
from torch import nn

import netwright as nw
from netwright.errors import ExportError
from netwright.export import (
    export_network,
    export_onnx_weights,
    onnx_weights,
    run_onnx_weights,
)


@pytest.mark.parametrize("family", ["conv", "transformer", "recurrent", "residual"])
def test_one_file_serves_other_children_of_the_family(family, tmp_path):
    architecture = FAMILIES[family]
    path = tmp_path / "space.onnx"
    export_onnx_weights(
        built(architecture), architecture.input_shape, path, class_head=architecture.class_head
    )
    x = torch.randn(3, *architecture.input_shape)
    for seed in (1, 2, 3):
        child = architecture.with_classes(seed + 1) if architecture.class_head else architecture
        other = built(child, seed)
        expected = answers(other, x)
        found = run_onnx_weights(str(path), other.state_dict())(x.numpy())
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_weights_are_inputs_and_nothing_of_them_is_in_the_file(tmp_path):
    network = built(FAMILIES["mlp"])
    path = export_onnx_weights(network, (4,), tmp_path / "space.onnx", labels=["a", "b", "c"])
    session = onnxruntime.InferenceSession(path)
    names = [each.name for each in session.get_inputs()]
    assert names == ["x", *dict(network.named_parameters())]
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["labels"]) == ["a", "b", "c"]
    assert json.loads(told["weights"]) == names[1:]
    held = [onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]
    assert all(each.size <= 1 for each in held)


def test_a_hypernetwork_exports_what_serves_all_that_it_writes(tmp_path):
    rng = torch.Generator().manual_seed(0)
    hypernetwork = make_picture_hypernetwork("layer-tokens")
    perturb(hypernetwork, rng)
    path = hypernetwork.export(tmp_path / "space.onnx")
    session = onnxruntime.InferenceSession(path)
    for ways in (3, 5):
        network = hypernetwork.generate(make_picture_condition(1, ways, 2, rng))
        x = torch.rand(4, *network.input_shape)
        state = network.network.state_dict()
        feeds = {each.name: state[each.name].numpy() for each in session.get_inputs()[1:]}
        (found,) = session.run(None, {"x": x.numpy(), **feeds})
        np.testing.assert_allclose(found, answers(network, x), atol=1e-5, rtol=1e-5)


def test_what_all_tasks_share_stands_in_the_file(tmp_path):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    child = nw.Child(module, emissions=[("0.*", "shared"), ("2.weight", nw.LowRank(1))])
    path = child.export(tmp_path / "space.onnx", input_shape=(3,))
    session = onnxruntime.InferenceSession(path)
    assert [each.name for each in session.get_inputs()] == ["x", "2.weight", "2.bias"]
    params = {name: torch.randn_like(v) for name, v in child.initial_params(2).items()}
    x = torch.randn(5, 3)
    for task in range(2):
        state = child.materialise(params, task).state_dict()
        found = run_onnx_weights(str(path), state)(x.numpy())
        expected = child(params, x.expand(2, 5, 3))[task].detach().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_graph_that_holds_on_to_a_weight_is_refused(tmp_path, monkeypatch):
    real = onnx_weights.onnx_model

    def model(program, *, inputs, **rest):
        found = real(program, inputs=inputs, **rest)
        # Its first weight is still asked for, and no longer read.
        held = onnx.numpy_helper.from_array(program.constants["w_weight"], "held")
        found.graph.initializer.append(held)
        for node in found.graph.node:
            node.input[:] = ["held" if each == "weight" else each for each in node.input]
        return found

    monkeypatch.setattr(onnx_weights, "onnx_model", model)
    with pytest.raises(ExportError, match="answers differ by"):
        export_onnx_weights(nn.Linear(3, 2), (3,), tmp_path / "space.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_without_weights_is_refused(tmp_path):
    with pytest.raises(ExportError, match="Flatten has no parameter that could be an input"):
        export_onnx_weights(nn.Flatten(), (3,), tmp_path / "space.onnx")


def test_another_opset_is_refused(tmp_path):
    with pytest.raises(ExportError, match="`opset` is 9, expected 18 to 23"):
        export_onnx_weights(nn.Linear(3, 2), (3,), tmp_path / "space.onnx", opset=9)


class Named(nn.Module):
    """Parameters that are called as a graph's own input and output are, and as what it makes in between."""

    def __init__(self, *names):
        super().__init__()
        for i, name in enumerate(names):
            self.register_parameter(name, nn.Parameter(torch.full((3,), float(i + 1))))

    def forward(self, inputs):
        for parameter in self.parameters():
            inputs = inputs * parameter + 1
        return inputs


def test_names_of_parameters_do_not_meet_those_of_the_graph(tmp_path):
    network, x = Named("v1", "n0", "constant0", "rows"), torch.randn(2, 3)
    path = export_onnx_weights(network, (3,), tmp_path / "space.onnx")
    found = run_onnx_weights(str(path), network.state_dict())(x.numpy())
    np.testing.assert_allclose(found, answers(network, x), rtol=1e-5)
    network = Named("x", "y")
    (found,) = onnxruntime.InferenceSession(
        export_network(network, (3,), tmp_path / "net.onnx")
    ).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, answers(network, x), rtol=1e-5)
    with pytest.raises(ExportError, match="has a parameter named 'x'.*Rename it"):
        export_onnx_weights(network, (3,), tmp_path / "space.onnx")
