"""Tuning of an embedding alone: within what a hypernetwork can write, its weights untouched."""

import pytest
import torch
from making import (
    make_condition,
    make_conditioner,
    make_picture_condition,
    make_picture_hypernetwork,
    make_vector_hypernetwork,
    perturb,
)
from torch import nn

import netwright as nw
from netwright.conditioners import CONDITIONERS, Compose, Identity
from netwright.errors import ConditionError, RunError, TrainingError
from netwright.generators import GENERATORS
from netwright.learners import TuneEmbedding
from netwright.objectives import Classification, Regression
from netwright.rng import stream


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def make(conditioner, generator="dense"):
    hypernetwork = make_vector_hypernetwork(generator, conditioner)
    perturb(hypernetwork, torch.Generator().manual_seed(1))
    return hypernetwork


def own(conditioner, rng, tasks=3):
    """What the conditioner reads, and examples."""
    return make_condition(tasks, rng, *{*make_conditioner(conditioner).reads, "examples"})


def loss_of(tuner, condition):
    outputs = tuner.adapt(condition)(condition.examples.x)
    return Regression().score(outputs, condition.examples).loss


@pytest.mark.parametrize("conditioner", CONDITIONERS)
def test_no_step_is_the_hypernetwork_and_steps_lower_the_loss_of_every_task(conditioner, rng):
    hypernetwork, condition = make(conditioner), own(conditioner, rng)
    none, some = (
        TuneEmbedding(hypernetwork, Regression(), steps=steps, rate=0.02) for steps in (0, 20)
    )
    with torch.no_grad():
        params = hypernetwork.eval()(condition)
        expected = hypernetwork.child(params, condition.examples.x)
    torch.testing.assert_close(none.adapt(condition)(condition.examples.x), expected)
    assert (loss_of(some, condition) < loss_of(none, condition)).all()


@pytest.mark.parametrize("generator", GENERATORS)
def test_tasks_are_independent(generator, rng):
    hypernetwork, condition = make("examples", generator), own("examples", rng)
    predict = TuneEmbedding(hypernetwork, Regression(), steps=5, rate=0.01)
    x = torch.randn(3, 4, 3, generator=rng)
    alone = predict.adapt(condition.rows(slice(1, 2)))(x[1:2])
    torch.testing.assert_close(predict.adapt(condition)(x)[1:2], alone, rtol=1e-3, atol=1e-4)


def test_of_a_single_token_the_global_one_stays_the_same_one(rng):
    hypernetwork, condition = make("identity", "layer-tokens"), own("identity", rng)
    (embedding,) = TuneEmbedding(hypernetwork, Regression(), steps=3, rate=0.1).trajectory(
        condition, [3]
    )
    assert torch.equal(embedding.tokens, embedding.z.unsqueeze(1))
    hypernetwork = make("examples", "layer-tokens")
    start, end = TuneEmbedding(hypernetwork, Regression(), steps=3, rate=0.1).trajectory(
        own("examples", rng), [0, 3]
    )
    assert not torch.equal(start.z, end.z)
    assert not torch.equal(start.tokens, end.tokens)


def test_weights_and_the_condition_are_untouched(rng):
    hypernetwork, condition = make("examples"), own("examples", rng)
    before = {name: value.clone() for name, value in hypernetwork.state_dict().items()}
    trained = [p.requires_grad for p in hypernetwork.parameters()]
    x = condition.examples.x.clone()
    with torch.no_grad():
        TuneEmbedding(hypernetwork, Regression(), steps=3).adapt(condition)
    assert all(torch.equal(v, before[n]) for n, v in hypernetwork.state_dict().items())
    assert [p.requires_grad for p in hypernetwork.parameters()] == trained
    assert all(p.grad is None for p in hypernetwork.parameters())
    assert torch.equal(condition.examples.x, x)


