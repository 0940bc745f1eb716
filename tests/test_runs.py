"""Run records: frozen, validated, JSON."""

import json

import pytest

from netwright.errors import RunError
from netwright.rng import derive_seed, stream
from netwright.runs import Run

RUN = Run(family={"name": "sine"}, hypernetwork={"generator": {"name": "dense"}})


def test_a_record_survives_json_and_keeps_its_digest():
    again = Run.from_json(RUN.to_json())
    assert again == RUN
    assert again.digest == RUN.digest


def test_every_field_changes_the_digest():
    for change in ({"threads": 2}, {"device": "cuda"}, {"family": {"name": "glyphs"}}):
        assert RUN.model_copy(update=change).digest != RUN.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, expected at most 1: it was written by a newer netwright"),
        ({"threads": 0}, "`threads` of the run record: input should be greater than 0"),
        ({"device": "tpu"}, "`device` of the run record"),
        ({"module": "os.system"}, r"`module` of the run record.*Known options: family"),
        ({"training": {"steps": -1}}, "`training.steps` of the run record"),
        ({"training": {"learning_rate": "fast"}}, "`training.learning_rate`"),
    ],
)
def test_records_that_do_not_hold_together_are_refused(change, message):
    text = json.dumps({**RUN.model_dump(), **change}).encode()
    with pytest.raises(RunError, match=message):
        Run.from_json(text)


def test_what_is_not_json_is_refused():
    with pytest.raises(RunError, match="is not JSON"):
        Run.from_json(b"\x80pickle")


def test_streams_depend_on_the_seed_and_the_whole_path():
    draws = {
        float(stream(*path).random())
        for path in ((0, "a", 1), (0, "a", 2), (1, "a", 1), (0, "b", 1), (0, "a"), (0, "a/1"))
    }
    # "a/1" and ("a", 1) are one place by construction; all others differ.
    assert len(draws) == 5
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1) < 2**63
