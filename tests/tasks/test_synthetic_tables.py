"""Made-up tables are tables: finite, encoded as real ones are, of many kinds, with something to learn."""

import numpy as np
import pytest
import torch

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import SyntheticTables


@pytest.fixture(scope="module")
def batches():
    family = SyntheticTables(rows=(16, 128), columns=(2, 16))
    return [family.sample(stream(0, "batch", i), 4, "train") for i in range(60)]


def test_all_numbers_are_finite_and_within_the_bounds_of_encoded_columns(batches):
    for batch in batches:
        for x in (batch.condition.examples.x, batch.query.x):
            assert x.isfinite().all()
            assert x.abs().max() <= 8


def test_queries_are_of_classes_that_the_support_shows(batches):
    for batch in batches:
        support, query = batch.condition.examples, batch.query
        for t in range(4):
            shown = set(support.y[t].tolist())
            for y, known in zip(query.y[t].tolist(), query.labelled[t].tolist(), strict=True):
                assert known == (y in shown)


def test_sizes_and_kinds_differ_between_batches(batches):
    shapes = {(b.condition.examples.x.shape[1:], b.query.classes) for b in batches}
    assert len(shapes) > 50
    assert min(b.condition.examples.x.shape[1] for b in batches) < 24
    assert max(b.condition.examples.x.shape[1] for b in batches) > 100
    # Spread-out categories are columns of zeros and ones: in some tables, not in all.
    spread_out = [((b.query.x == 0) | (b.query.x == 1)).all(dim=1).any() for b in batches]
    assert 0.1 < np.mean(spread_out) < 0.8


def test_there_is_something_to_learn_and_not_everything(batches):
    from sklearn.ensemble import RandomForestClassifier

    gains = []
    for batch in batches:
        support, query = batch.condition.examples, batch.query
        known = query.labelled[0].numpy()
        forest = RandomForestClassifier(20, random_state=0).fit(
            support.x[0].numpy(), support.y[0].numpy()
        )
        hits = forest.predict(query.x[0].numpy())[known] == query.y[0].numpy()[known]
        frequent = np.bincount(support.y[0].numpy()).argmax()
        gains.append(hits.mean() - (query.y[0].numpy()[known] == frequent).mean())
    assert np.mean(gains) > 0.05
    assert np.mean(np.array(gains) < 0.3) > 0.3


def test_splits_never_draw_the_same_tables():
    family = SyntheticTables()
    x = [family.sample(stream(0, "same"), 1, split).query.x for split in ("train", "validation")]
    assert x[0].shape != x[1].shape or not torch.equal(*x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": (9, 8)}, r"`rows` is \[9, 8\], expected two whole numbers"),
        ({"columns": (0, 8)}, r"`columns` is \[0, 8\], expected two whole numbers of at least 1"),
        ({"classes": 1}, "`classes` is 1"),
    ],
)
def test_impossible_ranges_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        SyntheticTables(**options)
