"""`netwright regress`: a table in, scores and a network with quantiles out."""

import json

import numpy as np
import pytest

from netwright.generated import load_network


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    size, city = rng.integers(20, 200, 120), rng.choice(["Oslo", "Lima"], 120)
    price = 1000 * (size * np.where(city == "Oslo", 5, 2) + 20 * rng.standard_normal(120))
    lines = [f"{a},{c},{p:.0f}" for a, c, p in zip(size, city, price, strict=True)]
    path = tmp_path / "flats.csv"
    path.write_text("\n".join(["size,city,price", *lines, "44,Oslo,"]) + "\n")
    return path


def test_scores_of_the_network_stand_beside_those_of_baselines(run, table, tmp_path):
    code, out, _ = run("regress", table, "--target", "price", "--out", tmp_path / "net", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["rows"] == 120  # the row without a target does not count
    assert set(found["scores"]) == {
        "netwright", "ridge regression", "random forest", "gradient boosting",
    }  # fmt: skip
    assert found["scores"]["netwright"]["R2"][0] > 0.9
    assert 0.8 < found["scores"]["netwright"]["inside"][0] <= 1
    assert found["parameters"] == load_network(tmp_path / "net").size
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


def test_the_network_answers_other_rows_of_the_table(run, table, tmp_path):
    run("regress", table, "--target", "price", "--out", tmp_path / "net")
    rows = tmp_path / "new.csv"
    rows.write_text("city,size\nOslo,100\nLima,100\n")
    code, out, _ = run("predict", tmp_path / "net", rows, "--json")
    assert code == 0
    oslo, lima = (row["prediction"] for row in json.loads(out)["predictions"])
    assert oslo == pytest.approx(500_000, rel=0.1)
    assert lima == pytest.approx(200_000, rel=0.2)


def test_a_file_ending_in_onnx_answers_in_units_of_the_target(run, table, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    code, out, _ = run("regress", table, "--target", "price", "--out", tmp_path / "net.onnx")
    assert code == 0
    assert "inside" in out
    assert "…" not in out  # it fits a terminal
    session = onnxruntime.InferenceSession((tmp_path / "net.onnx").read_bytes())
    width = session.get_inputs()[0].shape[1]
    (answer,) = session.run(None, {"x": np.zeros((1, width), dtype=np.float32)})
    assert answer.shape == (1, 6)
    assert 50_000 < answer[0, 0] < 1_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,pric\n1,2\n", "There is no column 'price' (the target)"),
        ("a,price\n" + "1,2\n" * 5, "5 rows with a target, expected at least 10"),
        ("price\n" + "1\n2\n" * 9, "no column beside 'price'"),
        ("a,price\n" + "1,x\n2,y\n" * 9, "holds text, expected numbers"),
        ("a,price\n" + "1,3\n" * 20, "is always 3"),
    ],
)
def test_tables_that_cannot_be_served_are_refused_in_one_line(run, tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    code, _, err = run("regress", path, "--target", "price", "--out", tmp_path / "net")
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "net").exists()


def test_a_place_that_cannot_be_written_to_is_named_in_one_line(run, table):
    pytest.importorskip("onnxruntime")
    for out in ("/proc/nowhere/net.onnx", "/proc/nowhere/net"):
        code, _, err = run("regress", table, "--target", "price", "--out", out)
        assert code == 1
        assert "could not be written" in err
        assert err.count("\n") == 1
