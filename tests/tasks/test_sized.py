"""Tasks that ask for networks of different architectures, from sampling to training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.architectures import Limits, conv_space, mlp_space
from netwright.conditioners import Architecture as ReadsArchitecture
from netwright.conditions import Architectures
from netwright.errors import ConditionError, DataError, RunError
from netwright.hypernetwork import Hypernetwork
from netwright.learners.catalogue import make_learner
from netwright.objectives import OBJECTIVES
from netwright.rng import stream
from netwright.tasks import DataSet, Sine, Sized
from netwright.tasks.base import TaskShape
from netwright.tasks.sizes import by_architecture
from netwright.training import build_family, load_hypernetwork, make_hypernetwork
from netwright.training.step import training_step

SPACE = mlp_space(1, outputs=1, depth=(1, 2), width=(4, 16), activations=("relu", "tanh"))
# An array of 364 TiB by its header, of no byte in truth.
HUGE = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000, 10), }".ljust(117) + b"\n"  # fmt: skip
SINE = {"name": "sine", "shots": 5, "queries": 8}
SETTINGS = {
    "tasks": 6,
    "learning_rate": 3e-3,
    "validate_every": 5,
    "validation_tasks": 8,
    "progress": False,
}


def family(**options):
    return Sized(family=SINE, space=SPACE, **{"each": 2, "pool": 8, **options})


def test_every_so_many_tasks_ask_for_an_architecture_of_their_split():
    own = family()
    for split in ("train", "validation", "test"):
        wanted = own.sample(stream(0, split), 6, split).condition.architecture.values
        assert wanted[0] == wanted[1]
        assert wanted[2] == wanted[3]
        assert wanted[4] == wanted[5]
        assert {SPACE.split_of(each) for each in wanted} == {split}


def test_the_pool_is_all_that_training_sees():
    own = family(pool=3)
    seen = {
        each
        for s in range(20)
        for each in own.sample(stream(0, s), 6, "train").condition.architecture.values
    }
    assert len(seen) <= 3
    endless = family(pool=0)
    seen = {
        each
        for s in range(20)
        for each in endless.sample(stream(0, s), 6, "train").condition.architecture.values
    }
    assert len(seen) > 20


def test_tasks_are_those_of_the_family():
    plain = Sine(shots=5, queries=8).sample(stream(0, "x"), 4, "train")
    batch = family().sample(stream(0, "x"), 4, "train")
    assert torch.equal(plain.query.x, batch.query.x)
    assert torch.equal(plain.condition.examples.x, batch.condition.examples.x)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"each": 0}, "`each` is 0"),
        ({"pool": -1}, "`pool` is -1"),
        ({"even": 1.5}, "`even` is 1.5"),
        ({"ends": True, "pool": 0}, "expected at least 2"),
        ({"family": {"name": "sines"}}, "'sines' is not known"),
        ({"family": {"name": "sized"}}, "'sized' is not known"),
        ({"space": mlp_space(3, outputs=1)}, r"read inputs of \(3,\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        Sized(**{"family": SINE, "space": SPACE, **options})


def test_the_smallest_and_the_largest_are_in_every_step():
    own = family(ends=True, pool=30)
    pool = {
        a for n in range(40) for a in family(pool=30).sample(stream(n, "x"), 8, "train").condition.architecture.values
    }  # fmt: skip
    sizes = {a.parameters for a in pool}
    for n in range(4):
        found = own.sample(stream(n, "x"), 8, "train").condition.architecture.values
        assert {min(sizes), max(sizes)} <= {a.parameters for a in found}
        assert len(set(found)) > 2
    # What is chosen and reported on is drawn as ever.
    plain = family(pool=30).sample(stream(0, "x"), 8, "test").condition.architecture.values
    assert own.sample(stream(0, "x"), 8, "test").condition.architecture.values == plain


def test_a_share_of_the_pool_has_layers_that_are_alike():
    space = mlp_space(1, outputs=1, depth=(2, 3), width=(2, 60))

    def alike(share):
        own = Sized(family=SINE, space=space, pool=40, even=share)
        assert Sized(**own.record()).record() == own.record()
        return sum(len(set(a.hidden)) == 1 for a in own._pool)

    assert alike(0.0) <= 10
    assert 30 <= alike(0.75) <= 40
    assert alike(1.0) == 40


@pytest.mark.parametrize("pool", [0, 30])
def test_no_network_costs_more_than_is_allowed(pool):
    def costs(**options):
        own = family(pool=pool, **options)
        assert Sized(**own.record()).record() == own.record()
        return [
            a.cost.bytes
            for split in ("train", "validation", "test")
            for n in range(6)
            for a in own.sample(stream(n, split), 8, split).condition.architecture.values
        ]

    most = int(np.median(costs()))
    assert max(costs(most={"bytes": most})) <= most
    assert max(costs(most=Limits(bytes=most))) <= most
    with pytest.raises(RunError, match="has at most 4 bytes: the smallest has"):
        family(pool=pool, most=Limits(bytes=4)).sample(stream(0, "x"), 2, "train")


def test_parts_of_a_batch_cover_it():
    own = family()
    hypernetwork = make_hypernetwork(own.shape, seed=0, child=SPACE.smallest())
    batch = own.sample(stream(0, "x"), 6, "train")
    places = []
    for writer, part, place in by_architecture(hypernetwork, batch):
        assert {writer.child.architecture} == set(part.condition.architecture.values)
        assert torch.equal(part.query.x, batch.query.x[place])
        places += place.tolist()
    assert sorted(places) == list(range(6))


def test_only_hypernetworks_write_several_architectures():
    plain = Sine(shots=5, queries=8)
    joint = make_learner("joint", plain, seed=0).writer
    batch = family().sample(stream(0, "x"), 4, "train")
    with pytest.raises(ConditionError, match="expected a hypernetwork"):
        list(by_architecture(joint, batch))


def values():
    """Tasks with values, a hypernetwork for them, six tasks of several architectures."""
    own = family()
    return own, make_hypernetwork(own.shape, seed=0, child=SPACE.smallest())


def classes():
    """The same with classes, whose rows are made of features of the child and of what was read."""
    space = conv_space((1, 28, 28), classes=3, depth=(2, 2), channels=(4, 6), kernels=(3,))
    glyphs = {"name": "glyphs", "ways": 3, "shots": 1, "queries": 2}
    own = Sized(family=glyphs, space=space, each=2, pool=8)
    child, head = own.space.smallest(), {"head": "anchored", "anchor": "relative-prototype"}
    return own, make_hypernetwork(own.shape, seed=0, child=child, encoder_channels=8, **head)


def gradients(hypernetwork, batch, kind="values"):
    """Of a step without clipping, whose update leaves the weights as they are."""
    still = torch.optim.SGD(hypernetwork.parameters(), lr=0.0)
    result = training_step(hypernetwork, OBJECTIVES[kind](), still, batch, clip=float("inf"))
    return result, {
        n: p.grad.clone() for n, p in hypernetwork.named_parameters() if p.grad is not None
    }


def same(a, b, kind):
    """Sums in another order; with classes, of parts far larger than what they add up to."""
    bounds = {"rtol": 1e-4, "atol": 1e-6}
    if kind != "values":
        bounds = {"rtol": 1e-3, "atol": 1e-6 + 1e-4 * float(b.abs().max())}
    torch.testing.assert_close(a, b, **bounds)


@pytest.fixture
def double():
    """Sums of parts far larger than what they add up to, to the last digits."""
    usual = torch.get_default_dtype()
    yield lambda: torch.set_default_dtype(torch.float64)
    torch.set_default_dtype(usual)


@pytest.mark.parametrize("make", [values, classes])
def test_the_gradient_of_a_mixed_batch_is_the_mean_of_those_of_its_parts(make, double):
    own, hypernetwork = make()
    kind = own.shape.kind
    batch = own.sample(stream(0, "x"), 6, "train").to(torch.float64)
    # In training, tasks of a step are read by statistics of all of them.
    hypernetwork.double().eval()
    double()
    assert len(batch.condition.architecture.groups()) > 1
    hypernetwork.conditioner.dropout = 0.0
    whole_result, whole = gradients(hypernetwork, batch, kind)
    losses, sums = [], {}
    for t in range(6):
        part = batch.rows(slice(t, t + 1))
        writer = hypernetwork.for_architecture(part.condition.architecture.values[0])
        score = OBJECTIVES[kind]()(writer.child, writer(part.condition), part)
        hypernetwork.zero_grad()
        score.loss.sum().backward()
        losses.append(float(score.loss.detach()))
        for name, parameter in hypernetwork.named_parameters():
            if parameter.grad is not None:
                sums[name] = sums.get(name, 0) + parameter.grad / 6
    assert whole_result.loss == pytest.approx(sum(losses) / 6, rel=1e-12)
    assert whole.keys() == sums.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, sums[name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("make", [values, classes])
def test_a_task_whose_loss_is_not_finite_is_left_out_and_the_others_count(make):
    own, hypernetwork = make()
    kind = own.shape.kind
    hypernetwork.eval()
    hypernetwork.conditioner.dropout = 0.0
    batch = own.sample(stream(0, "x"), 6, "train")
    (batch.query.y if kind == "values" else batch.query.x)[3] = float("inf")
    result, found = gradients(hypernetwork, batch, kind)
    assert result.left_out == 1
    assert all(g.isfinite().all() for g in found.values())
    keep = torch.tensor([0, 1, 2, 4, 5])
    _, without = gradients(hypernetwork, batch.rows(keep), kind)
    for name, gradient in found.items():
        same(gradient, without[name], kind)


def test_a_task_whose_support_is_not_finite_does_not_spoil_how_others_are_read():
    own, hypernetwork = classes()
    batch = own.sample(stream(0, "x"), 6, "train")
    batch.condition.examples.x[3] = float("nan")
    result, found = gradients(hypernetwork, batch, own.shape.kind)
    assert result.left_out == 1
    assert all(g.isfinite().all() for g in found.values())
    assert all(
        value.isfinite().all()
        for value in hypernetwork.state_dict().values()
        if value.is_floating_point()
    )


def test_training_stopped_and_resumed_ends_in_the_same_bits(tmp_path):
    own = family()

    class Stops(Sized):
        drawn = 0

        def sample(self, rng, tasks, split):
            Stops.drawn += split == "train"
            if Stops.drawn > 7:
                raise KeyboardInterrupt
            return super().sample(rng, tasks, split)

    whole = make_hypernetwork(own.shape, seed=0, child=SPACE.smallest())
    nw.train(whole, own, steps=10, checkpoint_every=3, **SETTINGS)
    stopped = make_hypernetwork(own.shape, seed=0, child=SPACE.smallest())
    stops = Stops(family=SINE, space=SPACE, each=2, pool=8)
    import netwright.tasks as tasks

    saved = tasks.FAMILIES["sized"]
    tasks.FAMILIES["sized"] = Stops
    try:
        with pytest.raises(KeyboardInterrupt):
            nw.train(stopped, stops, folder=tmp_path, steps=10, checkpoint_every=3, **SETTINGS)
    finally:
        tasks.FAMILIES["sized"] = saved
    resumed = make_hypernetwork(own.shape, seed=0, child=SPACE.smallest())
    nw.train(resumed, own, folder=tmp_path, resume=True, steps=10, checkpoint_every=3, **SETTINGS)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    loaded, run = load_hypernetwork(tmp_path)
    assert run.family["space"] == SPACE.record()
    condition = own.sample(stream(0, "y"), 1, "test").condition
    x = torch.randn(5, 1)
    torch.testing.assert_close(loaded.generate(condition)(x), whole.generate(condition)(x))


def test_one_hypernetwork_learns_to_write_networks_of_sizes_that_it_never_saw():
    space = mlp_space(64, outputs=10, depth=(1, 2), width=(8, 32), activations=("relu", "tanh"))
    own = Sized(family={"name": "data-set"}, space=space, pool=20)
    hypernetwork = make_hypernetwork(own.shape, seed=0, child=space.smallest())
    before = nw.evaluate(hypernetwork, own, tasks=10).metrics["accuracy"].value
    nw.train(
        hypernetwork,
        own,
        steps=150,
        warm_up=10,
        **{**SETTINGS, "tasks": 8, "validate_every": 150, "learning_rate": 5e-3},
    )
    after = nw.evaluate(hypernetwork, own, tasks=10).metrics["accuracy"].value
    assert before < 0.3
    assert after > 0.6


def test_convolutional_networks_of_fixed_classes_begin_as_suits_them_unless_asked_otherwise():
    shape = TaskShape((1, 8, 8), 10, "fixed-classes", sources=("architecture",))
    child = conv_space((1, 8, 8), outputs=10).smallest()
    own = make_hypernetwork(shape, seed=0, child=child)
    assert (own.conditioner.size, own.generator.identity, own.generator.mixtures) == (128, 1.0, 48)
    asked = make_hypernetwork(shape, seed=0, child=child, size=16, identity=0.0)
    assert (asked.conditioner.size, asked.generator.identity) == (16, 0.0)
    assert asked.generator.mixtures == 48
    named = make_hypernetwork(shape, seed=0, child=child, generator="graph")
    assert named.generator.identity == 0.0
    table = TaskShape((8,), 10, "fixed-classes", sources=("architecture",))
    plain = make_hypernetwork(table, seed=0, child=mlp_space(8, outputs=10).smallest())
    assert (plain.conditioner.size, plain.generator.identity) == (64, 0.0)


def test_beside_examples_the_generator_alone_reads_what_is_asked_for():
    own = family()
    hypernetwork = make_hypernetwork(own.shape, seed=0, child=SPACE.smallest())
    first, second = (part for part in hypernetwork.record()["conditioner"])
    assert (first["name"], second) == ("examples", {"name": "architecture", "size": 64, "depth": 0})
    assert hypernetwork.record()["condition_dropout"] == 0
    condition = own.sample(stream(0, "x"), 2, "test").condition
    whole = hypernetwork.conditioner(condition)
    alone = hypernetwork.conditioner(replace(condition, architecture=None))
    assert torch.equal(whole.z, alone.z)
    assert torch.equal(whole.tokens, alone.tokens)
    assert Hypernetwork.from_record(hypernetwork.record()).record() == hypernetwork.record()
    named = make_hypernetwork(own.shape, seed=0, child=SPACE.smallest(), generator="slots")
    assert named.record()["conditioner"][1]["depth"] == 2
    assert named.record()["condition_dropout"] == 0.25
    with pytest.raises(RunError, match="`depth` is -1"):
        ReadsArchitecture(depth=-1)


def test_slots_learn_to_write_networks_of_widths_that_they_never_saw():
    space = mlp_space(64, outputs=10, depth=(2, 2), width=(8, 32), activations=("relu",))
    own = Sized(family={"name": "data-set"}, space=space, pool=20)
    hypernetwork = make_hypernetwork(
        own.shape, seed=0, child=space.smallest(), generator="slots", start="written"
    )
    before = nw.evaluate(hypernetwork, own, tasks=10).metrics["accuracy"].value
    nw.train(
        hypernetwork,
        own,
        steps=60,
        warm_up=10,
        **{**SETTINGS, "tasks": 4, "validate_every": 60, "learning_rate": 5e-3},
    )
    assert before < 0.3
    assert nw.evaluate(hypernetwork, own, tasks=10).metrics["accuracy"].value > 0.6


def test_a_data_set_gives_validation_and_test_the_same_rows_for_every_network():
    own = DataSet()
    a, b = (own.sample(stream(s, "x"), 2, "test").query for s in (0, 1))
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.x[0], a.x[1])
    assert a.x.shape[1] == len(own.rows["test"])
    assert len(DataSet(most=50).sample(stream(0, "x"), 1, "test").query.x[0]) == 50


def test_fashion_mnist_is_read_from_its_files(shared_data):
    own = DataSet("fashion-mnist", most=100, data_root=shared_data)
    assert [len(own.rows[split]) for split in ("train", "validation", "test")] == [
        12_000,
        3_000,
        10_000,
    ]
    assert own.shape.x == (1, 28, 28)
    batch = own.sample(stream(0, "x"), 2, "train")
    assert batch.query.x.shape == (2, 64, 1, 28, 28)
    assert abs(float(own.x.mean())) < 0.1
    assert abs(float(own.x.std()) - 1) < 0.1


def test_soft_labels_are_asked_for_in_training_alone(tmp_path):
    plain = DataSet()
    rows = plain.rows["train"]
    soft = np.random.default_rng(0).dirichlet(np.ones(10), size=len(rows)).astype(np.float32)
    np.save(tmp_path / "soft.npy", soft)
    own = DataSet(soft_labels=tmp_path / "soft.npy")
    hard, taught = (each.sample(stream(0, "x"), 2, "train").query for each in (plain, own))
    assert taught.y.shape == (2, 64, 10)
    number = {tuple(x.tolist()): i for i, x in enumerate(plain.x[rows])}
    quiet = DataSet(noise=0.0, soft_labels=tmp_path / "soft.npy")
    query = quiet.sample(stream(0, "x"), 1, "train").query
    of_rows = [number[tuple(x.tolist())] for x in query.x[0]]
    assert np.array_equal(query.y[0].numpy(), soft[of_rows])
    assert not hard.y.is_floating_point()
    for split in ("validation", "test"):
        same = [each.sample(stream(0, "x"), 1, split).query.y for each in (plain, own)]
        assert torch.equal(*same)
    assert build_family({"name": "data-set", **own.record()}).record() == own.record()
    assert "soft_labels" not in plain.record()


def test_a_hypernetwork_learns_from_soft_labels(tmp_path):
    plain = DataSet()
    y = plain.y[plain.rows["train"]]
    np.save(tmp_path / "soft.npy", (0.9 * torch.eye(10)[y] + 0.01).numpy())
    space = mlp_space(64, outputs=10, depth=(1, 2), width=(16, 32))
    taught = {"name": "data-set", "soft_labels": str(tmp_path / "soft.npy")}
    own = Sized(family=taught, space=space, pool=20)
    hypernetwork = make_hypernetwork(own.shape, seed=0, child=space.smallest())
    done = nw.train(hypernetwork, own, steps=60, warm_up=10, **{**SETTINGS, "tasks": 4, "validate_every": 60, "learning_rate": 5e-3})  # fmt: skip
    assert done.best_value > 0.6


def test_a_run_goes_on_with_the_soft_labels_that_it_began_with(tmp_path):
    path = tmp_path / "soft.npy"
    np.save(path, np.full((1079, 10), 0.1, np.float32))
    record = DataSet(soft_labels=path).record()
    assert build_family({"name": "data-set", **record}).record() == record
    np.save(path, np.eye(10, dtype=np.float32)[np.zeros(1079, int)])
    with pytest.raises(DataError, match="have sha256 .*, expected .* as recorded. Put back"):
        build_family({"name": "data-set", **record})
    assert DataSet(soft_labels=path).record() != record
    with pytest.raises(DataError, match="expected both or neither"):
        DataSet(soft_labels_sha256=record["soft_labels_sha256"])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (np.zeros((5, 10), np.float32), r"hold float32 \[5, 10\], expected probabilities"),
        (np.full((1078, 10), 0.1, np.float32), "hold float32"),
        (np.full((1079, 10), 0.2, np.float32), "no probabilities"),
        (np.full((1079, 10), np.nan, np.float32), "no probabilities"),
        (np.tile(np.float32([-1, 2, *[0] * 8]), (1079, 1)), "no probabilities"),
        (np.ones((1079, 10), np.int64), "hold int64"),
        (None, "cannot be read"),
        (b"", "cannot be read"),
        (b"PK\x03\x04junk", "cannot be read"),
        (HUGE, "cannot be read"),
        (np.array([{}], dtype=object), "cannot be read"),
    ],
)
def test_soft_labels_that_do_not_fit_are_said(tmp_path, made, said):
    if isinstance(made, bytes):
        (tmp_path / "soft.npy").write_bytes(made)
    elif made is not None:
        np.save(tmp_path / "soft.npy", made)
    with pytest.raises(DataError, match=said):
        DataSet(soft_labels=tmp_path / "soft.npy")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": "digit"}, "'digit' is not known"),
        ({"queries": 0}, "`queries` is 0"),
        ({"most": 0}, "`most` is 0"),
    ],
)
def test_options_of_a_data_set_are_checked(options, said):
    with pytest.raises(DataError, match=said):
        DataSet(**options)


def test_fashion_mnist_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="Fashion-MNIST was not found"):
        DataSet("fashion-mnist", data_root=tmp_path)


def test_architectures_are_told_apart_by_rows():
    wanted = Architectures([SPACE.smallest(), SPACE.smallest()])
    assert wanted.rows(torch.tensor([False, True])).tasks == 1
