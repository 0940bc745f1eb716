"""The contract of task families: pure sampling, disjoint splits, honest episodes."""

import json

import numpy as np
import pytest
import torch
from files import write_pictures, write_table

from netwright.architectures import mlp_space
from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import (
    FAMILIES,
    SPLITS,
    Control,
    DataSet,
    DigitRules,
    Drawings,
    Glyphs,
    Images,
    Omniglot,
    Sine,
    Sized,
    SyntheticTables,
    Table,
    Transfer,
)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request, tmp_path_factory):
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("data")
    if request.param == "omniglot":
        data_root = request.getfixturevalue("shared_data")
        return Omniglot(ways=4, queries=3, jitter=1, data_root=data_root)
    if request.param == "drawings":
        return Drawings(ways=4, shots=2, queries=3, source="glyphs")
    if request.param == "images":
        write_pictures(root, 12, 6, rng)
        return Images(root, ways=2, queries=3, image_size=12)
    if request.param == "table":
        write_table(root / "t.csv", rng)
        return Table(root / "t.csv", task="store", target="units", shots=(2, 6), queries=5)
    if request.param == "transfer":
        data_root = request.getfixturevalue("shared_data")
        sizes = {"ways": 4, "queries": 3}
        return Transfer(
            learn={"name": "glyphs", **sizes},
            test={"name": "omniglot", **sizes},
            data_root=data_root,
        )
    if request.param == "sized":
        space = mlp_space(1, outputs=1, depth=(1, 2), width=(4, 8))
        return Sized(family={"name": "sine", "shots": 5}, space=space, each=2, pool=7)
    if request.param == "control":
        return Control(sources=("context", "examples"))
    made_up = {
        "data-set": DataSet, "digit-rules": DigitRules, "glyphs": Glyphs, "sine": Sine, "synthetic-tables": SyntheticTables,
    }  # fmt: skip
    return made_up[request.param]()


def equal(a, b) -> bool:
    if a.condition.description != b.condition.description:
        return False
    if a.condition.architecture != b.condition.architecture:
        return False
    sets = [(a.query, b.query)]
    if a.condition.examples is not None:
        sets.append((a.condition.examples, b.condition.examples))
    return all(
        torch.equal(p.x, q.x) and torch.equal(p.y, q.y) and torch.equal(p.mask, q.mask)
        for p, q in sets
        if p.x.shape == q.x.shape
    ) and all(p.x.shape == q.x.shape for p, q in sets)


@pytest.mark.parametrize("split", SPLITS)
def test_sampling_is_a_pure_function_of_the_seed(family, split):
    a, again, other = (family.sample(stream(0, "x", step), 3, split) for step in (1, 1, 2))
    assert equal(a, again)
    # One data set has one validation and one test task: all rows of theirs.
    assert equal(a, other) == (isinstance(family, DataSet) and split != "train")


@pytest.mark.parametrize("split", SPLITS)
def test_batches_have_the_shape_that_the_family_says(family, split):
    batch = family.sample(stream(0, "x"), 3, split)
    support = batch.condition.examples
    batch.query.check("query")
    if isinstance(family, DataSet):
        assert not batch.condition.present()
        assert not family.shape.sources
        assert batch.query.x.shape[2:] == family.shape.x
        assert batch.query.classes == 10
        return
    batch.condition.check()
    assert set(batch.condition.present()) == set(family.shape.sources)
    if isinstance(family, Control):
        assert support.x.shape[2] + support.y.shape[2] == sum(family.shape.examples)
        assert batch.inputs.shape[2:] == family.shape.x
        assert batch.condition.context.shape[1] == len(family.shape.context[0])
        return
    for part in (support, batch.query):
        assert part.x.dim() == 2 + len(family.shape.x)
        sizes = zip(part.x.shape[2:], family.shape.x, strict=True)
        assert all(own == size for own, size in sizes if size is not None)
        assert part.x.dtype == torch.float32
        if family.shape.kind == "values":
            assert part.y.shape[2] == family.shape.outputs
        elif isinstance(family, SyntheticTables):
            assert 2 <= part.classes <= family.shape.outputs
        else:
            assert part.classes == family.shape.outputs


def test_splits_share_no_member_and_fingerprints_tell_them_apart(family):
    members = [set(family.members(split)) for split in SPLITS]
    assert all(members)
    assert sum(map(len, members)) == len(set().union(*members))
    assert len({family.fingerprint(split) for split in SPLITS}) == 3


def test_its_record_builds_the_same_family_again(family, request):
    record = json.loads(json.dumps(family.record()))
    if isinstance(family, Omniglot | Transfer):
        record["data_root"] = request.getfixturevalue("shared_data")
    again = type(family)(**record)
    assert equal(family.sample(stream(0, "x"), 2, "test"), again.sample(stream(0, "x"), 2, "test"))
    assert again.fingerprint("test") == family.fingerprint("test")


def test_no_example_is_in_support_and_query_at_once(family):
    if isinstance(family, SyntheticTables):
        pytest.skip("rows of tables with few levels repeat, as those of real ones do")
    if isinstance(family, DataSet):
        pytest.skip("the task of a data set has no support examples")
    if isinstance(family, Control):
        pytest.skip("a probe and an episode are not of one kind")
    batch = family.sample(stream(0, "x"), 8, "test")
    support = batch.condition.examples
    for t in range(8):
        seen = {tuple(x.flatten().tolist()) for x in support.x[t][support.mask[t]]}
        asked = {tuple(x.flatten().tolist()) for x in batch.query.x[t][batch.query.mask[t]]}
        assert not seen & asked


def test_an_unknown_split_is_refused(family):
    with pytest.raises(DataError, match="Split 'dev' is not known"):
        family.sample(stream(0), 1, "dev")
    with pytest.raises(DataError, match="Split 'dev' is not known"):
        family.members("dev")


def test_families_that_do_not_fit_each_other_are_refused():
    with pytest.raises(DataError, match="expected one shape"):
        Transfer(learn={"name": "sine"}, test={"name": "glyphs"})
    with pytest.raises(DataError, match="Task family 'fonts' is not known"):
        Transfer(learn={"name": "fonts"}, test={"name": "sine"})
    with pytest.raises(DataError, match="'sine' has no option 'shot', expected some of"):
        Transfer(learn={"name": "sine", "shot": 3}, test={"name": "sine"})
