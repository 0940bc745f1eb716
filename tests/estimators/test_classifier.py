"""`NetwrightClassifier` as its users meet it: scikit-learn's checks, real tables, bad input."""

import ctypes
import pickle
import shutil
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from netwright.errors import ArtifactError, DataError, RunError
from netwright.estimators import NetwrightClassifier
from netwright.estimators.canonical import canonical_order
from netwright.generated import load_network

CHECKS = [
    (check.func.__name__ + str(i), check)
    for i, (_, check) in enumerate(estimator_checks_generator(NetwrightClassifier()))
]


@pytest.mark.parametrize("check", [c for _, c in CHECKS], ids=[name for name, _ in CHECKS])
def test_it_keeps_the_rules_of_scikit_learn(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(NetwrightClassifier())


def mixed_table(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows).astype(float)
    city = rng.choice(["Oslo", "Lagos", "Lima"], rows)
    member = rng.random(rows) < 0.5
    since = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, rows), unit="D")
    y = np.where((age > 50) ^ (city == "Lima"), "stays", "leaves")
    age[rng.random(rows) < 0.1] = np.nan
    frame = pd.DataFrame({"age": age, "city": city, "member": member, "since": since})
    frame.loc[::9, "city"] = None
    return frame.astype({"city": "category"}), y


@pytest.mark.parametrize(
    ("load", "least"), [(load_iris, 0.92), (load_wine, 0.95), (load_breast_cancer, 0.95)]
)
def test_real_tables_are_answered_well(load, least):
    x, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    half = len(y) // 2
    classifier = NetwrightClassifier().fit(x[order[:half]], y[order[:half]])
    assert classifier.score(x[order[half:]], y[order[half:]]) > least


def test_frames_with_text_categories_dates_and_missing_values_are_read():
    x, y = mixed_table(400)
    classifier = NetwrightClassifier().fit(x[:300], y[:300])
    assert set(classifier.classes_) == {"leaves", "stays"}
    assert classifier.score(x[300:], y[300:]) > 0.75
    assert list(classifier.feature_names_in_) == ["age", "city", "member", "since"]


def test_the_answer_does_not_depend_on_any_order():
    x, y = mixed_table()
    own = NetwrightClassifier().fit(x, y).predict_proba(x)
    rows = np.random.default_rng(1).permutation(len(y))
    columns = ["since", "city", "age", "member"]
    renamed = np.where(y == "stays", "a", "b")  # the other way round in alphabetical order
    other = NetwrightClassifier().fit(x.iloc[rows][columns], renamed[rows])
    np.testing.assert_allclose(other.predict_proba(x[columns])[:, ::-1], own, atol=1e-12)


def test_the_canonical_order_is_one_for_all_orders_of_a_table():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 9)).astype(np.float32)  # ties everywhere
    y = rng.integers(0, 3, 40)
    rows, columns, classes = canonical_order(x, y, 3)
    p, q, name = rng.permutation(40), rng.permutation(9), np.array([1, 2, 0])
    rows2, columns2, classes2 = canonical_order(x[p][:, q], name[y][p], 3)
    np.testing.assert_array_equal(x[p][:, q][rows2][:, columns2], x[rows][:, columns])
    np.testing.assert_array_equal(
        np.argsort(classes2)[name[y][p]][rows2], np.argsort(classes)[y][rows]
    )


def test_columns_that_only_classes_tell_apart_have_one_order():
    x = np.array([[0, 1], [1, 0], [0, 1], [1, 0]], dtype=np.float32)
    y = np.array([0, 1, 0, 0])
    rows, columns, _ = canonical_order(x, y, 2)
    swapped = x[:, ::-1].copy()
    rows2, columns2, _ = canonical_order(swapped, y, 2)
    np.testing.assert_array_equal(swapped[rows2][:, columns2], x[rows][:, columns])


