"""Tables: which rows are drawn, what stands for them, and how a new file is read."""

import csv
import datetime
import json
import logging

import numpy as np
import pytest
import torch

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks.base import SPLITS
from netwright.tasks.table import Table, TablePreparation

TASKS = 20


@pytest.fixture
def write(tmp_path):
    def write(header: str, rows, name: str = "table.csv"):
        path = tmp_path / name
        lines = [",".join(map(str, row)) for row in rows]
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write


@pytest.fixture
def numbered(write):
    """Stores of 2 to 59 rows, whose only input is the number of the row: x says which row it is."""
    rng = np.random.default_rng(0)
    stores = [store for store in range(TASKS) for _ in range(2 + 3 * store)]
    rows = [(f"store{store}", i, rng.normal()) for i, store in enumerate(rng.permutation(stores))]
    return write("store,number,units", rows), rows


def prepared_by(family: Table) -> TablePreparation:
    return TablePreparation.from_json(json.loads(json.dumps(family.preparation())))


def row_numbers(family: Table, x: torch.Tensor) -> np.ndarray:
    (encoding,) = prepared_by(family).encoder.encodings
    return np.round(x[..., 0].double().numpy() * encoding.scale + encoding.centre).astype(int)


@pytest.mark.parametrize("split", SPLITS)
def test_support_and_query_are_different_rows_of_one_task_of_the_split(numbered, split):
    path, rows = numbered
    family = Table(path, task="store", target="units", shots=(3, 9), queries=6)

    batch = family.sample(stream(1), 40, split)

    sets = [
        (row_numbers(family, part.x), part.mask.numpy())
        for part in (batch.condition.examples, batch.query)
    ]
    for t in range(batch.tasks):
        own = [row for numbers, mask in sets for row in numbers[t][mask[t]]]
        assert len(own) == len(set(own))
        (store,) = {rows[row][0] for row in own}
        assert store in family.members(split)


def test_large_tasks_fill_both_sets_and_small_ones_use_no_row_twice(numbered):
    path, rows = numbered
    family = Table(path, task="store", target="units", shots=8, queries=6)
    sizes = {f"store{store}": 2 + 3 * store for store in range(TASKS)}

    batch = family.sample(stream(2), 200, "train")

    support = batch.condition.examples
    for t, row in enumerate(row_numbers(family, support.x)[:, 0]):
        size = sizes[rows[row][0]]
        shown, asked = int(support.mask[t].sum()), int(batch.query.mask[t].sum())
        assert (shown, asked) == (8, 6) if size >= 14 else 2 <= shown + asked <= size


def test_every_row_of_a_task_is_drawn_as_often(write):
    # One task far above 1,024 rows beside small ones: rows are then drawn by another algorithm.
    sizes = {"a": 1500, "b": 40, "c": 40, "d": 40, "e": 3}
    names = [name for name, size in sizes.items() for _ in range(size)]
    path = write("task,number,y", [(name, i, i % 7 / 2) for i, name in enumerate(names)])
    families = (Table(path, task="task", target="y", shots=8, queries=8, seed=s) for s in range(50))
    family = next(f for f in families if {"a", "e"} <= set(f.members("train")))

    batch = family.sample(stream(3), 3000, "train")

    drawn = row_numbers(family, batch.query.x)[batch.query.mask.numpy()]
    of_large = drawn[drawn < 1500]
    thirds, _ = np.histogram(of_large, bins=3, range=(0, 1500))
    np.testing.assert_allclose(thirds / len(of_large), 1 / 3, atol=0.02)
    of_small = drawn[drawn >= 1620]
    np.testing.assert_allclose(np.bincount(of_small - 1620) / len(of_small), 1 / 3, atol=0.08)


def test_targets_stand_beside_their_inputs_and_return_to_units(numbered):
    path, rows = numbered
    family = Table(path, task="store", target="units")
    prepared = prepared_by(family)

    query = family.sample(stream(4), 10, "test").query

    units = query.y[..., 0].double().numpy() * prepared.std + prepared.mean
    expected = np.array([row[2] for row in rows])[row_numbers(family, query.x)]
    np.testing.assert_allclose(units, expected, atol=1e-5)


def test_targets_of_training_rows_have_mean_zero_and_deviation_one(numbered):
    path, rows = numbered
    family = Table(path, task="store", target="units")

    units = [row[2] for row in rows if row[0] in family.members("train")]

    assert prepared_by(family).mean == pytest.approx(np.mean(units))
    assert prepared_by(family).std == pytest.approx(np.std(units))


