"""Objectives by name and options: they are part of what decides a run."""

import json
import re

import pytest
import torch

import netwright as nw
from netwright.artifacts import read_artifact, write_artifact
from netwright.conditions import ExampleSet
from netwright.errors import RunError
from netwright.objectives import (
    NAMED,
    OBJECTIVES,
    SUITED,
    AnalyticGradient,
    GaussianLikelihood,
    Imitation,
    Objective,
    PolicyGradient,
    Regression,
    objective_for,
    objective_from_record,
    objective_record,
)
from netwright.objectives.imitation import _identity
from netwright.runs import Run
from netwright.tasks import Control, Sine
from netwright.training import load_writer, make_hypernetwork, plan_run, train_run

OTHER = {
    "updates": 3, "parts": 2, "discount": 0.9, "trace": 0.8, "clip": 0.1, "spread": [0.5, 0.25], "critic": 8,
    "critic_rate": 0.01,
}  # fmt: skip
EXAMPLES = {
    "classification": {},
    "regression": {},
    "gaussian-likelihood": {"noise": 0.3},
    "policy-gradient": OTHER,
    "evolution-strategies": {"pairs": 3, "spread": [0.2, 0.05]},
    "analytic-gradient": {
        "updates": 3,
        "starts": 1,
        "window": 7,
        "discount": 0.9,
        "trace": 0.8,
        "spread": [0.5, 0.25],
        "critic": 8,
        "critic_rate": 0.01,
        "limit": 2.0,
    },
}


@pytest.mark.parametrize("name", [name for name in NAMED if name != "imitation"])
def test_a_record_survives_json_and_makes_the_same_objective(name):
    record = {"name": name, **EXAMPLES[name]}
    made = objective_from_record(json.loads(json.dumps(record)))
    assert type(made) is NAMED[name]
    assert objective_record(made) == record
    assert set(OBJECTIVES.values()) <= set(NAMED.values())


def test_texts_that_are_numbers_count_as_these():
    made = objective_for("actions", {"discount": "0.9", "updates": "3", "spread": ["0.5", "0.25"]})
    assert (made.discount, made.updates, made.spread) == (0.9, 3, (0.5, 0.25))


