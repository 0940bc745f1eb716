"""Class heads from support sets of thousands of examples."""

import pytest
import torch
from making import make_picture_condition, make_picture_hypernetwork

import netwright as nw
from netwright import class_head
from netwright.child import Child
from netwright.conditioners import Examples
from netwright.hypernetwork import Hypernetwork


def gradients_of(hypernetwork, condition):
    hypernetwork.zero_grad()
    params = hypernetwork(condition)
    sum(value.square().sum() for value in params.values()).backward()
    return params, [p.grad.clone() for p in hypernetwork.parameters() if p.grad is not None]


def test_features_in_parts_are_those_of_the_whole_and_so_is_the_gradient(monkeypatch):
    torch.manual_seed(0)
    hypernetwork = make_picture_hypernetwork("dense")
    condition = make_picture_condition(2, 4, 5, torch.Generator().manual_seed(0))
    seen = []
    features = Child.features

    def watched(child, params, x):
        seen.append(x.shape[1])
        return features(child, params, x)

    monkeypatch.setattr(Child, "features", watched)
    params, gradients = gradients_of(hypernetwork, condition)
    monkeypatch.setattr(class_head, "MOST_KEPT", 30)
    monkeypatch.setattr(class_head, "AT_ONCE", 12)
    again, others = gradients_of(hypernetwork, condition)
    torch.testing.assert_close(again, params)
    torch.testing.assert_close(others, gradients, rtol=1e-4, atol=1e-5)
    # 40 examples of two tasks: once all, then six each, the last two alone, and once more for the gradient.
    assert seen[0] == 20
    assert seen[1:5] == [6, 6, 6, 2]
    assert sorted(seen[5:]) == [2, 6, 6, 6]


def test_statistics_of_a_batch_are_those_of_all_its_examples(monkeypatch):
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 4),
    )  # fmt: skip
    child = Child(module, batch_norm="batch", class_head="5")
    hypernetwork = Hypernetwork(child, Examples((1, 12, 12), size=16, channels=8), "dense")
    condition = make_picture_condition(2, 4, 5, torch.Generator().manual_seed(0))
    expected = hypernetwork(condition)
    monkeypatch.setattr(class_head, "MOST_KEPT", 30)
    monkeypatch.setattr(class_head, "AT_ONCE", 12)
    torch.testing.assert_close(hypernetwork(condition), expected)


@pytest.mark.parametrize("emission", [nw.BiasOnly(), nw.Film(), nw.LowRank(2)], ids=str)
def test_class_rows_are_written_whatever_little_else_is(emission):
    """Exchangeable classes have rows of their own: a row that all tasks share would be of no class."""
    architecture = nw.architectures.conv(channels=4, depth=2, classes=3, image=(1, 12, 12))
    child = nw.Child(architecture, emissions=[("*", emission)])
    assert {"head.weight", "head.bias"} <= set(child.space.names)
    hypernetwork = nw.Hypernetwork(child, Examples((1, 12, 12), size=16, channels=8), "dense")
    condition = make_picture_condition(2, 5, 1, torch.Generator().manual_seed(0))
    assert child(hypernetwork(condition), torch.rand(2, 4, 1, 12, 12)).shape == (2, 4, 5)
