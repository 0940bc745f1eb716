"""ONNX written layer by layer, against torch; what is no plain stack is traced."""

import numpy as np
import pytest
import torch
from torch import nn

from netwright.architectures import MLP, Conv
from netwright.export.onnx import export_onnx
from netwright.export.onnx_layers import is_stack, stack_to_onnx

onnxruntime = pytest.importorskip("onnxruntime")

STACKS = {
    "conv": (Conv(channels=6, depth=2, classes=3, image=(1, 9, 7), groups=2).build(), (1, 9, 7)),
    "mlp": (MLP(inputs=4, hidden=(5, 3), outputs=2, activation="tanh").build(), (4,)),
    "strides": (
        nn.Sequential(nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), (1, 2), groups=2), nn.Sigmoid(), nn.Flatten()),
        (2, 6, 8),
    ),
    "norm without scale": (nn.Sequential(nn.GroupNorm(2, 4, affine=False)), (4, 3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("rows", [1, 5])
def test_a_stack_answers_as_torch_does_for_any_number_of_rows(name, rows):
    network, shape = STACKS[name]
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, generator=generator)
    assert is_stack(network)
    session = onnxruntime.InferenceSession(stack_to_onnx(network, shape, 18))
    x = torch.randn(rows, *shape, generator=generator)
    with torch.no_grad():
        expected = network(x)
    (answer,) = session.run(None, {"x": x.numpy()})
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"),
        nn.Flatten(0),
        nn.GELU(approximate="tanh"),
        nn.Dropout(),
        nn.Sequential(nn.ReLU()),
    ],
)
def test_what_is_not_written_here_is_left_to_the_tracer(layer):
    assert not is_stack(nn.Sequential(layer))


def test_an_exported_stack_does_not_ask_for_the_tracer(tmp_path, monkeypatch):
    network, shape = STACKS["conv"]
    monkeypatch.setattr(torch.onnx, "export", None)
    path = export_onnx(network, shape, tmp_path / "network.onnx")
    assert path.stat().st_size > 0
