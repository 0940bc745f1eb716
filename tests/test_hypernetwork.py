"""Hypernetworks: what they write, what they refuse, what they leave alone."""

import json

import pytest
import torch
from making import (
    make_condition,
    make_picture_condition,
    make_picture_hypernetwork,
    make_vector_hypernetwork,
    perturb,
)
from torch import nn

import netwright as nw
from netwright.errors import ConditionError, RunError, ShapeError
from netwright.hypernetwork import Hypernetwork


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def test_generated_networks_answer_as_the_batched_child_does(rng):
    hypernetwork = make_picture_hypernetwork("layer-tokens")
    perturb(hypernetwork, rng)
    condition = make_picture_condition(3, 4, 2, rng)
    x = torch.rand(3, 5, 1, 12, 12, generator=rng)
    with torch.no_grad():
        y = hypernetwork.eval().child(hypernetwork(condition), x)
    for t, network in enumerate(hypernetwork.generate_many(condition)):
        torch.testing.assert_close(network(x[t]), y[t], rtol=1e-5, atol=1e-5)
        alone = hypernetwork.generate(condition.rows(slice(t, t + 1)))
        torch.testing.assert_close(alone(x[t]), y[t], rtol=1e-4, atol=1e-5)
        assert alone.provenance == network.provenance


def test_provenance_tells_conditions_and_hypernetworks_apart(rng):
    hypernetwork = make_vector_hypernetwork("dense")
    first, second = hypernetwork.generate_many(make_condition(2, rng, "examples"))
    assert first.provenance.condition != second.provenance.condition
    assert first.provenance.hypernetwork == second.provenance.hypernetwork
    perturb(hypernetwork, rng)
    third = hypernetwork.generate(make_condition(1, rng, "examples"))
    assert third.provenance.hypernetwork != first.provenance.hypernetwork
    assert third.provenance.versions["netwright"] == nw.__version__


