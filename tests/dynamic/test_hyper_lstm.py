"""The HyperLSTM: the paper's equations, sequence by sequence."""

import pytest
import torch
from torch.nn import functional as F

from netwright.dynamic import HyperLSTM, HyperLSTMState
from netwright.errors import RunError, ShapeError


@pytest.fixture
def layer():
    torch.manual_seed(0)
    layer = HyperLSTM(3, 5, hyper=4, embedding=2)
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer


def by_hand(layer: HyperLSTM, x):
    """One sequence [L, D], gate by gate, from the equations in the paper's appendix."""
    width, size = layer.hidden, layer.embedding
    h, c = torch.zeros(width), torch.zeros(width)
    hyper = torch.zeros(1, layer.hyper), torch.zeros(1, layer.hyper)
    outputs = []
    for row in x:
        hyper = layer.hyper_cell(torch.cat([row, h])[None], hyper)
        z = layer.embed.weight @ hyper[0][0] + layer.embed.bias
        gates = []
        for gate in range(4):
            z_h, z_x, z_b = (z[(part * 4 + gate) * size :][:size] for part in range(3))
            rows = slice(gate * width, (gate + 1) * width)
            y = (z_h @ layer.factor[0, gate]) * (layer.weight_h[rows] @ h)
            y = y + (z_x @ layer.factor[1, gate]) * (layer.weight_x[rows] @ row)
            y = y + z_b @ layer.shift[gate] + layer.bias[rows]
            norm = layer.norm_gates[gate]
            gates.append(F.layer_norm(y, (width,), norm.weight, norm.bias))
        i, g, f, o = gates
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        norm = layer.norm_cell
        h = torch.sigmoid(o) * torch.tanh(F.layer_norm(c, (width,), norm.weight, norm.bias))
        outputs.append(h)
    return torch.stack(outputs)


def test_it_computes_the_equations_of_the_paper(layer):
    x = torch.randn(7, 2, 3)
    with torch.no_grad():
        y, _ = layer(x)
        for b in range(2):
            torch.testing.assert_close(y[:, b], by_hand(layer, x[:, b]), rtol=1e-5, atol=1e-6)


def test_a_sequence_in_parts_is_the_sequence(layer):
    x = torch.randn(9, 2, 3)
    whole, end = layer(x)
    first, state = layer(x[:4])
    second, last = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    assert all(torch.equal(a, b) for a, b in zip(end, last, strict=True))
    assert isinstance(end, HyperLSTMState)


def test_batch_first_is_the_same_turned(layer):
    x = torch.randn(6, 2, 3)
    expected, _ = layer(x)
    layer.batch_first = True
    turned, _ = layer(x.transpose(0, 1))
    torch.testing.assert_close(turned.transpose(0, 1), expected)


def test_a_new_one_scales_its_rows_alike_and_every_parameter_learns():
    torch.manual_seed(0)
    layer = HyperLSTM(3, 5, hyper=4, embedding=2)
    z = layer.embed(torch.randn(1, 4)).unflatten(1, (3, 4, 2))
    torch.testing.assert_close(z[:, :2], torch.ones(1, 2, 4, 2))
    y, _ = layer(torch.randn(8, 4, 3))
    (y * torch.randn_like(y)).sum().backward()
    # The embeddings start constant: what feeds them learns from the second step on.
    late = {name for name, p in layer.named_parameters() if not p.grad.any()}
    assert not late


def test_it_learns_what_needs_memory():
    torch.manual_seed(0)
    layer, head = HyperLSTM(1, 12, hyper=8, embedding=4), torch.nn.Linear(12, 1)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    for _ in range(120):
        x = torch.randint(0, 2, (6, 32, 1)).float()
        target = x[0]  # the first of six bits, asked for at the end
        loss = F.binary_cross_entropy_with_logits(head(layer(x)[0][-1]), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.6
    assert sum(losses[-5:]) / 5 < 0.05


def test_wrong_sizes_and_shapes_are_refused(layer):
    with pytest.raises(RunError, match="hidden=0"):
        HyperLSTM(3, 0)
    with pytest.raises(ShapeError, match=r"`x` is \[7, 2, 4\], expected \[L, B, D=3\]"):
        layer(torch.randn(7, 2, 4))
    _, state = layer(torch.randn(7, 2, 3))
    with pytest.raises(
        ShapeError, match=r"`state.h` is \[2, 5\], expected \[B=1, H=5\]. Begin with"
    ):
        layer(torch.randn(7, 1, 3), state)
    with pytest.raises(ShapeError, match=r"`state.hyper_h` is \[2, 5\], expected \[B=2, K=4\]"):
        layer(torch.randn(7, 2, 3), state._replace(hyper_h=state.h))
    assert layer(torch.randn(0, 2, 3))[0].shape == (0, 2, 5)
