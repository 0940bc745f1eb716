"""Drawings: tasks of many sizes, pictures as a page leaves them."""

import pytest
import torch

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import Drawings
from netwright.tasks.ink import INK


@pytest.fixture(scope="module")
def family():
    return Drawings(ways=(2, 6), shots=(1, 3), queries=4, source="glyphs")


def test_classes_and_shots_are_drawn_anew_for_every_batch(family):
    seen = set()
    for step in range(60):
        batch = family.sample(stream(0, step), 3, "train")
        support = batch.condition.examples
        ways, shots = support.classes, support.x.shape[1] // support.classes
        assert batch.query.classes == ways
        assert batch.query.x.shape[1] == 4 * ways
        assert torch.equal(support.y[0].bincount(), torch.full((ways,), shots))
        seen.add((ways, shots))
    assert {ways for ways, _ in seen} == {2, 3, 4, 5, 6}
    assert {shots for _, shots in seen} == {1, 2, 3}


def test_pictures_are_cut_to_their_ink_and_centred(family):
    x = family.sample(stream(1), 8, "test").query.x.flatten(0, 2)
    for picture in x:
        rows, columns = (picture > 0.5).nonzero(as_tuple=True)
        sides = [int(axis.max() - axis.min()) + 1 for axis in (rows, columns)]
        assert max(sides) == pytest.approx(INK, abs=3)
        for axis in (rows, columns):
            assert (axis.max() + axis.min()) / 2 == pytest.approx(13.5, abs=2)


def test_only_training_pictures_are_changed(family):
    still = family.sample(stream(2), 4, "test").query.x
    assert torch.equal(still * 255, (still * 255).round())
    changed = family.sample(stream(2), 4, "train").query.x
    assert (changed * 255 - (changed * 255).round()).abs().max() > 0.01
    assert 0 <= changed.min() <= changed.max() <= 1


@pytest.mark.slow
def test_tasks_are_of_handwriting_or_of_print_and_never_of_both(shared_data):
    family = Drawings(ways=3, shots=1, queries=2, data_root=shared_data)
    of = {}
    for name, pools in family.by_source.items():
        of[name] = {tuple(picture.flatten().tolist()) for picture in pools["test"].images}
    found = set()
    batch = family.sample(stream(0), 30, "test")
    for pictures in (batch.query.x * 255).round().to(torch.uint8).unbind():
        sources = {
            next(name for name, own in of.items() if tuple(p.flatten().tolist()) in own)
            for p in pictures
        }
        assert len(sources) == 1
        found |= sources
    assert found == {"omniglot", "glyphs"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"ways": (6, 2)},
            r"`ways` is \(6, 2\), expected a whole number, or the fewest and the most",
        ),
        ({"shots": "2"}, "`shots` is '2'"),
        ({"ways": 1}, "`ways` is 1, expected a whole number of at least 2"),
        ({"source": "photos"}, "`source` is 'photos', expected one of"),
        (
            {"source": "glyphs", "shots": 19, "queries": 30, "ways": 5000},
            "classes, expected at least ways=5000",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        Drawings(**options)