def test_padding_and_rows_without_label_do_not_count(rng):
    hypernetwork = make("identity")
    x, y = torch.randn(2, 4, 3, generator=rng), torch.randn(2, 4, 2, generator=rng)
    identity = torch.tensor([-1, 3])
    plain = nw.Condition(nw.ExampleSet.of(x, y), identity=identity)
    nan = float("nan")
    more = nw.ExampleSet(
        torch.cat([x, torch.randn(2, 1, 3), torch.full((2, 1, 3), nan)], 1),
        torch.cat([y, torch.full((2, 2, 2), nan)], 1),
        (torch.arange(6) < 5).expand(2, -1),
        labelled=(torch.arange(6) < 4).expand(2, -1),
    )
    tuner = TuneEmbedding(hypernetwork, Regression(), steps=5)
    found = tuner.adapt(nw.Condition(more, identity=identity))(x)
    torch.testing.assert_close(found, tuner.adapt(plain)(x), rtol=1e-4, atol=1e-5)


def test_class_tokens_are_tuned_too(rng):
    hypernetwork = make_picture_hypernetwork("dense", "residual-only")
    condition = make_picture_condition(2, 4, 3, rng)
    start, end = TuneEmbedding(hypernetwork, Classification(), steps=10, rate=0.02).trajectory(
        condition, [0, 10]
    )
    assert ((end.classes - start.classes).abs().amax(-1) > 1e-3).all()
    with torch.no_grad():
        losses = [
            Classification()
            .score(
                hypernetwork.child(hypernetwork.write_from(e, condition), condition.examples.x),
                condition.examples,
            )
            .loss
            for e in (start, end)
        ]
    assert (losses[1] < losses[0]).all()


def test_what_was_composed_is_tuned(rng):
    reader = Compose([make_conditioner("identity"), make_conditioner("context")])
    child = nw.Child(nw.architectures.mlp(inputs=3, outputs=2))
    hypernetwork = nw.Hypernetwork(child, reader, "layer-tokens")
    condition = make_condition(2, rng, "identity", "context", "examples")
    start, end = (TuneEmbedding(hypernetwork, Regression(), steps=steps) for steps in (0, 10))
    assert (loss_of(end, condition) < loss_of(start, condition)).all()


def test_a_network_is_what_was_tuned_and_says_so(rng, tmp_path):
    hypernetwork = make("identity")
    condition = nw.Condition(
        make_condition(2, rng, "examples").examples, identity=torch.tensor([-1, 7])
    )
    tuner = TuneEmbedding(hypernetwork, Regression(), steps=4, rate=0.1)
    networks = tuner.generate_many(condition, labels=[["a", "b"], ["c", "d"]])
    expected = tuner.adapt(condition)(condition.examples.x)
    for t, network in enumerate(networks):
        torch.testing.assert_close(
            network(condition.examples.x[t]), expected[t], rtol=1e-4, atol=1e-5
        )
        assert (
            "its embedding tuned: 4 steps of 0.1 on Regression" in network.provenance.hypernetwork
        )
    assert networks[1].labels == ("c", "d")
    known = nw.Condition(identity=torch.tensor([-1]))
    written = hypernetwork.generate(known).provenance.hypernetwork
    assert networks[0].provenance.hypernetwork.startswith(f"{written},")
    assert nw.load_network(networks[0].save(tmp_path / "net")).provenance == networks[0].provenance


def test_the_cost_is_that_of_the_hypernetwork_and_of_one_network(rng):
    hypernetwork = make("examples")
    cost = TuneEmbedding(hypernetwork, Regression(), steps=1).cost(own("examples", rng))
    assert cost.trained_parameters == sum(
        p.numel() for p in hypernetwork.parameters() if p.requires_grad
    )
    written = hypernetwork.generate(own("examples", rng, tasks=1))
    assert (cost.deployed_parameters, cost.deployed_bytes) == (written.size, 4 * written.size)


