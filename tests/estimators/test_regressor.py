"""`NetwrightRegressor` as its users meet it: scikit-learn's checks, real tables, quantiles, bad input."""

import ctypes
import pickle
import shutil
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.utils.estimator_checks import estimator_checks_generator

from netwright.errors import DataError, RunError
from netwright.estimators import NetwrightRegressor
from netwright.estimators.held_out import OWN
from netwright.estimators.held_out_values import held_out_values, value_scores
from netwright.generated import load_network
from netwright.tasks.columns import Column

CHECKS = [
    (check.func.__name__ + str(i), check)
    for i, (_, check) in enumerate(estimator_checks_generator(NetwrightRegressor()))
]


@pytest.mark.parametrize("check", [c for _, c in CHECKS], ids=[name for name, _ in CHECKS])
def test_it_keeps_the_rules_of_scikit_learn(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(NetwrightRegressor())


def bent(rows=400, seed=0):
    """A target that bends, with errors that grow along the first column."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (rows, 4))
    spread = 0.1 + 0.4 * (x[:, 0] + 2)
    return x, np.sin(2 * x[:, 1]) * 3 + x[:, 2] + spread * rng.standard_normal(rows)


def test_a_real_table_is_answered_better_than_by_usual_learners():
    x, y = load_diabetes(return_X_y=True)
    scores = {}
    for rival in (NetwrightRegressor(), RandomForestRegressor(random_state=0), RidgeCV()):
        each = []
        for seed in range(3):
            order = np.random.default_rng(seed).permutation(len(y))
            train, test = order[:221], order[221:]
            each.append(rival.fit(x[train], y[train]).score(x[test], y[test]))
        scores[type(rival).__name__] = np.mean(each)
    assert max(scores, key=scores.get) == "NetwrightRegressor"


def test_what_bends_is_found_and_quantiles_widen_where_errors_do():
    x, y = bent()
    regressor = NetwrightRegressor(quantiles=(0.1, 0.5, 0.9)).fit(x, y)
    x_new, y_new = bent(2000, seed=1)
    assert regressor.score(x_new, y_new) > 0.75
    low, middle, high = regressor.predict_quantiles(x_new).T
    assert ((low <= middle) & (middle <= high)).all()
    assert ((y_new > low) & (y_new < high)).mean() == pytest.approx(0.8, abs=0.05)
    assert (y_new < low).mean() == pytest.approx(0.1, abs=0.04)
    widths = high - low
    left, right = widths[x_new[:, 0] < -1].mean(), widths[x_new[:, 0] > 1].mean()
    assert right > 2 * left


def test_units_of_the_target_do_not_matter():
    x, y = bent(200)
    own = NetwrightRegressor().fit(x, y)
    for scale, shift in ((1e-9, 0), (1e12, 0), (1.0, 1.7e9), (-3.0, 5.0)):
        other = NetwrightRegressor().fit(x, scale * y + shift)
        np.testing.assert_allclose((other.predict(x) - shift) / scale, own.predict(x), atol=1e-3)


def test_the_answer_does_not_depend_on_any_order():
    x, y = bent(150)
    x[:, 3] = x[:, 3] > 0
    own = NetwrightRegressor().fit(x, y).predict_quantiles(x)
    rows = np.random.default_rng(1).permutation(len(y))
    columns = [2, 0, 3, 1]
    other = NetwrightRegressor().fit(x[rows][:, columns], y[rows])
    np.testing.assert_allclose(other.predict_quantiles(x[:, columns]), own, atol=1e-12)


def test_frames_are_read_and_explained(tmp_path):
    x, y = bent(400)
    frame = pd.DataFrame(x, columns=["a", "b", "c", "d"])
    frame["city"] = np.where(np.arange(400) % 3 == 0, "Oslo", None)
    y = y + 5 * (np.arange(400) % 3 == 0)
    regressor = NetwrightRegressor().fit(frame[:300], y[:300])
    found = regressor.explain(frame[300:], y[300:])
    assert set(found.columns[:2]) == {"b", "city"}
    # Of the variance, which is about 5.6 of the city and 4.5 of the sine.
    assert found.importances[0] > 0.5 > 0.02 > abs(found.importances[-1])
    values, means = found.curves["b"]
    assert means[np.argmin(np.abs(np.array(values) - 0.8)), 0] - means[0, 0] > 1
    assert found.draw(tmp_path / "why.png").stat().st_size > 5_000


@pytest.mark.parametrize("value", [7.0, "Oslo"])
def test_whether_a_cell_is_filled_is_read_where_all_that_are_say_the_same(value):
    filled = np.arange(200) % 3 == 0
    frame = pd.DataFrame({"cell": pd.Series(np.where(filled, value, None)).convert_dtypes()})
    regressor = NetwrightRegressor().fit(frame[:100], filled[:100] * 4.0)
    assert regressor.score(frame[100:], filled[100:] * 4.0) > 0.95


def test_the_network_by_itself_says_the_same(tmp_path):
    x, y = bent(200)
    regressor = NetwrightRegressor(quantiles=(0.5,)).fit(x, 100 + 7 * y)
    network = load_network(regressor.to_network().save(tmp_path / "net"))
    with torch.no_grad():
        standardised = network(torch.from_numpy(regressor.encode(x))).numpy()
    told = network.preparation
    np.testing.assert_allclose(
        standardised[:, 0] * told["std"] + told["mean"], regressor.predict(x), atol=1e-3
    )
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(x), regressor.predict(x))


def test_what_is_exported_answers_in_units_of_the_target(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    x, y = bent(200)
    regressor = NetwrightRegressor(width=16, quantiles=(0.2, 0.8)).fit(x, 100 + 7 * y)
    rows = regressor.encode(x)
    expected = np.concatenate(
        [regressor.predict(x)[:, None], regressor.predict_quantiles(x)], axis=1
    )
    session = onnxruntime.InferenceSession(regressor.export(tmp_path / "net.onnx").read_bytes())
    (answer,) = session.run(None, {"x": rows})
    np.testing.assert_allclose(answer, expected, atol=1e-3)
    # What was exported has changed nothing of the network.
    assert regressor.to_network().preparation["std"] != 1
    if (compiler := shutil.which("cc")) is not None:
        source = regressor.export(tmp_path / "net.c")
        library = tmp_path / "net.so"
        subprocess.run(
            [compiler, "-std=c99", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True
        )
        function = ctypes.CDLL(str(library)).netwright_outputs
        pointer = ctypes.POINTER(ctypes.c_float)
        out = np.zeros((len(x), 3), dtype=np.float32)
        for row, own in zip(rows, out, strict=True):
            function(np.ascontiguousarray(row).ctypes.data_as(pointer), own.ctypes.data_as(pointer))
        np.testing.assert_allclose(out, expected, atol=1e-2)


def test_many_rows_are_drawn_over_the_whole_range():
    x, y = bent(5000)
    regressor = NetwrightRegressor(max_rows=200, random_state=0).fit(x, y)
    assert regressor.n_rows_read_ == 200
    assert regressor.score(x, y) > 0.7


def test_of_many_columns_the_telling_ones_are_read():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3000))
    y = 2 * x[:, 1234] + 0.1 * rng.normal(size=150)
    regressor = NetwrightRegressor(max_columns=20).fit(x[:100], y[:100])
    assert "x1234" in regressor._encoder.names
    assert regressor.score(x[100:], y[100:]) > 0.6


def test_targets_that_never_vary_and_two_rows_are_served():
    x = np.arange(10.0)[:, None]
    np.testing.assert_allclose(NetwrightRegressor().fit(x, np.full(10, 7.0)).predict(x), 7)
    assert np.isfinite(NetwrightRegressor().fit(x[:2], [0.0, 1.0]).predict_quantiles(x)).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1.0], [2.0]], [1.0, np.inf], "infinity"),
        ([[1.0], [2.0]], [1.0, np.nan], "NaN"),
        (pd.DataFrame({"a": [1.0, 2.0]}), [0.0, np.nan], r"`y` is missing \(NaN\) at row 1"),
        ([[1.0], [2.0]], [1e200, 0.0], "expected numbers below 1e150"),
        (pd.DataFrame({"a": [1.0, 2.0]}), ["one", "two"], "could not convert string to float"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(x, y, message):
    with pytest.raises((DataError, ValueError), match=message) as caught:
        NetwrightRegressor().fit(x, np.array(y))
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize("quantiles", [(0.5, 0.1), (0.0, 0.5), (0.5, 0.5), 0.5, ("a",)])
def test_quantiles_that_are_none_are_refused(quantiles):
    with pytest.raises(RunError, match="expected rising levels between 0 and 1"):
        NetwrightRegressor(quantiles=quantiles).fit([[0.0], [1.0]], [0, 1])


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, said = rng.normal(size=50), rng.normal(size=(50, 3))
    found = value_scores(y, said)
    assert found["R2"] == pytest.approx(r2_score(y, said[:, 0]))
    assert found["absolute error"] == pytest.approx(np.abs(y - said[:, 0]).mean())
    assert found["inside"] == pytest.approx(((said[:, 1] <= y) & (y <= said[:, 2])).mean())


def test_every_row_is_answered_by_a_fit_that_has_not_seen_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=150)
    columns = {"telling": Column("numeric", x), "noise": Column("numeric", rng.normal(size=150))}
    y = 3 * x + rng.normal(size=150)
    found = held_out_values(columns, y, folds=3, resamples=50)
    assert found[0].learner == OWN
    assert all(each.scores["R2"][0] > 0.7 for each in found[:2])
    assert 0.75 < found[0].scores["inside"][0] <= 1
    # Pure noise cannot be learned by rote.
    blind = held_out_values({"noise": columns["noise"]}, y, folds=3, resamples=20)
    assert all(each.scores["R2"][0] < 0.1 for each in blind)
