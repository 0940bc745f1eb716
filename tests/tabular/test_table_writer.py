"""The hypernetwork for tables: its laws, and that it learns."""

import pytest
import torch
from making import perturb
from torch.nn import functional as F

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.rng import stream
from netwright.tabular import TableWriter
from netwright.tabular.values import levels_of
from netwright.tasks import SyntheticTables
from netwright.training.recipe import seeded_weights


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def writer(rng) -> TableWriter:
    with seeded_weights(0):
        writer = TableWriter(size=16, hidden=12).double()
    perturb(writer, rng)
    return writer.eval()


def table(rng, tasks=2, rows=30, columns=5, classes=3):
    x = torch.randn(tasks, rows, columns, generator=rng, dtype=torch.float64)
    y = (x[..., :classes] + 0.3 * torch.randn(tasks, rows, classes, generator=rng)).argmax(dim=2)
    return x, y


def logits(writer, x, y, query, classes=3, **more):
    condition = Condition(examples=ExampleSet.of(x, y, classes=classes, **more))
    return writer.child(writer(condition), query)


@torch.no_grad()
def test_the_order_of_rows_columns_and_classes_carries_nothing(writer, rng):
    x, y = table(rng)
    query = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    own = logits(writer, x, y, query)
    rows = torch.randperm(30, generator=rng)
    torch.testing.assert_close(logits(writer, x[:, rows], y[:, rows], query), own)
    columns = torch.randperm(5, generator=rng)
    permuted = logits(writer, x[..., columns], y, query[..., columns])
    torch.testing.assert_close(permuted, own)
    name = torch.tensor([2, 0, 1])
    renamed = logits(writer, x, name[y], query)
    torch.testing.assert_close(renamed[..., name], own)


@torch.no_grad()
def test_tasks_are_independent_and_padding_counts_for_nothing(writer, rng):
    x, y = table(rng)
    query = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    own = logits(writer, x, y, query)
    torch.testing.assert_close(logits(writer, x[1:], y[1:], query[1:]), own[1:])
    known = torch.arange(34)[None].expand(2, -1) < 30
    padded = torch.cat([x, torch.full_like(x[:, :4], 1e6)], dim=1)
    labels = torch.cat([y, torch.zeros_like(y[:, :4])], dim=1)
    torch.testing.assert_close(logits(writer, padded, labels, query, labelled=known), own)


@torch.no_grad()
def test_whatever_stands_in_padding_does_not_reach_the_network(writer, rng):
    x, y = table(rng)
    query = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    own = logits(writer, x, y, query)
    mask = (torch.arange(33) < 30).expand(2, -1)
    padded = torch.cat([x, torch.full_like(x[:, :3], float("nan"))], dim=1)
    labels = torch.cat([y, torch.full_like(y[:, :3], 99)], dim=1)
    found = writer(Condition(examples=ExampleSet(padded, labels, mask, 3)))
    torch.testing.assert_close(writer.child(found, query), own)


@torch.no_grad()
def test_hidden_units_bend_where_the_rows_are(writer, rng):
    x, y = table(rng, rows=200)
    params = writer(Condition(examples=ExampleSet.of(10 + 3 * x, y, classes=3)))
    squashed = writer.squash(10 + 3 * x)
    inside = squashed @ params["hidden.weight"].transpose(1, 2) + params["hidden.bias"][:, None]
    # Of both kinds, on which side of 0 a unit is differs between rows, and between units.
    assert ((inside > 0).double().mean(dim=1) - 0.5).abs().median() < 0.45
    assert (inside.mean(dim=1) / inside.std(dim=1)).std(dim=1).min() > 0.3


@torch.no_grad()
@pytest.mark.parametrize(("rows", "columns", "classes"), [(2, 1, 2), (400, 3, 2), (40, 60, 25)])
def test_any_number_of_rows_columns_and_classes_is_written(writer, rng, rows, columns, classes):
    x = torch.randn(1, rows, columns, generator=rng, dtype=torch.float64)
    y = (torch.arange(rows) % classes)[None]
    assert logits(writer, x, y, x, classes).isfinite().all()
    assert logits(writer, x, y, x, classes).shape == (1, rows, classes)


