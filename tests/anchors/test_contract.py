"""Every anchor: a set goes in, a linear head comes out, classes are exchangeable."""

import pytest
import torch

from netwright.anchors import ANCHORS, Anchor, Mahalanobis, RelativePrototype
from netwright.conditions import ExampleSet


@pytest.fixture(params=ANCHORS)
def anchor(request) -> Anchor:
    torch.manual_seed(0)
    anchor = ANCHORS[request.param](3)
    for parameter in anchor.parameters():  # a new one may satisfy too many laws
        parameter.data += 0.3 * torch.randn_like(parameter)
    return anchor


@pytest.fixture
def support() -> tuple[torch.Tensor, ExampleSet]:
    features = torch.randn(2, 6, 3)
    y = torch.tensor([[0, 1, 2, 0, 1, 2], [2, 2, 1, 0, 0, 1]])
    return features, ExampleSet.of(features, y)


def test_a_head_has_a_row_per_class_and_is_finite(anchor, support):
    weight, bias = anchor(*support)
    assert weight.shape == (2, 3, 3)
    assert bias.shape == (2, 3)
    assert weight.isfinite().all()


def test_permuting_labels_permutes_rows_and_the_order_of_examples_carries_nothing(anchor, support):
    features, examples = support
    weight, bias = anchor(features, examples)
    names = torch.tensor([2, 0, 1])
    renamed, renamed_bias = anchor(features, ExampleSet.of(features, names[examples.y]))
    torch.testing.assert_close(renamed[:, names], weight)
    torch.testing.assert_close(renamed_bias[:, names], bias)
    order = torch.randperm(6)
    shuffled = anchor(features[:, order], ExampleSet.of(features[:, order], examples.y[:, order]))
    torch.testing.assert_close(shuffled[0], weight)


def test_padding_and_classes_without_examples_give_nothing(anchor, support):
    features, examples = support
    mask = examples.mask.clone()
    mask[:, 4:] = False
    junk = features.clone()
    junk[:, 4:] = float("inf")
    weight, bias = anchor(junk, ExampleSet(junk, examples.y, mask, 5))
    kept = ExampleSet.of(features[:, :4], examples.y[:, :4], classes=5)
    torch.testing.assert_close(weight, anchor(features[:, :4], kept)[0])
    assert not weight[:, 3:].any()
    assert not bias[:, 3:].any()


def test_unlabelled_rows_change_nothing_whatever_stands_in_their_y(anchor, support):
    features, examples = support
    expected = anchor(features, examples)
    more = torch.cat([features, torch.randn(2, 3, 3)], dim=1)
    y = torch.cat([examples.y, torch.tensor([[0, 99, -1]] * 2)], dim=1)
    labelled = torch.arange(9).expand(2, -1) < 6
    found = anchor(more, ExampleSet.of(more, y, classes=3, labelled=labelled))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_every_parameter_has_a_gradient(anchor, support):
    weight, bias = anchor(*support)
    (weight.square().sum() + bias.sum()).backward()
    assert all(p.grad.abs().max() > 0 for p in anchor.parameters())


def test_a_metric_is_a_softmax_over_mapped_distances_and_starts_as_the_plain_one(support):
    features, examples = support
    anchor = Mahalanobis(3)
    plain = ANCHORS["prototype"](3)(features, examples)
    torch.testing.assert_close(anchor(features, examples)[0], plain[0])
    anchor.metric.data = torch.randn(3, 3)
    weight, bias = anchor(features, examples)
    queries = torch.randn(2, 4, 3)
    logits = queries @ weight.transpose(1, 2) + bias.unsqueeze(1)
    for t in range(2):
        means = torch.stack([features[t][examples.y[t] == c].mean(0) for c in range(3)])
        distances = torch.cdist(queries[t] @ anchor.metric.T, means @ anchor.metric.T)
        expected = (-0.3 * distances.square()).softmax(dim=1)
        torch.testing.assert_close(logits[t].softmax(dim=1), expected, rtol=1e-4, atol=1e-5)


def test_relative_prototypes_are_the_same_in_any_unit(support):
    features, examples = support
    queries = torch.randn(2, 4, 3)
    anchor = RelativePrototype(3, sharpness=0.7)

    def logits(unit: float) -> torch.Tensor:
        weight, bias = anchor(unit * features, examples)
        return unit * queries @ weight.transpose(1, 2) + bias.unsqueeze(1)

    torch.testing.assert_close(logits(1e-3), logits(1.0), rtol=1e-3, atol=1e-3)
    for t in range(2):
        means = torch.stack([features[t][examples.y[t] == c].mean(0) for c in range(3)])
        apart = (means - means.mean(0)).square().sum(1).mean()
        expected = (-0.7 * torch.cdist(queries[t], means).square() / apart).softmax(dim=1)
        torch.testing.assert_close(logits(1.0)[t].softmax(dim=1), expected, rtol=1e-4, atol=1e-5)


def test_relative_prototypes_of_one_class_are_finite():
    features = torch.randn(1, 2, 3)
    weight, bias = RelativePrototype(3)(
        features, ExampleSet.of(features, torch.zeros(1, 2).long(), classes=2)
    )
    assert weight.isfinite().all()
    assert bias.isfinite().all()


def test_prototypes_are_as_sharp_in_children_of_other_widths(support):
    features, examples = support
    anchor = ANCHORS["prototype"](features.shape[-1])
    weight, bias = anchor(features, examples)
    # The same features twice over: distances double, and what is said of a class stays as it was.
    twice = torch.cat([features, features], dim=-1)
    wide, wide_bias = anchor(twice, examples)
    said = torch.einsum("tsf,tcf->tsc", features, weight) + bias.unsqueeze(1)
    again = torch.einsum("tsf,tcf->tsc", twice, wide) + wide_bias.unsqueeze(1)
    torch.testing.assert_close(again, said)
