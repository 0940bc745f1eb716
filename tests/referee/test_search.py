"""A search of options: honest, resumable, never on test tasks."""

import pytest
from referee.comparing import FAMILY, experiment
from referee.test_compare import Watched

from netwright.errors import RunError
from netwright.referee.experiment import LearnerRecord
from netwright.referee.search import (
    Range,
    default_space,
    parse_range,
    search_in,
    seek,
    with_options,
)
from netwright.tasks import FAMILIES

SPACE = {"learning_rate": Range(low=1e-4, high=1e-1, is_log=True), "size": Range(values=(8, 16))}


def asked(**changes):
    learner = {"kind": "hypernetwork", "encoder_channels": 16}
    return experiment(
        learners={"hypernetwork": learner}, seeds=[0], budget={"steps": 2}, validation_episodes=4, **changes
    )  # fmt: skip


class Stop(KeyboardInterrupt):
    """Ends a search in the middle, as a kill would."""


def test_a_search_that_was_cut_proposes_what_it_would_have_proposed(tmp_path, monkeypatch):
    whole = seek(asked(), tmp_path / "whole", space=SPACE, trials=13)
    assert len(whole.trials) == 13
    from netwright.referee import search

    real, left = search.try_out, [3, 5]

    def cut(*arguments):
        left[0] -= 1
        if left[0] == 0:
            left.pop(0)
            raise Stop
        return real(*arguments)

    monkeypatch.setattr(search, "try_out", cut)
    for _ in range(2):
        with pytest.raises(Stop):
            seek(asked(), tmp_path / "cut", space=SPACE, trials=13)
    monkeypatch.setattr(search, "try_out", real)
    resumed = seek(asked(), tmp_path / "cut", space=SPACE, trials=13)
    assert resumed == whole
    # More of the same go on from there.
    more = seek(asked(), tmp_path / "cut", space=SPACE, trials=14)
    assert more.trials[:13] == whole.trials
    assert more.validation == min(line["validation"] for line in more.trials)


def test_a_search_never_draws_a_test_task(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "watched", Watched)
    Watched.asked = []
    settings = {"k5": {"family": {**FAMILY, "name": "watched"}}}
    seek(asked(settings=settings), tmp_path, space=SPACE, trials=1)
    assert set(Watched.asked) == {"train", "validation"}


def test_a_trial_without_a_score_is_kept_and_never_the_best(tmp_path):
    space = {"learning_rate": Range(values=(1e-3, 1e30)), "warm_up": Range(values=(0,))}
    joint = asked().model_copy(update={"learners": {"joint": LearnerRecord(kind="joint")}})
    joint = joint.model_copy(update={"budget": joint.budget.model_copy(update={"steps": 12})})
    found = seek(joint, tmp_path, space=space, trials=8)
    lost = [line for line in found.trials if line["validation"] is None]
    assert lost
    assert {line["learning_rate"] for line in lost} == {1e30}
    assert found.best["learning_rate"] == 1e-3
    with pytest.raises(RunError, match="None of 2 trials came to a finite score"):
        seek(
            joint, tmp_path / "b", space={**space, "learning_rate": Range(values=(1e30,))}, trials=2
        )


def test_what_is_sought_by_default_is_what_is_not_given():
    hypernetwork = LearnerRecord(kind="hypernetwork")
    assert set(default_space(hypernetwork)) == {"learning_rate", "size"}
    given = LearnerRecord(kind="maml", training={"learning_rate": 1e-3})
    assert default_space(given) == {"rate": Range(low=0.01, high=0.3, is_log=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size=32,64", ("size", Range(values=(32, 64)))),
        ("generator=dense,slots", ("generator", Range(values=("dense", "slots")))),
        ("rate=0.01:0.3", ("rate", Range(low=0.01, high=0.3))),
        ("learning_rate=1e-4:1e-2:log", ("learning_rate", Range(low=1e-4, high=1e-2, is_log=True))),
    ],
)
def test_ranges_are_read(text, expected):
    assert parse_range(text) == expected


def test_between_whole_numbers_whole_numbers_are_sought(tmp_path):
    name, each = parse_range("tasks=1:3")
    found = seek(asked(), tmp_path, space={name: each}, trials=2)
    assert all(isinstance(line["tasks"], int) and 1 <= line["tasks"] <= 3 for line in found.trials)


def test_what_was_found_is_a_learner_of_an_experiment():
    maml = LearnerRecord(kind="maml", training={"tasks": 3})
    found = with_options(maml, {"rate": 0.1, "learning_rate": 0.01})
    assert found == {"kind": "maml", "rate": 0.1, "training": {"tasks": 3, "learning_rate": 0.01}}
    assert experiment(learners={"hypernetwork": found}).learners["hypernetwork"].options == {
        "rate": 0.1
    }


def test_what_makes_no_search_is_refused(tmp_path):
    for text in ("size", "=3", "a=1:2:lin", "a=x:y", "a="):
        with pytest.raises(RunError, match="`--search` is"):
            parse_range(text)
    with pytest.raises(RunError, match="The range is 2 to 1, expected low before high"):
        Range(low=2, high=1)
    with pytest.raises(RunError, match="above 0 for orders of magnitude"):
        parse_range("a=0:1:log")
    with pytest.raises(
        RunError, match="`space.siz` is no option of hypernetwork.*Did you mean `size`"
    ):
        seek(asked(), tmp_path, space={"siz": Range(values=(1,))}, trials=1)
    with pytest.raises(RunError, match="A search is of one learner in one setting"):
        seek(experiment(), tmp_path, space=SPACE, trials=1)
    long = asked().model_copy(update={"budget": asked().budget.model_validate({"cpu_minutes": 1})})
    with pytest.raises(RunError, match="A search needs a budget in steps"):
        seek(long, tmp_path, space=SPACE, trials=1)
    with pytest.raises(RunError, match="holds no search, expected a folder"):
        search_in(tmp_path / "none")
    seek(asked(), tmp_path / "a", space=SPACE, trials=1)
    with pytest.raises(RunError, match="holds another search, expected a new folder"):
        seek(asked(), tmp_path / "a", space=SPACE, trials=1, seed=1)
    assert search_in(tmp_path / "a") == (asked(), SPACE, 0)
