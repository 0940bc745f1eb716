"""Columns of tables, and how they become numbers."""

import datetime
import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from netwright.errors import DataError, MissingExtraError
from netwright.tasks.columns import (
    MOST_CATEGORIES,
    Column,
    ColumnEncoder,
    as_text,
    read_columns,
    require,
)


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "table.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def numeric(*values: float | None) -> Column:
    return Column("numeric", np.array([np.nan if v is None else v for v in values], dtype=float))


def text(*values: str | None) -> Column:
    return Column("categorical", np.array(values, dtype=object))


def test_types_are_read_from_the_values(write):
    columns = read_columns(write("a,b,c,d\n1,0.5,true,red\n2,,false,blue\n"))

    np.testing.assert_array_equal(columns["a"].values, [1, 2])
    np.testing.assert_array_equal(columns["b"].values, [0.5, np.nan])
    np.testing.assert_array_equal(columns["c"].values, [1, 0])
    assert columns["d"].kind == "categorical"
    assert columns["d"].values.tolist() == ["red", "blue"]


@pytest.mark.parametrize("mark", ["", "NA", "NaN", "null"])
def test_missing_values_are_known_by_their_usual_marks(write, mark):
    columns = read_columns(write(f"number,word\n1,a\n{mark},{mark}\n"))

    assert np.isnan(columns["number"].values).tolist() == [False, True]
    assert columns["word"].values.tolist() == ["a", None]


def test_tab_separated_files_and_parquet_give_the_same_as_commas(write, tmp_path):
    from_commas = read_columns(write("a,b\n1,x\n2,y\n"))
    from_tabs = read_columns(write("a\tb\n1\tx\n2\ty\n", "table.tsv"))
    parquet.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "table.parquet")
    from_parquet = read_columns(tmp_path / "table.parquet")

    for other in (from_tabs, from_parquet):
        for name in ("a", "b"):
            np.testing.assert_array_equal(other[name].values, from_commas[name].values)


def test_a_categorical_column_keeps_its_leading_zeros(write):
    columns = read_columns(write("code\n007\n012\n"), categorical=["code"])

    assert columns["code"].values.tolist() == ["007", "012"]


def test_whole_numbers_are_one_category_with_or_without_a_decimal_point(write, tmp_path):
    parquet.write_table(pa.table({"code": [3.0, None, 4.5]}), tmp_path / "t.parquet")
    from_csv = read_columns(write("code\n3\n3.0\n3.10\n"), categorical=["code"])
    from_parquet = read_columns(tmp_path / "t.parquet", categorical=["code"])

    assert from_csv["code"].values.tolist() == ["3", "3", "3.10"]
    assert from_parquet["code"].values.tolist() == ["3", None, "4.5"]


def test_identifiers_beyond_two_to_the_53_stay_apart_as_text(write):
    ids = [2**60 + 1, 2**60 + 2]
    path = write("id\n{}\n{}\n".format(*ids))

    assert read_columns(path, categorical=["id"])["id"].values.tolist() == [str(i) for i in ids]
    assert read_columns(path)["id"].values[0] == pytest.approx(2.0**60)


def test_numbers_and_booleans_are_spelled_as_people_do(write):
    columns = read_columns(write("n,b\n3,true\n0.25,false\n,\n"))

    assert as_text(columns["n"]).tolist() == ["3", "0.25", None]
    assert as_text(columns["b"]).tolist() == ["true", "false", None]


def test_dates_become_hour_weekday_day_and_month(write):
    moments = ["2016-07-01 05:00:00", "2020-02-29 06:30:00", "1969-12-31 23:00:00"]
    columns = read_columns(write("d\n" + "\n".join(moments) + "\n"))

    for i, moment in enumerate(map(datetime.datetime.fromisoformat, moments)):
        expected = [moment.hour, moment.weekday(), moment.day, moment.month]
        parts = ("hour", "weekday", "day", "month")
        assert [columns[f"d.{part}"].values[i] for part in parts] == expected


def test_a_missing_date_is_missing_in_all_its_parts(write):
    columns = read_columns(write("d,x\n2020-01-01,1\n,2\n2020-01-03,3\n"))

    for name in ("d.hour", "d.weekday", "d.day", "d.month"):
        assert np.isnan(columns[name].values).tolist() == [False, True, False]


