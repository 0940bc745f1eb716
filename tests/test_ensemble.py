"""Ensembles: samples of what a hypernetwork writes, as one module, in files and in other runtimes."""

import onnxruntime
import pytest
import torch
from making import make_condition, make_conditioner, make_picture_condition, perturb
from torch import nn

import netwright as nw
from netwright.conditioners import Compose, Examples, Noise
from netwright.ensemble import GeneratedEnsemble
from netwright.errors import ArtifactError, ConditionError, RunError, ShapeError


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def make(kind: str, rng, module=None) -> nw.Hypernetwork:
    """A hypernetwork for values that writes a distribution: `noise`, `gaussian`, or both."""
    parts = [make_conditioner("examples")]
    if kind != "gaussian":
        parts.append(make_conditioner("noise"))
    child = nw.Child(module or nw.architectures.mlp(inputs=3, hidden=(8,), outputs=2))
    generator = "dense" if kind == "noise" else "gaussian"
    hypernetwork = nw.Hypernetwork(child, parts, generator)
    perturb(hypernetwork, rng)
    return hypernetwork


def make_classifier(rng) -> nw.Hypernetwork:
    child = nw.Child(nw.architectures.conv(channels=8, depth=2, classes=4, image=(1, 12, 12)))
    hypernetwork = nw.Hypernetwork(child, Examples((1, 12, 12), size=16, channels=16), "gaussian")
    perturb(hypernetwork, rng)
    return hypernetwork


def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["noise", "gaussian", "both"])
def hypernetwork(request, rng):
    return make(request.param, rng)


@pytest.fixture
def condition(rng):
    return make_condition(1, rng, "examples")


def test_it_answers_with_the_mean_of_its_members(hypernetwork, condition):
    ensemble = hypernetwork.generate_ensemble(condition, samples=5, rng=seeded())
    x = torch.randn(7, 3)
    answers = ensemble.all(x)
    assert answers.shape == (5, 7, 2)
    for answer, member in zip(answers, ensemble.members, strict=True):
        assert torch.equal(answer, member(x))
    torch.testing.assert_close(ensemble(x), sum(answers) / 5)
    assert ensemble.samples == 5
    assert ensemble.size == 5 * hypernetwork.child.space.size


def test_members_differ_and_are_a_function_of_condition_and_rng(hypernetwork, condition):
    torch.manual_seed(1)
    a = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded())
    torch.manual_seed(2)
    b = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded())
    c = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded(8))
    x = torch.randn(4, 3)
    assert torch.equal(a.all(x), b.all(x))
    assert not torch.allclose(a.all(x), c.all(x))
    assert not torch.allclose(a.all(x)[0], a.all(x)[1])


def test_members_follow_the_distribution_that_is_written(rng, condition):
    hypernetwork = make("gaussian", rng)
    ensemble = hypernetwork.generate_ensemble(condition, samples=400, rng=seeded())
    theta = torch.stack([nn.utils.parameters_to_vector(m.parameters()) for m in ensemble.members])
    with torch.no_grad():
        q = hypernetwork.eval().distribution(condition)
    std = q.variance()[0].sqrt()
    assert ((theta.mean(0) - q.mean[0]).abs() < 5 * std / 20).all()
    torch.testing.assert_close(theta.std(0) / std, torch.ones(q.size), atol=0.2, rtol=0)


def test_members_of_noise_are_what_their_noise_writes(rng, condition):
    hypernetwork = make("noise", rng)
    ensemble = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded())
    noise = Noise.draw(3, 5, generator=seeded())
    x = torch.randn(4, 3)
    for s, member in enumerate(ensemble.members):
        own = nw.Condition(condition.examples, noise=noise[s : s + 1])
        torch.testing.assert_close(hypernetwork.generate(own)(x), member(x), rtol=1e-4, atol=1e-5)


