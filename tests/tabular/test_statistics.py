"""What is said of a column, against other libraries and by hand."""

import numpy as np
import pytest
import torch
from sklearn.feature_selection import f_classif

from netwright.tabular.statistics import STATISTICS, between, column_statistics
from netwright.tasks.mechanisms import standardised


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def table(rng, rows=40, columns=5, classes=3):
    x = standardised(torch.randn(2, rows, columns, generator=rng, dtype=torch.float64))
    y = torch.randint(classes, (2, rows), generator=rng)
    return x, torch.nn.functional.one_hot(y, classes).to(x), torch.ones_like(x[..., 0])


def test_the_share_between_classes_is_that_of_an_analysis_of_variance(rng):
    x, y, weight = table(rng)
    found = between(x, y, weight.unsqueeze(-1))
    for t in range(2):
        f, _ = f_classif(x[t].numpy(), y[t].argmax(dim=1).numpy())
        # F = (share / (C - 1)) / ((1 - share) / (S - C))
        expected = f * 2 / (f * 2 + 37)
        np.testing.assert_allclose(found[t].numpy(), expected, rtol=1e-9)


def test_one_cut_that_tells_classes_apart_explains_all(rng):
    x = torch.linspace(-1.5, 1.5, 20, dtype=torch.float64)[None, :, None]
    x = standardised(x)
    y = torch.nn.functional.one_hot((x[..., 0] > 0).long(), 2).to(x)
    said = column_statistics(x, y, torch.ones_like(x[..., 0]))
    torch.testing.assert_close(said[0, 0, 4], torch.tensor(1.0, dtype=torch.float64))


def test_a_column_of_two_values_is_known_as_one(rng):
    values = torch.tensor([0.0, 1, 0, 0, 1, 0, 0, 0], dtype=torch.float64)
    two = standardised(values[None, :, None])
    y = torch.nn.functional.one_hot(torch.arange(8) % 2, 2).to(two)[None]
    said = column_statistics(two, y, torch.ones_like(two[..., 0]))
    assert abs(said[0, 0, 11]) < 1e-9
    many = standardised(torch.arange(8, dtype=torch.float64)[None, :, None])
    assert column_statistics(many, y, torch.ones_like(two[..., 0]))[0, 0, 11] > 0.1


def test_statistics_do_not_depend_on_order_or_names_or_padding(rng):
    x, y, weight = table(rng)
    said = column_statistics(x, y, weight)
    assert said.shape == (2, 5, STATISTICS)
    assert said.isfinite().all()
    order = torch.randperm(40, generator=rng)
    torch.testing.assert_close(column_statistics(x[:, order], y[:, order], weight), said)
    torch.testing.assert_close(column_statistics(x, y[..., [2, 0, 1]], weight), said)
    torch.testing.assert_close(column_statistics(x.flip(2), y, weight), said.flip(1))
    more = [torch.cat([v, torch.zeros_like(v[:, :3])], dim=1) for v in (x, y, weight)]
    more[0][:, -3:] = 5.0
    torch.testing.assert_close(column_statistics(*more), said)


def test_a_constant_column_says_nothing_and_is_finite():
    x = torch.zeros(1, 6, 1)
    y = torch.nn.functional.one_hot(torch.arange(6) % 2, 2).float()[None]
    said = column_statistics(x, y, torch.ones(1, 6))
    assert said.isfinite().all()
    assert said[0, 0, 0] == 0
