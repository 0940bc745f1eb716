"""Experiments as files: what they say, and what is refused with its place."""

import copy

import pytest
import yaml
from referee.comparing import experiment, record

from netwright.architectures import conv, mlp
from netwright.errors import RunError
from netwright.objectives import AnalyticGradient, objective_record
from netwright.referee import experiment_of, read_experiment
from netwright.referee.choices import choices_of, grid_at_use, grid_before
from netwright.referee.compare import check_experiment
from netwright.referee.experiment import LearnerRecord, child_of
from netwright.referee.plan import objective_of, training_settings
from netwright.tasks import Control, TaskShape


def test_an_experiment_survives_its_file(tmp_path):
    first = experiment()
    path = tmp_path / "experiment.yaml"
    path.write_text(first.to_yaml())
    again = read_experiment(path)
    assert again == first
    assert again.hash == first.hash
    assert again.to_yaml() == first.to_yaml()


def test_the_hash_is_of_what_decides_and_not_of_how_it_is_written():
    first = record()
    turned = dict(reversed(list(first.items())))
    assert experiment_of(turned).hash == experiment_of(first).hash
    explicit = {**first, "stopping_rule": "All seeds run to the end of their budget."}
    assert experiment_of(explicit).hash == experiment_of(first).hash
    assert experiment(seeds=[0, 2]).hash != experiment_of(first).hash


def test_options_of_objectives_are_part_of_the_hash_and_none_leave_it_as_it_was():
    first = record()
    plain = experiment_of(first)
    # As it was before there were any.
    assert plain.hash == "f480420534e14a3a"
    assert experiment_of({**first, "objective": {}}).hash == plain.hash
    with_one = experiment_of({**first, "objective": {"discount": 0.99}})
    of_setting = experiment_of(changed("settings/k5/objective", {"discount": 0.99}))
    of_learner = experiment_of(changed("learners/joint/objective", {"discount": 0.99}))
    assert len({e.hash for e in (plain, with_one, of_setting, of_learner)}) == 4


def test_options_of_an_objective_go_from_the_experiment_over_the_setting_to_the_learner():
    family = Control()
    own = {"kind": "joint", "objective": {"discount": 0.7}}
    given = {
        **record(),
        "settings": {"a": {"family": {"name": "control"}, "objective": {"trace": 0.5, "clip": 0.3}}},
        "learners": {"hypernetwork": {"kind": "hypernetwork"}, "joint": own},
        "metric": "success",
        "objective": {"discount": 0.9, "clip": 0.1, "spread": [0.5, 0.2]},
    }  # fmt: skip
    found = objective_of(experiment_of(given), "a", "joint", family)
    assert (found.discount, found.trace, found.clip, found.spread) == (0.7, 0.5, 0.3, (0.5, 0.2))
    assert objective_of(experiment_of(given), "a", "hypernetwork", family).discount == 0.9
    # Options of one objective say nothing to another, which is named as well.
    other = {"name": "analytic-gradient", "window": 7}
    given["learners"]["joint"] = {**own, "objective": other}
    found = objective_of(experiment_of(given), "a", "joint", family)
    assert objective_record(found) == {**objective_record(AnalyticGradient()), "window": 7}
    given["learners"]["joint"] = {**own, "objective": {"discont": 0.7}}
    with pytest.raises(RunError, match="`learners.joint.objective.discont` is no option.*Did you mean `discount`"):  # fmt: skip
        check_experiment(experiment_of(given))


def test_learners_that_an_objective_cannot_teach_are_named_before_anything_is_trained():
    given = {
        **record(),
        "settings": {"a": {"family": {"name": "control"}}},
        "learners": {"hypernetwork": {"kind": "hypernetwork"}, "film": {"kind": "film"}},
        "metric": "success",
        "objective": {"name": "evolution-strategies"},
    }
    with pytest.raises(RunError, match="`learners.film`: [0-9]+ weights of the child are shared"):
        check_experiment(experiment_of(given))
    given["objective"] = {"name": "analytic-gradient"}
    check_experiment(experiment_of(given))
    given["settings"] = {"a": {"family": {"name": "control", "environment": "grid-world"}}}
    with pytest.raises(RunError, match="`learners.hypernetwork`: GridWorld: its actions are keys"):
        check_experiment(experiment_of(given))