def test_provenance_tells_samples_and_their_seeds_apart(hypernetwork, condition):
    a = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded())
    b = hypernetwork.generate_ensemble(condition, samples=2, rng=seeded())
    c = hypernetwork.generate_ensemble(condition, samples=2, rng=seeded(8))
    assert a.provenance[0] == b.provenance[0]
    assert len({p.sample for e in (a, c) for p in e.provenance}) == 5
    centre = hypernetwork.generate(condition).provenance
    assert centre.sample == ""
    for provenance in a.provenance:
        assert provenance.condition == centre.condition
        assert provenance.hypernetwork == centre.hypernetwork


def test_of_classes_its_softmax_is_the_mean_of_probabilities(rng):
    hypernetwork = make_classifier(rng)
    condition = make_picture_condition(1, 3, 2, rng)
    ensemble = hypernetwork.generate_ensemble(condition, samples=4, rng=seeded(), labels="abc")
    x = torch.rand(5, 1, 12, 12)
    expected = ensemble.all(x).softmax(dim=-1).mean(dim=0)
    assert ensemble.all(x).std(dim=0).min() > 0
    torch.testing.assert_close(ensemble(x).softmax(dim=-1), expected)
    torch.testing.assert_close(ensemble(x), expected.log())
    assert ensemble.labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("labels", "averages"),
    [("values", "values"), ("fixed-classes", "probabilities")],
)
def test_what_is_averaged_follows_from_what_is_read_and_can_be_said(labels, averages, rng):
    child = nw.Child(nw.architectures.mlp(inputs=3, outputs=2))
    reader = Examples((3,), size=16, outputs=2, labels=labels)
    hypernetwork = nw.Hypernetwork(child, [reader, make_conditioner("context")], "gaussian")
    condition = make_condition(1, rng, "context")
    y = torch.randn(1, 4, 2) if labels == "values" else torch.tensor([[0, 1, 0, 1]])
    condition = nw.Condition(nw.ExampleSet.of(torch.randn(1, 4, 3), y), condition.context)
    made = hypernetwork.generate_ensemble(condition, samples=2, rng=seeded())
    assert made.averages == averages
    said = hypernetwork.generate_ensemble(
        condition, samples=2, rng=seeded(), averages="probabilities"
    )
    assert said.averages == "probabilities"


def test_what_reads_nothing_but_noise_writes_from_an_empty_condition(rng):
    child = nw.Child(nw.architectures.mlp(inputs=3, outputs=2))
    hypernetwork = nw.Hypernetwork(child, make_conditioner("noise"), "dense")
    ensemble = hypernetwork.generate_ensemble(nw.Condition(), samples=3, rng=seeded())
    assert ensemble.all(torch.randn(2, 3)).std(dim=0).min() > 0


def test_drawing_leaves_mode_weights_and_the_global_random_state_alone(hypernetwork, condition):
    hypernetwork.train()
    before = {name: value.clone() for name, value in hypernetwork.state_dict().items()}
    state = torch.random.get_rng_state()
    ensemble = hypernetwork.generate_ensemble(condition, samples=2, rng=seeded())
    assert torch.equal(torch.random.get_rng_state(), state)
    for parameter in ensemble.parameters():
        parameter.data.zero_()
    assert hypernetwork.training
    assert not ensemble.training
    assert all(torch.equal(before[n], v) for n, v in hypernetwork.state_dict().items())


def test_a_saved_ensemble_gives_the_same_answers(hypernetwork, condition, tmp_path):
    ensemble = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded(), labels=["a", "b"])
    ensemble.save(tmp_path / "many")
    loaded = nw.load_ensemble(tmp_path / "many")
    x = torch.randn(4, 3)
    assert torch.equal(loaded(x), ensemble(x))
    assert loaded.provenance == ensemble.provenance
    assert loaded.labels == ensemble.labels
    assert loaded.averages == ensemble.averages


def test_saved_classifiers_keep_averaging_probabilities(rng, tmp_path):
    condition = make_picture_condition(1, 3, 2, rng)
    ensemble = make_classifier(rng).generate_ensemble(condition, samples=2, rng=seeded())
    ensemble.save(tmp_path / "many")
    x = torch.rand(5, 1, 12, 12)
    assert torch.equal(nw.load_ensemble(tmp_path / "many")(x), ensemble(x))