@torch.no_grad()
def test_columns_that_never_vary_are_left_alone(writer, rng):
    x, y = table(rng)
    query = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    x[..., 2] = 3.0
    own = logits(writer, x, y, query)
    query[..., 2] = 1e9
    torch.testing.assert_close(logits(writer, x, y, query), own)


def test_every_number_learns(writer, rng):
    x, y = table(rng)
    loss = F.cross_entropy(logits(writer, x, y, x).flatten(0, 1), y.flatten())
    loss.backward()
    for name, parameter in writer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_wider_children_begin_with_the_units_of_narrower_ones(writer, rng):
    x, y = table(rng)
    condition = Condition(examples=ExampleSet.of(x, y, classes=3))
    narrow, wide = writer(condition), writer.of_width(20).double()(condition)
    assert wide["hidden.weight"].shape == (2, 60, 5)
    torch.testing.assert_close(wide["hidden.weight"][:, :12], narrow["hidden.weight"][:, :12])


@torch.no_grad()
def test_the_network_by_itself_answers_as_in_the_batch(writer, rng):
    x, y = table(rng, tasks=1)
    condition = Condition(examples=ExampleSet.of(x, y, classes=3))
    params = writer(condition)
    network = writer.network_of(params, condition, labels=("a", "b", "c"))
    torch.testing.assert_close(network(x[0]), writer.child(params, x)[0])
    assert network.size == network.architecture.parameters


@torch.no_grad()
def test_columns_that_are_nearly_always_the_same_are_made_light(rng):
    with seeded_weights(0):
        writer = TableWriter(size=16, hidden=400, branches="fixed").double().eval()
    x = torch.randn(1, 500, 3, generator=rng, dtype=torch.float64)
    x[..., 1] = (torch.arange(500) % 50 == 0).double()
    y = (x[..., :1] + x[..., 1:2] + x[..., 2:] > 0).long().squeeze(-1)
    params = writer(Condition(examples=ExampleSet.of(x, y, classes=2)))
    # Of the ramps, in spreads of each column as the network reads it.
    spread = writer.squash(x)[0].std(dim=0, unbiased=False)
    size = (params["hidden.weight"][0, :400] * spread).abs()
    centred = (writer.squash(x)[0, :, 1] - writer.squash(x)[0, :, 1].mean()) / spread[1]
    # Unit by unit: the median of a ratio of two normal numbers is 1.
    rare, usual = ((size[:, d] / size[:, 0]).median() for d in (1, 2))
    assert float(rare) == pytest.approx(float((3 / centred.pow(4).mean()).sqrt()), rel=0.2)
    assert float(usual) == pytest.approx(1, rel=0.2)


@torch.no_grad()
def test_with_fixed_branches_only_the_head_is_learned(rng):
    x, y = table(rng)
    condition = Condition(examples=ExampleSet.of(x, y, classes=3))
    with seeded_weights(0):
        writer = TableWriter(size=16, hidden=12, branches="fixed").double().eval()
    before = writer(condition)
    perturb(writer, rng)
    after = writer(condition)
    torch.testing.assert_close(after["hidden.weight"], before["hidden.weight"])
    assert (after["head.weight"] - before["head.weight"]).abs().max() > 1e-3


def test_unknown_branches_are_refused():
    with pytest.raises(RunError, match="`branches` is 'free', expected 'learned' or 'fixed'"):
        TableWriter(branches="free")


def test_several_values_per_row_and_no_rows_are_refused(writer):
    condition = Condition(examples=ExampleSet.of(torch.randn(1, 4, 2), torch.randn(1, 4, 2)))
    for unfit in (condition, Condition()):
        with pytest.raises(ConditionError, match="expected rows with classes, or with one value"):
            writer(unfit)


def values(rng, tasks=2, rows=40, columns=5):
    x = torch.randn(tasks, rows, columns, generator=rng, dtype=torch.float64)
    noise = torch.randn(tasks, rows, 1, generator=rng, dtype=torch.float64)
    return x, 5 + 3 * x[..., :1] + x[..., 1:2].square() + 0.2 * noise


