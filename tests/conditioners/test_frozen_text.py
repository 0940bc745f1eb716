"""Texts read by a frozen encoder: a small one of random weights, saved as any other is."""

import json

import pytest
import torch
from making import make_condition, make_encoder, perturb

import netwright as nw
from netwright.conditioners import Compose, Examples, FrozenText
from netwright.errors import ConditionError, RunError


@pytest.fixture
def encoder():
    return make_encoder()


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def test_tokens_are_a_map_of_the_encoders_own_features_and_padding_is_not_seen(encoder, rng):
    from transformers import AutoModel, AutoTokenizer

    reader = FrozenText(encoder, size=16)
    texts = ["one of them", "two, three of four of them"]
    embedding = reader(nw.Condition(description=nw.Texts(texts)))
    model, tokeniser = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)
    for t, text in enumerate(texts):
        with torch.no_grad():
            features = model(**tokeniser(text, return_tensors="pt")).last_hidden_state[0]
        expected = reader.norm(reader.read(features))
        own = embedding.tokens[t][embedding.mask[t]]
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(embedding.z[t], expected.mean(0), rtol=1e-4, atol=1e-5)


def test_the_encoder_is_neither_trained_nor_saved(encoder, rng):
    reader = FrozenText(encoder, size=16)
    names = {name.partition(".")[0] for name in reader.state_dict()}
    assert names == {"read", "norm"}
    before = {n: p.clone() for n, p in reader._model.named_parameters()}
    reader.train()
    reader(nw.Condition(description=nw.Texts(["one of two"]))).z[0, 0].backward()
    assert all(p.grad is None for p in reader._model.parameters())
    assert all(torch.equal(before[n], p) for n, p in reader._model.named_parameters())
    assert not reader._model.training
    assert all(p.grad is not None for p in reader.parameters())


def test_a_hypernetwork_with_it_comes_back_from_its_record(encoder, rng):
    child = nw.Child(nw.architectures.mlp(inputs=3, hidden=(8,), outputs=2))
    parts = [Examples((3,), outputs=2, size=16, channels=16), FrozenText(encoder, size=16)]
    hypernetwork = nw.Hypernetwork(child, Compose(parts, dropout=0.25), "dense")
    perturb(hypernetwork, rng)
    again = nw.Hypernetwork.from_record(json.loads(json.dumps(hypernetwork.record())))
    again.load_state_dict(hypernetwork.state_dict())
    condition = make_condition(2, rng, "examples", "description")
    for kinds in (condition, make_condition(2, rng, "description")):
        ours, theirs = hypernetwork.eval()(kinds), again.eval()(kinds)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert hypernetwork.generate(condition.rows(slice(0, 1))).size == 50


def test_what_cannot_be_read_is_refused(encoder, tmp_path):
    with pytest.raises(
        RunError, match="cannot be read .*expected the folder or the name of a transformers model"
    ):
        FrozenText(str(tmp_path / "nothing"))
    reader = FrozenText(encoder)
    with pytest.raises(
        ConditionError, match="description of task 1 has 32 tokens, expected at most 20. Shorten"
    ):
        reader(nw.Condition(description=nw.Texts(["one", "two " * 30])))
    with pytest.raises(ConditionError, match="expected `description`. Give a text per task"):
        reader(nw.Condition(context=torch.rand(1, 2)))
    with pytest.raises(ConditionError, match="`description` of task 0 is empty"):
        reader(nw.Condition(description=nw.Texts([" "])))
