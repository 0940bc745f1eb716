"""Support sets as users have them: rows without label, rows that are sequences, thousands of rows."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from making import SIZE, make_picture_condition, perturb
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import netwright as nw
from netwright.attention import InducedSetBlock
from netwright.conditioners import Examples, encoders
from netwright.conditioners.standardise import Standardise
from netwright.errors import ConditionError, RunError, ShapeError
from netwright.training import default_child, default_conditioner
from netwright.training.checkpoints import Checkpoints
from netwright.training.step import training_step

LABELS = ("exchangeable-classes", "fixed-classes", "values")
SHAPES = {"vectors": (3,), "sequences": (None, 2), "pictures": (1, 8, 8)}


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def make_reader(labels, rng, *, x=(3,), **options):
    outputs = None if labels == "exchangeable-classes" else 3
    reader = Examples(x, size=SIZE, outputs=outputs, labels=labels, channels=8, **options)
    perturb(reader, rng)
    return reader


def make_set(labels, rng, *, kind="vectors", count=9, tasks=2, unlabelled=3):
    """Of each class as many, the last rows without label."""
    shape = {"vectors": (3,), "sequences": (11, 2), "pictures": (1, 8, 8)}[kind]
    x = torch.randn(tasks, count, *shape, generator=rng)
    y = torch.arange(count).expand(tasks, -1) % 3
    if labels == "values":
        y = torch.randn(tasks, count, 3, generator=rng)
    labelled = (torch.arange(count) < count - unlabelled).expand(tasks, -1) if unlabelled else None
    return nw.ExampleSet.of(x, y, classes=None if labels == "values" else 3, labelled=labelled)


def read(reader, examples):
    return reader(nw.Condition(examples))


def assert_same(a, b, **tolerance):
    tolerance = tolerance or {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(a.z, b.z, **tolerance)
    if a.classes is not None:
        torch.testing.assert_close(a.classes, b.classes, **tolerance)


@pytest.mark.parametrize("inducing", [0, 5])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("labels", LABELS)
def test_order_and_padding_carry_nothing(labels, kind, inducing, rng):
    reader = make_reader(labels, rng, x=SHAPES[kind], unlabelled=True, inducing=inducing)
    examples = make_set(labels, rng, kind=kind)
    order = torch.randperm(9, generator=rng)
    padding = 4
    junk_x = torch.full((2, padding, *examples.x.shape[2:]), float("nan"))
    junk_y = torch.full((2, padding, *examples.y.shape[2:]), -7, dtype=examples.y.dtype)
    padded = nw.ExampleSet(
        torch.cat([examples.x[:, order], junk_x], 1),
        torch.cat([examples.y[:, order], junk_y], 1),
        (torch.arange(9 + padding) < 9).expand(2, -1),
        examples.classes,
        torch.cat([examples.labelled[:, order], torch.arange(padding).expand(2, -1) % 2 == 0], 1),
    )
    assert_same(read(reader, padded), read(reader, examples))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("labels", LABELS)
def test_whatever_stands_beside_an_unlabelled_row_reaches_nothing(labels, kind, rng):
    reader = make_reader(labels, rng, x=SHAPES[kind], unlabelled=True)
    examples = make_set(labels, rng, kind=kind)
    expected = read(reader, examples)
    junk = float("nan") if labels == "values" else 99
    examples = replace(
        examples,
        y=examples.y.masked_fill(
            ~examples.labelled.reshape(2, 9, *[1] * (examples.y.dim() - 2)), junk
        ),
    )
    found = read(reader, examples)
    assert_same(found, expected, rtol=0, atol=0)
    found.tokens.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in reader.parameters())


@pytest.mark.parametrize("inducing", [0, 5])
@pytest.mark.parametrize("labels", LABELS)
def test_rows_without_label_are_read(labels, inducing, rng):
    reader = make_reader(labels, rng, unlabelled=True, inducing=inducing)
    examples = make_set(labels, rng)
    moved = examples.x.clone()
    moved[:, -1] += 1
    a, b = read(reader, examples), read(reader, replace(examples, x=moved))
    assert not torch.allclose(a.z, b.z, atol=1e-3)
    if a.classes is not None:
        assert a.classes.shape == (2, 3, SIZE)
        # The global token is one of classes: many rows without label do not drown them.
        torch.testing.assert_close(a.z, a.classes.mean(dim=1))
        assert ((a.classes - b.classes).abs().amax(-1) > 1e-4).all()


@pytest.mark.parametrize("labels", LABELS)
def test_a_set_that_is_wholly_labelled_is_read_as_one_that_does_not_say_so(labels, rng):
    reader = make_reader(labels, rng, unlabelled=True)
    examples = make_set(labels, rng, unlabelled=0)
    said = replace(examples, labelled=torch.ones_like(examples.mask))
    assert_same(read(reader, said), read(reader, examples))
    if labels != "exchangeable-classes":
        # A zero that is known is something else than one that stands for what is not.
        zero = replace(examples, y=torch.zeros_like(examples.y))
        nothing = replace(zero, labelled=torch.zeros_like(examples.mask))
        assert not torch.allclose(read(reader, zero).z, read(reader, nothing).z, atol=1e-3)


@pytest.mark.parametrize("inducing", [0, 5])
def test_permuting_labels_permutes_class_tokens_beside_unlabelled_rows(inducing, rng):
    reader = make_reader("exchangeable-classes", rng, unlabelled=True, inducing=inducing)
    examples = make_set("exchangeable-classes", rng)
    names = torch.tensor([2, 0, 1])
    a, b = read(reader, examples), read(reader, replace(examples, y=names[examples.y]))
    torch.testing.assert_close(b.classes[:, names], a.classes, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(b.z, a.z, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("labels", LABELS)
def test_rows_without_label_are_refused_by_who_was_not_trained_with_them(labels, rng):
    reader = make_reader(labels, rng)
    with pytest.raises(
        ConditionError,
        match=r"Example 6 of task 0 has no label, .* `Examples\(..., unlabelled=True",
    ):
        read(reader, make_set(labels, rng))
    # Padding has none either, and is no example.
    examples = make_set(labels, rng)
    read(reader, replace(examples, mask=examples.labelled))


def test_no_network_is_written_for_a_class_that_no_label_names(rng):
    child = nw.Child(nw.architectures.mlp(inputs=3, hidden=(4,), classes=3))
    reader = make_reader("exchangeable-classes", rng, unlabelled=True)
    hypernetwork = nw.Hypernetwork(child, reader, "dense")
    examples = make_set("exchangeable-classes", rng)
    assert len(hypernetwork.generate_many(nw.Condition(examples))) == 2
    labelled = examples.labelled.clone()
    labelled[1] &= examples.y[1] != 2
    with pytest.raises(
        ConditionError,
        match="Class 2 of task 1 has no labelled example, expected one for each of 3",
    ):
        hypernetwork.generate_many(nw.Condition(replace(examples, labelled=labelled)))


@pytest.mark.parametrize("labels", ["fixed-classes", "values"])
def test_a_task_without_any_label_is_read_where_outputs_mean_the_same_in_all_tasks(labels, rng):
    child = nw.Child(nw.architectures.mlp(inputs=3, hidden=(4,), outputs=3))
    reader = make_reader(labels, rng, unlabelled=True)
    examples = make_set(labels, rng, unlabelled=9)
    networks = nw.Hypernetwork(child, reader, "dense").generate_many(nw.Condition(examples))
    assert all(p.isfinite().all() for network in networks for p in network.parameters())


def stripes(rng, tasks, unlabelled):
    """Two parallel stripes at a random angle, one labelled example of each: two points do not tell it."""
    support, queries = 2 + unlabelled, 30
    y = torch.arange(support + queries).expand(tasks, -1) % 2
    along = 3 * torch.randn(y.shape, generator=rng)
    across = 2.0 * y - 1 + 0.25 * torch.randn(y.shape, generator=rng)
    angle = torch.pi * torch.rand(tasks, 1, generator=rng)
    turned = (
        along * angle.cos() - across * angle.sin(),
        along * angle.sin() + across * angle.cos(),
    )
    x = torch.stack(turned, dim=-1)
    y = (y + torch.randint(0, 2, (tasks, 1), generator=rng)) % 2
    labelled = (torch.arange(support) < 2).expand(tasks, -1)
    examples = nw.ExampleSet.of(x[:, :support], y[:, :support], classes=2, labelled=labelled)
    query = nw.ExampleSet.of(x[:, support:], y[:, support:], classes=2)
    return nw.tasks.TaskBatch(nw.Condition(examples), query)


def accuracy_on_stripes(unlabelled):
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=2, hidden=(16,), classes=2))
    reader = Examples((2,), size=32, channels=32, unlabelled=True)
    hypernetwork = nw.Hypernetwork(child, reader, "dense", hidden=64)
    optimiser = torch.optim.AdamW(hypernetwork.parameters(), 2e-3)
    objective, rng = nw.objectives.Classification(), torch.Generator().manual_seed(1)
    for _ in range(200):
        batch = stripes(rng, 32, unlabelled)
        training_step(hypernetwork, objective, optimiser, batch, clip=1.0)
    test = stripes(torch.Generator().manual_seed(2), 300, unlabelled)
    with torch.no_grad():
        score = objective(child, hypernetwork.eval()(test.condition), test)
    return float(score.metrics["accuracy"].mean())


def test_rows_without_label_help_where_two_labelled_points_do_not_tell_the_classes_apart():
    # Measured: 0.997 and 0.88.
    assert accuracy_on_stripes(unlabelled=20) > accuracy_on_stripes(unlabelled=0) + 0.04


def pulse(at, length=64):
    """A sequence of one channel with a pulse around a step."""
    steps = torch.arange(length)
    return (-((steps - at) ** 2) / 8).exp().reshape(1, 1, length, 1)


def test_order_in_time_matters_over_any_distance(rng):
    reader = make_reader("values", rng, x=(None, 1))
    y = torch.zeros(1, 1, 3)
    z = [read(reader, nw.ExampleSet.of(pulse(at), y)).z for at in (20, 36, 43)]
    # 20 and 36 are in step with all strides, and far from the ends: only their place tells them apart.
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(z[a], z[b], atol=1e-3)
    ramp = torch.linspace(-1, 1, 16).reshape(1, 1, 16, 1)
    up, down = (read(reader, nw.ExampleSet.of(x, y)).z for x in (ramp, ramp.flip(2)))
    assert not torch.allclose(up, down, atol=1e-3)


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_one_reader_reads_sequences_of_any_length(length, rng):
    reader = make_reader("values", rng, x=(None, 2))
    x, y = torch.randn(2, 3, length, 2, generator=rng), torch.randn(2, 3, 3, generator=rng)
    z = read(reader, nw.ExampleSet.of(x, y)).z
    assert z.shape == (2, SIZE)
    assert z.isfinite().all()


def test_sequences_that_cannot_be_read_are_refused(rng):
    fixed = make_reader("values", rng, x=(5, 2))
    y = torch.zeros(1, 1, 3)
    read(fixed, nw.ExampleSet.of(torch.zeros(1, 1, 5, 2), y))
    with pytest.raises(ShapeError, match=r"\[1, 1, 4, 2\], expected \[T, S, L=5, D=2\]"):
        read(fixed, nw.ExampleSet.of(torch.zeros(1, 1, 4, 2), y))
    free = make_reader("values", rng, x=(None, 2))
    with pytest.raises(ShapeError, match=r"\[1, 1, 4, 3\], expected \[T, S, L, D=2\]"):
        read(free, nw.ExampleSet.of(torch.zeros(1, 1, 4, 3), y))
    with pytest.raises(ConditionError, match="holds sequences of no step, expected at least one"):
        read(free, nw.ExampleSet.of(torch.zeros(1, 1, 0, 2), y))
    padded = torch.zeros(1, 1, 4, 2)
    padded[..., 3, :] = float("nan")
    with pytest.raises(
        ConditionError, match=r"is nan at \[0, 0, 3, 0\].* are of one length: cut them"
    ):
        nw.ExampleSet.of(padded, y).check()


@pytest.mark.parametrize("x", [(), (None,), (3, None), (None, 0), (1, 2, 3, 4), (None, 8, 8)])
def test_inputs_of_no_known_shape_are_refused(x):
    with pytest.raises(RunError, match=r"expected \(D,\) for vectors, \(None, D\) or \(L, D\)"):
        Examples(x, outputs=1)


class Recurrent(torch.nn.Module):
    """A user's own child: reads sequences [N, L, D]."""

    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(1, 8, batch_first=True)
        self.head = torch.nn.Linear(8, 1)

    def forward(self, x):
        steps, _ = self.gru(x)
        return self.head(steps[:, -1])