def test_generated_weights_can_be_fine_tuned(rng):
    network = make_vector_hypernetwork("dense").generate(make_condition(1, rng, "examples"))
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    x, y = torch.randn(32, 3), torch.randn(32, 2)
    losses = []
    for _ in range(20):
        loss = nn.functional.mse_loss(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_writing_leaves_the_hypernetworks_mode_and_weights_alone(rng):
    hypernetwork = make_vector_hypernetwork("dense").train()
    before = {name: value.clone() for name, value in hypernetwork.state_dict().items()}
    network = hypernetwork.generate(make_condition(1, rng, "examples"))
    for parameter in network.parameters():
        parameter.data.zero_()
    assert hypernetwork.training
    assert all(torch.equal(before[n], v) for n, v in hypernetwork.state_dict().items())


def test_an_anchor_alone_is_the_nearest_mean_in_the_childs_features(rng):
    hypernetwork = make_picture_hypernetwork("dense", "anchor-only")
    condition = make_picture_condition(2, 3, 4, rng)
    params = hypernetwork(condition)
    x = torch.rand(2, 6, 1, 12, 12, generator=rng)
    logits = hypernetwork.child(params, x)
    features = hypernetwork.child.features(params, x)
    support = hypernetwork.child.features(params, condition.examples.x)
    for t in range(2):
        means = torch.stack([support[t][condition.examples.y[t] == c].mean(0) for c in range(3)])
        distances = torch.cdist(features[t], means)
        assert torch.equal(logits[t].argmax(1), distances.argmin(1))
        # Probabilities are those of a softmax over scaled squared distances.
        sharpness = hypernetwork.class_head.anchor.log_sharpness.exp()
        expected = (-sharpness * distances.square()).softmax(dim=1)
        torch.testing.assert_close(logits[t].softmax(dim=1), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("place", ["examples.x", "examples.y", "context"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_conditions_that_are_not_finite_are_refused_with_their_place(rng, place, value):
    condition = make_condition(2, rng)
    if place == "context":
        condition.context[1, 0] = value
    else:
        getattr(condition.examples, place[-1])[1, 3, 0] = value
    hypernetwork = make_vector_hypernetwork("dense")
    where = r"\[1, 0\]" if place == "context" else r"\[1, 3, 0\]"
    with pytest.raises(
        ConditionError, match=rf"`{place}` is (nan|inf) at {where}, expected finite"
    ):
        hypernetwork.generate_many(condition)


def test_conditions_of_several_tasks_empty_ones_and_wrong_classes_are_refused(rng):
    hypernetwork = make_picture_hypernetwork("dense")
    with pytest.raises(ConditionError, match="of 2 tasks, expected one. Use `generate_many`"):
        hypernetwork.generate(make_picture_condition(2, 2, 1, rng))
    with pytest.raises(ConditionError, match="The condition is empty"):
        hypernetwork.generate(nw.Condition())
    examples = make_picture_condition(1, 2, 2, rng).examples
    examples.mask[:] = False
    with pytest.raises(ConditionError, match="no example for task 0, expected at least one"):
        hypernetwork.generate(examples)
    examples.mask[:] = True
    examples.y[0, 1] = 5
    with pytest.raises(ConditionError, match="holds class 5 at task 0, example 1, expected 0 to 1"):
        hypernetwork.generate(examples)


def test_unknown_generators_heads_anchors_and_options_are_refused():
    child = nw.Child(nw.architectures.mlp(inputs=2, outputs=1))
    reader = nw.conditioners.Context([0.0], [1.0])
    with pytest.raises(
        RunError, match=r"Generator 'danse' is not known, expected one of \['basis', 'chunked'"
    ):
        Hypernetwork(child, reader, "danse")
    with pytest.raises(RunError, match="`head` is 'anchored' and the child has no class head"):
        Hypernetwork(child, reader, head="anchored")
    with pytest.raises(RunError, match="`head` is 'round', expected one of"):
        Hypernetwork(child, reader, head="round")
    with pytest.raises(RunError, match="Anchor 'ship' is not known"):
        Hypernetwork(child, reader, anchor="ship")
    with pytest.raises(RunError, match="Dense cannot take these options"):
        Hypernetwork(child, reader, "dense", chunk=3)


@pytest.mark.parametrize("generator", nw.generators.GENERATORS)
def test_records_survive_json_and_build_the_same_hypernetwork(generator, rng):
    first = make_picture_hypernetwork(generator, "residual-only")
    again = Hypernetwork.from_record(json.loads(json.dumps(first.record())))
    again.load_state_dict(first.state_dict())
    condition = make_picture_condition(1, 3, 1, rng)
    a, b = first.generate(condition), again.generate(condition)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert again.record() == first.record()


def test_shifted_copies_are_the_pictures_moved_by_whole_pixels():
    x = torch.zeros(1, 2, 1, 5, 5)
    x[0, 0, 0, 2, 2] = 1
    x[0, 1, 0, 0, 4] = 1
    shifted = nw.ExampleSet.of(x, torch.tensor([[0, 1]])).with_shifts(1)
    assert shifted.y.tolist() == [[0, 1] * 5]
    assert shifted.mask.all()
    ink = {n: tuple(place) for n, *place in shifted.x[0, :, 0].nonzero().tolist()}
    assert {ink[n] for n in range(0, 10, 2)} == {(2, 2), (1, 2), (3, 2), (2, 1), (2, 3)}
    # What is shifted out is gone: two of the corner's five copies have no ink.
    assert {ink[n] for n in range(1, 10, 2) if n in ink} == {(0, 4), (1, 4), (0, 3)}
    with pytest.raises(ShapeError, match="Only pictures can be shifted"):
        nw.ExampleSet.of(torch.zeros(1, 2, 3), torch.tensor([[0, 1]])).with_shifts(1)


def test_reading_with_shifts_is_reading_the_shifted_copies(rng):
    hypernetwork = make_picture_hypernetwork("layer-tokens")
    perturb(hypernetwork, rng)
    condition = make_picture_condition(2, 3, 1, rng)
    copies = nw.Condition(examples=condition.examples.with_shifts(2))
    expected = hypernetwork(copies)
    hypernetwork.shifts = 2
    params = hypernetwork(condition)
    for name in expected:
        torch.testing.assert_close(params[name], expected[name])
    again = Hypernetwork.from_record(hypernetwork.record())
    assert again.shifts == 2


def test_what_is_shared_or_frozen_survives_records_too():
    child = nw.Child(
        nw.architectures.mlp(inputs=3, hidden=(4, 4), outputs=2),
        emissions=[("linear1.*", "shared"), ("linear2.bias", "frozen")],
    )
    first = Hypernetwork(child, nw.conditioners.Context([0.0], [1.0], size=8), "dense")
    record = json.loads(json.dumps(first.record()))
    again = Hypernetwork.from_record(record)
    assert again.child.emissions == child.emissions
    assert again.record() == first.record()


def test_several_conditioners_survive_records_too(rng):
    parts = [
        nw.conditioners.Context([0.0, -1.0], [1.0, 1.0], size=16),
        nw.conditioners.Identity(50, size=16),
    ]
    first = Hypernetwork(nw.Child(nw.architectures.mlp(inputs=2, outputs=1)), parts, "dense")
    again = Hypernetwork.from_record(json.loads(json.dumps(first.record())))
    assert again.record() == first.record()
    assert [type(part).__name__ for part in again.conditioner.parts] == ["Context", "Identity"]


def test_a_module_of_the_users_own_is_asked_for_and_checked(rng):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    child = nw.Child(module)
    first = Hypernetwork(child, nw.conditioners.Examples((3,), outputs=2), "dense")
    record = first.record()
    with pytest.raises(RunError, match="writes a module of your own, expected that module"):
        Hypernetwork.from_record(record)
    with pytest.raises(RunError, match="Pass the same module with the same emissions"):
        Hypernetwork.from_record(record, child=nw.Child(nn.Linear(3, 2)))
    assert Hypernetwork.from_record(record, child=nw.Child(module)).record() == record