def test_probabilities_are_those_of_the_network_by_itself(tmp_path):
    x, y = load_iris(return_X_y=True)
    classifier = NetwrightClassifier().fit(x, y)
    network = load_network(classifier.to_network().save(tmp_path / "net"))
    rows = torch.from_numpy(classifier.encode(x))
    with torch.no_grad():
        found = network(rows).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(x), atol=2e-5)
    assert network.labels == ("0", "1", "2")
    assert network.preparation["kind"] == "table"
    assert network.size * 4 < 100_000


def test_it_exports_to_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    x, y = load_iris(return_X_y=True)
    classifier = NetwrightClassifier(width=16).fit(x, y)
    path = classifier.export(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(path.read_bytes())
    (answer,) = session.run(None, {"x": classifier.encode(x)})
    np.testing.assert_allclose(answer, classifier.decision_logits(x), atol=1e-3)


def test_it_exports_to_c_that_a_compiler_takes(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    x, y = load_iris(return_X_y=True)
    classifier = NetwrightClassifier(width=16).fit(x, y)
    source = classifier.export(tmp_path / "net.c")
    library = tmp_path / "net.so"
    subprocess.run(
        [
            compiler,
            "-std=c99",
            "-Wall",
            "-Werror",
            "-shared",
            "-fPIC",
            source,
            "-o",
            library,
            "-lm",
        ],
        check=True,
    )
    logits = ctypes.CDLL(str(library)).netwright_outputs
    rows, out = classifier.encode(x), np.zeros((len(x), 3), dtype=np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    for row, answer in zip(rows, out, strict=True):
        logits(np.ascontiguousarray(row).ctypes.data_as(pointer), answer.ctypes.data_as(pointer))
    np.testing.assert_allclose(out, classifier.decision_logits(x), atol=1e-3)


def test_it_exports_to_arrays_that_four_lines_of_numpy_run(tmp_path):
    x, y = load_iris(return_X_y=True)
    classifier = NetwrightClassifier(width=16).fit(x, y)
    w = np.load(classifier.export(tmp_path / "net.npz"))
    z = classifier.encode(x)
    z = z / np.sqrt(1 + np.square(z / 4))
    h = z @ w["hidden_weight"].T + w["hidden_bias"]
    h = np.where(np.arange(h.shape[1]) < w["ramps"], np.maximum(h, 0), np.exp(-np.square(h)))
    answer = np.hstack([z, h]) @ w["head_weight"].T + w["head_bias"]
    np.testing.assert_allclose(answer, classifier.decision_logits(x), atol=1e-3)


def test_other_endings_are_refused(tmp_path):
    classifier = NetwrightClassifier(width=4).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(
        ArtifactError, match=r"ends in '.exe', expected one of .c, .h, .npz, .onnx, .pt2, .py"
    ):
        classifier.export(tmp_path / "net.exe")


def test_explanations_name_the_columns_that_matter(tmp_path):
    x, y = mixed_table(400)
    found = NetwrightClassifier().fit(x[:300], y[:300]).explain(x[300:], y[300:])
    assert set(found.columns[:2]) == {"age", "city"}
    assert found.importances[1] > 0.1 > abs(found.importances[-1])
    values, shares = found.curves["age"]
    assert shares[values.index(min(values)), 1] < shares[values.index(max(values)), 1]
    assert found.draw(tmp_path / "why.png").stat().st_size > 5_000
    assert str(found).startswith(found.columns[0])


def test_it_lives_in_pipelines_and_pickles():
    x, y = load_wine(return_X_y=True)
    assert (
        cross_val_score(make_pipeline(StandardScaler(), NetwrightClassifier()), x, y).mean() > 0.93
    )
    classifier = NetwrightClassifier().fit(x, y)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(x), classifier.predict_proba(x))


def test_many_rows_are_drawn_in_the_proportions_of_the_classes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 3))
    y = np.where(np.arange(5000) < 4995, (x[:, 0] > 0).astype(int), 7)
    x[y == 7] += 5
    classifier = NetwrightClassifier(max_rows=200, random_state=0).fit(x, y)
    assert classifier.n_rows_read_ == 200
    assert classifier.score(x, y) > 0.9
    assert 7 in classifier.predict(x)


