"""Precision, compilation, stages, recomputation: faster or leaner, never another answer."""

import copy
import math

import pytest
import torch
from children import random_params
from modules import Attends, OwnCode, Recurrent
from torch import nn

import netwright as nw
from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.emission import Film, LowRank
from netwright.errors import RunError, UnsupportedChildError
from netwright.objectives import Classification
from netwright.rng import stream
from netwright.tasks.episodes import ClassPool, EpisodeSize, sample_episodes
from netwright.training.step import training_step

CHILDREN = {
    "mlp": (lambda: mlp(inputs=24, hidden=(32, 32), outputs=5), (24,)),
    "conv": (lambda: conv(channels=8, depth=2, outputs=5, image=(3, 12, 12)), (3, 12, 12)),
    "own-code": (lambda: OwnCode(24, 32, 5, [nn.LayerNorm(32), nn.Linear(32, 32)]), (24,)),
    "gru": (lambda: Recurrent(nn.GRU(6, 16, batch_first=True), 16), (20, 6)),
    "lstm": (lambda: Recurrent(nn.LSTM(6, 16, batch_first=True), 16), (20, 6)),
    "attention": (
        lambda: Attends(nn.MultiheadAttention(16, 2, batch_first=True), 16, "masked"), (6, 16),
    ),
}  # fmt: skip


def halves(name: str, precision: str, emissions=()):
    torch.manual_seed(0)
    make, shape = CHILDREN[name]
    module = make()
    full = Child(module, emissions=emissions)
    half = Child(copy.deepcopy(full.template), emissions=emissions, precision=precision)
    params = {n: v.detach().requires_grad_() for n, v in random_params(full, 3).items()}
    x = torch.randn(3, 8, *shape)
    found = []
    for child in (full, half):
        y = child(params, x)
        gradients = torch.autograd.grad(y.square().mean(), list(params.values()))
        found.append((y, gradients))
    return found


@pytest.mark.parametrize("name", CHILDREN)
def test_bfloat16_products_change_outputs_by_two_percent_at_most(name):
    (y, gradients), (half, half_gradients) = halves(name, "bfloat16")
    assert half.dtype == torch.float32
    assert not torch.equal(y, half)
    assert float((half - y).detach().abs().max()) <= 0.02 * float(y.detach().abs().max())
    for a, b in zip(gradients, half_gradients, strict=True):
        assert b.dtype == torch.float32
        assert float((a - b).norm()) <= 0.05 * float(a.norm()) + 1e-6


@pytest.mark.parametrize("emission", [LowRank(2), Film()])
def test_bfloat16_products_serve_corrections_too(emission):
    (y, _), (half, _) = halves("mlp", "bfloat16", emissions=[("*", emission)])
    assert float((half - y).detach().abs().max()) <= 0.02 * float(y.detach().abs().max())


def test_precision_is_part_of_the_record_and_unknown_ones_are_refused():
    child = Child(mlp(inputs=2, outputs=1), precision="bfloat16")
    reader = nw.conditioners.Context([0.0], [1.0])
    hypernetwork = nw.Hypernetwork(child, reader, "chunked", precision="bfloat16")
    again = nw.Hypernetwork.from_record(hypernetwork.record())
    assert again.child.precision == again.generator.precision == "bfloat16"
    with pytest.raises(UnsupportedChildError, match="`precision` is 'int4', expected one of"):
        Child(mlp(inputs=2, outputs=1), precision="int4")
    with pytest.raises(RunError, match="`precision` is 'float16', expected one of"):
        nw.Hypernetwork(child, reader, "chunked", precision="float16")


def test_half_precision_generators_add_the_base_in_full():
    torch.manual_seed(0)
    child = Child(mlp(inputs=8, hidden=(32,), outputs=4))
    reader = nw.conditioners.Context([0.0], [1.0])
    full = nw.Hypernetwork(child, reader, "chunked")
    half = nw.Hypernetwork(child, copy.deepcopy(reader), "chunked", precision="bfloat16")
    half.load_state_dict(full.state_dict())
    condition = nw.Condition(context=torch.rand(5, 1))
    base = {name: value[0] for name, value in child.initial_params().items()}
    with torch.no_grad():
        for (name, a), b in zip(full(condition).items(), half(condition).values(), strict=True):
            correction = (a - base[name]).abs().max()
            assert (a - b).abs().max() <= 0.01 * correction + 1e-7, name


