"""MAML, Reptile and their family, against hand-computed steps and plain unrolls."""

import copy
import json
from functools import partial

import pytest
import torch
from making import make_picture_condition, make_vector_hypernetwork
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from trainings import SETTINGS

import netwright as nw
from netwright.anchors import Ridge
from netwright.conditioners import Embedding
from netwright.errors import ConditionError, RunError
from netwright.learners import (
    AdaptedEmbedding,
    AdaptedWeights,
    Cavia,
    ClosedForm,
    Reptile,
    ReptileHypernetwork,
    Start,
    writer_from_record,
)
from netwright.learners.inner_loop import descend
from netwright.learners.reptile import joined, minibatch
from netwright.objectives import Regression
from netwright.tasks import Sine, TaskBatch
from netwright.training import load_writer
from netwright.training.step import training_step


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Slope(nn.Module):
    """y = w x, the smallest child."""

    def __init__(self, w=0.5):
        super().__init__()
        self.head = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.head.weight, w)

    def forward(self, x):
        return self.head(x)


def lines(slopes, x, y=None):
    """Tasks y = slope * x at the points x, as support and as queries at twice these points."""
    slopes = torch.tensor(slopes)[:, None, None]
    x = torch.tensor(x).expand(len(slopes), -1).unsqueeze(-1)
    support = nw.ExampleSet.of(x, slopes * x)
    return TaskBatch(nw.Condition(support), nw.ExampleSet.of(2 * x, slopes * 2 * x))


@pytest.mark.parametrize("order", [1, 2])
def test_one_step_of_maml_is_that_computed_by_hand(order):
    """L_s(w) = m (w - a)^2 with m the mean of x^2; w' = w - 2 r m (w - a); queries have 4 m."""
    rate, w, slopes, x = 0.1, 0.5, [2.0, -1.0], [1.0, 2.0]
    m = sum(v * v for v in x) / len(x)
    batch = lines(slopes, x)
    maml = AdaptedWeights(Start(nw.Child(Slope(w))), "values", rate=rate, order=order)
    params = maml(batch.condition)
    by_hand = [w - rate * 2 * m * (w - a) for a in slopes]
    torch.testing.assert_close(params["head.weight"].flatten(), torch.tensor(by_hand))
    loss = Regression()(maml.child, params, batch).loss.mean()
    loss.backward()
    through = 1 - rate * 2 * m if order == 2 else 1.0
    expected = sum(2 * 4 * m * (v - a) * through for v, a in zip(by_hand, slopes, strict=True)) / 2
    torch.testing.assert_close(maml.start.values[0].grad.item(), expected, rtol=1e-5, atol=1e-6)


def test_a_learned_rate_has_the_gradient_computed_by_hand():
    rate, w, slope, x = 0.1, 0.5, 2.0, [1.0, 2.0]
    m = 2.5
    batch = lines([slope], x)
    meta_sgd = AdaptedWeights(Start(nw.Child(Slope(w))), "values", rate=rate, rates="learned")
    loss = Regression()(meta_sgd.child, meta_sgd(batch.condition), batch).loss.mean()
    loss.backward()
    after = w - rate * 2 * m * (w - slope)
    # d loss / d log rate = d loss / d w' * -(2 m (w - a)) * rate
    expected = 2 * 4 * m * (after - slope) * -(2 * m * (w - slope)) * rate
    torch.testing.assert_close(meta_sgd.log_rates[0].grad.item(), expected, rtol=1e-5, atol=1e-6)


def test_many_steps_on_a_quadratic_follow_its_closed_form():
    """Gradient descent on |v - a|^2 / 2: v_K = a + (1 - r)^K (v_0 - a), and d v_K / d v_0 = (1 - r)^K."""
    start = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    goal = torch.tensor([[0.0, 1.0], [2.0, 2.0]])
    found = descend(
        lambda v: (v["v"] - goal).square().sum(1) / 2, {"v": start}, steps=7, rates={"v": 0.3},
        keeps_graph=True,
    )["v"]  # fmt: skip
    torch.testing.assert_close(found, goal + 0.7**7 * (start - goal))
    found.sum().backward()
    torch.testing.assert_close(start.grad, torch.full((2, 2), 0.7**7))


