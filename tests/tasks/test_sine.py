"""Sine waves."""

import json

import numpy as np
import pytest
import torch

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import SPLITS, Sine
from netwright.tasks.sine import _CELLS


def amplitude_and_phase(points):
    """Least squares of y on sin x and cos x, an independent way to the task's two numbers."""
    x, y = points.x[..., 0].double(), points.y.double()
    basis = torch.stack([x.sin(), x.cos()], dim=-1)
    a, b = torch.linalg.lstsq(basis, y).solution[..., 0].unbind(-1)
    return (a**2 + b**2).sqrt(), torch.atan2(-b, a)


def test_support_and_query_lie_on_one_sine_of_the_published_box():
    batch = Sine(shots=20, queries=30).sample(stream(0), 400, "train")
    amplitude, phase = amplitude_and_phase(batch.query)
    support = batch.condition.examples
    expected = amplitude[:, None] * torch.sin(support.x[..., 0].double() - phase[:, None])
    torch.testing.assert_close(expected, support.y[..., 0].double(), rtol=1e-3, atol=1e-3)
    assert 0.1 <= amplitude.min() < 0.3
    assert 4.8 < amplitude.max() <= 5
    assert phase.min() >= -1e-3
    assert phase.max() <= np.pi + 1e-3
    assert support.x.min() >= -5
    assert support.x.max() <= 5


def test_every_split_covers_the_box_evenly_and_no_two_share_a_cell():
    cells = {}
    for split in SPLITS:
        amplitude, phase = amplitude_and_phase(Sine().sample(stream(1), 4000, split).query)
        assert amplitude.mean() == pytest.approx(2.55, abs=0.12)
        assert phase.mean() == pytest.approx(np.pi / 2, abs=0.08)
        rows = ((amplitude - 0.1) / 4.9 * _CELLS).long(), (phase / np.pi * _CELLS).long()
        inside = ((amplitude - 0.1) / 4.9 * _CELLS % 1 - 0.5).abs() < 0.45  # off the cells' borders
        inside &= (phase / np.pi * _CELLS % 1 - 0.5).abs() < 0.45
        cells[split] = set(zip(rows[0][inside].tolist(), rows[1][inside].tolist(), strict=True))
    assert not cells["train"] & cells["test"]
    assert not cells["train"] & cells["validation"]
    assert not cells["validation"] & cells["test"]


def test_noise_is_on_support_values_only():
    batch = Sine(shots=200, queries=50, noise=0.5).sample(stream(0), 20, "test")
    amplitude, phase = amplitude_and_phase(batch.query)
    support = batch.condition.examples
    clean = amplitude[:, None] * torch.sin(support.x[..., 0].double() - phase[:, None])
    assert float((support.y[..., 0] - clean).std()) == pytest.approx(0.5, rel=0.05)


def test_a_description_says_amplitude_and_phase_to_one_decimal():
    tasks = Sine(shots=3, sources=("examples", "description"))
    batch = tasks.sample(stream(0), 50, "test")
    amplitude, phase = amplitude_and_phase(batch.query)
    for text, a, p in zip(batch.condition.description.values, amplitude, phase, strict=True):
        assert text == f"amplitude {a:.1f}, phase {abs(p):.1f}"
    words_only = Sine(shots=3, sources=("description",)).sample(stream(0), 50, "test")
    assert words_only.condition.examples is None
    assert torch.equal(words_only.query.y, batch.query.y)


def test_without_description_the_record_is_that_of_earlier_versions():
    assert Sine(shots=3).record().keys() == {"shots", "queries", "noise"}
    told = Sine(shots=3, sources=("description",))
    assert Sine(**told.record()).shape.sources == ("description",)
    with pytest.raises(DataError, match=r"`sources` is \['sound'\], expected one or more"):
        Sine(sources=("sound",))


def test_impossible_sizes_are_refused():
    with pytest.raises(DataError, match="`shots` is 0"):
        Sine(shots=0)
    with pytest.raises(DataError, match="`noise` is -1"):
        Sine(noise=-1)


def test_splits_leave_no_cell_out_and_have_their_shares():
    members = {split: Sine().members(split) for split in SPLITS}
    cells = [cell for split in SPLITS for cell in members[split]]
    assert len(cells) == len(set(cells)) == _CELLS**2
    for split, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert len(members[split]) / _CELLS**2 == pytest.approx(share, abs=0.02)


def test_a_range_of_shots_gives_batches_of_every_size_in_it():
    family = Sine(shots=(2, 4))
    batches = [family.sample(stream(step), 2, "train") for step in range(40)]
    assert {batch.condition.examples.x.shape[1] for batch in batches} == {2, 3, 4}


@pytest.mark.parametrize("options", [{}, {"shots": (3, 9), "queries": 4, "noise": 0.5}])
def test_the_record_builds_the_same_family_again(options):
    family = Sine(**options)
    again = Sine(**json.loads(json.dumps(family.record())))
    before, after = (f.sample(stream(9), 3, "test") for f in (family, again))
    assert torch.equal(before.query.y, after.query.y)
    assert family.fingerprint("test") == again.fingerprint("test")


def test_a_range_of_shots_out_of_order_no_query_and_an_unknown_split_are_refused():
    with pytest.raises(DataError, match=r"`shots` is \(9, 3\), expected a number, or two with low"):
        Sine(shots=(9, 3))
    with pytest.raises(DataError, match="`queries` is 0, expected a whole number of at least 1"):
        Sine(queries=0)
    with pytest.raises(DataError, match="Split 'eval' is not known, expected one of"):
        Sine().sample(stream(0), 1, "eval")