def test_zoned_dates_count_by_the_clock_of_their_zone(tmp_path):
    noon_in_tokyo = datetime.datetime(2020, 1, 1, 3, tzinfo=datetime.UTC)
    array = pa.array([noon_in_tokyo], pa.timestamp("ns", tz="Asia/Tokyo"))
    parquet.write_table(pa.table({"d": array}), tmp_path / "t.parquet")

    assert read_columns(tmp_path / "t.parquet")["d.hour"].values[0] == 12


def test_a_time_of_day_becomes_its_hour(write):
    columns = read_columns(write("t\n06:00:00\n18:30:00\n"))

    assert list(columns) == ["t.hour"]
    assert columns["t.hour"].values.tolist() == [6, 18]


def test_dates_without_times_fit_an_encoder_of_dates_with_times(write):
    encoder = ColumnEncoder.fit(
        read_columns(write("d\n2020-01-01 05:00:00\n2020-02-09 07:00:00\n"))
    )

    midnight = read_columns(write("d\n2020-01-01 00:00:00\n"))
    day = read_columns(write("d\n2020-01-01\n", "day.csv"))

    np.testing.assert_array_equal(encoder.encode(day), encoder.encode(midnight))


def test_parts_of_a_date_may_be_ignored_and_read_as_categories(write):
    path = write("d\n2020-01-01\n2020-06-02\n")
    columns = read_columns(path, ignore=["d.day"], categorical=["d.month"])

    assert list(columns) == ["d.hour", "d.weekday", "d.month"]
    assert columns["d.month"].values.tolist() == ["1", "6"]


def test_numbers_are_centred_and_scaled_like_a_normal_distribution():
    values = np.random.default_rng(0).normal(50, 3, 20_000)

    encoded = ColumnEncoder.fit({"a": numeric(*values)}).encode({"a": numeric(*values)})

    assert encoded.dtype == np.float32
    assert encoded.mean() == pytest.approx(0, abs=0.03)
    assert encoded.std() == pytest.approx(1, abs=0.03)


def test_one_extreme_value_neither_flattens_the_others_nor_explodes():
    values = [*np.linspace(-1, 1, 99), 1e12]

    encoded = ColumnEncoder.fit({"a": numeric(*values)}).encode({"a": numeric(*values)})

    assert encoded[:99].std() > 0.5
    assert encoded[99, 0] == 8


def test_a_missing_number_is_zero_and_says_so_beside_it():
    rows = {"a": numeric(1, None, 3), "b": numeric(1, 2, 3)}
    encoder = ColumnEncoder.fit(rows)

    encoded = encoder.encode(rows)

    assert encoder.width == 3
    assert encoded[:, 1].tolist() == [0, 1, 0]
    assert encoded[1, 0] == 0


def test_a_category_is_one_number_among_many_and_unknown_ones_share_the_last():
    encoder = ColumnEncoder.fit({"a": text("red", "blue", "red", None)})

    encoded = encoder.encode({"a": text("blue", "red", "green", None)})

    np.testing.assert_array_equal(encoded, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])


def test_rare_categories_beyond_the_cap_count_as_others():
    values = [name for i in range(MOST_CATEGORIES) for name in (f"often{i}",) * 2]
    encoder = ColumnEncoder.fit({"a": text(*values, "rare")})

    encoded = encoder.encode({"a": text("rare", "often3")})

    assert encoder.width == MOST_CATEGORIES + 1
    assert encoded[0].argmax() == MOST_CATEGORIES
    assert encoded[1].argmax() != MOST_CATEGORIES


def test_columns_that_never_vary_are_left_out():
    columns = {
        "a": numeric(1, 2), "b": numeric(5, 5), "c": text("x", "x"), "d": numeric(None, None),
    }  # fmt: skip

    assert ColumnEncoder.fit(columns).names == ("a",)


def test_an_encoder_read_back_from_json_encodes_the_same():
    rows = {"a": numeric(1, None, 9), "b": text("x", "y", None)}
    encoder = ColumnEncoder.fit(rows)

    again = ColumnEncoder.from_json(json.loads(json.dumps(encoder.to_json())))

    assert again == encoder
    np.testing.assert_array_equal(again.encode(rows), encoder.encode(rows))