def test_of_many_columns_the_telling_ones_are_read():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3000))
    y = (x[:, 1234] > 0).astype(int)
    classifier = NetwrightClassifier(max_columns=20).fit(x[:100], y[:100])
    assert "x1234" in classifier._encoder.names
    assert classifier._encoder.width <= 20
    assert classifier.score(x[100:], y[100:]) > 0.75


def test_more_classes_than_in_training_are_served():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 6)) * 4
    y = np.arange(400) % 40
    x = centres[y] + rng.normal(size=(400, 6))
    classifier = NetwrightClassifier().fit(x[:200], y[:200])
    assert classifier.score(x[200:], y[200:]) > 0.7


@pytest.mark.parametrize("extreme", [1e30, -1e30, 1e300])
def test_extreme_values_are_survived(extreme):
    x, y = load_iris(return_X_y=True)
    x = x.copy()
    x[3, 1] = extreme
    classifier = NetwrightClassifier().fit(x, y)
    assert classifier.score(x, y) > 0.9
    assert np.isfinite(classifier.predict_proba(x * 1e5)).all()


def test_columns_that_are_empty_or_never_vary_are_left_out():
    x, y = mixed_table()
    x["empty"], x["constant"] = np.nan, "same"
    assert "empty" not in NetwrightClassifier().fit(x, y)._encoder.names
    nothing = x[["empty", "constant"]]
    shares = NetwrightClassifier().fit(nothing, y).predict_proba(nothing)
    assert shares[0, 1] == pytest.approx((y == "stays").mean(), abs=0.15)


def test_unseen_categories_and_one_row_per_class_are_served():
    x, y = mixed_table()
    classifier = NetwrightClassifier().fit(x, y)
    other = x.assign(city=["Atlantis"] * len(x))
    assert np.isfinite(classifier.predict_proba(other)).all()
    tiny = NetwrightClassifier().fit([[0.0], [1.0]], ["a", "b"])
    assert list(tiny.predict([[-1.0], [2.0]])) == ["a", "b"]


def test_durations_are_read_as_seconds():
    x = pd.DataFrame({"took": pd.to_timedelta(np.arange(40), unit="s")})
    y = np.arange(40) > 19
    assert NetwrightClassifier().fit(x, y).score(x, y) > 0.95


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1.0], [2.0]], [1, 1], "one class only, .*1.*, expected at least two"),
        (
            pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
            [0, 1],
            r"columns of the same name \['a'\]",
        ),
        (pd.DataFrame({"a": [1.0, np.inf]}), [0, 1], "'a' holds infinity at row 1"),
        (pd.DataFrame({"a": [1.0, 2.0]}), [0, np.nan], r"`y` is missing \(NaN\) at row 1"),
        (pd.DataFrame({"a": [[1], [2]]}), [0, 1], "'a' holds list, expected numbers, text"),
        (pd.DataFrame({"a": [1.0, 2.0]}), [0.5, 0.7], "continuous"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(x, y, message):
    with pytest.raises((DataError, ValueError), match=message) as caught:
        NetwrightClassifier().fit(x, np.array(y))
    assert "\n" not in str(caught.value).strip()


def test_an_option_out_of_range_is_refused():
    with pytest.raises(RunError, match="`width` is 0, expected a whole number of at least 1"):
        NetwrightClassifier(width=0).fit([[0.0], [1.0]], [0, 1])


def test_one_class_is_named_as_it_is_in_the_data():
    with pytest.raises(DataError, match=r"one class only, 3, expected"):
        NetwrightClassifier().fit(np.zeros((4, 2)), np.full(4, 3))