def test_another_objective_than_the_usual_one_is_asked_for_by_its_name():
    made = objective_for("actions", {"name": "analytic-gradient", "window": "7"})
    assert isinstance(made, AnalyticGradient)
    assert made.window == 7
    assert set(SUITED) == set(OBJECTIVES)
    for kind, names in SUITED.items():
        # What is usual comes first, by its name.
        assert NAMED[names[0]] is OBJECTIVES[kind]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("actions", {"discont": 1}, "`place.discont` is no option of PolicyGradient, expected some of .*Did you mean `discount`"),
        ("values", {"discount": 1}, r"`place.discount` is no option of Regression, expected some of \[\]. Leave it out"),
        ("actions", {"discount": "much"}, "`place.discount` is 'much': input should be a valid number"),
        ("actions", {"parts": 1.5}, "`place.parts` is 1.5: input should be a valid integer"),
        ("actions", {"spread": "0.5"}, "`place.spread` is '0.5': input should be a valid tuple"),
        ("actions", {"name": "analytic", "window": 3}, "`place` names 'analytic', expected one of .* for these tasks. Did you mean `analytic-gradient`"),
        ("values", {"name": "policy-gradient"}, r"`place` names 'policy-gradient', expected one of \['regression', 'gaussian-likelihood'\]"),
        ("actions", {"name": "analytic-gradient", "clip": 3}, "`place.clip` is no option of AnalyticGradient"),
        ("actions", {"discount": 2}, "`place`: discount=2.0, trace=0.95"),
        ("actions", {"critic_rate": 0}, "`place`: clip=0.2, critic=96, critic_rate=0.0, expected more than 0"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused_with_their_place(kind, options, message):
    with pytest.raises(RunError, match=message) as raised:
        objective_for(kind, options, "place")
    assert "\n" not in str(raised.value)


def test_what_a_record_cannot_hold_is_said():
    with pytest.raises(RunError, match="Objective 'Own' is not known, expected one of"):
        objective_from_record({"name": "Own"})
    with pytest.raises(RunError, match="has a teacher, which no record can hold"):
        objective_from_record({"name": "imitation", "teacher": {"digest": "0"}})


class Own(Regression):
    """An objective of a user's."""


def small(family, seed=0):
    child = nw.architectures.mlp(inputs=family.shape.x[0], hidden=(6,), outputs=1)
    return make_hypernetwork(family.shape, seed=seed, child=child, size=8, encoder_channels=8)


SETTINGS = {"tasks": 3, "validation_tasks": 2, "validate_every": 4, "progress": False}


def trained(folder, objective, *, steps=4, resume=False, family=None):
    family = family or Control("pendulum")
    result = nw.train(
        small(family), family, folder=folder, objective=objective, steps=steps, resume=resume, **SETTINGS
    )  # fmt: skip
    return result


@pytest.fixture(scope="module")
def run_with_options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "own"
    return folder, trained(folder, PolicyGradient(**OTHER))


def test_a_run_says_what_it_was_scored_by(run_with_options):
    _, result = run_with_options
    assert result.run.objective == {"name": "policy-gradient", **OTHER}
    assert Run.from_json(result.run.to_json()).digest == result.run.digest
    plain = plan_run(small(Control()), Control(), "cpu", {"steps": 4})
    assert plain.objective["discount"] == 0.98
    other = plan_run(small(Control()), Control(), "cpu", {"steps": 4}, PolicyGradient(trace=0.9))
    assert other.digest != plain.digest


def test_a_run_with_default_options_has_the_identity_that_it_had_before_these_were_recorded():
    for family in (Control(), Sine()):
        run = plan_run(small(family), family, "cpu", {})
        assert run.model_copy(update={"objective": None}).digest == run.digest


def test_a_resumed_run_goes_on_with_what_it_was_started_with(run_with_options):
    folder, first = run_with_options
    again = trained(folder, None, resume=True)
    assert again.run.digest == first.run.digest
    assert again.run.objective == first.run.objective
    with pytest.raises(RunError, match="its objective.discount is 0.9, here it is 0.98"):
        trained(folder, PolicyGradient(**{**OTHER, "discount": 0.98}), resume=True)


def test_a_record_and_an_objective_that_differ_are_refused():
    family = Control()
    run = plan_run(small(family), family, "cpu", {"steps": 1})
    with pytest.raises(RunError, match="not the one of the record: its objective.trace is 0.95, here it is 0.9"):  # fmt: skip
        train_run(run, small(family), family, objective=PolicyGradient(trace=0.9), progress=False)


def test_a_run_from_before_objectives_were_recorded_is_gone_on_with(tmp_path):
    trained(tmp_path / "old", None)
    for path in (tmp_path / "old/checkpoints").glob("step-*"):
        files = read_artifact(path, "checkpoint")
        record = json.loads(files["run.json"])
        del record["objective"]
        write_artifact(path, "checkpoint", {**files, "run.json": json.dumps(record).encode()})
    for objective in (None, PolicyGradient(discount=0.9)):
        assert trained(tmp_path / "old", objective, resume=True).step == 4


def test_an_objective_of_ones_own_is_named_and_has_to_be_given_again(tmp_path):
    family = Sine(shots=5)
    first = trained(tmp_path / "own", Own(), family=family)
    assert first.run.objective == {"name": "Own"}
    with pytest.raises(RunError, match="Objective 'Own' is not known"):
        trained(tmp_path / "own", None, resume=True, family=family)
    assert trained(tmp_path / "own", Own(), resume=True, family=family).step == 4
    likely = trained(None, GaussianLikelihood(0.2), family=family)
    assert likely.run.objective == {"name": "gaussian-likelihood", "noise": 0.2}


def test_a_teacher_is_recorded_by_its_digest_and_where_it_lies(run_with_options, tmp_path):
    folder, _ = run_with_options
    teacher, _ = load_writer(folder)
    first = trained(tmp_path / "taught", Imitation(teacher))
    said = first.run.objective["teacher"]
    assert said["path"] == str(folder)
    assert re.fullmatch("[0-9a-f]{16}", said["digest"])
    # Where it lies is no part of what decides the run.
    teacher.run_folder = "elsewhere"
    assert trained(tmp_path / "taught", Imitation(teacher), resume=True).run.digest == first.run.digest  # fmt: skip
    with torch.no_grad():
        next(teacher.parameters()).add_(0.1)
    with pytest.raises(RunError, match="its objective.teacher is .*, here it is"):
        trained(tmp_path / "taught", Imitation(teacher), resume=True)
    with pytest.raises(RunError, match="has a teacher, which no record can hold"):
        trained(tmp_path / "taught", None, resume=True)


def test_a_teacher_is_known_by_its_weights():
    family = Control()
    assert _identity(small(family)) == _identity(small(family))
    assert _identity(small(family)) != _identity(small(family, seed=1))


def test_an_objective_without_options_says_none():
    class Plain(Objective):
        metric, higher_is_better, metrics = "mse", False, ("mse",)

        def score(self, outputs, query: ExampleSet):
            raise NotImplementedError

    assert objective_record(Plain()) == {"name": "Plain"}
