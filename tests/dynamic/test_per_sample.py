"""One set of weights per sample."""

import pytest
import torch
from making import perturb
from torch import nn
from torch.nn import functional as F

import netwright as nw
from netwright.conditioners import Input
from netwright.dynamic import PerSample
from netwright.errors import RunError, ShapeError


def make(child: nn.Module, x: tuple[int, ...], **options) -> PerSample:
    torch.manual_seed(0)
    layer = PerSample(
        nw.Hypernetwork(nw.Child(child, **options), Input(x, size=16, channels=16), "dense")
    )
    perturb(layer, torch.Generator().manual_seed(1))
    return layer


def test_each_row_goes_through_the_network_that_is_written_from_it():
    layer = make(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), (3,)).eval()
    x = torch.randn(5, 3)
    y = layer(x)
    for b in range(5):
        network = layer.hypernetwork.generate(nw.Condition(input=x[b : b + 1]))
        torch.testing.assert_close(y[b], network(x[b : b + 1])[0], rtol=1e-5, atol=1e-6)


def test_pictures_are_filtered_by_filters_of_their_own():
    layer = make(nn.Conv2d(1, 2, 3, padding=1), (1, 8, 8)).eval()
    x = torch.rand(4, 1, 8, 8)
    params = layer.hypernetwork(nw.Condition(input=x))
    expected = [
        F.conv2d(x[b : b + 1], params["weight"][b], params["bias"][b], padding=1) for b in range(4)
    ]
    torch.testing.assert_close(layer(x), torch.cat(expected), rtol=1e-5, atol=1e-6)


def test_samples_are_independent_of_the_rest_of_their_batch():
    layer = make(nn.Linear(3, 2), (3,))
    x = torch.randn(6, 3)
    order = torch.tensor([4, 0, 5, 1, 3, 2])
    torch.testing.assert_close(layer(x[order]), layer(x)[order])
    torch.testing.assert_close(layer(x[2:3]), layer(x)[2:3])
    assert layer(x[:0]).shape == (0, 2)


def test_weights_can_be_written_from_another_source():
    layer = make(nn.Linear(2, 2), (1,))
    x, angle = torch.randn(3, 2), torch.randn(3, 1)
    params = layer.hypernetwork(nw.Condition(input=angle))
    expected = torch.einsum("bij,bj->bi", params["weight"], x) + params["bias"]
    torch.testing.assert_close(layer(x, angle), expected)


def train(layer, steps: int) -> float:
    """Turn points by an angle; mean squared error on fresh ones."""
    rng = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(layer.parameters(), lr=3e-3)

    def draw(count: int):
        angle = (torch.rand(count, 1, generator=rng) * 2 - 1) * torch.pi
        points = torch.randn(count, 2, generator=rng)
        c, s = angle.cos(), angle.sin()
        turned = torch.cat(
            [c * points[:, :1] - s * points[:, 1:], s * points[:, :1] + c * points[:, 1:]], 1
        )
        return torch.cat([points, angle], 1), turned

    for _ in range(steps):
        x, y = draw(64)
        loss = F.mse_loss(layer(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y = draw(1000)
    with torch.no_grad():
        return F.mse_loss(layer(x), y).item()


class Turning(nn.Module):
    """Reads the angle, and turns the points by one matrix."""

    def __init__(self) -> None:
        super().__init__()
        child = nw.Child(nn.Linear(2, 2, bias=False))
        self.layer = PerSample(nw.Hypernetwork(child, Input((1,), size=16, channels=16), "dense"))

    def forward(self, x):
        return self.layer(x[:, :2], x[:, 2:])


def test_a_linear_child_per_sample_turns_points_as_no_linear_layer_can():
    torch.manual_seed(0)
    # Over all angles turned points average to zero: the best linear map leaves their whole variance.
    assert train(nn.Linear(3, 2), 300) > 0.9
    assert train(Turning(), 300) < 0.05


def test_what_cannot_be_written_from_a_sample_is_refused():
    child = nw.Child(nn.Linear(3, 2))
    with pytest.raises(RunError, match=r"reads \['context'\], expected \['input'\] alone"):
        PerSample(nw.Hypernetwork(child, nw.conditioners.Context([0.0], [1.0]), "dense"))
    classes = nw.Child(nw.architectures.mlp(inputs=3, classes=2))
    with pytest.raises(RunError, match="head of exchangeable classes at 'head', expected none"):
        PerSample(nw.Hypernetwork(classes, Input((3,)), "dense"))
    statistics = nw.Child(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), batch_norm="batch")
    with pytest.raises(RunError, match="has BatchNorm1d at '1', expected no statistics over rows"):
        PerSample(nw.Hypernetwork(statistics, Input((3,)), "dense"))


def test_wrong_shapes_are_refused():
    layer = make(nn.Linear(3, 2), (3,))
    with pytest.raises(ShapeError, match=r"`input` is \[2, 4\], expected \[T, D=3\]"):
        layer(torch.randn(2, 4))
    with pytest.raises(
        ShapeError, match=r"`source` is \[1, 3\], expected \[B=2, \*\]. Each row of x"
    ):
        layer(torch.randn(2, 3), torch.randn(1, 3))
    with pytest.raises(ShapeError, match=r"`x` is \[\], expected \[B, \*\]"):
        layer(torch.tensor(1.0))