def test_another_seed_splits_the_same_tasks_otherwise(numbered):
    path, _ = numbered
    first, other = (Table(path, task="store", target="units", seed=seed) for seed in (0, 1))

    for family in (first, other):
        members = [name for split in SPLITS for name in family.members(split)]
        assert sorted(members) == sorted(f"store{i}" for i in range(TASKS))
        assert len(family.members("validation")) == len(family.members("test")) == 3
    assert first.members("test") != other.members("test")


def test_the_fingerprint_follows_the_values_and_not_the_place_of_the_file(write):
    rows = [(f"t{i % 6}", i, i * i % 11 / 2) for i in range(60)]
    changed = [(*rows[0][:2], 77.5), *rows[1:]]
    before, moved, after = (
        [
            Table(write("task,x,y", table, name), task="task", target="y").fingerprint(s)
            for s in SPLITS
        ]
        for table, name in ((rows, "a.csv"), (rows, "b.csv"), (changed, "c.csv"))
    )

    assert before == moved
    assert before != after


@pytest.mark.parametrize(
    ("values", "labels"), [(["true", "false"], ("false", "true")), ([3, 1, 2], ("1", "2", "3"))]
)
def test_classes_are_numbered_by_their_names_in_order(write, values, labels):
    rows = [(f"t{i % 5}", i, values[i % len(values)]) for i in range(60)]
    family = Table(write("task,x,y", rows), task="task", target="y")

    query = family.sample(stream(0), 4, "test").query

    assert family.shape.labels == labels
    for number, label in zip(
        row_numbers(family, query.x).ravel(), query.y.ravel().tolist(), strict=True
    ):
        assert labels[label] == str(values[number % len(values)])


def test_columns_that_never_vary_are_left_out_by_name(write, caplog):
    rows = [(f"t{i % 5}", i, "same", i / 2) for i in range(60)]

    with caplog.at_level(logging.WARNING):
        family = Table(write("task,x,constant,y", rows), task="task", target="y")

    assert "never vary in training tasks: ['constant']" in caplog.text
    assert family.shape.x == (1,)


def test_ignoring_a_date_leaves_out_all_that_comes_of_it(write):
    rows = [(f"t{i % 5}", f"2020-01-{i % 28 + 1:02d}", i, i / 2) for i in range(60)]
    path = write("task,when,x,y", rows)

    assert Table(path, task="task", target="y").shape.x == (3,)
    assert Table(path, task="task", target="y", ignore=["when"]).shape.x == (1,)


@pytest.mark.parametrize("names", [["2020-01-01", "2020-01-02", "2020-01-03"], ["007", "7", "012"]])
def test_tasks_have_the_names_that_the_file_gives_them(write, names):
    rows = [(names[i % 3], i, i / 2) for i in range(60)]
    family = Table(write("task,x,y", rows), task="task", target="y")

    assert sorted(n for split in SPLITS for n in family.members(split)) == sorted(names)


def test_a_class_that_only_rows_without_task_have_does_no_harm(write):
    rows = [("" if i == 7 else f"t{i % 5}", i, "c" if i == 7 else "ab"[i % 2]) for i in range(60)]

    assert Table(write("task,x,y", rows), task="task", target="y").shape.kind == "fixed-classes"


def test_rows_without_a_class_are_left_out(write):
    rows = [(f"t{i % 5}", i, "" if i < 9 else "ab"[i % 2]) for i in range(60)]
    family = Table(write("task,x,y", rows), task="task", target="y", queries=40)

    query = family.sample(stream(0), 20, "train").query

    assert family.shape.labels == ("a", "b")
    assert row_numbers(family, query.x)[query.mask.numpy()].min() >= 9


@pytest.fixture
def mixed(write):
    """Stores with a number, a code with leading zeros and a number partly missing; and a family."""
    rng = np.random.default_rng(2)
    rows = [
        (
            f"s{i % 8}",
            round(rng.normal(), 3),
            ["007", "A7", "012"][i % 3],
            "" if i % 5 == 0 else i % 11,
            round(rng.normal(20, 4), 3),
        )
        for i in range(160)
    ]
    return rows, Table(write("store,price,code,stock,units", rows), task="store", target="units")