@torch.no_grad()
def test_values_keep_the_same_laws(writer, rng):
    x, y = values(rng)
    query = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    own = writer.child(writer(Condition(examples=ExampleSet.of(x, y))), query)
    assert own.shape == (2, 7, 6)
    rows, columns = torch.randperm(40, generator=rng), torch.randperm(5, generator=rng)
    condition = Condition(examples=ExampleSet.of(x[:, rows][..., columns], y[:, rows]))
    torch.testing.assert_close(writer.child(writer(condition), query[..., columns]), own)
    alone = Condition(examples=ExampleSet.of(x[1:], y[1:]))
    torch.testing.assert_close(writer.child(writer(alone), query[1:]), own[1:])
    mask = (torch.arange(43) < 40).expand(2, -1)
    padded = torch.cat([x, torch.full_like(x[:, :3], float("nan"))], dim=1)
    unknown = torch.cat([y, torch.full_like(y[:, :3], float("nan"))], dim=1)
    masked = Condition(examples=ExampleSet(padded, unknown, mask))
    torch.testing.assert_close(writer.child(writer(masked), query), own)
    scaled = writer.child(writer(Condition(examples=ExampleSet.of(x, 100 * y - 7))), query)
    torch.testing.assert_close(scaled, 100 * own - 7)


@torch.no_grad()
def test_of_rows_left_out_each_quantile_has_its_share_below_it(writer, rng):
    x, y = values(rng, tasks=1, rows=30)
    levels = (0.1, 0.5, 0.9)
    below = torch.zeros(3, dtype=torch.float64)
    for row in range(30):
        others = torch.arange(30) != row
        condition = Condition(examples=ExampleSet.of(x[:, others], y[:, others]))
        said = writer.child(writer(condition, levels=levels), x[:, row : row + 1])[0, 0, 1:]
        below += (y[0, row] < said).double()
    torch.testing.assert_close(below / 30, torch.tensor(levels).double(), atol=0.11, rtol=0)


def test_levels_are_fifths_and_ties_share_one():
    y = torch.tensor([[[5.0], [1.0], [2.0], [2.0], [2.0], [9.0], [1e9]]])
    real = torch.tensor([[[1.0]] * 6 + [[0.0]]]).reshape(1, 7, 1)
    found = levels_of(y, real)
    assert found[0, :6].argmax(dim=1).tolist() == [3, 0, 2, 2, 2, 4]
    assert found[0, 6].sum() == 0


def test_it_answers_better_than_the_most_frequent_class_before_training():
    with seeded_weights(0):
        writer = TableWriter(hidden=32).eval()
    batch = SyntheticTables(rows=(100, 100), columns=(4, 8)).sample(stream(0, "t"), 40, "test")
    with torch.no_grad():
        answers = writer.child(writer(batch.condition), batch.query.x).argmax(dim=2)
    support = batch.condition.examples
    frequent = F.one_hot(support.y, support.classes).sum(dim=1).argmax(dim=1, keepdim=True)
    known = batch.query.labelled
    own = (answers == batch.query.y)[known].float().mean()
    assert own > (frequent == batch.query.y)[known].float().mean() + 0.08


def test_a_run_trains_it_and_its_record_builds_it_again(tmp_path):
    with seeded_weights(0):
        writer = TableWriter(size=16, hidden=12)
    family = SyntheticTables(rows=(16, 32), columns=(2, 4), classes=3, queries=16)
    result = nw.train(
        writer, family, folder=tmp_path / "run", steps=40, tasks=8, learning_rate=1e-2,
        validate_every=20, validation_tasks=32, progress=False,
    )  # fmt: skip
    losses = [line["validation_loss"] for line in result.log if "validation_loss" in line]
    assert len(losses) == 2
    again, _ = nw.training.load_writer(tmp_path / "run")
    batch = family.sample(stream(0, "x"), 2, "test")
    for name, value in writer.eval()(batch.condition).items():
        torch.testing.assert_close(again(batch.condition)[name], value)


def test_training_lowers_the_loss():
    with seeded_weights(0):
        writer = TableWriter(size=16, hidden=12)
    batch = SyntheticTables(rows=(24, 24), columns=(4, 4), classes=2).sample(
        stream(1, "x"), 8, "train"
    )
    optimiser = torch.optim.Adam(writer.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        out = writer.child(writer(batch.condition), batch.query.x)
        loss = F.cross_entropy(out.flatten(0, 1), batch.query.y.flatten())
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.97 * losses[0]
