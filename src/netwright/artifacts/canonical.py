"""One JSON text per value, so that equal values have equal digests on every machine.

>>> digest({"b": 1, "a": 2.5}) == digest({"a": 2.5, "b": 1})
True
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from netwright.errors import ArtifactError, NetwrightError


def canonical_json(value: Any) -> bytes:
    """`value` as JSON in ASCII with sorted keys; a tuple is written as a list.

    Args:
        value: Mappings with text as keys, lists, tuples, texts, finite numbers, booleans and None.

    Raises:
        ArtifactError: If there is anything else in it; the message names the place.
    """
    _check(value, "value")
    return json.dumps(_plain(value), sort_keys=True, allow_nan=False).encode()


def digest(value: Any) -> str:
    """The sha256 of `canonical_json(value)`, 64 hexadecimal digits.

    Raises:
        ArtifactError: If the value is none that `canonical_json` takes.
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Reading records that are whole and may yet say anything, having been made by hand: what does not fit is refused.

    Args:
        name: Where they come from, for messages.

    Raises:
        ArtifactError: If anything inside fails in a way that the reader did not mean.
    """
    try:
        yield
    except NetwrightError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        lines = str(error).strip().splitlines() or [""]
        raise ArtifactError(
            f"{name} cannot be understood ({type(error).__name__}: {lines[0][:200]}), expected records that netwright "
            "wrote. Save it again, or use another one."
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _check(value: Any, place: str) -> None:
    """Refuse what JSON has no text for, and what two values would share one text for."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                # JSON would write 1 and "1" alike, and one digest would stand for two records.
                raise _refusal(f"a key of `{place}`", key, "text")
            _check(item, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _refusal(f"`{place}`", value, "a finite number")
    elif not (value is None or isinstance(value, str | int)):
        raise _refusal(
            f"`{place}`", value, "text, a number, true, false, null, a list or a mapping"
        )


def _refusal(place: str, value: Any, expected: str) -> ArtifactError:
    return ArtifactError(
        f"{place} is {value!r} ({type(value).__name__}), expected {expected}. "
        "Only such values can be saved as JSON; convert it first."
    )
