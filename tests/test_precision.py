"""Half and double precision where single is expected: it works, or one line says what to convert."""

from dataclasses import replace

import pytest
import torch
from making import SIZE, make_condition, make_picture_condition
from torch import nn

import netwright as nw
from netwright.conditioners import Context, Examples, Hyperparameters, Identity, Preference
from netwright.errors import ConditionError, ShapeError
from netwright.generated import weights_digest
from netwright.generators import GENERATORS

OTHERS = (torch.float16, torch.bfloat16, torch.float64)


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=OTHERS, ids=str)
def dtype(request):
    return request.param


def make_module():
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))


def tolerance(dtype):
    """Rounding of a few operations in the coarser of the type and single precision."""
    return {"rtol": 0, "atol": 10 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)}


def test_a_support_set_of_another_type_is_refused_with_how_to_convert_it(dtype, rng):
    vectors = make_condition(2, rng, "examples")
    pictures = make_picture_condition(2, 3, 2, rng)
    for reader, condition in (
        (Examples((3,), size=SIZE, outputs=2), vectors),
        (Examples((1, 12, 12), size=SIZE, channels=8), pictures),
    ):
        expected = reader(condition).z
        with pytest.raises(
            ShapeError,
            match=rf"`examples.x` is {dtype}, expected torch.float32. Convert the condition: "
            r"`condition.to\(torch.float32\)`.",
        ):
            reader(condition.to(dtype))
        # The line that mends it, as it stands there.
        mended = reader(condition.to(dtype).to(torch.float32)).z
        torch.testing.assert_close(mended, expected, **tolerance(dtype))


def test_whole_numbers_for_pictures_are_refused(rng):
    condition = make_picture_condition(1, 3, 2, rng)
    examples = nw.ExampleSet.of((255 * condition.examples.x).byte(), condition.examples.y)
    with pytest.raises(ShapeError, match=r"is torch.uint8, .* `x.to\(torch.float32\)`"):
        Examples((1, 12, 12), channels=8)(nw.Condition(examples))


def test_few_numbers_per_task_are_converted(dtype, rng):
    condition = make_condition(4, rng, "context", "preference", "hyperparameters")
    for reader in (
        Context([0.0, -1.0], [1.0, 1.0], size=SIZE),
        Preference(3, size=SIZE),
        Hyperparameters([1e-4, 0], [1, 0.5], logarithmic=[True, False], size=SIZE),
    ):
        z = reader(condition.to(dtype)).z
        assert z.dtype == torch.float32
        rounded = condition.to(dtype).to(torch.float32)
        # Shares that were rounded sum to 1 as closely as their type can tell; only their ratio counts.
        shares = rounded.preference / rounded.preference.sum(dim=1, keepdim=True)
        expected = reader(replace(rounded, preference=shares)).z
        torch.testing.assert_close(z, expected, rtol=0, atol=1e-5)


def test_values_beside_inputs_are_converted(dtype, rng):
    examples = make_condition(2, rng, "examples").examples
    reader = Examples((3,), size=SIZE, outputs=2)
    other = nw.ExampleSet.of(examples.x, examples.y.to(dtype))
    z = reader(nw.Condition(other)).z
    again = reader(nw.Condition(nw.ExampleSet.of(examples.x, examples.y.to(dtype).float()))).z
    torch.testing.assert_close(z, again, rtol=0, atol=0)


def test_identities_are_whole_numbers():
    with pytest.raises(
        ConditionError, match=r"`identity` is torch.float32, .* `identity.long\(\)`"
    ):
        Identity(3)(nw.Condition(identity=torch.tensor([1.0])))


