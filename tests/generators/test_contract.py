"""Laws 5 to 8, for every generator."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from making import (
    make_condition,
    make_picture_condition,
    make_picture_hypernetwork,
    make_vector_hypernetwork,
    perturb,
)
from torch import nn

from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.conditioners import CONDITIONERS, Examples
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.generators import GENERATORS
from netwright.hypernetwork import Hypernetwork

HEADS = ["anchored", "anchor-only", "residual-only"]


@pytest.fixture(params=GENERATORS)
def generator(request) -> str:
    return request.param


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def assert_same(a, b, tolerance=1e-5):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("conditioner", CONDITIONERS)
def test_tasks_are_independent(generator, conditioner, rng):
    # What is random in training is settled in use.
    hypernetwork = make_vector_hypernetwork(generator, conditioner).eval()
    perturb(hypernetwork, rng)
    condition = make_condition(5, rng)
    params = hypernetwork(condition)
    order = torch.randperm(5, generator=rng)
    assert_same(hypernetwork(condition.rows(order)), {n: v[order] for n, v in params.items()})
    assert_same(hypernetwork(condition.rows(slice(2, 3))), {n: v[2:3] for n, v in params.items()})


@pytest.mark.parametrize("conditioner", CONDITIONERS)
def test_different_conditions_give_different_networks(generator, conditioner, rng):
    hypernetwork = make_vector_hypernetwork(generator, conditioner).eval()
    condition = make_condition(2, rng)
    condition = replace(condition, identity=torch.tensor([3, 4]))
    for name, value in hypernetwork(condition).items():
        assert not torch.allclose(value[0], value[1]), name


def test_generated_tensors_have_the_childs_names_shapes_and_dtype(generator, rng):
    hypernetwork = make_vector_hypernetwork(generator)
    params = hypernetwork(make_condition(3, rng))
    assert hypernetwork.child.space.check(params) == 3
    assert tuple(params) == hypernetwork.child.space.names
    assert all(value.dtype == torch.float32 for value in params.values())


@given(
    hidden=st.lists(st.integers(16, 48), min_size=1, max_size=3),
    inputs=st.integers(8, 24),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=20)
@pytest.mark.parametrize("name", GENERATORS)
def test_at_step_0_the_child_is_a_well_initialised_child(name, hidden, inputs, seed):
    torch.manual_seed(seed)
    child = Child(mlp(inputs=inputs, hidden=tuple(hidden), outputs=12))
    hypernetwork = Hypernetwork(child, Examples((4,), size=32, outputs=2, channels=32), name)
    condition = Condition(ExampleSet.of(torch.randn(8, 10, 4), torch.randn(8, 10, 2)))
    with torch.no_grad():
        params = hypernetwork(condition)
        x = torch.randn(8, 64, inputs)
        plain = child(child.initial_params(8), x).std()
        if name == "graph":
            # It starts from numbers of its own, as another network of the kind would: two of these differ by a fifth, and now and
            # then by more than a half. So several stand for what is usual.
            plain = torch.stack([child.architecture.build()(x).std() for _ in range(8)]).mean()
        ratio = child(params, x).std() / plain
    assert 0.5 <= float(ratio) <= 2
    for spec in child.space.tensors:
        if spec.size >= 64:  # fewer numbers say little about their variance
            variance = float(params[spec.name].var() / spec.std**2)
            assert 0.5 <= variance <= 2, (spec.name, variance)


@pytest.mark.parametrize("head", HEADS)
def test_at_step_0_convolutions_are_well_initialised_and_class_rows_have_the_heads_scale(
    generator, head
):
    torch.manual_seed(0)
    child = Child(conv(classes=10, image=(1, 28, 28)))
    hypernetwork = Hypernetwork(child, Examples((1, 28, 28), channels=16), generator, head=head)
    with torch.no_grad():
        support = ExampleSet.of(torch.rand(8, 10, 1, 28, 28), torch.arange(10).expand(8, -1))
        params = hypernetwork(Condition(support))
    for spec in child.space.tensors:
        if spec.role == "weight" and not spec.has_class_axis:
            assert 0.5 <= float(params[spec.name].var() / spec.std**2) <= 2, spec.name
    if head == "residual-only":
        weight = params["head.weight"]
        assert 0.5 <= float(weight.var() / child.space.tensors[-2].std ** 2) <= 2


def test_every_parameter_of_a_new_hypernetwork_has_a_gradient(generator, rng):
    hypernetwork = make_picture_hypernetwork(generator)
    condition = make_picture_condition(4, 4, 2, rng)
    params = hypernetwork(condition)
    y = hypernetwork.child(params, torch.rand(4, 8, 1, 12, 12))
    nn.functional.cross_entropy(y.flatten(0, 1), torch.randint(0, 4, (32,))).backward()
    # Attention over classes reads keys' biases only through softmax, which ignores them.
    silent = [n for n, p in hypernetwork.named_parameters() if p.requires_grad and p.grad is None]
    # What writes matrices of any child is silent where the child has none but those of its class head.
    silent = [n for n in silent if n != "generator.matrices"]
    assert not silent
    flat = {
        n: float(p.grad.abs().max())
        for n, p in hypernetwork.named_parameters()
        if p.grad is not None
    }
    assert [name for name, largest in flat.items() if largest == 0] == []


@pytest.mark.parametrize("head", HEADS)
def test_permuting_class_labels_permutes_outputs(generator, head, rng):
    hypernetwork = make_picture_hypernetwork(generator, head).eval()
    perturb(hypernetwork, rng)
    condition = make_picture_condition(2, 4, 3, rng)
    x = torch.rand(2, 5, 1, 12, 12, generator=rng)
    y = hypernetwork.child(hypernetwork(condition), x)
    permutation = torch.tensor([2, 0, 3, 1])
    examples = condition.examples
    renamed = ExampleSet(examples.x, permutation[examples.y], examples.mask, 4)
    permuted = hypernetwork.child(hypernetwork(Condition(renamed)), x)
    torch.testing.assert_close(permuted[..., permutation], y, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(permuted, y, atol=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_any_number_of_classes_can_be_asked_for(generator, head, rng):
    hypernetwork = make_picture_hypernetwork(generator, head)
    for ways in (2, 4, 7):
        condition = make_picture_condition(1, ways, 1, rng)
        network = hypernetwork.generate(condition)
        assert network(torch.rand(3, 1, 12, 12)).shape == (3, ways)


def test_a_child_with_class_rows_needs_a_condition_with_classes(generator):
    child = Child(conv(channels=4, depth=2, classes=3, image=(1, 8, 8)))
    reader = Examples((1, 8, 8), size=16, outputs=2, channels=8)
    hypernetwork = Hypernetwork(child, reader, generator, head="residual-only")
    support = ExampleSet.of(torch.rand(1, 4, 1, 8, 8), torch.randn(1, 4, 2))
    with pytest.raises(ConditionError, match="row per class and the condition has no classes"):
        hypernetwork(Condition(support))


def test_a_basis_of_one_template_is_refused():
    with pytest.raises(RunError, match="`templates` is 1, expected at least 2"):
        Hypernetwork(
            Child(mlp(inputs=3, outputs=2)), Examples((3,), outputs=2), "basis", templates=1
        )


def test_networks_of_a_basis_lie_in_the_span_of_its_templates(rng):
    hypernetwork = make_vector_hypernetwork("basis")
    perturb(hypernetwork, rng)
    generator = hypernetwork.generator
    params = hypernetwork(make_condition(3, rng, "examples"))
    for i, spec in enumerate(generator.space.tensors):
        correction = (params[spec.name].flatten(1) - generator.base[i]).T
        templates = generator.template[i].T
        shares = torch.linalg.lstsq(templates.double(), correction.double()).solution
        torch.testing.assert_close(
            templates.double() @ shares, correction.double(), atol=1e-5, rtol=0
        )
