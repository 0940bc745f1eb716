"""`netwright classify`: a table in, scores and a network out."""

import json

import numpy as np
import pytest

from netwright.generated import load_network


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    age, city = rng.integers(18, 90, 120), rng.choice(["Oslo", "Lima"], 120)
    stays = np.where((age > 50) ^ (city == "Lima"), "stays", "leaves")
    lines = [f"{a},{c},{s}" for a, c, s in zip(age, city, stays, strict=True)]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["age,city,outcome", *lines, "44,Oslo,"]) + "\n")
    return path


def test_scores_of_the_network_stand_beside_those_of_baselines(run, table, tmp_path):
    code, out, _ = run(
        "classify", table, "--target", "outcome", "--out", tmp_path / "net", "--json"
    )
    assert code == 0
    found = json.loads(out)
    assert found["rows"] == 120  # the row without a target does not count
    assert set(found["scores"]) == {
        "netwright", "logistic regression", "random forest", "gradient boosting",
    }  # fmt: skip
    assert found["scores"]["netwright"]["accuracy"][0] > 0.8
    network = load_network(tmp_path / "net")
    assert network.labels == ("leaves", "stays")
    assert found["parameters"] == network.size
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


def test_the_network_answers_other_rows_of_the_table(run, table, tmp_path):
    run("classify", table, "--target", "outcome", "--out", tmp_path / "net")
    rows = tmp_path / "new.csv"
    rows.write_text("city,age\nOslo,80\nLima,20\nOslo,20\n")
    code, out, _ = run("predict", tmp_path / "net", rows, "--json")
    assert code == 0
    answers = [row["prediction"] for row in json.loads(out)["predictions"]]
    assert answers == ["stays", "stays", "leaves"]


def test_a_file_ending_in_onnx_is_an_onnx_file(run, table, tmp_path):
    pytest.importorskip("onnxruntime")
    code, out, _ = run("classify", table, "--target", "outcome", "--out", tmp_path / "net.onnx")
    assert code == 0
    assert "netwright" in out
    assert "calibration" in out
    assert "…" not in out  # it fits a terminal
    assert (tmp_path / "net.onnx").stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,outcom\n1,x\n", "There is no column 'outcome' (the target)"),
        ("a,outcome\n" + "1,x\n" * 5, "5 rows with a target, expected at least 10"),
        ("outcome\n" + "x\ny\n" * 9, "no column beside 'outcome'"),
        ("a,outcome\n" + "".join(f"{i},{i / 7}\n" for i in range(100)), "100 different values"),
        ("a,outcome\n" + "1,x\n" * 20, "one class only"),
    ],
)
def test_tables_that_cannot_be_served_are_refused_in_one_line(run, tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    code, _, err = run("classify", path, "--target", "outcome", "--out", tmp_path / "net")
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "net").exists()
