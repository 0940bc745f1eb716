"""Equal values have equal texts; what JSON cannot say is refused with its place."""

import hashlib
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.artifacts import canonical_json, digest
from netwright.errors import ArtifactError

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(plain)
def test_what_was_written_says_the_same(value):
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(value).isascii()


@given(st.dictionaries(st.text(), plain, min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    turned = MappingProxyType(dict(reversed(value.items())))
    assert canonical_json(turned) == canonical_json(value)
    assert digest(turned) == digest(value)


def test_the_digest_is_the_sha256_of_the_text_on_every_machine():
    text = b'{"a": [1, 2.5, null], "b": "\\u00e9"}'
    assert canonical_json({"b": "é", "a": (1, 2.5, None)}) == text
    assert digest({"a": [1, 2.5, None], "b": "é"}) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused_with_their_place(number):
    with pytest.raises(ArtifactError, match=r"`value.rates\[1\]` is .*expected a finite number"):
        canonical_json({"rates": [0.1, number]})


def test_keys_that_would_share_one_text_are_refused():
    with pytest.raises(ArtifactError, match=r"a key of `value.a` is 1 \(int\), expected text"):
        digest({"a": {1: "one", "1": "two"}})


def test_values_that_json_has_no_text_for_are_refused():
    with pytest.raises(ArtifactError, match=r"`value.a` is \{1\} \(set\), expected text, a number"):
        canonical_json({"a": {1}})