def test_an_ensemble_of_a_users_module_loads_into_copies_of_it(rng, condition, tmp_path):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    ensemble = make("gaussian", rng, module).generate_ensemble(condition, samples=2, rng=seeded())
    ensemble.save(tmp_path / "many")
    with pytest.raises(
        ArtifactError, match=r"a module of your own.*`load_ensemble\(folder, module="
    ):
        nw.load_ensemble(tmp_path / "many")
    with pytest.raises(ArtifactError, match="do not fit Linear"):
        nw.load_ensemble(tmp_path / "many", module=nn.Linear(3, 2))
    x = torch.randn(5, 3)
    loaded = nw.load_ensemble(tmp_path / "many", module=module)
    assert torch.equal(loaded.all(x), ensemble.all(x))


def test_a_network_is_no_ensemble_and_a_flipped_bit_is_found(rng, condition, tmp_path):
    hypernetwork = make("gaussian", rng)
    hypernetwork.generate(condition).save(tmp_path / "one")
    with pytest.raises(ArtifactError, match="holds a network, expected an? ensemble"):
        nw.load_ensemble(tmp_path / "one")
    hypernetwork.generate_ensemble(condition, samples=2, rng=seeded()).save(tmp_path / "many")
    path = tmp_path / "many/model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="another sha256 than its manifest says"):
        nw.load_ensemble(tmp_path / "many")


@pytest.mark.parametrize("kind", ["values", "classes"])
def test_onnx_gives_the_mean_answer_for_any_number_of_rows(kind, rng, condition, tmp_path):
    if kind == "classes":
        hypernetwork, condition = make_classifier(rng), make_picture_condition(1, 3, 2, rng)
    else:
        hypernetwork = make("both", rng)
    ensemble = hypernetwork.generate_ensemble(condition, samples=3, rng=seeded())
    path = ensemble.export(tmp_path / "mean.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (1, 5):
        x = torch.rand(rows, *ensemble.input_shape)
        (y,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), ensemble(x).detach(), rtol=1e-5, atol=1e-5)


def test_what_no_ensemble_can_be_drawn_from_is_refused(rng, condition):
    dense = nw.Hypernetwork(
        nw.Child(nw.architectures.mlp(inputs=3, outputs=2)), make_conditioner("examples"), "dense"
    )
    with pytest.raises(RunError, match=r"one and the same network.*generator=\"gaussian\""):
        dense.generate_ensemble(condition, samples=2, rng=rng)
    hypernetwork = make("both", rng)
    with pytest.raises(RunError, match="`samples` is 0, expected at least 1"):
        hypernetwork.generate_ensemble(condition, samples=0, rng=rng)
    with pytest.raises(ConditionError, match="has `noise`, which is drawn for each network"):
        hypernetwork.generate_ensemble(
            make_condition(1, rng, "examples", "noise"), samples=2, rng=rng
        )
    with pytest.raises(ConditionError, match="of 2 tasks, expected one"):
        hypernetwork.generate_ensemble(make_condition(2, rng, "examples"), samples=2, rng=rng)
    with pytest.raises(ConditionError, match="The condition is empty"):
        hypernetwork.generate_ensemble(nw.Condition(), samples=2, rng=rng)


def test_ensembles_of_nothing_or_of_unknown_means_are_refused(rng, condition):
    member = make("gaussian", rng).generate(condition)
    with pytest.raises(ShapeError, match="The ensemble has no member, expected at least one"):
        GeneratedEnsemble([], averages="values")
    with pytest.raises(RunError, match=r"`averages` is 'votes', expected one of \['values'"):
        GeneratedEnsemble([member], averages="votes")


def test_noise_in_compose_with_dropout_is_found(rng, condition):
    reader = Compose([make_conditioner("examples"), make_conditioner("noise")], dropout=0.5)
    child = nw.Child(nw.architectures.mlp(inputs=3, outputs=2))
    hypernetwork = nw.Hypernetwork(child, reader, "dense")
    ensemble = hypernetwork.generate_ensemble(condition, samples=2, rng=seeded())
    assert ensemble.all(torch.randn(2, 3)).std(dim=0).min() > 0