def test_under_autocast_half_precision_is_read(rng):
    condition = make_condition(2, rng, "examples")
    reader = Examples((3,), size=SIZE, outputs=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = reader(condition.to(torch.bfloat16)).z
    torch.testing.assert_close(z.float(), reader(condition).z, rtol=0, atol=0.2)


def test_a_hypernetwork_in_another_type_reads_and_writes_in_it(dtype, rng):
    child = nw.Child(make_module())
    hypernetwork = nw.Hypernetwork(child, Examples((3,), size=SIZE, outputs=2), "dense").to(dtype)
    condition = make_condition(2, rng, "examples")
    params = hypernetwork(condition.to(dtype))
    assert {value.dtype for value in params.values()} == {dtype}
    assert child(params, torch.randn(2, 4, 3, dtype=dtype)).isfinite().all()
    with pytest.raises(ShapeError, match=rf"`examples.x` is torch.float32, expected {dtype}"):
        hypernetwork(condition)


def test_children_run_in_the_type_of_their_weights_and_inputs(dtype):
    child = nw.Child(make_module())
    params = child.initial_params(2)
    x = torch.randn(2, 4, 3)
    y = child({name: value.to(dtype) for name, value in params.items()}, x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), child(params, x), **tolerance(dtype))
    with pytest.raises(
        ShapeError, match=rf"is {dtype} and `x` is torch.float32, expected one dtype"
    ):
        child({name: value.to(dtype) for name, value in params.items()}, x)
    with pytest.raises(
        ShapeError, match=rf"is torch.float32 and `x` is {dtype}, expected one dtype"
    ):
        child(params, x.to(dtype))


@pytest.mark.parametrize("emission", ["shared", nw.LowRank(1), nw.Film(), nw.BiasOnly()], ids=str)
def test_what_all_tasks_share_is_of_the_type_of_the_inputs_too(emission, dtype):
    child = nw.Child(make_module(), emissions=[("0.*", emission)])
    params = {name: value.to(dtype) for name, value in child.initial_params(2).items()}
    x = torch.randn(2, 4, 3, dtype=dtype)
    with pytest.raises(
        ShapeError, match=rf"`x` is {dtype} and '0\.\w+', which all tasks share, is torch.float32"
    ):
        child(params, x)
    assert child.to(dtype)(params, x).dtype == dtype


def test_what_a_module_keeps_in_another_type_is_its_own_affair():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.offset = nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, x):
            return self.linear(x) + self.offset.to(x.dtype)

    child = nw.Child(Mixed(), emissions=[("offset", "frozen")])
    params, x = child.initial_params(2), torch.randn(2, 4, 3)
    torch.testing.assert_close(child(params, x)[0], child.template(x[0]))
    half = {name: value.half() for name, value in params.items()}
    assert child(half, x.half()).dtype == torch.float16


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_template_in_another_type_makes_networks_in_single_precision(generator, dtype, tmp_path):
    child = nw.Child(make_module().to(dtype))
    hypernetwork = nw.Hypernetwork(child, Context([0.0], [1.0], size=SIZE), generator)
    network = hypernetwork.generate(nw.Condition(context=torch.rand(1, 1)))
    x = torch.randn(4, 3)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert network(x).dtype == torch.float32
    again = nw.load_network(network.save(tmp_path / "net"), module=make_module())
    torch.testing.assert_close(again(x), network(x))


def test_a_half_template_whose_tensors_are_shared_is_to_be_converted(dtype):
    child = nw.Child(make_module().to(dtype), emissions=[("0.*", "shared")])
    hypernetwork = nw.Hypernetwork(child, Context([0.0], [1.0], size=SIZE), "dense")
    params = hypernetwork(nw.Condition(context=torch.rand(2, 1)))
    x = torch.randn(2, 4, 3)
    with pytest.raises(
        ShapeError, match=rf"which all tasks share, is {dtype}.* `child.to\(torch.float32\)`"
    ):
        child(params, x)
    assert child.to(torch.float32)(params, x).dtype == torch.float32


def test_a_digest_tells_types_apart(dtype):
    linear = nn.Linear(3, 2)
    linear.weight.data.fill_(0.5)
    linear.bias.data.fill_(0.0)
    single = weights_digest(linear)
    # Recorded: provenance of older networks names it.
    assert single == "0d44e7b93047528d"
    assert weights_digest(linear.to(dtype)) != single
