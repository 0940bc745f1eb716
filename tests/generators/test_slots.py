"""Weights as products of tokens of units."""

import copy

import pytest
import torch
from making import make_condition, make_vector_hypernetwork, perturb
from torch import nn

import netwright as nw
from netwright.conditioners import Context, Examples
from netwright.errors import RunError, ShapeError
from netwright.generators import Slots
from netwright.generators.slots import index_features, places_of
from netwright.rng import stream
from netwright.space import ParameterSpace
from netwright.training.step import training_step


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def test_units_that_one_layer_writes_to_are_those_that_the_next_reads_from():
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(1, 4), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 25, 3)
    )  # fmt: skip
    space = ParameterSpace.of(module)
    places, counts = places_of(space)
    where = dict(zip(space.names, places, strict=True))
    assert counts == [1, 4, 6, 3]
    assert (where["0.weight"].columns, where["0.weight"].rows) == (0, 1)
    assert where["0.bias"].rows == where["1.weight"].rows == where["2.weight"].columns == 1
    # Pictures of 5 x 5 are flattened: each unit of the convolution is read at 25 places.
    assert (where["4.weight"].columns, where["4.weight"].kernel) == (2, 25)


def test_a_table_is_read_by_rows_and_written_to_by_columns():
    module = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 3))
    places, counts = places_of(ParameterSpace.of(module))
    assert counts == [7, 4, 3]
    assert places[1].columns == 1


def test_corrections_have_the_rank_that_was_asked_for(rng):
    hypernetwork = nw.Hypernetwork(
        nw.Child(nw.architectures.mlp(inputs=9, hidden=(24, 24), outputs=2)),
        Context([0.0, -1.0], [1.0, 1.0], size=16),
        "slots",
        rank=3,
    )
    perturb(hypernetwork, rng)
    params = hypernetwork(make_condition(2, rng, "context"))
    singular = torch.linalg.svdvals(
        (params["linear2.weight"][1] - params["linear2.weight"][0]).double()
    )
    # A difference of two corrections of rank 3.
    assert singular[5] > 1e-3 * singular[0]
    assert singular[6] < 1e-6 * singular[0]


def test_more_units_begin_with_the_same_ones():
    torch.testing.assert_close(
        index_features(50, 3, torch.device("cpu"))[:7], index_features(7, 3, torch.device("cpu"))
    )
    assert not torch.equal(
        index_features(7, 3, torch.device("cpu")), index_features(7, 4, torch.device("cpu"))
    )


def written(hidden, size=32):
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=hidden, outputs=1))
    return nw.Hypernetwork(
        child, Examples((1,), outputs=1, size=size, channels=64), "slots", start="written"
    )


def test_with_a_written_base_no_learned_number_depends_on_the_width(rng):
    narrow, wide = written((8, 8)), written((40, 24))
    shapes = [{n: p.shape for n, p in h.generator.named_parameters()} for h in (narrow, wide)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("hidden", [(8, 8), (20, 12), (64, 64)])
def test_children_of_any_width_start_well(hidden, rng):
    hypernetwork = written((16, 16)).for_child(
        nw.Child(nw.architectures.mlp(inputs=1, hidden=hidden, outputs=1))
    )
    points = nw.ExampleSet.of(torch.randn(8, 10, 1), torch.randn(8, 10, 1))
    start = hypernetwork.check_initialisation(nw.Condition(points), torch.randn(8, 64, 1))
    assert not [p for p in start.problems if "variance" in p], str(start)


def test_a_hypernetwork_for_another_child_has_the_same_numbers_and_leaves_the_first_alone(rng):
    first = written((16, 16))
    before = copy.deepcopy(first.state_dict())
    second = first.for_child(nw.Child(nw.architectures.mlp(inputs=1, hidden=(30, 30), outputs=1)))
    assert {id(p) for p in second.generator.parameters()} == {
        id(p) for p in first.generator.parameters()
    }
    condition = nw.Condition(nw.ExampleSet.of(torch.randn(2, 5, 1), torch.randn(2, 5, 1)))
    assert second(condition)["linear1.weight"].shape == (2, 30, 1)
    assert first(condition)["linear1.weight"].shape == (2, 16, 1)
    assert second.generate(condition.rows(slice(0, 1))).size == 30 + 30 + 900 + 30 + 31
    assert before.keys() == first.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in first.state_dict().items())


def error_at_an_unseen_width(steps, tasks_per_step, size=32):
    """Sine waves by children of 16 to 64 units; one of 40 is then written without having been trained."""
    torch.manual_seed(0)
    tasks = nw.tasks.Sine(shots=10, queries=30)
    trained = written((32, 32), size)
    widths = (16, 24, 32, 48, 64)
    writers = [
        trained.for_child(nw.Child(nw.architectures.mlp(inputs=1, hidden=(w, w), outputs=1)))
        for w in widths
    ]
    optimiser = torch.optim.Adam(trained.parameters(), lr=1e-3, fused=True)
    objective = nw.objectives.Regression()
    for step in range(steps):
        batch = tasks.sample(stream(0, "train", step), tasks_per_step, "train")
        training_step(writers[step % len(writers)], objective, optimiser, batch, clip=1.0)
    unseen = trained.for_child(nw.Child(nw.architectures.mlp(inputs=1, hidden=(40, 40), outputs=1)))
    batch = tasks.sample(stream(0, "test"), 100, "test")
    with torch.no_grad():
        return float(objective(unseen.child, unseen(batch.condition), batch).loss.mean())


def test_training_on_some_widths_helps_at_another():
    assert error_at_an_unseen_width(150, 8) < 0.9 * error_at_an_unseen_width(0, 1)


@pytest.mark.slow
def test_a_width_that_training_never_saw_works_after_training_on_others():
    # The mean of all waves has an error of about 4.
    assert error_at_an_unseen_width(5_000, 16) < 1.0


def test_what_cannot_be_written_for_another_child_is_refused(rng):
    other = nw.Child(nw.architectures.mlp(inputs=3, hidden=(30, 24), outputs=2))
    with pytest.raises(
        RunError, match='Slots has learned numbers that fit children of one width.*start="written"'
    ):
        make_vector_hypernetwork("slots").for_child(other)
    with pytest.raises(RunError, match="Dense has learned numbers that fit children of one width"):
        make_vector_hypernetwork("dense").for_child(other)
    deeper = nw.Child(nw.architectures.mlp(inputs=1, hidden=(8, 8, 8), outputs=1))
    with pytest.raises(ShapeError, match="connected in the same way. Only widths may differ"):
        written((8, 8)).for_child(deeper)
    with pytest.raises(RunError, match="`rank` is 0, expected at least 1"):
        make_slots(rank=0)
    with pytest.raises(RunError, match="`start` is 'random', expected one of"):
        make_slots(start="random")


def make_slots(**options):
    child = nw.Child(nw.architectures.mlp(inputs=1, outputs=1))
    base = {name: value[0] for name, value in child.initial_params().items()}
    return Slots(child.space, 16, base=base, **options)


def test_class_rows_of_another_length_are_refused():
    def classifier(channels):
        return nw.Child(
            nw.architectures.conv(channels=channels, depth=2, classes=3, image=(1, 8, 8))
        )

    hypernetwork = nw.Hypernetwork(
        classifier(4), Examples((1, 8, 8), size=16, channels=8), "slots", start="written"
    )
    with pytest.raises(ShapeError, match="Keep the width of what the head reads"):
        hypernetwork.for_child(classifier(8))
