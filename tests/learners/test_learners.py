"""Rivals do what their names say, on T tasks at once as on one."""

from dataclasses import replace

import pytest
import torch
from making import make_picture_condition, make_picture_hypernetwork
from torch import nn

from netwright.architectures import conv
from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError
from netwright.learners import FineTune, Generate, NearestMean, NearestNeighbour, train_joint
from netwright.objectives import Classification
from netwright.rng import stream
from netwright.tasks import Glyphs

SMALL = conv(channels=4, depth=2, classes=3, image=(1, 12, 12))


@pytest.fixture
def condition():
    return make_picture_condition(3, 3, 2, torch.Generator().manual_seed(0))


def test_fine_tuning_t_children_equals_training_each_alone(condition):
    torch.manual_seed(0)
    child = Child(SMALL)
    initial = {name: value[0] for name, value in child.initial_params().items()}
    x = torch.rand(3, 4, 1, 12, 12)
    predict = FineTune(child, initial, Classification(), steps=4, rate=0.01).adapt(condition)
    y = predict(x)
    for t in range(3):
        module = child.materialise(child.initial_params())
        optimiser = torch.optim.Adam(module.parameters(), 0.01)
        for _ in range(4):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(
                module(condition.examples.x[t]), condition.examples.y[t]
            )
            loss.backward()
            optimiser.step()
        torch.testing.assert_close(y[t], module(x[t]), rtol=1e-3, atol=1e-4)


def with_unlabelled(condition, junk=99):
    """The same tasks with two more pictures, of which only x is known."""
    examples = condition.examples
    return Condition(
        ExampleSet.of(
            torch.cat([examples.x, torch.rand(3, 2, 1, 12, 12)], dim=1),
            torch.cat([examples.y, torch.full((3, 2), junk)], dim=1),
            classes=3,
            labelled=torch.arange(8).expand(3, -1) < 6,
        )
    )


def test_rows_without_label_change_no_rival(condition):
    torch.manual_seed(0)
    child = Child(SMALL)
    params = child.initial_params(3)
    initial = {name: value[0] for name, value in params.items()}
    unlabelled = with_unlabelled(condition)
    # Queries that nothing is nearer to than what has no label.
    x = unlabelled.examples.x[:, 4:]
    for learner in (
        FineTune(child, initial, Classification(), steps=3, rate=0.01),
        NearestMean(child, {n: v for n, v in initial.items() if "head" not in n}),
        NearestNeighbour(),
    ):
        found, expected = (learner.adapt(c)(x) for c in (unlabelled, condition))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    nothing = replace(unlabelled.examples, labelled=torch.arange(3).expand(8, -1).T < 2)
    with pytest.raises(
        ConditionError, match="Task 2 has no labelled example, expected a neighbour"
    ):
        NearestNeighbour().adapt(Condition(nothing))


def test_fine_tuning_is_not_poisoned_by_what_stands_in_the_padding(condition):
    torch.manual_seed(0)
    child = Child(SMALL)
    initial = {name: value[0] for name, value in child.initial_params().items()}
    tuner = FineTune(child, initial, Classification(), steps=2, rate=0.01)
    examples = condition.examples
    padded = replace(
        examples,
        x=torch.cat([examples.x, torch.full((3, 1, 1, 12, 12), float("nan"))], dim=1),
        y=torch.cat([examples.y, torch.full((3, 1), 99)], dim=1),
        mask=torch.arange(7).expand(3, -1) < 6,
    )
    x = torch.rand(3, 5, 1, 12, 12)
    found, expected = (tuner.adapt(c)(x) for c in (Condition(padded), condition))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_trajectory_passes_through_what_fewer_steps_reach(condition):
    torch.manual_seed(0)
    child = Child(SMALL)
    initial = {name: value[0] for name, value in child.initial_params().items()}
    tuner = FineTune(child, initial, Classification(), steps=0, rate=0.01)
    start, two, five = tuner.trajectory(condition, [0, 2, 5])
    (two_alone,) = tuner.trajectory(condition, [2])
    for name in start:
        assert torch.equal(start[name][1], initial[name])
        torch.testing.assert_close(two[name], two_alone[name])
        assert not torch.equal(two[name], five[name])


def test_the_nearest_neighbour_is_found_by_hand_and_padding_is_no_neighbour():
    support = torch.tensor([[[0.0], [10.0], [4.9]]])
    mask = torch.tensor([[True, True, False]])
    examples = ExampleSet(support, torch.tensor([[0, 1, 1]]), mask, 2)
    predict = NearestNeighbour().adapt(Condition(examples))
    assert predict(torch.tensor([[[1.0], [4.8], [5.2]]])).argmax(-1).tolist() == [[0, 0, 1]]


def test_the_nearest_mean_is_that_in_the_childs_features(condition):
    child = Child(SMALL)
    params = child.initial_params(3)
    body = {name: value[0] for name, value in params.items() if "head" not in name}
    predict = NearestMean(child, body).adapt(condition)
    x = torch.rand(3, 5, 1, 12, 12)
    features, support = child.features(params, x), child.features(params, condition.examples.x)
    for t in range(3):
        y = condition.examples.y[t]
        means = torch.stack([support[t][y == c].mean(0) for c in range(3)])
        assert torch.equal(predict(x)[t].argmax(1), torch.cdist(features[t], means).argmin(1))


def test_generate_is_the_hypernetwork_itself(condition):
    hypernetwork = make_picture_hypernetwork("dense").eval()
    x = torch.rand(3, 4, 1, 12, 12)
    with torch.no_grad():
        expected = hypernetwork.child(hypernetwork(condition), x)
        torch.testing.assert_close(Generate(hypernetwork).adapt(condition)(x), expected)


def test_a_joint_model_learns_features_that_beat_untrained_ones():
    glyphs = Glyphs(ways=5, queries=5)
    architecture = conv(classes=5)
    child = Child(architecture)
    untrained = {n: v[0] for n, v in child.initial_params().items() if not n.startswith("head")}
    trained = train_joint(architecture, glyphs.pools["train"], steps=150, batch=64)
    assert trained.keys() == untrained.keys()
    batch = glyphs.sample(stream(0), 60, "test")
    scores = []
    for body in (untrained, trained):
        predict = NearestMean(child, body).adapt(batch.condition)
        scores.append(
            Classification().score(predict(batch.query.x), batch.query).metrics["accuracy"].mean()
        )
    assert scores[1] > scores[0] + 0.02


def test_rivals_without_examples_say_so():
    nothing = Condition(context=torch.zeros(1, 1))
    child = Child(SMALL)
    initial = {name: value[0] for name, value in child.initial_params().items()}
    for learner in (
        NearestNeighbour(), NearestMean(child, initial),
        FineTune(child, initial, Classification(), steps=1, rate=0.1),
    ):  # fmt: skip
        with pytest.raises(ConditionError, match="found none"):
            learner.adapt(nothing)
