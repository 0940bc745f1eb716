"""Stacks of layers as programs: the steps of the traced graph, without tracing."""

import numpy as np
import pytest
import torch
from torch import nn

from netwright.architectures import MLP, Conv
from netwright.export import lowering
from netwright.export.lowering import program_of
from netwright.export.stack import is_stack, stack_program

STACKS = {
    "conv": (Conv(channels=6, depth=2, classes=3, image=(1, 9, 7), groups=2).build(), (1, 9, 7)),
    "mlp": (MLP(inputs=4, hidden=(5, 3), outputs=2, activation="tanh").build(), (4,)),
    "strides": (
        nn.Sequential(
            nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), (1, 2), groups=2), nn.Sigmoid(), nn.Flatten()
        ),
        (2, 6, 8),
    ),
    "same": (nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.SiLU()), (1, 4, 5)),
    "without scale": (nn.Sequential(nn.GroupNorm(2, 4, affine=False)), (4, 3, 3)),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("free", [False, True])
def test_a_stack_is_the_program_that_its_traced_graph_is(name, free, monkeypatch):
    network, shape = STACKS[name]
    network.eval()
    assert is_stack(network)
    own = stack_program(network, shape, lambda _: free)
    monkeypatch.setattr("netwright.export.stack.is_stack", lambda _: False)
    traced = program_of(network, shape, free=lambda _: free)
    assert own.steps == traced.steps
    assert own.shapes == traced.shapes
    assert own.parameters == traced.parameters
    assert own.constants.keys() == traced.constants.keys()
    for constant, values in own.constants.items():
        np.testing.assert_array_equal(values, traced.constants[constant])


def test_a_stack_is_not_traced(monkeypatch):
    monkeypatch.setattr(lowering, "trace", None)
    network, shape = STACKS["conv"]
    assert program_of(network, shape).steps


def shared() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu)


def tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    return network


def watched() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3))
    network[0].register_forward_hook(lambda module, given, made: 2 * made)
    return network


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "network",
    [
        nn.Linear(3, 2),
        nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")),
        nn.Sequential(nn.Flatten(0)),
        nn.Sequential(nn.Dropout()),
        nn.Sequential(nn.Sequential(nn.ReLU())),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))),
        Doubled(nn.Linear(3, 3)),
        shared(),
        tied(),
        watched(),
    ],
)
def test_what_happens_beside_layers_is_left_to_the_tracer(network):
    assert not is_stack(network)


def test_a_traced_network_and_a_stack_answer_alike(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from netwright.export.onnx import export_onnx

    network, shape = STACKS["conv"]
    path = export_onnx(network, shape, tmp_path / "network.onnx")
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    (answer,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(answer, network(x), atol=1e-5)
