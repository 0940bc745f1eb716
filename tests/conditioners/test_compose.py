"""Several kinds of condition: trained with some left out, written from any of them."""

import pytest
import torch
from making import SIZE, make_condition, make_conditioner, perturb

import netwright as nw
from netwright.conditioners import Compose
from netwright.errors import ConditionError, RunError

KINDS = ("examples", "context", "description")


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def condition(rng):
    return make_condition(3, rng, *KINDS)


def compose(rng, dropout=0.5) -> Compose:
    composed = Compose([make_conditioner(kind) for kind in KINDS], dropout=dropout)
    perturb(composed, rng)
    return composed


def make(rng, dropout=0.5) -> nw.Hypernetwork:
    child = nw.Child(nw.architectures.mlp(inputs=3, outputs=2))
    return nw.Hypernetwork(child, compose(rng, dropout), "dense")


def only(condition, *kinds):
    return nw.Condition(**{kind: condition.present()[kind] for kind in kinds})


def test_networks_are_written_from_any_of_the_kinds_and_differ(rng, condition):
    hypernetwork = make(rng).eval()
    written = [
        torch.cat([value.flatten(1) for value in hypernetwork(only(condition, *kinds)).values()], 1)
        for kinds in [("examples",), ("context",), ("description",), ("context", "examples"), KINDS]
    ]
    for i, a in enumerate(written):
        assert a.isfinite().all()
        for b in written[:i]:
            assert not torch.allclose(a, b, atol=1e-3)


def test_without_dropout_every_kind_is_needed(rng, condition):
    with pytest.raises(ConditionError, match=r"has \['examples'\], expected `context`"):
        compose(rng, 0.0)(only(condition, "examples"))
    with pytest.raises(RunError, match="`dropout` is 1, expected at least 0 and less than 1"):
        compose(rng, 1)


def test_a_condition_of_none_of_the_kinds_is_refused(rng):
    with pytest.raises(
        ConditionError,
        match=r"has \['identity'\], expected at least one of \['examples', 'context'",
    ):
        compose(rng)(nw.Condition(identity=torch.tensor([1])))


def test_training_leaves_out_each_kind_about_as_often_as_asked_and_never_all(rng):
    composed = compose(rng, 0.4).train()
    torch.manual_seed(0)
    mask = composed(make_condition(2_000, rng, *KINDS)).mask
    there = torch.stack([mask[:, 0], mask[:, 6], mask[:, 7]], dim=1)  # first tokens of the kinds
    assert there.any(dim=1).all()
    # A kind stays with probability 0.6, or as the one of three that all were to go.
    expected = 0.6 + 0.4**3 / 3
    for share in there.float().mean(dim=0).tolist():
        assert abs(share - expected) < 0.04
    assert len({tuple(row) for row in there.tolist()}) == 7


def test_what_is_left_out_in_training_is_as_if_it_were_absent(rng):
    condition = make_condition(20, rng, *KINDS)
    composed = compose(rng, 0.9).train()
    torch.manual_seed(0)
    embedding = composed(condition)
    alone = embedding.mask[:, 0] & ~embedding.mask[:, 6] & ~embedding.mask[:, 7]
    assert alone.any()
    expected = composed.eval()(only(condition, "examples"))
    torch.testing.assert_close(embedding.z[alone], expected.z[alone], rtol=1e-5, atol=1e-5)


def test_what_is_left_out_is_left_out_in_training_only(rng, condition):
    hypernetwork = make(rng, 0.9)
    hypernetwork.eval()
    name = hypernetwork.child.space.names[0]
    a, b = (hypernetwork(condition)[name] for _ in range(2))
    torch.testing.assert_close(a, b, rtol=0, atol=0)
    hypernetwork.train()
    torch.manual_seed(0)
    seen = {tuple(hypernetwork(condition)[name].flatten()[:3].tolist()) for _ in range(20)}
    assert len(seen) > 2


def test_rows_of_classes_keep_their_examples(rng):
    reader = nw.conditioners.Examples((3,), size=SIZE, channels=16)
    composed = Compose([reader, make_conditioner("description")], dropout=0.95).train()
    x, y = torch.randn(20, 4, 3), torch.tensor([[0, 0, 1, 1]]).expand(20, -1)
    examples = nw.ExampleSet.of(x, y)
    condition = nw.Condition(examples, description=nw.Texts(["a"] * 20))
    assert composed(condition).mask[:, :2].all()
    assert not composed(condition).mask[:, 2].all()


def test_its_record_makes_it_again(rng, condition):
    hypernetwork = make(rng).eval()
    again = nw.Hypernetwork.from_record(hypernetwork.record())
    again.load_state_dict(hypernetwork.state_dict())
    again.eval()
    for kinds in (KINDS, ("context",)):
        a, b = hypernetwork(only(condition, *kinds)), again(only(condition, *kinds))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_one_conditioner_in_a_list_is_that_one(rng):
    child = nw.Child(nw.architectures.mlp(inputs=3, outputs=2))
    hypernetwork = nw.Hypernetwork(child, [make_conditioner("context")], "dense")
    assert isinstance(hypernetwork.conditioner, nw.conditioners.Context)


def with_noise(rng, dropout) -> Compose:
    parts = [make_conditioner(kind) for kind in ("context", "identity", "noise")]
    composed = Compose(parts, dropout=dropout)
    perturb(composed, rng)
    return composed


def test_noise_is_never_left_out_and_is_no_kind_to_write_from(rng):
    composed = with_noise(rng, 0.9).train()
    condition = make_condition(500, rng, "context", "identity", "noise")
    torch.manual_seed(0)
    mask = composed(condition).mask
    assert mask[:, 2].all()
    # One of the others always stays, which noise does not stand in for.
    assert (mask[:, 0] | mask[:, 1]).all()
    assert not mask[:, 0].all()
    assert not mask[:, 1].all()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_is_read_beside_noise_is_needed_and_noise_is_not(rng, dropout):
    composed = with_noise(rng, dropout).eval()
    condition = make_condition(2, rng, "context", "identity")
    centre = composed(nw.Condition(**condition.present(), noise=torch.zeros(2, 5)))
    torch.testing.assert_close(composed(condition).z, centre.z)
    with pytest.raises(
        ConditionError, match=r"has \['noise'\], expected at least one of \['context', 'identity'\]"
    ):
        composed(nw.Condition(noise=torch.zeros(2, 5)))


def test_without_noise_in_the_condition_training_draws_it(rng):
    composed = with_noise(rng, 0.5).train()
    condition = make_condition(50, rng, "context")
    torch.manual_seed(0)
    a, b = composed(condition), composed(condition)
    assert not torch.allclose(a.z, b.z)
    assert a.mask[:, 1].all()