def test_columns_that_are_not_needed_may_hold_anything(tmp_path):
    table = pa.table({"a": [1.0, 2.0], "list": [[1], [2]], "far": [1.0, np.inf]})
    parquet.write_table(table, tmp_path / "t.parquet")

    assert list(read_columns(tmp_path / "t.parquet", needed=["a"])) == ["a"]
    assert list(read_columns(tmp_path / "t.parquet", ignore=["list", "far"])) == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty, expected a table with a header row"),
        ("a,b\n", "has a header and no rows, expected rows"),
        ("a,a\n1,2\n", r"columns of the same name \['a'\], expected each name once"),
        ("a,b\n1,2\n3\n", "cannot be read as a table .*expected CSV in UTF-8, or Parquet"),
        ("a\n1\ninf\n", "holds infinity in column 'a', row 2, expected finite numbers"),
    ],
)
def test_files_that_are_no_table_are_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read_columns(write(content))


def test_a_file_that_is_not_there_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv is not there, expected a CSV or Parquet file"):
        read_columns(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder, expected a CSV or Parquet file"):
        read_columns(tmp_path)


def test_text_of_another_encoding_is_refused_in_header_and_rows(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("café,n\nx,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"cannot be read as a table .*expected CSV in UTF-8"):
        read_columns(path)
    path.write_bytes("name,n\ncafé,1\n".encode("latin-1"))
    with pytest.raises(
        DataError, match="Column 'name' holds binary, expected numbers, text in UTF-8"
    ):
        read_columns(path)


def test_lists_in_cells_are_refused(tmp_path):
    parquet.write_table(pa.table({"a": [[1], [2]]}), tmp_path / "t.parquet")

    with pytest.raises(DataError, match=r"Column 'a' holds list.*expected numbers, text"):
        read_columns(tmp_path / "t.parquet")


def test_a_column_to_ignore_that_is_not_there_is_refused_with_the_nearest(write):
    with pytest.raises(DataError, match=r"no column 'prise' \(named in `ignore`\).*mean 'price'"):
        read_columns(write("price,b\n1,2\n"), ignore=["prise"])


def test_text_where_numbers_were_is_refused():
    encoder = ColumnEncoder.fit({"a": numeric(1, 2)})

    with pytest.raises(DataError, match="Column 'a' holds text, expected numbers as in training"):
        encoder.encode({"a": text("x")})


def test_all_missing_inputs_are_named(write):
    encoder = ColumnEncoder.fit({"a": numeric(1, 2), "b": numeric(1, 2), "c": numeric(1, 2)})

    expected = r"no column 'a', 'c' .*expected all of \['a', 'b', 'c'\]. Add it; its cells may be"
    with pytest.raises(DataError, match=expected):
        encoder.encode({"b": numeric(1)})


def test_text_where_dates_were_is_refused_with_the_way_to_write_them(write):
    encoder = ColumnEncoder.fit(read_columns(write("d\n2020-01-01\n2020-06-02\n")))

    with pytest.raises(DataError, match=r"'d' holds no dates or times, .*Write them as 2024-05-31"):
        encoder.encode(read_columns(write("d\nyesterday\n")))


def test_dates_where_numbers_are_asked_for_are_refused_with_a_way_out(write):
    columns = read_columns(write("d\n2020-01-01\n"))

    with pytest.raises(
        DataError, match=r"'d' \(the target\) holds dates or times, .*`categorical`"
    ):
        require(columns, "d", "the target")


def test_a_required_column_that_is_not_there_is_refused_with_the_nearest(write):
    with pytest.raises(DataError, match=r"no column 'price' \(the target\).*mean 'prise'"):
        read_columns(write("prise,b\n1,2\n"), needed=["price"], required=["price"])


def test_without_pyarrow_the_extra_is_named(write, monkeypatch):
    path = write("a\n1\n")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(
        MissingExtraError, match=r"Reading tables.*pip install 'netwright\[table\]'"
    ):
        read_columns(path)
