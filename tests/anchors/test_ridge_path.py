"""Ridge regression for several penalties, against another library and against leaving rows out one by one."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from netwright.anchors.ridge_path import ridge_path

PENALTIES = [0.05, 1.0, 20.0]


# Fewer rows than features, and more: two forms of one answer.
@pytest.fixture(params=[(7, 12), (30, 5)], ids=["wide", "tall"])
def problem(request):
    rows, features = request.param
    rng = torch.Generator().manual_seed(rows)
    x = torch.randn(2, rows, features, generator=rng, dtype=torch.float64)
    y = torch.randn(2, rows, 3, generator=rng, dtype=torch.float64)
    return x, y, torch.tensor([PENALTIES] * 2, dtype=torch.float64)


def test_weights_are_those_of_scikit_learn(problem):
    x, y, penalties = problem
    weights, _ = ridge_path(x, y, penalties)
    for t in range(2):
        for k, penalty in enumerate(PENALTIES):
            expected = Ridge(alpha=penalty, fit_intercept=False).fit(x[t].numpy(), y[t].numpy())
            np.testing.assert_allclose(weights[t, k].numpy(), expected.coef_.T, rtol=1e-8)


def test_predictions_for_rows_left_out_are_those_of_fits_without_them(problem):
    x, y, penalties = problem
    _, unseen = ridge_path(x, y, penalties)
    for i in range(x.shape[1]):
        rest = [j for j in range(x.shape[1]) if j != i]
        weights, _ = ridge_path(x[:, rest], y[:, rest], penalties)
        expected = torch.einsum("tf,tkfc->tkc", x[:, i], weights)
        torch.testing.assert_close(unseen[:, :, i], expected)


def test_rows_of_zeros_count_for_nothing(problem):
    x, y, penalties = problem
    weights, unseen = ridge_path(x, y, penalties)
    more = [torch.cat([v, torch.zeros_like(v[:, :4])], dim=1) for v in (x, y)]
    weights_more, unseen_more = ridge_path(*more, penalties)
    torch.testing.assert_close(weights_more, weights)
    torch.testing.assert_close(unseen_more[:, :, : x.shape[1]], unseen)