class Levels(nw.tasks.TaskFamily):
    """A level under noise, times a number of the task's own; lengths differ from batch to batch."""

    shape = nw.tasks.TaskShape((None, 1), 1, "values")

    def sample(self, rng, tasks, split):
        def normal(*shape):
            return torch.from_numpy(rng.standard_normal(shape)).float()

        level = normal(tasks, 18, 1, 1)
        x = level + 0.2 * normal(tasks, 18, int(rng.integers(4, 8)), 1)
        y = level[:, :, 0] * normal(tasks, 1, 1)
        support, query = (nw.ExampleSet.of(x[:, s], y[:, s]) for s in (slice(10), slice(10, 18)))
        return nw.tasks.TaskBatch(nw.Condition(support), query)

    def members(self, split):
        return (split,)

    def record(self):
        return {}


def test_a_recurrent_child_is_trained_on_sequences_and_written_for_a_new_task(rng):
    family = Levels()
    reader = default_conditioner(family.shape, size=32, channels=32)
    hypernetwork = nw.Hypernetwork(nw.Child(Recurrent()), reader, "dense", hidden=32)
    before = nw.evaluate(hypernetwork, family, tasks=40).metrics["mse"].value
    nw.train(
        hypernetwork, family, steps=150, tasks=16, learning_rate=3e-3, warm_up=20,
        validate_every=150, validation_tasks=20, progress=False,
    )  # fmt: skip
    after = nw.evaluate(hypernetwork, family, tasks=40)
    assert after.metrics["mse"].value < 0.4 * before
    assert after.shuffled["mse"].value > 2 * after.metrics["mse"].value
    longer = nw.ExampleSet.of(torch.rand(1, 4, 9, 1), torch.rand(1, 4, 1))
    assert hypernetwork.generate(longer)(torch.rand(3, 20, 1)).shape == (3, 1)


