"""Bodies from strangers."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netwright.serving.problems import RequestError
from netwright.serving.strict import (
    array_bytes,
    array_of,
    numbers_of,
    only_keys,
    parse_object,
    text_of,
    texts_of,
)

floats = st.floats(-(2.0**100), 2.0**100, width=32)
shapes = arrays.array_shapes(max_dims=4, max_side=4)


def npy(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, values, **options)
    return file.getvalue()


@given(arrays.arrays(np.float32, shapes, elements=floats))
def test_nested_lists_come_out_as_they_went_in(values):
    np.testing.assert_array_equal(numbers_of(values.tolist(), "x"), values)


@pytest.mark.parametrize(
    "value",
    [
        3, "3", None, {}, [], [[]], [[1], []], [1, [2]], [[1], 2], [True], [1, False], ["1"], [None], [[1, 2], [3]],
        [float("nan")], [float("inf")], [1e39], [10**400], [-(10**39)], [[[[[[1]]]]]],
    ],
)  # fmt: skip
def test_what_is_no_array_of_finite_numbers_is_refused(value):
    with pytest.raises(RequestError, match="`x` must be") as refused:
        numbers_of(value, "x")
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"3", b"{", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1, "a": 2}', b"\xff\xfe{}", b'{"a": 1}x',
        b'{"a":' + b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}", "{}".encode("utf-16"), b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(RequestError) as refused:
        parse_object(text)
    assert refused.value.status == 400


def test_a_json_object_is_read():
    assert parse_object('{"a": [1, 2.5, "é"]}'.encode()) == {"a": [1, 2.5, "é"]}


@given(arrays.arrays(np.float32, shapes, elements=floats))
def test_npy_files_are_those_of_numpy(values):
    np.testing.assert_array_equal(array_of(npy(values), "x"), values)
    np.testing.assert_array_equal(np.load(io.BytesIO(array_bytes(values))), values)
    assert array_bytes(values)[:6] == npy(values)[:6]


def test_npy_files_of_float64_are_read():
    values = np.array([[0.1, 2.0]])
    np.testing.assert_array_equal(array_of(npy(values), "x"), values.astype(np.float32))


def of_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 16


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x93NUMPY", npy(np.ones(4, np.float32))[:-1], npy(np.ones(4, np.float32)) + b"x",
        npy(np.ones((2, 3), np.float32, order="F")), npy(np.ones(3, np.int64)), npy(np.array([True])),
        npy(np.array(["a"])), npy(np.array([{}], dtype=object), allow_pickle=True), npy(np.float32(3)),
        npy(np.ones((0, 3), np.float32)), npy(np.ones(4, np.float32), version=(2, 0)),
        npy(np.ones(4, np.dtype(">f4"))),
        of_header("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }\n"),
        of_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': __import__('os')}\n"),
        of_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }\n"),
    ],
)  # fmt: skip
def test_other_npy_files_are_refused(data):
    with pytest.raises(RequestError) as refused:
        array_of(data, "x")
    assert refused.value.status == 400


def test_npy_files_with_nan_are_refused():
    with pytest.raises(RequestError, match="finite"):
        array_of(npy(np.array([np.nan], np.float32)), "x")


@pytest.mark.parametrize(
    "value", [3, None, "", " ", "a\0b", "a\ud800", "\x1b[31m", "x" * 11, ["a"]]
)
def test_what_is_no_printable_text_is_refused(value):
    with pytest.raises(RequestError, match="printable"):
        text_of(value, "a text", 10)


def test_texts_are_different_and_not_too_many():
    assert texts_of(["a", "b"], "labels", 2) == ["a", "b"]
    for value in (["a", "a"], ["a", "b", "c"], "ab", [1], None):
        with pytest.raises(RequestError):
            texts_of(value, "labels", 2)


def test_an_unknown_key_is_refused_and_not_repeated():
    assert only_keys({"a": 1}, ("a", "b"), "it") == {"a": 1}
    with pytest.raises(RequestError) as refused:
        only_keys({"secret-key": 1}, ("a", "b"), "it")
    assert "secret" not in refused.value.message
    with pytest.raises(RequestError):
        only_keys([], ("a",), "it")
