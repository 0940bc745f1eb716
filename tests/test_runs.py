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


def test_a_setting_that_came_later_leaves_the_identity_of_earlier_runs_alone():
    # Recorded before there was `kl_weight`.
    assert RUN.digest == "a1996e74c152375f"
    changed = {"training": {"steps": 7, "recompute": True}}
    assert Run(**{**RUN.model_dump(), **changed}).digest == "a137cb6d172d309a"
    weighted = Run(**{**RUN.model_dump(), "training": {"kl_weight": 0.5}})
    assert weighted.digest != RUN.digest
    assert Run.from_json(weighted.to_json()) == weighted


def test_a_record_from_before_a_setting_is_read():
    record = RUN.model_dump()
    del record["training"]["kl_weight"]
    assert Run.from_json(json.dumps(record).encode()).digest == RUN.digest