def changed(place: str, value: object) -> dict:
    """The small experiment with one value set."""
    found = copy.deepcopy(record())
    *way, last = place.split("/")
    node = found
    for step in way:
        node = node[step]
    node[last] = value
    return found


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("learner", {}, "`learner` of x is not known, expected some of .*Did you mean `learners`"),
        ("budget/step", 3, "`budget.step` of x is not known.*Did you mean `steps`"),
        ("settings/k5/famly", {}, "`settings.k5.famly` of x is not known.*Did you mean `family`"),
        ("settings/k5/family/shotz", 3, "`settings.k5.family`: Task family 'sine' has no option 'shotz'.*Did you mean 'shots'"),
        ("settings/k5/family/name", "sin", "Task family 'sin' is not known.*Did you mean 'sine'"),
        ("settings/k5/family", {"name": "table"}, "`settings.k5.family`: Task family 'table' needs the option"),
        ("settings/k5/child/name", "mpl", "`settings.k5.child.name` is 'mpl', expected one of.*Did you mean `mlp`"),
        ("settings/k5/child/hiden", [3], "`settings.k5.child.hiden` is not known.*Did you mean `hidden`"),
        ("learners/maml/kind", "mamll", "`learners.maml.kind` is 'mamll', expected one of.*Did you mean `maml`"),
        ("learners/maml/stepss", 3, "`learners.maml.stepss` is no option of maml.*Did you mean `steps`"),
        ("learners/maml/grid", {"rat": [1]}, "`learners.maml.grid.rat` is no option of maml.*Did you mean `rate`"),
        ("learners/maml/grid", {"rate": []}, "`learners.maml.grid.rate` is empty, expected values"),
        ("learners/maml/grid", {"steps": [1]}, "`learners.maml.grid.steps` is tried and given at once"),
        ("learners/maml/grid", {"learning_rate": [-1]}, "`learning_rate` of the learners.maml.grid"),
        ("learners/maml/training", {"learning_rat": 1}, "`learners.maml.training.learning_rat` is not known.*Did you mean `learning_rate`"),
        ("training/seed", 3, "`training.seed` is decided by the protocol"),
        ("training/tasks", 0, "`tasks` of the training: input should be greater than 0"),
        ("reference", "hypernet", "`reference` of x is 'hypernet', expected one of the learners.*Did you mean `hypernetwork`"),
        ("seeds", [0, 0], r"`seeds` of x: \[0, 0\]: expected distinct"),
        ("seeds", [], "`seeds` of x: "),
        ("budget", {"steps": 3, "cpu_minutes": 1}, r"`budget` of x: has \['steps', 'cpu_minutes'\], expected exactly one"),
        ("budget", {"patience": 3}, "`budget` of x: needs `most_steps` with `patience`"),
        ("learners", {"../x": {"kind": "joint"}}, "`learners` of x: name '../x': expected letters"),
        ("test_episodes", 1, "`test_episodes` of x: input should be greater than or equal to 2"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(place, value, message):
    with pytest.raises(RunError, match=message):
        experiment_of(changed(place, value), "x")


def test_files_that_are_none_say_so(tmp_path):
    with pytest.raises(RunError, match="cannot be read .*expected an experiment in YAML"):
        read_experiment(tmp_path / "missing.yaml")
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(RunError, match="is not YAML"):
        read_experiment(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("- 3")
    with pytest.raises(RunError, match="holds list, expected keys such as settings"):
        read_experiment(tmp_path / "b.yaml")


def test_a_rate_without_a_dot_is_a_number(tmp_path):
    text = yaml.safe_dump(record()).replace("kind: joint\n", "kind: joint\n    training: {learning_rate: 1e-2}\n", 1)  # fmt: skip
    assert "1e-2" in text
    (tmp_path / "a.yaml").write_text(text)
    assert read_experiment(tmp_path / "a.yaml").learners["joint"].training["learning_rate"] == 0.01


def test_a_child_takes_its_ends_from_the_tasks():
    values = TaskShape((3,), 2, "values")
    assert child_of({"name": "mlp", "hidden": [5]}, values) == mlp(inputs=3, hidden=(5,), outputs=2)
    pictures = TaskShape((1, 28, 28), 4, "exchangeable-classes")
    assert child_of({"name": "conv", "channels": 3}, pictures) == conv(channels=3, classes=4)
    assert child_of(None, values) is None


def test_what_is_given_is_not_tried_and_a_grid_of_ones_own_takes_the_place_of_the_kinds():
    given = LearnerRecord(kind="maml", rate=0.3)
    assert grid_before(given) == {}
    assert set(grid_at_use(given)) == {"steps_at_use"}
    own = LearnerRecord(kind="maml", grid={"steps_at_use": (2,), "learning_rate": (1e-3, 1e-2)})
    assert grid_before(own) == {"learning_rate": (1e-3, 1e-2)}
    assert grid_at_use(own) == {"steps_at_use": (2,)}
    none = LearnerRecord(kind="joint+tune", grid={})
    assert choices_of(grid_at_use(none)) == [{}]


def test_a_learner_trains_as_given_chosen_or_by_default_in_this_order():
    found = experiment(
        learners={
            "hypernetwork": {"kind": "hypernetwork"},
            "maml": {"kind": "maml", "training": {"tasks": 7}, "grid": {"learning_rate": [0.1]}},
        }
    )
    settings = training_settings(found, "maml", 1000, {"learning_rate": 0.1, "rate": 3})
    assert (settings["tasks"], settings["learning_rate"], settings["steps"]) == (7, 0.1, 1000)
    assert settings["validation_tasks"] == found.validation_episodes
    assert "rate" not in settings
    assert training_settings(found, "hypernetwork", 1000)["tasks"] == 4
    # A warm-up never outlasts the training, and there are ten validations.
    assert training_settings(found, "hypernetwork", 50)["warm_up"] == 5
    assert training_settings(found, "hypernetwork", 50)["validate_every"] == 5