# Dynamo asks tensors that are no leaves for gradients, and hides the warning that it would be an error here.
quiet = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")


@quiet
@pytest.mark.parametrize("name", ["mlp", "own-code", "gru"])
def test_compiled_children_give_the_same_answers_with_a_graph_per_power_of_two(name):
    torch.manual_seed(0)
    make, shape = CHILDREN[name]
    child = Child(make())
    plain = copy.deepcopy(child)
    graphs = []

    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    child.compile(backend=backend)
    counts = []
    for tasks in (3, 4, 5, 7, 1):
        params, x = random_params(plain, tasks), torch.randn(tasks, 4, *shape)
        y = child(params, x)
        torch.testing.assert_close(y, plain(params, x), rtol=1e-5, atol=1e-6)
        y.sum().backward()
        counts.append(len(graphs))
    assert counts[0] == counts[1] < counts[2] == counts[3] < counts[4]


@quiet
@pytest.mark.slow
def test_inductors_children_give_the_same_answers():
    torch.manual_seed(0)
    child = Child(OwnCode(24, 32, 5, [nn.LayerNorm(32), nn.Linear(32, 32)]))
    plain = copy.deepcopy(child)
    child.compile()
    params, x = random_params(plain, 3), torch.randn(3, 4, 24)
    torch.testing.assert_close(child(params, x), plain(params, x), rtol=1e-4, atol=1e-5)


def picture_step(**options):
    """Gradients of one step on pictures, whose child has shared layers too."""
    torch.manual_seed(0)
    rng = np_pool(stream(0))
    child = Child(
        conv(channels=4, depth=2, classes=3, image=(1, 8, 8)), emissions=[("conv1.*", "shared")]
    )
    reader = nw.conditioners.Examples((1, 8, 8), size=16, channels=16)
    hypernetwork = nw.Hypernetwork(child, reader, "layer-tokens")
    batch = sample_episodes(rng, stream(1), 5, EpisodeSize(3, 2, 4))
    optimiser = torch.optim.SGD(hypernetwork.parameters(), lr=0.0)
    done = training_step(hypernetwork, Classification(), optimiser, batch, clip=math.inf, **options)
    return done, {n: p.grad for n, p in hypernetwork.named_parameters() if p.grad is not None}


def np_pool(rng) -> ClassPool:
    images = [rng.integers(0, 256, (8, 1, 8, 8), dtype="uint8") for _ in range(6)]
    return ClassPool.of(images, list(range(6)), [f"c{i}" for i in range(6)])


@pytest.mark.parametrize("options", [{"stages": "two"}, {"recompute": True}])
def test_stages_and_recomputation_give_the_same_gradients(options):
    done, expected = picture_step(stages="one")
    other, found = picture_step(**options)
    assert other.loss == pytest.approx(done.loss, rel=1e-5)
    assert other.metrics["accuracy"] == pytest.approx(done.metrics["accuracy"])
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_networks_written_in_several_passes_are_those_of_one():
    torch.manual_seed(0)
    child = Child(mlp(inputs=3, hidden=(5,), outputs=2))
    hypernetwork = nw.Hypernetwork(child, nw.conditioners.Context([0.0] * 2, [1.0] * 2), "dense")
    condition = nw.Condition(context=torch.rand(7, 2))
    labels = [[f"a{i}", f"b{i}"] for i in range(7)]
    whole = hypernetwork.generate_many(condition, labels=labels)
    parts = hypernetwork.generate_many(condition, labels=labels, max_bytes=3 * 4 * child.space.size)
    for a, b in zip(whole, parts, strict=True):
        assert a.labels == b.labels
        assert a.provenance.condition == b.provenance.condition
        torch.testing.assert_close(a(torch.ones(1, 3)), b(torch.ones(1, 3)))