def test_a_new_file_gives_the_numbers_that_the_same_rows_had_in_training(mixed, write):
    rows, family = mixed
    some = [3, 9, 0, 33]  # their codes are all 007: alone, they look like numbers
    path = write(
        "extra,units,stock,code,price",
        [("inf", rows[i][4], rows[i][3], rows[i][2], rows[i][1]) for i in some],
        "new.csv",
    )

    support = prepared_by(family).support(path)

    assert {rows[i][2] for i in some} == {"007"}
    assert torch.equal(support.x[0], family.x[some])
    torch.testing.assert_close(support.y[0], family.y[some])
    assert torch.equal(prepared_by(family).inputs(path), family.x[some])
    support.check()


def test_prediction_rows_may_have_empty_cells_and_no_target(mixed, write):
    prepared = prepared_by(mixed[1])

    x = prepared.inputs(write("price,code,stock", [(1, "A7", 3), (2, "", "")], "new.csv"))

    assert x.shape == (2, prepared.encoder.width)
    assert x.isfinite().all()


def test_a_support_set_of_classes_keeps_the_numbers_of_training(write):
    rows = [(f"t{i % 5}", i, ["01", "1", "b"][i % 3]) for i in range(60)]
    family = Table(write("task,x,y", rows), task="task", target="y")

    support = prepared_by(family).support(write("x,y", [(4, "1"), (5, "01")], "new.csv"))

    assert family.shape.labels == ("01", "1", "b")
    assert support.y.tolist() == [[1, 0]]
    assert support.classes == 3


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("price,stock,units", (1, 2, 3), r"no column 'code' .*all of \['price', 'code', 'stock'\]"),
        ("price,code,stock,unit", (1, "A7", 2, 3), r"'units' \(the target\).*mean 'unit'"),
        ("price,code,stock,units", (1, "A7", 2, "many"), "target 'units' holds text"),
    ],
)
def test_a_support_file_that_does_not_fit_is_refused(mixed, write, header, row, message):
    with pytest.raises(DataError, match=message):
        prepared_by(mixed[1]).support(write(header, [row], "new.csv"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categorical": ["w"]}, r"no column 'w' \(named in `categorical`\)"),
        ({"ignore": ["w"]}, r"no column 'w' \(named in `ignore`\)"),
        ({"ignore": ["y"]}, r"overlap, expected different columns\. Name each column once"),
        ({"target": "task"}, "overlap, expected different columns"),
        ({"shots": (9,)}, "expected at least 1, low before high"),
        ({"queries": 0}, "queries=0, expected at least 1"),
        ({"validation": 0.49, "test": 0.49}, "of 6 tasks leave none to train on"),
    ],
)
def test_options_that_make_no_tasks_are_refused(write, options, message):
    path = write("task,x,y", [(f"t{i % 6}", i, i / 2) for i in range(60)])

    with pytest.raises(DataError, match=message):
        Table(path, **{"task": "task", "target": "y", **options})


def test_a_target_without_any_value_is_refused(write):
    path = write("task,x,y", [(f"t{i % 6}", i, "") for i in range(60)])

    with pytest.raises(DataError, match="target 'y' has no known value, expected at least two"):
        Table(path, task="task", target="y")


def test_a_target_that_varies_in_held_out_tasks_only_is_refused(write):
    rows = [(f"t{i % 6}", i, i / 2) for i in range(60)]
    held_out = Table(write("task,x,y", rows), task="task", target="y").members("test")
    flat = [(t, x, y if t in held_out else 1.5) for t, x, y in rows]

    with pytest.raises(DataError, match="target 'y' has one value in all training tasks"):
        Table(write("task,x,y", flat, "flat.csv"), task="task", target="y")


def test_an_unknown_split_is_refused(numbered):
    with pytest.raises(DataError, match="Split 'eval' is not known, expected one of"):
        Table(numbered[0], task="store", target="units").sample(stream(0), 1, "eval")


def test_weeks_of_a_real_transformer_give_their_own_temperatures(shared_data, tmp_path):
    with (shared_data / "ett" / "ETTh1.csv").open() as file:
        rows = list(csv.DictReader(file))
    temperatures: dict[str, list[float]] = {}
    for row in rows:
        year, week, _ = datetime.datetime.fromisoformat(row["date"]).isocalendar()
        row["week"] = f"{year}-{week:02d}"
        temperatures.setdefault(row["week"], []).append(float(row["OT"]))
    path = tmp_path / "weeks.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)

    family = Table(path, task="week", target="OT")
    prepared = prepared_by(family)
    query = family.sample(stream(0), 16, "test").query

    for t in range(query.tasks):
        values = query.y[t, query.mask[t], 0].double().numpy() * prepared.std + prepared.mean
        assert any(
            np.abs(values[:, None] - temperatures[week]).min(axis=1).max() < 1e-4
            for week in family.members("test")
        )
