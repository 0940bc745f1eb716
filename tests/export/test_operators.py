"""Layers of torch that no family is made of: in NumPy, in C and in ONNX they say what torch says."""

import numpy as np
import pytest
import torch
from exported import answers, compiled, shaken
from torch import nn

from netwright.errors import ExportError
from netwright.export import (
    export_c,
    export_numpy,
    export_onnx,
    export_onnx_weights,
    run_numpy,
    run_onnx,
)
from netwright.export.c_source import c_source
from netwright.export.lowering import program_of
from netwright.export.numpy_source import load_numpy, numpy_module
from netwright.export.onnx_source import onnx_model


class Calls(nn.Module):
    """A module that is one function."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


def tied():
    first = nn.Linear(4, 4)
    second = nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second)


PICTURE, ROW, SEQUENCE = (4, 8, 6), (6,), (5, 4)
NETWORKS = {
    "conv of stride and padding": (nn.Conv2d(4, 6, 3, 2, 1), PICTURE),
    "conv of two strides": (nn.Conv2d(4, 6, (3, 1), (1, 2), (2, 0)), PICTURE),
    "conv of groups and dilation": (nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2), PICTURE),
    "conv padded to the same size": (nn.Conv2d(4, 5, 3, padding="same"), PICTURE),
    "conv of one axis": (nn.Conv1d(5, 3, 3, 2, 1), SEQUENCE),
    "batch norm": (nn.Sequential(nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3)), PICTURE),
    "group norm without weights": (nn.GroupNorm(2, 4, affine=False), PICTURE),
    "layer norm of three axes": (nn.LayerNorm([4, 8, 6]), PICTURE),
    "layer norm without bias": (nn.LayerNorm(6, bias=False), ROW),
    "max pool": (nn.MaxPool2d(3, 2, 1), PICTURE),
    "mean pool": (nn.AvgPool2d((2, 3), padding=(1, 1)), PICTURE),
    "pool of one axis": (nn.Sequential(nn.MaxPool1d(2), nn.AvgPool1d(2)), SEQUENCE),
    "adaptive mean": (nn.AdaptiveAvgPool2d((4, 2)), PICTURE),
    "adaptive maximum": (nn.AdaptiveMaxPool2d(2), PICTURE),
    "bidirectional gru": (Calls(lambda x, rnn: rnn(x)[0], nn.GRU(4, 3, 2, batch_first=True, bidirectional=True)), SEQUENCE),
    "last state of a gru": (Calls(lambda x, rnn: rnn(x)[1][-1], nn.GRU(4, 3, batch_first=True)), SEQUENCE),
    "lstm, time first": (Calls(lambda x, rnn: rnn(x.transpose(0, 1))[0].transpose(0, 1), nn.LSTM(4, 3)), SEQUENCE),
    "plain recurrent": (Calls(lambda x, rnn: rnn(x)[0], nn.RNN(4, 3, batch_first=True)), SEQUENCE),
    "plain recurrent with relu": (Calls(lambda x, rnn: rnn(x)[0], nn.RNN(4, 3, nonlinearity="relu", bias=False, batch_first=True)), SEQUENCE),
    "attention of torch": (Calls(lambda x, a: a(x, x, x, need_weights=False)[0], nn.MultiheadAttention(4, 2, batch_first=True)), SEQUENCE),
    "causal attention": (Calls(lambda x: nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)), SEQUENCE),
    "tied weights": (tied(), (4,)),
    "a linear layer of sequences": (nn.Linear(4, 3, bias=False), SEQUENCE),
    "relu in place": (nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True), nn.Linear(6, 2)), ROW),
    "unbind, stack and a square": (Calls(lambda x: torch.stack([row**2 for row in x.unbind(1)], dim=2)), SEQUENCE),
    "chunk and a gate": (Calls(lambda x: torch.mul(*x.chunk(2, dim=-1)).sigmoid()), ROW),
    "every second number": (Calls(lambda x: x[:, 1::2] - 2), ROW),
    "sums over axes apart": (Calls(lambda x: x.sum(dim=(1, 3), keepdim=True) / 3), PICTURE),
    "least and largest": (Calls(lambda x: torch.cat([x.amax(1), x.amin(1)], dim=1)), SEQUENCE),
    "log of a sum": (Calls(lambda x: x.logsumexp(dim=1)), SEQUENCE),
    "log of a softmax": (Calls(lambda x: x.log_softmax(dim=1)), SEQUENCE),
    "broadcasting": (Calls(lambda x: x[:, :, None] - x[:, None, :]), ROW),
    "expanding": (Calls(lambda x: x[:, None].expand(-1, 3, -1).maximum(torch.zeros(()))), ROW),
    "only moved": (Calls(lambda x: x.permute(0, 2, 1).flatten(1)), SEQUENCE),
    "the input itself": (nn.Flatten(), SEQUENCE),
}  # fmt: skip
ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Tanh(),
    nn.Sigmoid(), nn.Softplus(), nn.Hardtanh(-0.5, 0.7), nn.Hardswish(), nn.Hardsigmoid(), nn.Mish(),
    Calls(lambda x: (x.abs() + 1).log()), Calls(lambda x: (x.square() + 1).rsqrt()), Calls(lambda x: x.sin() * x.cos()),
    Calls(lambda x: x.exp().sqrt().reciprocal()), Calls(lambda x: x.clamp(min=-1)), Calls(lambda x: 1 - x.erf()),
]  # fmt: skip
NETWORKS |= {f"activation {i}: {each}": (each, ROW) for i, each in enumerate(ACTIVATIONS)}


@pytest.mark.parametrize("name", NETWORKS)
def test_numpy_c_and_onnx_say_what_torch_says(name, tmp_path):
    module, input_shape = NETWORKS[name]
    network = shaken(module)
    x = 2 * torch.randn(3, *input_shape)
    expected = answers(network, x)
    program = program_of(network, input_shape)
    source = tmp_path / "net.c"
    source.write_text(c_source(program))
    found = {
        "numpy": load_numpy(*numpy_module(program))(x.numpy()),
        "c": compiled(source, x, expected.shape[1:]),
        "onnx": run_onnx(onnx_model(program).SerializeToString())(x.numpy()),
    }
    for kind, answer in found.items():
        np.testing.assert_allclose(answer, expected, atol=1e-5, rtol=1e-5, err_msg=kind)


def test_fields_of_different_sizes_are_pooled(tmp_path):
    network, x = nn.AdaptiveAvgPool2d((3, 4)), torch.randn(3, *PICTURE)
    expected = answers(network, x)
    source = export_c(network, PICTURE, tmp_path / "net.c")
    np.testing.assert_allclose(compiled(source, x, (4, 3, 4)), expected, atol=1e-5)
    module = export_numpy(network, PICTURE, tmp_path / "net.py")
    np.testing.assert_allclose(run_numpy(module)(x.numpy()), expected, atol=1e-5)
    # ONNX has no operator for it; torch's exporter puts it together.
    path = export_onnx(network, PICTURE, tmp_path / "net.onnx")
    np.testing.assert_allclose(run_onnx(str(path))(x.numpy()), expected, atol=1e-5)
    with pytest.raises(ExportError, match="fields of different sizes.*Export it as"):
        export_onnx_weights(nn.Sequential(nn.Conv2d(4, 4, 1), network), PICTURE, path)


@pytest.mark.parametrize(
    ("network", "input_shape", "message"),
    [
        (Calls(lambda x: x.cumsum(1)), ROW, "calls 'cumsum.default', which there is no step for .* onnx or torch-export"),
        (Calls(lambda x: x - x.mean(0)), ROW, "has a mean over all rows, which there is no step for"),
        (Calls(lambda x: x[:1]), ROW, "has a choice among rows"),
        (Calls(lambda x: (x, x + 1)), ROW, "answers with 2 tensors .* expected one"),
        (Calls(lambda x: x if x.sum() > 0 else -x), ROW, "cannot be traced for inputs \\[N, 6\\]"),
        (nn.Linear(3, 2), ROW, "cannot be traced for inputs"),
        (Calls(lambda x, rnn: rnn(x)[1][1][0], nn.LSTM(4, 3, batch_first=True)), SEQUENCE, "no step|there is no step for"),
        (nn.MaxPool2d(3, ceil_mode=True), PICTURE, "has a pool with dilation, partial windows"),
    ],
)  # fmt: skip
def test_what_there_is_no_step_for_is_refused_in_one_line(network, input_shape, message, tmp_path):
    for export, name in ((export_c, "net.c"), (export_numpy, "net.py")):
        with pytest.raises(ExportError, match=message) as refused:
            export(network, input_shape, tmp_path / name)
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_onnx_says_what_torch_says_where_we_have_no_step(tmp_path):
    network, x = Calls(lambda x: x.cumsum(1)), torch.randn(3, 6)
    path = export_onnx(network, ROW, tmp_path / "net.onnx")
    np.testing.assert_allclose(run_onnx(str(path))(x.numpy()), answers(network, x), atol=1e-5)
    assert b"site-packages" not in path.read_bytes()
    assert b"test_operators" not in path.read_bytes()
