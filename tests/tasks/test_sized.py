"""Data sets as tasks, and tasks that ask for networks of many architectures."""

import pytest
import torch

from netwright.architectures import mlp_space
from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import SPLITS, DataSet, Sized, TaskShape
from netwright.tasks.ready_space import READY_SPACES, ready_space
from netwright.training import build_family


def test_rows_of_a_data_set_are_in_one_split_each():
    data = DataSet("digits")
    rows = [set(data.rows[split].tolist()) for split in SPLITS]
    assert [len(each) for each in rows] == [1079, 359, 359]
    assert len(set().union(*rows)) == len(data.x) == 1797
    drawn = data.sample(stream(0), 3, "train").query
    assert drawn.x.shape == (3, 64, 64)
    whole = data.sample(stream(0), 2, "test").query
    assert torch.equal(whole.x[0], data.x[data.rows["test"]])
    assert torch.equal(whole.x[1], whole.x[0])


def test_which_data_set_is_in_the_record_beside_the_name_of_the_family():
    data = DataSet("digits", queries=7, most=50)
    again = build_family({"name": "data-set", **data.record()})
    assert isinstance(again, DataSet)
    assert again.record() == data.record() == {"data": "digits", "queries": 7, "most": 50}
    assert again.fingerprint("test") == data.fingerprint("test")
    with pytest.raises(DataError, match="Data set 'iris' is not known, expected one of"):
        DataSet("iris")


def test_architectures_of_the_parts_share_none():
    family = Sized(family={"name": "data-set"}, space="mlp", pool=30)
    drawn = {
        split: set(family.sample(stream(0, split), 40, split).condition.architecture.values)
        for split in SPLITS
    }
    assert len(drawn["train"]) > 15
    for split in SPLITS:
        assert all(family.space.split_of(each) == split for each in drawn[split])


def test_a_named_space_is_recorded_whole():
    family = Sized(family={"name": "data-set"}, space="residual")
    record = family.record()
    assert record["space"]["family"] == "residual"
    assert record["space"]["fixed"] == {"inputs": 64, "outputs": 10, "classes": None}
    again = build_family({"name": "sized", **record})
    assert again.fingerprint("train") == family.fingerprint("train")


SHAPES = {1: (8,), 2: (20, 3), 3: (1, 28, 28)}


@pytest.mark.parametrize("axes", READY_SPACES)
@pytest.mark.parametrize("kind", ["exchangeable-classes", "fixed-classes", "values"])
def test_ready_spaces_fit_the_tasks(axes, kind):
    shape = TaskShape(SHAPES[axes], 4, kind)
    for name in READY_SPACES[axes]:
        member = ready_space(name, shape).sample(stream(0, name))
        assert member.input_shape == shape.x
        assert (member.class_head is not None) == (kind == "exchangeable-classes")
        assert member.build()(torch.zeros(2, *shape.x)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "x", "here"),
    [
        ("conv", (8,), r"\['mlp', 'residual'\]"),
        ("mlp", (None,), r"\[\]"),
        ("mlp", (1, 9, 9), r"\['conv'\]"),
    ],
)
def test_spaces_of_other_inputs_are_refused(name, x, here):
    with pytest.raises(DataError, match=f"no ready space {name!r} .*expected one of {here}"):
        ready_space(name, TaskShape(x, 2, "values"))


def test_a_space_of_other_inputs_than_the_tasks_is_refused():
    with pytest.raises(DataError, match=r"read inputs of \(8,\) and tasks have \(64,\)"):
        Sized(family={"name": "data-set"}, space=mlp_space(8, outputs=10))
