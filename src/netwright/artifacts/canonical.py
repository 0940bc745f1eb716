"""One JSON text per value, so that equal values have equal digests on every machine.

>>> digest({"b": 1, "a": 2.5}) == digest({"a": 2.5, "b": 1})
True
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from netwright.errors import ArtifactError


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