def test_what_cannot_be_tuned_is_refused(rng):
    hypernetwork = make("identity")
    with pytest.raises(ConditionError, match="Tuning an embedding needs examples, found none"):
        TuneEmbedding(hypernetwork, Regression(), steps=1).adapt(
            nw.Condition(identity=torch.tensor([-1]))
        )
    condition = own("identity", rng)
    with pytest.raises(
        ConditionError, match="has `context`, which this hypernetwork does not read"
    ):
        TuneEmbedding(hypernetwork, Regression(), steps=1).generate_many(
            make_condition(3, rng, "identity", "examples", "context")
        )
    for steps, rate in ((-1, 0.1), (1, 0.0), (1, float("inf"))):
        with pytest.raises(RunError, match="expected at least 0 steps and a positive rate"):
            TuneEmbedding(hypernetwork, Regression(), steps=steps, rate=rate)
    condition.examples.y[1] = 3e38
    with pytest.raises(TrainingError, match="The embedding of task 1 is not finite by step 2"):
        TuneEmbedding(hypernetwork, Regression(), steps=2, rate=1.0).adapt(condition)


class Waves(nn.Module):
    """Linear in sin x and cos x: every wave of amplitude a and phase p is one of these."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1, bias=False)

    def forward(self, x):
        return self.linear(torch.cat([x.sin(), x.cos()], dim=-1))


KNOWN = 64


def known_waves():
    """Weights [64, 1, 2] of waves that are the family's own: a sin(x - p) = a cos p sin x - a sin p cos x."""
    amplitude = torch.linspace(0.1, 5, 8).repeat(8)
    phase = torch.linspace(0, torch.pi, 8).repeat_interleave(8)
    return torch.stack([amplitude * phase.cos(), -amplitude * phase.sin()], dim=-1).unsqueeze(1)


@pytest.fixture(scope="module")
def trained():
    """A hypernetwork that knows 64 waves by name."""
    torch.manual_seed(0)
    child = nw.Child(Waves())
    hypernetwork = nw.Hypernetwork(child, Identity(KNOWN, size=16), "dense", hidden=32)
    optimiser = torch.optim.Adam(hypernetwork.parameters(), 1e-2)
    weights = known_waves()
    for _ in range(400):
        optimiser.zero_grad()
        params = hypernetwork(nw.Condition(identity=torch.arange(KNOWN)))
        (params["linear.weight"] - weights).square().sum(dim=(1, 2)).mean().backward()
        optimiser.step()
    return hypernetwork


def test_an_unseen_wave_is_found_from_three_points_by_its_embedding_alone(trained):
    batch = nw.tasks.Sine(shots=3, queries=50).sample(stream(0, "unseen"), 100, "test")
    condition = nw.Condition(batch.condition.examples, identity=torch.full((100,), -1))
    mean, tuned = (
        Regression()
        .score(
            TuneEmbedding(trained, Regression(), steps=steps).adapt(condition)(batch.query.x),
            batch.query,
        )
        .loss
        for steps in (0, 200)
    )
    # Three points of a wave without noise tell it, if what is searched are waves.
    assert mean.median() > 1
    assert tuned.median() < 0.02


def test_of_two_points_and_more_it_is_the_least_squares_fit(trained):
    x = torch.tensor([[[-2.0], [-0.5], [1.0], [2.5]]])
    y = 3 * (x - 1).sin() + torch.tensor([[[0.2], [-0.3], [0.1], [0.2]]])
    condition = nw.Condition(nw.ExampleSet.of(x, y), identity=torch.tensor([-1]))
    predict = TuneEmbedding(trained, Regression(), steps=400).adapt(condition)
    design = torch.cat([x[0].sin(), x[0].cos()], dim=-1)
    fit = design @ torch.linalg.lstsq(design, y[0]).solution
    torch.testing.assert_close(predict(x)[0], fit, atol=5e-3, rtol=0)
