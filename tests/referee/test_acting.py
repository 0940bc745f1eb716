"""Comparisons of learners that act: those that find out by trial beside those that are told."""

import pytest

from netwright.referee import compare, experiment_of
from netwright.referee.episodes import score
from netwright.referee.plan import make_contestant
from netwright.tasks import Control


def asked():
    return experiment_of(
        {
            "name": "acting",
            "settings": {"pendulum": {"family": {"name": "control"}, "child": {"name": "mlp", "hidden": [4]}}},
            "metric": "success",
            "reference": "joint",
            "learners": {
                "joint": {"kind": "joint"},
                "maml-rl": {"kind": "maml-rl", "rate": 5.0, "trials": 2, "training": {"tasks": 2}},
                "rl2": {"kind": "rl2", "hidden": 4, "objective": {"parts": 2}},
            },
            "seeds": [0],
            "budget": {"steps": 2},
            "training": {"tasks": 3},
            "objective": {"discount": 0.9},
            "test_episodes": 4,
            "validation_episodes": 2,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    found = compare(asked(), tmp_path_factory.mktemp("acting") / "c", isolated=False)
    return {result["learner"]: result for result in found}


def test_steps_of_the_trial_are_counted_beside_the_result(results):
    assert {name: result["status"] for name, result in results.items()} == dict.fromkeys(results, "done")  # fmt: skip
    steps = {name: result["cost"]["trial_steps"] for name, result in results.items()}
    assert steps == {"joint": 0, "maml-rl": 400, "rl2": 0}
    assert results["maml-rl"]["cost"]["train_tasks"] == 4
    assert all(len(result["scores"]["return"]) == 4 for result in results.values())
    assert len({result["fingerprint"] for result in results.values()}) == 1


def test_what_adapts_by_trial_acts_otherwise_than_its_start_and_its_trial_is_of_the_machine(results):  # fmt: skip
    # Of an inner step that does nothing no shuffling could tell.
    own, shuffled = results["maml-rl"]["scores"]["return"], results["maml-rl"]["shuffled"]["return"]
    assert own != shuffled
    assert results["joint"]["scores"]["return"] == results["joint"]["shuffled"]["return"]


def test_a_budget_in_cpu_time_counts_acting_in(tmp_path):
    record = asked().model_dump()
    record["learners"] = {name: record["learners"][name] for name in ("joint",)}
    timed = experiment_of({**record, "budget": {"cpu_minutes": 0.001}})
    found = compare(timed, tmp_path / "c", isolated=False)
    assert [result["status"] for result in found] == ["done"]
    assert all(result["cost"]["train_steps"] >= 1 for result in found)


def test_scores_are_the_same_whenever_they_are_taken():
    learner = make_contestant(asked(), "pendulum", "maml-rl", 0, Control())
    assert score(learner, Control(), 3) == score(learner, Control(), 3)