class Recurrent(nn.Module):
    """A GRU over a row's numbers, and a linear head."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.gru(x.unsqueeze(-1))[0][:, -1])


CHILDREN = {
    "mlp": (lambda: nw.architectures.mlp(inputs=6, hidden=(7,), outputs=2).build(), (6,)),
    "conv": (lambda: nw.architectures.conv(channels=4, depth=2, outputs=2, image=(1, 8, 8)).build(), (1, 8, 8)),
    "gru": (Recurrent, (6,)),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHILDREN)
@pytest.mark.parametrize("order", [1, 2])
def test_updates_equal_a_plain_unroll_for_each_task(kind, order):
    make, shape = CHILDREN[kind]
    module = make()
    x, y = torch.randn(3, 5, *shape), torch.randn(3, 5, 2)
    far_x, far_y = torch.randn(3, 4, *shape), torch.randn(3, 4, 2)
    batch = TaskBatch(nw.Condition(nw.ExampleSet.of(x, y)), nw.ExampleSet.of(far_x, far_y))
    maml = AdaptedWeights(Start(nw.Child(module)), "values", steps=3, rate=0.05, order=order)
    loss = Regression()(maml.child, maml(batch.condition), batch).loss.mean()
    loss.backward()

    own = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}
    losses = []
    for t in range(3):
        values = dict(own)
        for _ in range(3):
            inner = (functional_call(module, values, (x[t],)) - y[t]).square().mean()
            found = torch.autograd.grad(inner, list(values.values()), create_graph=order == 2)
            values = {n: v - 0.05 * g for (n, v), g in zip(values.items(), found, strict=True)}
        losses.append((functional_call(module, values, (far_x[t],)) - far_y[t]).square().mean())
    expected = sum(losses) / 3
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    for spec, value in zip(maml.child.space.tensors, maml.start.values, strict=True):
        torch.testing.assert_close(value.grad, own[spec.name].grad, rtol=1e-3, atol=1e-5)


def test_anil_changes_the_head_only():
    batch = Sine(shots=5).sample(nw_rng(), 3, "train")
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1))
    anil = AdaptedWeights(Start(child), "values", rate=0.1, adapts="head")
    params, start = anil(batch.condition), anil.start(batch.condition)
    changed = {name for name in params if not torch.equal(params[name], start[name])}
    assert changed == {"head.weight", "head.bias"}


def nw_rng(step=0):
    from netwright.rng import stream

    return stream(0, "test", step)


def test_adapting_in_use_needs_no_graph_and_takes_its_own_number_of_steps():
    batch = Sine(shots=5).sample(nw_rng(), 3, "train")
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1))
    start = Start(child)
    maml = AdaptedWeights(start, "values", steps=1, steps_at_use=4, rate=0.05).eval()
    with torch.no_grad():
        params = maml(batch.condition)
    assert not any(value.requires_grad for value in params.values())
    long = AdaptedWeights(start, "values", steps=4, rate=0.05, order=1)(batch.condition)
    for name, value in params.items():
        torch.testing.assert_close(value, long[name].detach())


def test_generate_then_adapt_is_a_step_from_what_was_written():
    hypernetwork = make_vector_hypernetwork("dense")
    examples = nw.ExampleSet.of(torch.randn(2, 6, 3), torch.randn(2, 6, 2))
    condition = nw.Condition(examples)
    hybrid = AdaptedWeights(hypernetwork, "values", steps=1, rate=0.05)
    params = {n: v.detach().requires_grad_() for n, v in hypernetwork(condition).items()}
    loss = (hypernetwork.child(params, examples.x) - examples.y).square().mean(dim=(1, 2)).sum()
    found = torch.autograd.grad(loss, list(params.values()))
    adapted = hybrid(condition)
    for (name, value), gradient in zip(params.items(), found, strict=True):
        torch.testing.assert_close(adapted[name], value - 0.05 * gradient)
    adapted["linear1.weight"].sum().backward()
    assert all(p.grad is not None for p in hypernetwork.generator.parameters())


def test_the_outer_gradient_of_reptile_is_the_way_back_to_the_start():
    batch = lines([2.0, -1.0], [1.0, 2.0])
    reptile = Reptile(Start(nw.Child(Slope(0.5))), "values", steps=3, rate=0.02, batch=100)
    reptile.train()
    reptile.outer_gradient(Regression(), batch)
    m = (1 + 4 + 4 + 16) / 4
    ends = [a + (1 - 0.02 * 2 * m) ** 3 * (0.5 - a) for a in (2.0, -1.0)]
    expected = sum(0.5 - end for end in ends) / 2
    torch.testing.assert_close(reptile.start.values[0].grad.item(), expected, rtol=1e-4, atol=1e-6)


def test_a_task_whose_loss_is_not_finite_does_not_move_the_start_of_reptile():
    good = lines([2.0], [1.0, 2.0])
    both = lines([2.0, float("inf")], [1.0, 2.0])
    gradients = []
    for batch in (good, both):
        reptile = Reptile(Start(nw.Child(Slope(0.5))), "values", steps=3, rate=0.02, batch=100)
        score = reptile.train().outer_gradient(Regression(), batch)
        assert len(score.loss) == 1
        gradients.append(reptile.start.values[0].grad)
    torch.testing.assert_close(*gradients)


def test_minibatches_hold_real_examples_of_support_and_queries():
    batch = lines([2.0, -1.0], [1.0, 2.0, 3.0])
    both = joined(batch.condition.examples, batch.query)
    assert both.x.shape == (2, 6, 1)
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    drawn = minibatch(nw.ExampleSet(both.x, both.y, mask), 3)
    assert drawn.mask.all()
    assert drawn.x.shape == (2, 3, 1)
    assert all(len(set(row.flatten().tolist())) == 3 for row in drawn.x)
    torch.testing.assert_close(drawn.y[0], 2 * drawn.x[0])


def test_one_shared_class_row_serves_any_number_of_classes():
    child = nw.Child(nw.architectures.conv(channels=4, depth=2, classes=3, image=(1, 12, 12)))
    start = Start(child, class_rows="shared")
    for ways in (2, 5):
        condition = make_picture_condition(2, ways, 1, torch.Generator().manual_seed(0))
        params = AdaptedWeights(start, "exchangeable-classes", rate=0.1)(condition)
        assert params["head.weight"].shape[:2] == (2, ways)
        assert child(params, torch.rand(2, 4, 1, 12, 12)).shape == (2, 4, ways)
    with pytest.raises(
        ConditionError, match='5 classes and there are learned rows for 3.*class_rows="shared"'
    ):
        Start(child)(condition)


def test_prototypical_networks_give_the_class_of_the_nearest_mean():
    child = nw.Child(nw.architectures.conv(channels=4, depth=2, classes=3, image=(1, 12, 12)))
    protonet = ClosedForm(child)
    condition = make_picture_condition(2, 4, 3, torch.Generator().manual_seed(0))
    params = protonet(condition)
    x = torch.rand(2, 5, 1, 12, 12)
    features, support = (child.features(params, v) for v in (x, condition.examples.x))
    for t in range(2):
        y = condition.examples.y[t]
        means = torch.stack([support[t][y == c].mean(0) for c in range(4)])
        nearest = torch.cdist(features[t], means).argmin(1)
        assert torch.equal(child(params, x)[t].argmax(1), nearest)


@pytest.mark.parametrize("count", [4, 40])
def test_the_ridge_head_is_that_of_scikit_learn_and_padding_is_not_seen(count):
    from sklearn.linear_model import Ridge as Reference

    features, padding = torch.randn(2, count, 6), torch.full((2, 3, 6), 9.0)
    y = torch.arange(count).expand(2, -1) % 3
    mask = torch.arange(count + 3).expand(2, -1) < count
    examples = nw.ExampleSet(
        torch.cat([features, padding], 1), torch.cat([y, torch.full((2, 3), -1)], 1), mask, 3
    )
    anchor = Ridge(6, penalty=0.7, scale=2.0)
    weight, bias = anchor(examples.x, examples)
    for t in range(2):
        # The constant is one more feature and is penalised like the others.
        x = torch.cat([features[t], torch.ones(count, 1)], dim=1).numpy()
        fitted = Reference(alpha=0.7, fit_intercept=False).fit(
            x, nn.functional.one_hot(y[t], 3).numpy()
        )
        expected = 2 * torch.from_numpy(fitted.coef_).float()
        torch.testing.assert_close(weight[t], expected[:, :-1], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(bias[t], expected[:, -1], rtol=1e-3, atol=1e-4)


def test_steps_on_an_embedding_equal_a_plain_unroll():
    hypernetwork = make_vector_hypernetwork("layer-tokens", "context")
    x, y = torch.randn(2, 6, 3), torch.randn(2, 6, 2)
    condition = nw.Condition(nw.ExampleSet.of(x, y), context=torch.rand(2, 2))
    batch = TaskBatch(condition, nw.ExampleSet.of(torch.randn(2, 4, 3), torch.randn(2, 4, 2)))
    learner = AdaptedEmbedding(hypernetwork, "values", steps=2, rate=0.05)
    loss = Regression()(learner.child, learner(condition), batch).loss.mean()
    loss.backward()
    found = {name: p.grad for name, p in hypernetwork.named_parameters()}

    hypernetwork.zero_grad(set_to_none=True)
    losses = []
    with sdpa_kernel(SDPBackend.MATH):
        for t in range(2):
            own = condition.rows(slice(t, t + 1))
            z = hypernetwork.read(own).z
            for _ in range(2):
                params = hypernetwork.write_from(Embedding.single(z), own)
                inner = (hypernetwork.child(params, x[t : t + 1]) - y[t]).square().mean()
                z = z - 0.05 * torch.autograd.grad(inner, z, create_graph=True)[0]
            params = hypernetwork.write_from(Embedding.single(z), own)
            far = batch.query.rows(slice(t, t + 1))
            losses.append((hypernetwork.child(params, far.x) - far.y).square().mean())
    expected = sum(losses) / 2
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    for name, parameter in hypernetwork.named_parameters():
        if parameter.grad is not None:  # the template's own: everything is written
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-5)
        assert (found[name] is None) == (parameter.grad is None)


def test_one_step_of_cavia_is_that_computed_by_hand():
    """y = w x + b, b = b_0 + u c: L = mean (w x + b - y)^2, dL/dc = 2 u mean(residual), from c = 0."""
    module = nn.Sequential(nn.Linear(1, 1))
    child = nw.Child(module, emissions=[("0.weight", "shared")])
    cavia = Cavia(child, "values", context=1, rate=0.3)
    u = cavia.weights[0].item()
    w, b = module[0].weight.item(), module[0].bias.item()
    x, y = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[3.0], [-1.0]]])
    params = cavia(nw.Condition(nw.ExampleSet.of(x, y)))
    residual = (w * x + b - y).mean().item()
    context = -0.3 * 2 * u * residual
    torch.testing.assert_close(params["0.bias"].item(), b + u * context, rtol=1e-5, atol=1e-6)
    # d b' / d u: u enters the context and its effect, so that b' = b - 0.6 u^2 residual.
    params["0.bias"].sum().backward()
    expected = -2 * 0.6 * u * residual
    torch.testing.assert_close(cavia.weights[0].grad.item(), expected, rtol=1e-4, atol=1e-6)


def sine_hypernetwork() -> nw.Hypernetwork:
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1))
    conditioner = nw.conditioners.Examples((1,), size=16, outputs=1, channels=16)
    return nw.Hypernetwork(child, conditioner, "dense")


def test_rates_per_number_are_those_per_tensor_where_all_are_equal():
    batch = Sine(shots=5, queries=4).sample(nw_rng(), 2, "train")
    start = Start(nw.Child(nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1)))
    each, one = (
        AdaptedWeights(start, "values", rate=0.03, rates=rates)
        for rates in ("learned-each", "learned")
    )
    for name, value in each(batch.condition).items():
        torch.testing.assert_close(value, one(batch.condition)[name])
    with torch.no_grad():
        each.log_rates[0][3] = float("-inf")
    moved = each(batch.condition)[each.adapted[0]] - start(batch.condition)[each.adapted[0]]
    assert moved[:, 3].abs().max() == 0
    assert moved[:, 2].abs().max() > 0


def test_one_step_of_reptile_on_a_hypernetwork_is_its_gradient():
    batch = Sine(shots=5, queries=4).sample(nw_rng(), 3, "train")
    hypernetwork = sine_hypernetwork()
    writer = ReptileHypernetwork(hypernetwork, steps=1, rate=0.05, batch=100)
    writer.train().outer_gradient(Regression(), batch)
    found = {n: p.grad.clone() for n, p in hypernetwork.named_parameters() if p.grad is not None}
    hypernetwork.zero_grad()
    Regression()(hypernetwork.child, hypernetwork(batch.condition), batch).loss.mean().backward()
    for name, parameter in hypernetwork.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], 0.05 * parameter.grad, rtol=1e-4, atol=1e-6)


def test_steps_of_reptile_on_a_hypernetwork_equal_plain_descent_for_each_task():
    batch = Sine(shots=5, queries=4).sample(nw_rng(), 2, "train")
    hypernetwork = sine_hypernetwork()
    writer = ReptileHypernetwork(hypernetwork, steps=3, rate=0.05, batch=100)
    writer.train().outer_gradient(Regression(), batch)
    ways = []
    for t in range(2):
        own, task = copy.deepcopy(hypernetwork), batch.rows(slice(t, t + 1))
        own.zero_grad()
        optimiser = torch.optim.SGD(own.parameters(), lr=0.05)
        for _ in range(3):
            optimiser.zero_grad()
            Regression()(own.child, own(task.condition), task).loss.sum().backward()
            optimiser.step()
        pairs = zip(hypernetwork.parameters(), own.parameters(), strict=True)
        ways.append([(a - b).detach() for a, b in pairs])
    for parameter, a, b in zip(hypernetwork.parameters(), *ways, strict=True):
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, (a + b) / 2, rtol=1e-3, atol=1e-5)


def test_reptile_trains_a_hypernetwork():
    family = Sine(shots=10, queries=20)
    writer = ReptileHypernetwork(sine_hypernetwork(), rate=0.002)
    before = nw.evaluate(writer, family, tasks=60).metrics["mse"].value
    optimiser = torch.optim.Adam(writer.parameters(), lr=3e-3)
    for step in range(200):
        batch = family.sample(nw_rng(step), 8, "train")
        training_step(writer.train(), Regression(), optimiser, batch, clip=10.0)
    assert nw.evaluate(writer, family, tasks=60).metrics["mse"].value < 0.8 * before


def writers():
    mlp = partial(nw.architectures.mlp, inputs=1, hidden=(8,), outputs=1)
    classifier = partial(nw.architectures.conv, channels=4, depth=2, classes=3, image=(1, 12, 12))
    return {
        "start": Start(nw.Child(mlp())),
        "maml": AdaptedWeights(Start(nw.Child(mlp())), "values", steps=2, order=2),
        "meta-sgd": AdaptedWeights(
            Start(nw.Child(mlp())), "values", rates="learned", adapts="head"
        ),
        "reptile": Reptile(Start(nw.Child(mlp())), "values", steps=2),
        "protonet": ClosedForm(nw.Child(classifier())),
        "r2d2": ClosedForm(nw.Child(classifier()), anchor="ridge"),
        "cavia": Cavia(
            nw.Child(mlp(), emissions=[("linear1.bias", "full"), ("*", "shared")]),
            "values",
            steps=2,
        ),
        "embedding": AdaptedEmbedding(make_vector_hypernetwork("dense"), "values", order=1),
        "meta-sgd-each": AdaptedWeights(Start(nw.Child(mlp())), "values", rates="learned-each"),
        "reptile-hypernetwork": ReptileHypernetwork(sine_hypernetwork(), steps=2),
        "hybrid": AdaptedWeights(make_vector_hypernetwork("dense"), "values"),
    }


@pytest.mark.parametrize("name", writers())
def test_a_record_builds_the_same_writer_again(name):
    writer = writers()[name]
    again = writer_from_record(json.loads(json.dumps(writer.record())))
    again.load_state_dict(writer.state_dict())
    assert again.record() == writer.record()


@pytest.mark.parametrize(
    "name",
    ["start", "maml", "meta-sgd", "meta-sgd-each", "reptile", "reptile-hypernetwork", "cavia"],
)
def test_writers_train_save_and_load_like_hypernetworks(name, tmp_path):
    family = Sine(shots=5, queries=8)
    writer = writers()[name]
    result = nw.train(writer, family, folder=tmp_path / "run", **SETTINGS)
    assert result.step == SETTINGS["steps"]
    loaded, run = load_writer(tmp_path / "run")
    batch = family.sample(nw_rng(), 2, "test")
    for key, value in writer.eval()(batch.condition).items():
        assert torch.equal(value, loaded(batch.condition)[key])
    found = nw.evaluate(loaded, family, tasks=20)
    assert 0 < found.metrics["mse"].value < 20
    assert run.hypernetwork == writer.record()
    with pytest.raises(RunError, match="expected a hypernetwork. Use `load_writer`"):
        nw.load_hypernetwork(tmp_path / "run")


@pytest.mark.parametrize("name", ["maml", "meta-sgd", "meta-sgd-each", "reptile", "cavia"])
def test_meta_training_lowers_the_error_after_adaptation(name):
    """From a start that was not trained, a few steps on ten points of a sine wave achieve little."""
    family = Sine(shots=10, queries=20)
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(24, 24), outputs=1))
    start = Start(child)
    concat = nw.Child(
        nw.architectures.mlp(inputs=1, hidden=(24, 24), outputs=1),
        emissions=[("linear1.bias", "full"), ("*", "shared")],
    )
    writer = {
        "maml": lambda: AdaptedWeights(start, "values", rate=0.02),
        "meta-sgd": lambda: AdaptedWeights(start, "values", rate=0.02, rates="learned"),
        "meta-sgd-each": lambda: AdaptedWeights(start, "values", rate=0.02, rates="learned-each"),
        "reptile": lambda: Reptile(start, "values", steps=8, rate=0.02),
        "cavia": lambda: Cavia(concat, "values", rate=1.0),
    }[name]()
    before = nw.evaluate(writer, family, tasks=60).metrics["mse"].value
    optimiser = torch.optim.Adam(writer.parameters(), lr=3e-3)
    for step in range(250):
        writer.train()
        training_step(
            writer, Regression(), optimiser, family.sample(nw_rng(step), 8, "train"), clip=10.0
        )
    after = nw.evaluate(writer, family, tasks=60).metrics["mse"].value
    assert after < 0.8 * before, (before, after)


def test_what_makes_no_sense_is_refused():
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1))
    start = Start(child)
    with pytest.raises(RunError, match="`order` is 3, expected one of"):
        AdaptedWeights(start, "values", order=3)
    with pytest.raises(RunError, match="`steps` is -1, expected at least 0"):
        AdaptedWeights(start, "values", steps=-1)
    with pytest.raises(RunError, match="`rate` is 0, expected more than 0"):
        Reptile(start, "values", rate=0)
    with pytest.raises(RunError, match="`batch` is 0, expected at least 1"):
        Reptile(start, "values", batch=0)
    with pytest.raises(RunError, match="`class_rows` is 'none', expected one of"):
        Start(child, class_rows="none")
    with pytest.raises(RunError, match="The child has no class head, expected one"):
        ClosedForm(child)
    with pytest.raises(RunError, match="Anchor 'mean' is not known"):
        ClosedForm(child, anchor="mean")
    with pytest.raises(ConditionError, match="expected `examples`: gradient steps need them"):
        AdaptedWeights(start, "values")(nw.Condition(context=torch.rand(2, 1)))
    shared = nw.Child(
        nw.architectures.mlp(inputs=1, outputs=1), emissions=[("linear1.*", "shared")]
    )
    with pytest.raises(RunError, match="The child has tensors that all tasks share, expected none"):
        Reptile(Start(shared), "values")
    with pytest.raises(RunError, match="Writer 'maml' is not known, expected one of"):
        writer_from_record({"writer": "maml"})
    classifier = nw.Child(nw.architectures.conv(channels=4, depth=2, classes=3, image=(1, 12, 12)))
    with pytest.raises(ConditionError, match="expected examples with classes"):
        ClosedForm(classifier)(nw.Condition(context=torch.rand(2, 1)))
    with pytest.raises(RunError, match="`context` is 0, expected at least 1"):
        Cavia(child, "values", context=0)
    with pytest.raises(RunError, match='class rows are written per task.*"head.*", "shared"'):
        Cavia(classifier, "exchangeable-classes")
    with pytest.raises(RunError, match="`labels` is 'sounds', expected one of"):
        Cavia(child, "sounds")
    with pytest.raises(RunError, match="`order` is 0, expected one of"):
        AdaptedEmbedding(make_vector_hypernetwork("dense"), "values", order=0)
