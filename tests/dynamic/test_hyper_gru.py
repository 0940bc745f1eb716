"""The HyperGRU: its equations, sequence by sequence."""

import pytest
import torch
from torch.nn import functional as F

from netwright.dynamic import HyperGRU, HyperGRUState
from netwright.errors import RunError, ShapeError


@pytest.fixture
def layer():
    torch.manual_seed(0)
    layer = HyperGRU(3, 5, hyper=4, embedding=2)
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer


def by_hand(layer: HyperGRU, x):
    """One sequence [L, D], gate by gate."""
    width, size = layer.hidden, layer.embedding
    h, hyper = torch.zeros(width), torch.zeros(1, layer.hyper)
    outputs = []
    for row in x:
        hyper = layer.hyper_cell(torch.cat([row, h])[None], hyper)
        z = layer.embed.weight @ hyper[0] + layer.embed.bias

        def gate(number: int, on_h, row=row, h=h, z=z):
            z_h, z_x, z_b = (z[(part * 3 + number) * size :][:size] for part in range(3))
            rows = slice(number * width, (number + 1) * width)
            y = on_h * (z_h @ layer.factor[0, number]) * (layer.weight_h[rows] @ h)
            y = y + (z_x @ layer.factor[1, number]) * (layer.weight_x[rows] @ row)
            y = y + z_b @ layer.shift[number] + layer.bias[rows]
            norm = layer.norm_gates[number]
            return F.layer_norm(y, (width,), norm.weight, norm.bias)

        r, u = torch.sigmoid(gate(0, 1.0)), torch.sigmoid(gate(1, 1.0))
        h = (1 - u) * torch.tanh(gate(2, r)) + u * h
        outputs.append(h)
    return torch.stack(outputs)


def test_it_computes_its_equations(layer):
    x = torch.randn(7, 2, 3)
    with torch.no_grad():
        y, _ = layer(x)
        for b in range(2):
            torch.testing.assert_close(y[:, b], by_hand(layer, x[:, b]), rtol=1e-5, atol=1e-6)


def test_with_constant_factors_and_no_norm_it_is_the_gru_of_torch(layer):
    layer.embed.weight.data.zero_()
    layer.embed.bias.data.fill_(1.0)
    layer.factor.data.fill_(1 / layer.embedding)
    layer.shift.data.zero_()
    layer.norm_gates = torch.nn.ModuleList(torch.nn.Identity() for _ in range(3))
    plain = torch.nn.GRU(3, 5)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    for name, value in zip(names, (layer.weight_x, layer.weight_h, layer.bias), strict=True):
        getattr(plain, name).data = value.data
    plain.bias_hh_l0.data.zero_()
    x = torch.randn(7, 2, 3)
    torch.testing.assert_close(layer(x)[0], plain(x)[0])


def test_a_sequence_in_parts_is_the_sequence(layer):
    x = torch.randn(9, 2, 3)
    whole, end = layer(x)
    first, state = layer(x[:4])
    second, last = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    assert all(torch.equal(a, b) for a, b in zip(end, last, strict=True))
    assert isinstance(end, HyperGRUState)


def test_batch_first_is_the_same_turned(layer):
    x = torch.randn(6, 2, 3)
    expected, _ = layer(x)
    layer.batch_first = True
    turned, _ = layer(x.transpose(0, 1))
    torch.testing.assert_close(turned.transpose(0, 1), expected)
    assert layer(torch.randn(2, 0, 3))[0].shape == (2, 0, 5)


def test_a_new_one_scales_its_rows_alike_and_every_parameter_learns():
    torch.manual_seed(0)
    layer = HyperGRU(3, 5, hyper=4, embedding=2)
    z = layer.embed(torch.randn(1, 4)).unflatten(1, (3, 3, 2))
    torch.testing.assert_close(z[:, :2], torch.ones(1, 2, 3, 2))
    # Nothing is added to the biases before the small GRU has said anything.
    assert not layer.embed(torch.zeros(1, 4)).unflatten(1, (3, 3, 2))[:, 2].any()
    for gate in layer.weight_h.chunk(3):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5), atol=1e-5, rtol=0)
    y, _ = layer(torch.randn(8, 4, 3))
    (y * torch.randn_like(y)).sum().backward()
    assert not {name for name, p in layer.named_parameters() if not p.grad.any()}


def test_it_learns_what_needs_memory():
    torch.manual_seed(0)
    layer, head = HyperGRU(1, 12, hyper=8, embedding=4), torch.nn.Linear(12, 1)
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
        HyperGRU(3, 0)
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
