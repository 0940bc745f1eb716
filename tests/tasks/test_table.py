"""Tables: columns into numbers, one task per value of a column."""

import json
import logging

import numpy as np
import pytest
import torch
from files import write_table

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import Table
from netwright.tasks.columns import ColumnEncoder, read_columns
from netwright.tasks.table import TablePreparation


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def csv(tmp_path):
    def write(text, name="t.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_columns_keep_their_values_and_missing_cells(csv):
    path = csv("a,b,c,d\n1,x,2024-03-05,true\n,NA,2024-12-31,false\n2.5,y,,true\n")
    columns = read_columns(path)
    np.testing.assert_array_equal(columns["a"].values, [1, np.nan, 2.5])
    assert columns["b"].values.tolist() == ["x", None, "y"]
    np.testing.assert_array_equal(columns["c.month"].values, [3, 12, np.nan])
    np.testing.assert_array_equal(columns["d"].values, [1, 0, 1])
    assert read_columns(path, categorical=["a"])["a"].values.tolist() == ["1", None, "2.5"]


def test_parquet_gives_the_same_columns(csv, tmp_path):
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    path = csv("a,b\n1,x\n2,y\n")
    parquet.write_table(arrow_csv.read_csv(path), tmp_path / "t.parquet")
    a, b = read_columns(path), read_columns(tmp_path / "t.parquet")
    assert a["b"].values.tolist() == b["b"].values.tolist()
    np.testing.assert_array_equal(a["a"].values, b["a"].values)


def test_encoding_standardises_marks_what_is_missing_and_groups_unseen_categories(csv):
    rows = "".join(f"{value},{'xyz'[value % 3]},7\n" for value in range(100))
    train = read_columns(csv("a,b,same\n" + rows + ",x,7\n"))
    encoder = ColumnEncoder.fit(train)
    assert [encoding.name for encoding in encoder.encodings] == ["a", "b"]  # `same` never varies
    encoded = encoder.encode(
        read_columns(csv("b,a,new\nz,49.5,1\nunseen,,2\nx,1e12,3\n", "new.csv"))
    )
    np.testing.assert_allclose(encoded[0], [0, 0, 0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(encoded[1], [0, 1, 0, 0, 0, 1])
    np.testing.assert_allclose(encoded[2], [8, 0, 1, 0, 0, 0])  # as extreme as it gets
    again = ColumnEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder


def test_a_tasks_rows_are_its_own(tmp_path, rng):
    write_table(tmp_path / "t.csv", rng)
    family = Table(tmp_path / "t.csv", task="store", target="units", shots=4, queries=6)
    batch = family.sample(stream(0), 5, "train")
    mean, std = family.preparation()["mean"], family.preparation()["std"]
    for t in range(5):
        x = torch.cat([batch.condition.examples.x[t], batch.query.x[t]]).double()
        y = torch.cat([batch.condition.examples.y[t], batch.query.y[t]])[:, 0].double() * std + mean
        # units = day * task + size: a plane through each task's rows, exactly.
        design = torch.cat([x[:, :2], torch.ones(len(x), 1)], dim=1)
        residual = y - design @ torch.linalg.lstsq(design, y).solution
        assert residual.abs().max() < 0.02


def test_tasks_with_few_rows_keep_some_for_queries(csv):
    text = "task,x,y\n" + "".join(f"t{t},{i},{i * t}\n" for t in range(6) for i in range(2 + t))
    family = Table(
        csv(text),
        task="task",
        target="y",
        kind="regression",
        shots=10,
        queries=10,
        validation=0.2,
        test=0.2,
    )
    for split in ("train", "validation", "test"):
        batch = family.sample(stream(0), 30, split)
        assert batch.condition.examples.mask.sum(1).min() >= 1
        assert batch.query.mask.sum(1).min() >= 1


def test_statistics_come_from_training_tasks_alone(csv):
    lines = [f"t{t},{i},{i % 5}" for t in range(10) for i in range(8)]
    plain = Table(
        csv("task,x,y\n" + "\n".join(lines) + "\n"), task="task", target="y", kind="regression"
    )
    held_out = plain.members("test")[0]
    changed = [
        f"{held_out},{1000},{9999}" if line.startswith(f"{held_out},") else line for line in lines
    ]
    other = Table(
        csv("task,x,y\n" + "\n".join(changed) + "\n", "o.csv"),
        task="task",
        target="y",
        kind="regression",
    )
    assert other.preparation() == plain.preparation()


def test_text_and_few_integers_are_classes_and_the_rest_are_values(csv):
    rows = "".join(
        f"t{i % 4},{i * 0.37:.2f},{i % 3},{['no', 'yes'][i % 2]},{i * 1.5}\n" for i in range(40)
    )
    path = csv("task,x,few,word,real\n" + rows)
    few = Table(path, task="task", target="few")
    assert few.shape.kind == "fixed-classes"
    assert few.shape.labels == ("0", "1", "2")
    assert Table(path, task="task", target="word").shape.labels == ("no", "yes")
    assert Table(path, task="task", target="real").shape.kind == "values"
    assert Table(path, task="task", target="few", kind="regression").shape.outputs == 1
    with pytest.raises(DataError, match="holds text, expected numbers for regression"):
        Table(path, task="task", target="word", kind="regression")


def test_rows_and_tasks_that_cannot_serve_are_left_out_and_counted(csv, caplog):
    rows = "".join(f"t{i % 5},{i},{i * 2}\n" for i in range(30))
    with caplog.at_level(logging.WARNING):
        family = Table(
            csv("task,x,y\n" + rows + "single,1,1\nt0,5,\n,1,2\n"), task="task", target="y"
        )
    assert "left out 2 rows without target or task" in caplog.text
    assert "left out 1 tasks with one row" in caplog.text
    members = {m for s in ("train", "validation", "test") for m in family.members(s)}
    assert members == {f"t{i}" for i in range(5)}


def test_a_new_tasks_table_is_read_with_the_preparation_alone(tmp_path, csv, rng):
    write_table(tmp_path / "t.csv", rng)
    family = Table(tmp_path / "t.csv", task="store", target="units")
    saved = TablePreparation.from_json(json.loads(json.dumps(family.preparation())))
    new = csv("size,units,day,kind\n3,4.5,0.1,a\n6,,0.2,b\n7,8,0.3,new\n", "new.csv")
    support = saved.support(new)
    assert support.x.shape == (1, 2, family.shape.x[0])  # the row without target is left out
    expected = (np.array([4.5, 8]) - saved.mean) / saved.std
    np.testing.assert_allclose(support.y[0, :, 0], expected, rtol=1e-5)
    assert saved.inputs(new).shape == (3, family.shape.x[0])
    with pytest.raises(DataError, match=r"no column 'size' \(an input of this network\)"):
        saved.inputs(csv("day,kind\n1,a\n", "less.csv"))
    with pytest.raises(DataError, match="Column 'day' holds text, expected numbers as in training"):
        saved.inputs(csv("day,size,kind\nmonday,1,a\n", "text.csv"))
    with pytest.raises(DataError, match="has 2 values of 'store', expected the rows of one task"):
        saved.support(csv("store,day,size,kind,units\na,1,1,a,1\nb,1,1,a,1\n", "two.csv"))
    with pytest.raises(DataError, match="no row with a known 'units'"):
        saved.support(csv("day,size,kind,units\n1,1,a,\n", "none.csv"))


def test_an_unseen_class_is_refused(csv):
    rows = "".join(f"t{i % 4},{i},{['no', 'yes'][i % 2]}\n" for i in range(40))
    saved = TablePreparation.from_json(
        Table(csv("task,x,y\n" + rows), task="task", target="y").preparation()
    )
    with pytest.raises(
        DataError, match=r"The target 'y' holds 'maybe', expected one of \['no', 'yes'\]"
    ):
        saved.support(csv("x,y\n1,maybe\n", "new.csv"))


GOOD = "task,x,y\n" + "".join(f"t{i % 4},{i},{i * 1.5}\n" for i in range(40))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            GOOD,
            {"task": "tsak"},
            r"no column 'tsak' \(the task column\), expected one of .*Did you mean 'task'",
        ),
        (
            GOOD,
            {"target": "z"},
            r"no column 'z' \(the target column\), expected one of \['task', 'x', 'y'\]",
        ),
        (
            "task,x,y\n" + "".join(f"t{i % 4},{i},1\n" for i in range(9)),
            {},
            "The target 'y' has one value only",
        ),
        (
            "task,x,y\nt0,1,1\nt1,2,2\nt2,3,3\n",
            {},
            r"names 0 tasks with at least two rows \(3 in all\)",
        ),
        ("task,x,y\nt0,1,1\nt0,2,2\nt1,3,3\nt1,3,4\n", {}, "names 2 tasks.*expected at least 3"),
        (
            "task,x,y\n" + "".join(f"t{i % 4},1,{i}\n" for i in range(9)),
            {},
            "No column beside 'task' and 'y' varies",
        ),
        ("task,x,y\nt0,inf,1\nt1,2,3\n", {}, "holds infinity in column 'x', row 1"),
        ("task,x,x\nt0,1,1\n", {}, r"columns of the same name \['x'\]"),
        ("task,x,y\n", {}, "has a header and no rows"),
        ("", {}, "is empty, expected a table"),
        ("a,b\n1\n1,2,3\n", {}, "cannot be read as a table"),
        (GOOD, {"kind": "ranking"}, "`kind` is 'ranking'"),
        (GOOD, {"shots": (5, 2)}, r"shots=\(5, 2\)"),
        (GOOD, {"validation": 0.9, "test": 0.5}, "validation=0.9 and test=0.5"),
    ],
)
def test_tables_that_cannot_serve_say_why(csv, text, options, message):
    path = csv(text)
    with pytest.raises(DataError, match=message):
        Table(path, **{"task": "task", "target": "y", **options})


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="is not there, expected a CSV or Parquet file"):
        Table(tmp_path / "no.csv", task="a", target="b")
    with pytest.raises(DataError, match="is a folder, expected a CSV or Parquet file"):
        Table(tmp_path, task="a", target="b")


def test_real_transformer_loads_become_a_task_per_week(shared_data, tmp_path):
    lines = (shared_data / "ett/ETTh1.csv").read_text().splitlines()
    weeks = [f"{(i // 168)},{line}" for i, line in enumerate(lines[1:])]
    path = tmp_path / "ett.csv"
    path.write_text("\n".join([f"week,{lines[0]}", *weeks]) + "\n")
    family = Table(path, task="week", target="OT", ignore=["date.day", "date.month"])
    assert sum(len(family.members(s)) for s in ("train", "validation", "test")) == 104
    names = [entry["name"] for entry in family.preparation()["encoder"]]
    assert names[:2] == ["date.hour", "date.weekday"]
    assert {"HUFL", "LULL"} <= set(names)
    batch = family.sample(stream(0), 8, "test")
    assert batch.query.mask.all()
    assert family.y.mean().abs() < 0.5
