"""Laws 6, 7 and 9, for every conditioner."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from making import SIZE, SOURCES, make_condition, make_conditioner, make_picture_condition, perturb

from netwright.conditioners import (
    CONDITIONERS,
    Compose,
    Context,
    Description,
    Examples,
    Hyperparameters,
    Identity,
    Noise,
    Preference,
)
from netwright.conditioners.words import words_of
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError, ShapeError
from netwright.graph import requested_graph


@pytest.fixture(params=CONDITIONERS)
def conditioner(request):
    made = make_conditioner(request.param)
    perturb(made, torch.Generator().manual_seed(1))
    return made


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def assert_same(a, b):
    torch.testing.assert_close(a.z, b.z, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        a.tokens * a.mask[..., None], b.tokens * b.mask[..., None], rtol=1e-5, atol=1e-5
    )


def test_an_embedding_has_one_global_token_and_tokens_of_its_width(conditioner, rng):
    embedding = conditioner(make_condition(3, rng))
    assert embedding.z.shape == (3, SIZE)
    assert embedding.tokens.shape == (*embedding.mask.shape, SIZE)


def test_its_options_make_the_same_conditioner_again(conditioner, rng):
    again = type(conditioner)(**conditioner.options())
    again.load_state_dict(conditioner.state_dict())
    condition = make_condition(2, rng)
    assert_same(conditioner(condition), again(condition))


def test_a_condition_without_what_is_read_is_refused_by_name_unless_it_is_optional(conditioner):
    other = (
        Condition(context=torch.rand(1, 2))
        if not isinstance(conditioner, Context)
        else Condition(identity=torch.tensor([1]))
    )
    if conditioner.optional:
        assert conditioner(other).z.shape == (1, SIZE)
        return
    with pytest.raises(ConditionError, match=r"The condition has \[.*\], expected `"):
        conditioner(other)


def test_a_kind_that_is_not_read_is_refused_where_networks_are_written(conditioner, rng):
    condition = make_condition(2, rng)
    own = make_condition(2, rng, *conditioner.reads)
    conditioner.check(own)
    with pytest.raises(ConditionError, match=r"which this hypernetwork does not read; it reads \["):
        conditioner.check(condition)


def test_composed_conditioners_read_all_and_depend_on_each(rng):
    parts = [make_conditioner(name) for name in SOURCES]
    composed = Compose(parts)
    perturb(composed, rng)
    condition = replace(make_condition(2, rng), identity=torch.tensor([3, 4]))
    embedding = composed(condition)
    words = len(words_of(condition.description.values[0]))
    others = len(SOURCES) - 3  # one token each, beside six examples, the words and the operations
    operations = len(requested_graph(condition.architecture.values[0]).operations)
    assert int(embedding.mask[0].sum()) == 6 + words + operations + others
    for name in condition.present():
        rolled = condition.rows(torch.tensor([1, 0])).present()[name]
        changed = Condition(**{**condition.present(), name: rolled})
        assert not torch.allclose(composed(changed).z, embedding.z), name


def test_conditioners_of_different_widths_do_not_compose():
    with pytest.raises(RunError, match=r"sizes \[8, 16\], expected one common size"):
        Compose([Identity(3, size=8), Description(size=16)])
    with pytest.raises(RunError, match=r"read \['identity', 'identity'\], expected a kind"):
        Compose([Identity(3, size=8), Identity(3, size=8)])
    with pytest.raises(
        RunError, match="To compose there are 1 conditioners, expected at least two"
    ):
        Compose([Identity(3, size=8)])


@given(seed=st.integers(0, 1000), shots=st.integers(1, 4), padding=st.integers(0, 3))
def test_examples_are_a_set_order_and_padding_carry_nothing(seed, shots, padding):
    rng = torch.Generator().manual_seed(seed)
    for labels in ("exchangeable-classes", "fixed-classes", "values"):
        shape = (1, 12, 12) if labels == "exchangeable-classes" else (3,)
        outputs = None if labels == "exchangeable-classes" else 2
        reader = Examples(shape, size=SIZE, outputs=outputs, labels=labels, channels=8)
        perturb(reader, rng)
        count = 3 * shots
        x = torch.rand(2, count, *shape, generator=rng)
        classes = None if labels == "values" else 3 if outputs is None else 2
        y = (
            torch.randn(2, count, 2, generator=rng)
            if classes is None
            else torch.arange(count).expand(2, -1) % classes
        )
        plain = reader(Condition(ExampleSet.of(x, y, classes=classes)))
        order = torch.randperm(count, generator=rng)
        junk_x = torch.full((2, padding, *shape), float("nan"))
        junk_y = torch.full((2, padding, *y.shape[2:]), -7, dtype=y.dtype)
        mask = torch.arange(count + padding).expand(2, -1) < count
        padded = ExampleSet(
            torch.cat([x[:, order], junk_x], 1), torch.cat([y[:, order], junk_y], 1), mask, classes
        )
        embedding = reader(Condition(padded))
        torch.testing.assert_close(embedding.z, plain.z, rtol=1e-4, atol=1e-5)
        if embedding.classes is not None:
            torch.testing.assert_close(embedding.classes, plain.classes, rtol=1e-4, atol=1e-5)


def test_permuting_labels_permutes_class_tokens(rng):
    reader = Examples((1, 12, 12), size=SIZE, channels=8)
    perturb(reader, rng)
    examples = make_picture_condition(2, 4, 2, rng).examples
    permutation = torch.tensor([3, 1, 0, 2])
    renamed = ExampleSet(examples.x, permutation[examples.y], examples.mask, 4)
    a, b = reader(Condition(examples)), reader(Condition(renamed))
    torch.testing.assert_close(b.classes[:, permutation], a.classes, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(b.z, a.z, rtol=1e-5, atol=1e-5)


def test_pictures_of_another_size_and_values_for_classes_are_refused(rng):
    reader = Examples((1, 12, 12), channels=8)
    colour = ExampleSet.of(torch.rand(1, 2, 3, 12, 12), torch.tensor([[0, 1]]))
    with pytest.raises(
        ShapeError, match=r"`examples.x` is \[1, 2, 3, 12, 12\], expected \[T, S, C=1, H=12, W=12\]"
    ):
        reader(Condition(colour))
    values = ExampleSet.of(torch.rand(1, 2, 1, 12, 12), torch.rand(1, 2, 1))
    with pytest.raises(
        ConditionError, match="`examples.y` holds values, expected exchangeable classes"
    ):
        reader(Condition(values))
    with pytest.raises(RunError, match="`labels` is 'values' and `outputs` is None"):
        Examples((3,), labels="values")


def test_context_ranges_and_widths_are_checked():
    with pytest.raises(RunError, match="low < high everywhere"):
        Context([0.0], [0.0])
    with pytest.raises(ShapeError, match=r"`context` is \[1, 3\], expected \[T, D=2\]"):
        Context([0.0, 0.0], [1.0, 1.0])(Condition(context=torch.rand(1, 3)))


def test_with_the_invariant_encoding_the_length_of_what_is_read_does_not_depend_on_the_numbers():
    context = Context([0.0, -1.0], [1.0, 1.0], size=SIZE, encoding="invariant")
    settings = Hyperparameters(
        [1e-4, 0], [1, 0.5], logarithmic=[True, False], size=SIZE, encoding="invariant"
    )
    seen = []
    for reader in (context, settings):
        reader.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    context(Condition(context=torch.tensor([[0.0, -1.0], [0.5, 0.0], [1.0, 0.3]])))
    settings(Condition(hyperparameters=torch.tensor([[1e-4, 0.0], [1e-2, 0.25], [1.0, 0.5]])))
    half = 0.5**0.5
    expected = torch.tensor([[1.0, 1, 0, 0], [half, half, half, half], [0, 0, 1, 1]])
    torch.testing.assert_close(seen[1], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0][:2], expected[:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0].norm(dim=1), torch.full((3,), 2**0.5))
    again = Context(**context.options())
    assert again.encoding == "invariant"
    with pytest.raises(RunError, match="`encoding` is 'angle', expected one of"):
        Context([0.0], [1.0], encoding="angle")


def test_an_unseen_identity_is_refused():
    with pytest.raises(ConditionError, match="Identity 7 is not known, expected 0 to 4"):
        Identity(5)(Condition(identity=torch.tensor([1, 7])))
    with pytest.raises(
        ConditionError, match="Identity -2 is not known, .* Give -1 for an unseen task"
    ):
        Identity(5)(Condition(identity=torch.tensor([-2])))


def test_a_task_that_is_not_known_gets_the_mean_of_those_that_are():
    reader = Identity(5, size=SIZE)
    z = reader(Condition(identity=torch.tensor([2, -1]))).z
    torch.testing.assert_close(z[1], reader.norm(reader.table.weight.mean(0)))
    torch.testing.assert_close(z[0], reader.norm(reader.table.weight[2]))


def test_preferences_are_points_of_the_simplex():
    reader = Preference(3, size=SIZE)
    drawn = Preference.draw(4_000, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.sum(1), torch.ones(4_000))
    # Uniform over the triangle: each share has mean 1/3 and variance 1/18.
    torch.testing.assert_close(drawn.mean(0), torch.full((3,), 1 / 3), atol=0.01, rtol=0)
    torch.testing.assert_close(drawn.var(0), torch.full((3,), 1 / 18), atol=0.004, rtol=0)
    for wrong in ([0.5, 0.6, 0.1], [1.2, -0.2, 0.0]):
        with pytest.raises(
            ConditionError, match="The preference of task 1 is .* not negative and sum to"
        ):
            reader(Condition(preference=torch.tensor([[1.0, 0, 0], wrong])))
    with pytest.raises(ShapeError, match=r"`preference` is \[1, 2\], expected \[T, K=3\]"):
        reader(Condition(preference=torch.tensor([[0.5, 0.5]])))
    with pytest.raises(RunError, match="`objectives` is 1, expected at least 2"):
        Preference(1)


def test_settings_are_read_by_their_logarithm_where_asked():
    reader = Hyperparameters([1e-4, 0], [1, 0.5], logarithmic=[True, False], size=SIZE)
    seen = []
    reader.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    reader(Condition(hyperparameters=torch.tensor([[1e-4, 0.0], [1e-2, 0.25], [1.0, 0.5]])))
    torch.testing.assert_close(
        seen[0], torch.tensor([[-1.0, -1], [0, 0], [1, 1]]), atol=1e-5, rtol=0
    )
    with pytest.raises(ConditionError, match="Setting 0 of task 0 is 0, expected more than 0"):
        reader(Condition(hyperparameters=torch.tensor([[0.0, 0.1]])))
    with pytest.raises(RunError, match="expected lists of one length with low < high, and 0 < low"):
        Hyperparameters([0.0], [1.0])


def test_settings_can_be_tuned_by_gradient():
    reader = Hyperparameters([1e-4, 0], [1, 0.5], logarithmic=[True, False], size=SIZE)
    settings = torch.tensor([[0.1, 0.0]], requires_grad=True)
    reader(Condition(hyperparameters=settings)).z[0, 0].backward()
    assert settings.grad.isfinite().all()
    assert (settings.grad != 0).all()


def test_noise_that_is_not_given_is_zero_in_use_and_drawn_in_training(rng):
    reader = Noise(5, size=SIZE)
    perturb(reader, rng)
    condition = make_condition(3, rng, "identity")
    centre = reader(Condition(noise=torch.zeros(1, 5))).z
    torch.testing.assert_close(reader.eval()(condition).z, centre.expand(3, -1))
    torch.manual_seed(4)
    drawn = reader.train()(condition).z
    torch.manual_seed(4)
    torch.testing.assert_close(drawn, reader(Condition(noise=torch.randn(3, 5))).z)


def test_given_noise_is_read_as_it_is_in_training_too(rng):
    reader = Noise(5, size=SIZE).train()
    noise = Noise.draw(4, 5, generator=rng)
    state = torch.random.get_rng_state()
    a, b = reader(Condition(noise=noise)).z, reader(Condition(noise=noise)).z
    assert torch.equal(a, b)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_noise_is_standard_normal_and_a_function_of_its_generator():
    a, b = (Noise.draw(4_000, 3, generator=torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(a, b)
    torch.testing.assert_close(a.mean(0), torch.zeros(3), atol=0.06, rtol=0)
    torch.testing.assert_close(a.T.cov(), torch.eye(3), atol=0.1, rtol=0)


def test_noise_of_another_width_is_refused():
    with pytest.raises(ShapeError, match=r"`noise` is \[1, 3\], expected \[T, D=5\]. Draw it"):
        Noise(5)(Condition(noise=torch.zeros(1, 3)))
    with pytest.raises(RunError, match="`dimensions` is 0, expected at least 1"):
        Noise(0)


@pytest.mark.parametrize("labels", ["exchangeable-classes", "fixed-classes", "values"])
def test_only_a_reader_of_counts_sees_how_often_a_set_is_repeated(labels, rng):
    outputs = None if labels == "exchangeable-classes" else 2
    x = torch.randn(1, 4, 3, generator=rng)
    y = torch.tensor([[0, 0, 1, 1]])
    y = torch.randn(1, 4, 2, generator=rng) if labels == "values" else y
    once, twice = (
        ExampleSet.of(x.repeat(1, n, 1), torch.cat([y] * n, dim=1), classes=None) for n in (1, 2)
    )
    for counts in (False, True):
        reader = Examples((3,), size=SIZE, outputs=outputs, labels=labels, counts=counts)
        perturb(reader, rng)
        a, b = reader(Condition(once)).z, reader(Condition(twice)).z
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5) != counts


def test_padding_does_not_count(rng):
    reader = Examples((3,), size=SIZE, outputs=2, counts=True)
    perturb(reader, rng)
    examples = make_condition(2, rng, "examples").examples
    padded = ExampleSet(
        torch.cat([examples.x, examples.x], 1),
        torch.cat([examples.y, examples.y], 1),
        torch.cat([examples.mask, ~examples.mask], 1),
    )
    torch.testing.assert_close(
        reader(Condition(padded)).z, reader(Condition(examples)).z, rtol=1e-4, atol=1e-5
    )


def test_counts_stand_in_the_options_only_where_they_are_read(rng):
    assert "counts" not in Examples((3,), outputs=2).options()
    reader = Examples((3,), outputs=2, counts=True)
    again = Examples(**reader.options())
    again.load_state_dict(reader.state_dict())
    condition = make_condition(2, rng, "examples")
    assert torch.equal(again(condition).z, reader(condition).z)
