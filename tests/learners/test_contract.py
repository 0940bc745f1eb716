"""What every learner of the catalogue must do, whatever it is."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

import netwright as nw
from netwright.architectures import Architecture
from netwright.errors import ConditionError, RunError
from netwright.learners import writer_from_record
from netwright.learners.base import Learner
from netwright.learners.catalogue import ACTING, LEARNERS, check_options, kind_named, make_learner
from netwright.objectives.memory import begun
from netwright.rng import stream
from netwright.tasks import Control, DigitRules, Glyphs, Sine, TaskFamily

SETTINGS = {"steps": 3, "tasks": 2, "validation_tasks": 2, "warm_up": 0}
SMALL = {"size": 16, "encoder_channels": 16}
# Options that keep a learner small enough for a test.
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "concat": SMALL, "film": SMALL, "hypernetwork": SMALL, "hypernetwork+adapt": SMALL, "hypernetwork-by-reptile": SMALL,
    "scratch": {"steps": 5}, "joint+tune": {"steps": 5}, "nearest-neighbours": {"neighbours": 3},
}  # fmt: skip
SUPERVISED = [name for name in LEARNERS if name not in ("maml-rl", "rl2")]
VALUES = [name for name in SUPERVISED if name not in ("protonet", "r2d2")]
KINDS = {
    "sine": [*VALUES, "sklearn:Ridge", "sklearn:RandomForestRegressor"],
    "glyphs": [*SUPERVISED, "sklearn:LogisticRegression", "sklearn:SVC", "sklearn:RidgeClassifier"],
    "digit-rules": [*VALUES, "sklearn:LogisticRegression"],
    "pendulum": ACTING,
}
CASES = [(family, kind) for family, kinds in KINDS.items() for kind in kinds]
TRAINED = [case for case in CASES if not case[1].startswith(("sklearn", "nearest", "scratch"))]


def family_of(name: str) -> tuple[TaskFamily, Architecture]:
    if name == "sine":
        return Sine(shots=5, queries=4), nw.architectures.mlp(inputs=1, hidden=(6,), outputs=1)
    if name == "glyphs":
        return Glyphs(ways=3, shots=2, queries=2), nw.architectures.conv(channels=2, depth=4, classes=3)  # fmt: skip
    if name == "pendulum":
        return Control("pendulum"), nw.architectures.mlp(inputs=3, hidden=(6,), outputs=1)
    rules = DigitRules(sources=("examples",), shots=4, queries=3)
    return rules, nw.architectures.mlp(inputs=64, hidden=(4,), outputs=2)


@pytest.fixture(scope="module")
def made():
    """Learners by case and seed, trained for a moment; each only once."""
    there: dict[object, Learner] = {}

    def make(family: str, kind: str, seed: int = 0, attempt: int = 0) -> Learner:
        key = (family, kind, seed, attempt)
        if key not in there:
            tasks, child = family_of(family)
            there[key] = make_learner(kind, tasks, child=child, seed=seed, **OPTIONS.get(kind, {}))
            there[key].meta_train(tasks, seed=seed, **SETTINGS)
        return there[key]

    return make


def batch_of(family: str, tasks: int = 3):
    return family_of(family)[0].sample(stream(0, "contract"), tasks, "test")


def told(learner: Learner, family: str):
    """The tasks, with what the learner found out in them by itself, if it does so."""
    return learner.tries(batch_of(family))


@torch.no_grad()
def outputs(learner: Learner, family: str) -> Tensor:
    batch = told(learner, family)
    return begun(learner.adapt(batch.condition))(batch.inputs)


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_adapting_gives_finite_outputs_for_every_query(made, family, kind):
    batch = batch_of(family)
    found = outputs(made(family, kind), family)
    assert found.shape == (*batch.query.y.shape[:2], family_of(family)[0].shape.outputs)
    assert found.isfinite().all()


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_one_task_alone_equals_its_row_among_others(made, family, kind):
    learner = made(family, kind)
    batch, together = told(learner, family), outputs(learner, family)
    for t in range(batch.tasks):
        own = batch.rows(slice(t, t + 1))
        alone = begun(learner.adapt(own.condition))(own.inputs).detach()
        torch.testing.assert_close(alone[0], together[t], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_the_same_seed_gives_the_same_outputs(made, family, kind):
    torch.manual_seed(5)
    again = outputs(made(family, kind, attempt=1), family)
    assert torch.equal(outputs(made(family, kind), family), again)


@pytest.mark.parametrize(("family", "kind"), [case for case in TRAINED if case[0] != "digit-rules"])
def test_another_seed_gives_other_outputs(made, family, kind):
    other = made(family, kind, seed=1)
    assert not torch.equal(outputs(made(family, kind), family), outputs(other, family))


@pytest.mark.parametrize(("family", "kind"), TRAINED)
def test_what_is_said_to_be_trained_is_what_training_changes(made, family, kind):
    tasks, child = family_of(family)
    fresh = make_learner(kind, tasks, child=child, seed=0, **OPTIONS.get(kind, {}))
    before = dict(fresh.writer.named_parameters())
    after = dict(made(family, kind).writer.named_parameters())
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    count = sum(before[name].numel() for name in changed)
    learner = made(family, kind)
    assert learner.cost(told(learner, family).condition).trained_parameters == count


@pytest.mark.parametrize(
    ("family", "kind"), [c for c in CASES if not c[1].startswith(("sklearn", "nearest", "rl2"))]
)
def test_what_is_deployed_is_the_child_as_its_formula_counts_it(made, family, kind):
    learner = made(family, kind)
    cost = learner.cost(told(learner, family).condition)
    assert cost.deployed_parameters == family_of(family)[1].parameters
    assert cost.deployed_bytes == 4 * cost.deployed_parameters


def test_estimators_and_neighbours_deploy_what_they_keep(made):
    batch = batch_of("glyphs")
    ridge = made("sine", "sklearn:Ridge").cost(batch_of("sine").condition)
    # A slope and an intercept.
    assert ridge.deployed_parameters == 2
    kept = made("glyphs", "nearest-neighbours").cost(batch.condition)
    assert kept.deployed_parameters == 6 * (28 * 28 + 1)
    assert kept.deployed_bytes == 6 * (28 * 28 * 4 + 8)
    forest = made("sine", "sklearn:RandomForestRegressor").cost(batch_of("sine").condition)
    few = make_learner("sklearn:RandomForestRegressor", Sine(shots=5), n_estimators=10)
    assert forest.deployed_bytes > 5 * few.cost(batch_of("sine").condition).deployed_bytes
    assert forest.trained_parameters == 0


@pytest.mark.parametrize(("family", "kind"), TRAINED)
def test_a_record_builds_what_was_trained_again(made, family, kind):
    writer = made(family, kind).writer
    again = writer_from_record(writer.record())
    again.load_state_dict(writer.state_dict())
    condition = told(made(family, kind), family).condition
    for name, value in writer(condition).items():
        assert torch.equal(value, again.eval()(condition)[name])


AT_USE = [(f, k) for f, k in CASES if kind_named(k).at_use]


@pytest.mark.parametrize(("family", "kind"), AT_USE)
def test_choices_at_use_are_those_that_each_would_make_alone(made, family, kind):
    learner, batch = made(family, kind), batch_of(family)
    choices = [
        {name: values[i % len(values)] for name, values in kind_named(kind).at_use.items()}
        for i in range(3)
    ]
    before = outputs(learner, family)
    found = [p(batch.query.x).detach() for p in learner.adapt_each(batch.condition, choices)]
    for choice, each in zip(choices, found, strict=True):
        torch.testing.assert_close(each, outputs(learner.chosen(**choice), family), rtol=1e-4, atol=1e-5)  # fmt: skip
    # A forest of another size, more steps or neighbours: at least one choice matters.
    assert any(not torch.equal(found[0], each) for each in found[1:])
    assert torch.equal(outputs(learner, family), before)


def test_untrained_learners_have_nothing_to_train(made):
    for kind in ("scratch", "nearest-neighbours", "sklearn:Ridge"):
        learner = make_learner(kind, Sine(shots=5))
        assert learner.meta_train(Sine(shots=5), **SETTINGS) is None
        assert learner.writer is None


def test_the_joint_classifier_learns_all_training_classes(made):
    tasks, child = family_of("glyphs")
    learner = make_learner("joint", tasks, child=child)
    result = learner.meta_train(tasks, **{**SETTINGS, "steps": 2, "log_every": 1})
    classes = len(tasks.pools["train"].counts)
    # Before it has learned anything, the loss is that of a guess among all of them.
    assert abs(result.log[0]["loss"] - torch.tensor(classes).log().item()) < 1
    batch = learner.training_tasks(tasks).sample(stream(0), 5, "train")
    assert batch.query.x.shape[:2] == (1, 5 * 3 * 4)
    assert batch.query.classes == classes


def test_more_trees_neighbours_and_outputs_are_scikit_learns_own(made):
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    for family, kind in (("glyphs", KNeighborsClassifier), ("sine", KNeighborsRegressor)):
        batch = batch_of(family)
        found = outputs(made(family, "nearest-neighbours"), family)
        x, y = batch.condition.examples.x.flatten(2).numpy(), batch.condition.examples.y.numpy()
        for t in range(batch.tasks):
            model = kind(3).fit(x[t], y[t])
            queries = batch.query.x[t].flatten(1).numpy()
            own = torch.from_numpy(model.predict_proba(queries) if family == "glyphs" else model.predict(queries))  # fmt: skip
            ours = found[t].exp() if family == "glyphs" else found[t]
            torch.testing.assert_close(ours.double(), own.double().view_as(ours), rtol=1e-4, atol=1e-5)  # fmt: skip


def test_a_class_that_is_not_among_the_examples_is_not_predicted():
    x = torch.randn(1, 4, 2)
    one = nw.ExampleSet.of(x, torch.ones(1, 4, dtype=torch.long), classes=3)
    from netwright.learners.estimator import Estimator

    for name in ("LogisticRegression", "SVC"):
        predict = Estimator(name, "fixed-classes").adapt(nw.Condition(one))
        assert predict(x).argmax(-1).unique().tolist() == [1]


def test_wrong_names_and_options_say_the_nearest_right_one():
    sine = Sine(shots=5)
    with pytest.raises(RunError, match="Learner 'mamll' is not known.*Did you mean 'maml'"):
        make_learner("mamll", sine)
    with pytest.raises(RunError, match="`stepz` is no option of maml.*Did you mean `steps`"):
        make_learner("maml", sine, stepz=3)
    with pytest.raises(RunError, match="`emission` is no option of film"):
        make_learner("film", sine, emission="full")
    with pytest.raises(RunError, match="`learners.a.rank` is no option of hypernetwork"):
        check_options("hypernetwork", {"generator": "dense", "rank": 3}, "learners.a.")
    with pytest.raises(RunError, match="scikit-learn has no regressor 'Rigde'.*such as 'Ridge'"):
        make_learner("sklearn:Rigde", sine)
    with pytest.raises(RunError, match="scikit-learn has no regressor 'os.system'"):
        make_learner("sklearn:os.system", sine)
    with pytest.raises(RunError, match="Ridge cannot take these options.*alfa"):
        make_learner("sklearn:Ridge", sine, alfa=1)
    with pytest.raises(RunError, match="`alpha` of Ridge is .*expected a number, a text"):
        make_learner("sklearn:Ridge", sine, alpha={"a": 1})
    with pytest.raises(RunError, match="The tasks have values, expected exchangeable classes"):
        make_learner("protonet", sine)
    with pytest.raises(RunError, match="Emission 'fancy' is not known"):
        make_learner("hypernetwork", sine, emission="fancy")
    with pytest.raises(RunError, match="`neighbours` is 0, expected at least 1"):
        make_learner("nearest-neighbours", sine, neighbours=0)
    with pytest.raises(RunError, match="FineTune has no option 'order'"):
        make_learner("scratch", sine).chosen(order=1)
    with pytest.raises(RunError, match=r"Hypernetwork cannot change \['steps_at_use'\]"):
        make_learner("hypernetwork", sine, **SMALL).chosen(steps_at_use=1)
    with pytest.raises(RunError, match="`steps` is -1|`steps_at_use` is -1"):
        make_learner("maml", sine).chosen(steps_at_use=-1)
    nothing = nw.Condition(context=torch.zeros(1, 1))
    with pytest.raises(ConditionError, match="Ridge needs examples, found none"):
        make_learner("sklearn:Ridge", sine).adapt(nothing)


def test_a_joint_classifier_needs_classes_and_a_pool_of_them():
    from netwright.learners.joint_classes import AllClasses, JointClassifier

    with pytest.raises(RunError, match="The child has no class head, expected one"):
        JointClassifier(nw.architectures.mlp(inputs=1, outputs=1), 3)
    with pytest.raises(RunError, match="Sine has no pool of training classes"):
        AllClasses(Sine())


def test_a_child_without_a_width_says_so():
    from dataclasses import dataclass

    from netwright.learners.catalogue import with_width

    @dataclass(frozen=True)
    class Odd(nw.architectures.Architecture):
        make = walk = parameters = class_head = input_shape = with_classes = None

    with pytest.raises(RunError, match="`width` is 3 and the child is Odd, expected an MLP"):
        with_width(Odd(), 3)
    wide = with_width(nw.architectures.mlp(inputs=1, hidden=(2, 2), outputs=1), 5)
    assert wide.hidden == (5, 5)