def test_no_child_of_ours_reads_sequences():
    with pytest.raises(RunError, match=r"inputs of shape \(None, 1\), .* a module of your own"):
        default_child(Levels.shape)


def test_inducing_points_are_as_many_as_asked_for_or_none():
    with pytest.raises(RunError, match="`inducing` is -1, expected a number of points, or 0"):
        Examples((3,), inducing=-1)


def flops_of(inducing, count):
    reader = Examples((3,), size=SIZE, outputs=1, channels=8, inducing=inducing)
    condition = nw.Condition(nw.ExampleSet.of(torch.rand(1, count, 3), torch.rand(1, count, 1)))
    # The fused kernel of a CPU is not counted.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        reader(condition)
    return counter.get_total_flops()


def test_the_cost_of_a_set_is_linear_with_inducing_points():
    def flops_per_further_row(inducing, count):
        return (flops_of(inducing, 2 * count) - flops_of(inducing, count)) / count

    assert flops_per_further_row(8, 100) == flops_per_further_row(8, 1_000)
    assert flops_per_further_row(0, 100) < flops_per_further_row(0, 1_000) / 2


def test_with_inducing_points_tokens_depend_on_each_other_through_them_alone(rng):
    block = InducedSetBlock(SIZE, 3)
    perturb(block, rng)
    tokens = torch.randn(2, 6, SIZE, generator=rng)
    moved = tokens.clone()
    moved[:, 5] = torch.randn(2, SIZE, generator=rng)
    change = (block(moved) - block(tokens)).abs().amax(-1)
    assert (change[:, :5] > 1e-5).all()
    with torch.no_grad():
        # Deaf points: what they gather is gone, and with it every way from token to token.
        block.gather.out.weight.zero_()
    assert torch.equal(block(moved)[:, :5], block(tokens)[:, :5])


