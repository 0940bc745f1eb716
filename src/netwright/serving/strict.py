"""JSON and arrays from strangers, taken as they are or not at all.

Nothing is converted unseen: `true` is no number, `"3"` neither, and what is not finite is refused.
"""

import json
from collections.abc import Iterable
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from netwright.serving.problems import RequestError, invalid, malformed, too_large

MOST_AXES = 5
_MAGIC = b"\x93NUMPY\x01\x00"
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object, by the letter: no NaN, no key twice.

    Raises:
        RequestError: 400 if it is none.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique
        )
    # Digits without end are a ValueError too, nesting without end a RecursionError.
    except (ValueError, RecursionError):
        raise malformed("The body is not JSON, expected one object in UTF-8.") from None
    if not isinstance(value, dict):
        raise malformed("The body is another kind of JSON, expected one object.")
    return value


def only_keys(value: Any, known: Iterable[str], name: str) -> dict[str, Any]:
    """An object without other keys than these.

    Raises:
        RequestError: 422 if it is none.
    """
    known = list(known)
    if not isinstance(value, dict) or not value.keys() <= set(known):
        raise invalid(f"`{name}` must be an object with no other keys than {known}.")
    return value


def text_of(value: Any, name: str, most: int) -> str:
    """A text of at most so many characters, none of which is a control character.

    Raises:
        RequestError: 422 if it is none.
    """
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > most
        or not all(c.isprintable() or c in "\n\t" for c in value)
    ):
        raise invalid(f"`{name}` must be a text of 1 to {most:,} printable characters.")
    return value


def texts_of(value: Any, name: str, most: int, each: int = 200) -> list[str]:
    """A list of different texts.

    Raises:
        RequestError: 422 if it is none.
    """
    if not isinstance(value, list) or len(value) > most:
        raise invalid(f"`{name}` must be a list of at most {most:,} texts.")
    texts = [text_of(item, f"{name}[{i}]", each) for i, item in enumerate(value)]
    if len(set(texts)) < len(texts):
        raise invalid(f"`{name}` must be different texts.")
    return texts


def numbers_of(value: Any, name: str) -> np.ndarray:
    """Nested lists of numbers, of one shape, as float32.

    Raises:
        RequestError: 422 if they are ragged, empty, not numbers or not finite in float32.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    while set(map(type, level)) == {list}:
        lengths = set(map(len, level))
        if len(lengths) != 1 or 0 in lengths or len(shape) == MOST_AXES:
            raise invalid(
                f"`{name}` must be lists of one length at each level, none empty, at most {MOST_AXES} deep."
            )
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    if not shape or not set(map(type, level)) <= {int, float}:
        raise invalid(f"`{name}` must be a list of numbers, or lists of them.")
    try:
        values = np.array(level, dtype=np.float64)
    except OverflowError:
        raise _not_finite(name) from None
    return finite(values.reshape(shape), name)


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """Real numbers as float32.

    Raises:
        RequestError: 422 if one is not finite, or too large for float32.
    """
    # NaN fails the comparison too.
    if not (np.abs(values) <= _FLOAT32_MAX).all():
        raise _not_finite(name)
    return np.array(values, dtype=np.float32, order="C")


def array_of(data: bytes, name: str) -> np.ndarray:
    """A `.npy` file of real numbers as float32; its header is checked before anything is allocated.

    Raises:
        RequestError: 400 if it is none, 422 if a number is not finite.
    """
    expected = "expected a .npy file of version 1.0, float32 or float64, in C order"
    if not data.startswith(_MAGIC) or len(data) < 10:
        raise malformed(f"The body is not a .npy file, {expected}.")
    end = 10 + int.from_bytes(data[8:10], "little")
    if end > min(len(data), 1000):
        raise malformed(f"The header of the .npy file is cut, {expected}.")
    shape, dtype = _header_of(data[10:end], expected)
    if len(shape) > MOST_AXES or 0 in shape or prod(shape) * dtype.itemsize != len(data) - end:
        raise malformed(f"The .npy file holds more or less than its header says, {expected}.")
    return finite(np.frombuffer(data, dtype, offset=end).reshape(shape), name)


def array_bytes(values: np.ndarray) -> bytes:
    """float32 numbers as a `.npy` file."""
    header = str({"descr": "<f4", "fortran_order": False, "shape": values.shape})
    padded = header + " " * (-(len(header) + 11) % 64) + "\n"
    values = np.ascontiguousarray(values, dtype="<f4")
    return _MAGIC + len(padded).to_bytes(2, "little") + padded.encode() + values.tobytes()


def check_length(count: int, most: int, what: str) -> None:
    """Refuse more than the server takes.

    Raises:
        RequestError: 413 if there are more.
    """
    if count > most:
        raise too_large(f"There are too many {what}, expected at most {most:,}.")


def _header_of(header: bytes, expected: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype, from the one way in which NumPy writes them."""
    import re

    found = re.fullmatch(
        rb"\{'descr': '(<f4|<f8)', 'fortran_order': False, 'shape': "
        rb"\(((?:\d{1,12},)|(?:\d{1,12}(?:, ?\d{1,12}){1,8},?))\),? ?\} *\n",
        header,
    )
    if found is None:
        raise malformed(f"The header of the .npy file says something else, {expected}.")
    sizes = [int(size) for size in found[2].replace(b" ", b"").strip(b",").split(b",")]
    return tuple(sizes), np.dtype(found[1].decode())


def _no_constant(_: str) -> Any:
    raise ValueError("not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _not_finite(name: str) -> RequestError:
    return invalid(f"`{name}` must be finite numbers that float32 can hold.")
