"""Our recurrent and attention layers are torch's own, for many tasks at once."""

import itertools

import pytest
import torch
from children import assert_equals_a_loop_over_modules, random_params
from modules import Attends, Recurrent, Unrolled
from torch import nn

from netwright.child import Child
from netwright.emission import Film, LowRank

RECURRENT = [
    (kind, options)
    for kind in (nn.RNN, nn.GRU, nn.LSTM)
    for options in (
        {"batch_first": True},
        {"batch_first": False, "bias": False},
        {"batch_first": True, "num_layers": 2, "bidirectional": True},
    )
] + [(nn.RNN, {"batch_first": True, "nonlinearity": "relu"})]


def assert_kernels_equal_torch(module: nn.Module, *shape: int, emissions=()) -> None:
    child = Child(module.double(), emissions=emissions)
    x = torch.randn(3, 2, *shape, dtype=torch.float64)
    found = child.plan(x)
    assert found.how == "composite", found.why
    assert {line.how for line in found.lines} == {"kernel"}
    params = random_params(child, 3, torch.float64)
    assert_equals_a_loop_over_modules(child, params, x, "kernels", 1e-9)


@pytest.mark.parametrize(("kind", "options"), RECURRENT)
def test_recurrent_layers(kind, options):
    torch.manual_seed(0)
    width = 4 * (2 if options.get("bidirectional") else 1)
    assert_kernels_equal_torch(Recurrent(kind(3, 4, **options), width), 5, 3)


@pytest.mark.parametrize("emission", [LowRank(2), Film("frozen")])
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_recurrent_layers_with_corrections_of_a_shared_base(kind, emission):
    torch.manual_seed(0)
    module = Recurrent(kind(3, 4, batch_first=True), 4)
    assert_kernels_equal_torch(module, 5, 3, emissions=[("layer.weight*", emission)])


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells_step_by_step(kind):
    torch.manual_seed(0)
    assert_kernels_equal_torch(Unrolled(kind(3, 4), 4), 5, 3)


class StartsFrom(nn.Module):
    """Initial states that depend on the input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(4, 2)

    def forward(self, x):
        start = x[:, 0].repeat(1, 2)[:, :4].unsqueeze(0).tanh()
        is_lstm = isinstance(self.layer, nn.LSTM)
        _, last = self.layer(x, (start, start * 2) if is_lstm else start)
        return self.head(last[1][0] if is_lstm else last[0])


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_recurrent_layers_from_given_states(kind):
    torch.manual_seed(0)
    assert_kernels_equal_torch(StartsFrom(kind(3, 4, batch_first=True)), 5, 3)


ATTENTION = list(
    itertools.product(["plain", "masked", "hinted", "padded", "both", "crossed"], [True, False])
)


@pytest.mark.parametrize(("how", "batch_first"), ATTENTION)
def test_attention(how, batch_first):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 2, batch_first=batch_first, bias=how != "crossed")
    assert_kernels_equal_torch(Attends(attention, 4, how), 5, 4)


@pytest.mark.parametrize("emission", [LowRank(2), Film()])
@pytest.mark.parametrize("how", ["plain", "crossed"])
def test_attention_with_corrections_of_a_shared_base(how, emission):
    torch.manual_seed(0)
    module = Attends(nn.MultiheadAttention(4, 2, batch_first=True), 4, how)
    assert_kernels_equal_torch(module, 5, 4, emissions=[("attention.*weight", emission)])


def test_keys_and_values_of_other_widths():
    torch.manual_seed(0)

    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, kdim=3, vdim=2, batch_first=True)

        def forward(self, x):
            return self.attention(x, x[..., :3], x[..., :2])[0].mean(1)

    assert_kernels_equal_torch(Crossed(), 5, 4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_torchs_own_transformer_runs_by_kernels(norm_first):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        4, 2, 6, dropout=0.0, batch_first=True, norm_first=norm_first
    )
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    assert_kernels_equal_torch(nn.Sequential(encoder, nn.Flatten(), nn.Linear(20, 2)), 5, 4)


def test_dropout_between_layers_and_in_attention_draws_anew_and_stops_in_evaluation():
    for module in (
        Recurrent(nn.GRU(3, 16, num_layers=2, dropout=0.5, batch_first=True), 16),
        Attends(nn.MultiheadAttention(16, 2, dropout=0.5, batch_first=True), 16, "plain"),
    ):
        child = Child(module)
        x = torch.randn(1, 2, 5, 3 if isinstance(module, Recurrent) else 16).expand(2, -1, -1, -1)
        params = child.initial_params(2)
        a, b = child.train()(params, x)
        assert not torch.allclose(a, b)
        a, b = child.eval()(params, x)
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "module",
    [
        Recurrent(nn.LSTM(3, 4, proj_size=2, batch_first=True), 2),
        Attends(nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True), 4, "plain"),
        Attends(nn.MultiheadAttention(4, 2, batch_first=True, add_zero_attn=True), 4, "plain"),
    ],
    ids=["projected", "bias-kv", "zero-attn"],
)
def test_rare_settings_fall_back_and_are_right(module):
    torch.manual_seed(0)
    child = Child(module.double())
    x = torch.randn(3, 2, 5, 3 if isinstance(module, Recurrent) else 4, dtype=torch.float64)
    params = random_params(child, 3, torch.float64)
    assert_equals_a_loop_over_modules(child, params, x, "auto", 1e-9)