def saved_bytes(reader, condition):
    """What a forward pass keeps for the backward pass."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        embedding = reader(condition)
    return sum(kept.values()), embedding


def test_of_thousands_of_pictures_no_activations_are_kept_and_the_gradient_is_the_same(
    rng, monkeypatch
):
    reader = Examples((1, 12, 12), size=SIZE, channels=16)
    condition = make_picture_condition(2, 5, 40, rng)
    found = []
    for most in (encoders.MOST_PICTURES_KEPT, 100):
        monkeypatch.setattr(encoders, "MOST_PICTURES_KEPT", most)
        reader.zero_grad()
        kept, embedding = saved_bytes(reader, condition)
        embedding.z.square().sum().backward()
        found.append((kept, embedding.z, [p.grad.clone() for p in reader.encode_x.parameters()]))
    (whole, z, gradients), (part, again, others) = found
    # The pictures themselves and their features: no more than a fifth of it all.
    assert part < whole / 5
    torch.testing.assert_close(again, z)
    torch.testing.assert_close(others, gradients)


def test_a_reader_without_the_newer_options_is_what_it_was():
    torch.manual_seed(0)
    reader = Examples((3,), size=8, outputs=2, labels="values", channels=8, depth=1)
    x, y = torch.linspace(-1, 1, 18).sin().reshape(1, 6, 3), torch.arange(12.0).reshape(1, 6, 2)
    # As recorded before the options were there.
    expected = [0.95286, 0.35046, -0.60141, -0.06167, -2.17557, 1.24588, -0.16518, 0.45462]
    z = read(reader, nw.ExampleSet.of(x, y)).z
    torch.testing.assert_close(z, torch.tensor([expected]), atol=1e-4, rtol=0)
    newer = {"unlabelled", "inducing", "standardise"}
    older = {name: value for name, value in reader.options().items() if name not in newer}
    again = Examples(**older)
    again.load_state_dict(reader.state_dict())
    assert not any("mark" in name or "points" in name for name in reader.state_dict())


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("labels", LABELS)
def test_newer_options_come_back_from_a_record(labels, kind, rng):
    reader = make_reader(labels, rng, x=SHAPES[kind], unlabelled=True, inducing=4)
    child = nw.Child(torch.nn.Sequential(torch.nn.Linear(3, 3)))
    hypernetwork = nw.Hypernetwork(child, reader, "dense")
    record = json.loads(json.dumps(hypernetwork.record()))
    again = nw.Hypernetwork.from_record(record, child=child)
    again.load_state_dict(hypernetwork.state_dict())
    examples = make_set(labels, rng, kind=kind)
    assert_same(read(again.conditioner, examples), read(reader, examples), rtol=0, atol=0)


@pytest.mark.parametrize("labels", LABELS[:2])
@pytest.mark.parametrize("kind", SHAPES)
def test_what_all_examples_have_in_common_does_not_hide_tasks(labels, kind, rng):
    def likeness(**options):
        torch.manual_seed(0)
        outputs = None if labels == "exchangeable-classes" else 3
        reader = Examples(
            SHAPES[kind], size=SIZE, outputs=outputs, labels=labels, channels=8, **options
        )
        # Inputs that differ by little, as pictures do.
        examples = make_set(labels, rng, kind=kind, tasks=8, unlabelled=0)
        z = read(reader, replace(examples, x=3 + 0.1 * examples.x)).z.detach()
        return float((z - z.mean(dim=0)).std() / z.std())

    assert likeness(standardise=True) > 3 * likeness()


@pytest.mark.parametrize("labels", LABELS)
def test_in_use_tasks_are_read_alone_by_what_training_found(labels, rng):
    reader = make_reader(labels, rng, standardise=True)
    examples = make_set(labels, rng, tasks=6, unlabelled=0)
    first = replace(examples, x=examples.x[:1], y=examples.y[:1], mask=examples.mask[:1])
    reader.eval()
    before = read(reader, first).z
    assert_same(read(reader, first), read(reader, first), rtol=0, atol=0)
    reader.train()
    trained = read(reader, examples).z[:1]
    reader.eval()
    kept = {name: value.clone() for name, value in reader.state_dict().items()}
    # The first statistics are taken as they are: those of the step.
    torch.testing.assert_close(read(reader, examples).z[:1], trained, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(read(reader, first).z, trained, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before, trained, rtol=1e-2)
    assert all(torch.equal(value, kept[name]) for name, value in reader.state_dict().items())


def test_running_statistics_follow_the_steps_and_padding_is_not_in_them(rng):
    padded, plain = (Standardise(2) for _ in range(2))
    for step in range(200):
        x = torch.randn(3, 4, 2, generator=rng) * torch.tensor([2.0, 0.5]) + torch.tensor(
            [1.0, -3.0]
        )
        found = plain(x, torch.ones(3, 4, dtype=torch.bool))
        torch.testing.assert_close(found.mean(dim=(0, 1)), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            found.std(dim=(0, 1), correction=0), torch.ones(2), atol=1e-3, rtol=0
        )
        if step:
            assert not torch.equal(plain.mean, x.mean(dim=(0, 1)))
        mask = torch.arange(6).expand(3, -1) < 4
        more = torch.cat([x, torch.full((3, 2, 2), 1e4)], dim=1)
        torch.testing.assert_close(padded(more, mask)[:, :4], found, rtol=1e-3, atol=1e-4)
    for each in (padded, plain):
        torch.testing.assert_close(each.mean, torch.tensor([1.0, -3.0]), atol=0.3, rtol=0)
        torch.testing.assert_close(each.variance, torch.tensor([4.0, 0.25]), atol=0, rtol=0.3)


def test_it_is_batch_normalisation_over_real_examples(rng):
    own, reference = Standardise(4), torch.nn.BatchNorm1d(4, affine=False, momentum=0.05)
    mask = torch.ones(50, 20, dtype=torch.bool)
    for _ in range(300):
        x = 3 + torch.randn(50, 20, 4, generator=rng)
        torch.testing.assert_close(
            own(x, mask), reference(x.flatten(0, 1)).unflatten(0, (50, 20)), rtol=1e-4, atol=1e-4
        )
    own.eval(), reference.eval()
    torch.testing.assert_close(
        own(x, mask), reference(x.flatten(0, 1)).unflatten(0, (50, 20)), rtol=5e-3, atol=5e-3
    )


def test_a_task_that_breaks_breaks_neither_the_others_nor_what_is_kept(rng):
    broken, without = (Standardise(4) for _ in range(2))
    x, mask = torch.randn(5, 6, 4, generator=rng), torch.ones(5, 6, dtype=torch.bool)
    expected = without(x[1:], mask[1:])
    x[0, 2] = torch.tensor([float("nan"), float("inf"), 1.0, 1.0])
    mask_of_others = mask.clone()
    mask_of_others[0] = torch.tensor([False, False, True, False, False, False])
    found = broken(x, mask_of_others)
    torch.testing.assert_close(found[1:], expected, rtol=1e-4, atol=1e-5)
    assert broken.mean.isfinite().all()
    assert broken.variance.isfinite().all()


def test_a_single_example_is_standardised_by_those_before_it(rng):
    reader = make_reader("values", rng, standardise=True).train()
    examples = make_set("values", rng, tasks=4, unlabelled=0)
    read(reader, examples)
    one = nw.ExampleSet.of(examples.x[:1, :1], examples.y[:1, :1])
    z = read(reader, one).z
    assert z.isfinite().all()
    torch.testing.assert_close(z, read(reader.eval(), one).z)


def test_statistics_are_kept_with_the_weights_and_a_resumed_training_goes_on_in_the_same_bits(
    tmp_path,
):
    tasks = nw.tasks.Sine()
    settings = {
        "tasks": 4,
        "validation_tasks": 2,
        "average": 0.9,
        "checkpoint_every": 3,
        "progress": False,
    }

    def make():
        torch.manual_seed(0)
        reader = Examples((1,), size=SIZE, outputs=1, standardise=True)
        return nw.Hypernetwork(nw.Child(default_child(tasks.shape)), reader, "dense")

    whole, stopped = make(), make()
    nw.train(whole, tasks, steps=6, folder=tmp_path / "whole", **settings)
    nw.train(stopped, tasks, steps=6, folder=tmp_path / "stopped", **settings)
    shutil.rmtree(Checkpoints(tmp_path / "stopped").newest().path)
    again = make()
    nw.train(again, tasks, steps=6, folder=tmp_path / "stopped", resume=True, **settings)
    whole.save_pretrained(tmp_path / "saved")
    loaded = nw.Hypernetwork.from_pretrained(tmp_path / "saved")
    assert bool(whole.conditioner.standardise.seen)
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
        assert torch.equal(loaded.state_dict()[name], value)
