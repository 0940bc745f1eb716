"""One generator for children of any architecture."""

from dataclasses import replace

import pytest
import torch
from making import perturb
from torch import nn

import netwright as nw
from netwright.architectures import ConvNet, Recurrent, Residual, Transformer, conv, mlp
from netwright.child import Child
from netwright.class_rows import AnyClassRows
from netwright.conditioners import Architecture, Context, Examples
from netwright.conditions import Architectures, Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.hypernetwork import Hypernetwork

VECTORS = [
    mlp(inputs=5, hidden=(16,), outputs=3),
    mlp(inputs=5, hidden=(12, 40, 7), outputs=3, activation="tanh"),
    Residual(inputs=5, width=16, blocks=2, outputs=3),
]


def make(child=VECTORS[0], conditioner=None, **options):
    return Hypernetwork(Child(child), conditioner or Architecture(size=16), "graph", **options)


def asking(*architectures):
    return Condition(architecture=Architectures(architectures))


@pytest.mark.parametrize(
    "architecture",
    [
        *VECTORS,
        ConvNet(
            channels=(8, 8),
            kernels=(3, 5),
            strides=(2, 1),
            skips=(False, True),
            image=(1, 12, 12),
            outputs=4,
        ),
        Recurrent(inputs=4, width=12, steps=6, outputs=3),
        Transformer(inputs=4, width=16, heads=2, depth=1, steps=6, outputs=3),
    ],
    ids=lambda a: type(a).__name__,
)
def test_one_hypernetwork_writes_children_of_every_family(architecture):
    torch.manual_seed(0)
    hypernetwork = make()
    perturb(hypernetwork, torch.Generator().manual_seed(0))
    network = hypernetwork.generate(asking(architecture))
    own = architecture.build()
    assert network.architecture == architecture
    assert {n: p.shape for n, p in network.network.named_parameters()} == {
        n: p.shape for n, p in own.named_parameters()
    }
    x = torch.randn(7, *architecture.input_shape)
    assert network(x).isfinite().all()
    assert network(x).shape == own(x).shape


def test_written_children_start_as_well_initialised_at_any_size():
    hypernetwork = make().eval()
    for width in (4, 16, 64, 130):
        torch.manual_seed(width)
        architecture = mlp(inputs=20, hidden=(width, width), outputs=3)
        own = hypernetwork.for_architecture(architecture)
        params = own(asking(architecture))
        spec = next(s for s in own.child.space.tensors if s.name == "linear2.weight")
        assert 0.5 < float(params["linear2.weight"].detach().var()) / spec.std**2 < 2


def test_a_mixed_batch_gives_each_task_the_network_that_it_gets_alone():
    torch.manual_seed(0)
    hypernetwork = make()
    perturb(hypernetwork, torch.Generator().manual_seed(1))
    wanted = [VECTORS[1], VECTORS[0], VECTORS[1], VECTORS[2]]
    many = hypernetwork.generate_many(asking(*wanted))
    x = torch.randn(6, 5)
    for architecture, network in zip(wanted, many, strict=True):
        assert network.architecture == architecture
        torch.testing.assert_close(network(x), hypernetwork.generate(asking(architecture))(x))


def test_what_children_start_from_follows_from_their_architecture_alone():
    torch.manual_seed(0)
    context = Context([0.0], [1.0], size=16)
    hypernetwork = make(conditioner=[Architecture(size=16), context])
    hypernetwork.generator.rescale(0.0)
    hypernetwork.eval()

    def start(*hidden):
        architecture = mlp(inputs=5, hidden=hidden, outputs=3)
        wanted = replace(asking(architecture, architecture), context=torch.tensor([[0.0], [3.0]]))
        params = hypernetwork.for_architecture(architecture)(wanted)
        for value in params.values():
            torch.testing.assert_close(value[0], value[1])
        return {name: value[0].detach() for name, value in params.items()}

    def alike(a, b):
        return float(torch.cosine_similarity(a.flatten(), b.flatten(), dim=0))

    one, again, other = start(24, 24, 24), start(24, 24, 24), start(12, 24, 24)
    torch.testing.assert_close(one["linear2.weight"], again["linear2.weight"])
    # Neither layers at other places, nor those of another width, begin as the same numbers.
    assert alike(one["linear2.weight"], one["linear3.weight"]) < 0.9
    assert alike(one["linear1.weight"][:12], other["linear1.weight"]) < 0.9


def test_for_a_module_of_the_users_own():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = nn.Conv1d(2, 6, 3)
            self.last = nn.Linear(6, 4)

        def forward(self, x):
            return self.last(torch.relu(self.inside(x)).mean(dim=-1))

    hypernetwork = make(conditioner=Context([0.0], [1.0], size=16)).for_child(Child(Own()))
    params = hypernetwork(Condition(context=torch.tensor([[0.1], [0.9]])))
    assert hypernetwork.child(params, torch.randn(2, 5, 2, 9)).shape == (2, 5, 4)
    assert not torch.allclose(*params["inside.weight"])


def test_operations_that_were_in_no_training_are_refused_once_there_was_one():
    hypernetwork = make()
    hypernetwork.train()
    hypernetwork(asking(VECTORS[0]))
    hypernetwork.eval()
    with pytest.raises(
        ConditionError, match=r"\['add', 'norm'\], which this hypernetwork never saw"
    ):
        hypernetwork.generate(asking(VECTORS[2]))
    without = make(conditioner=Context([0.0], [1.0], size=16))
    without.train()(Condition(context=torch.zeros(1, 1)))
    with pytest.raises(RunError, match="'tanh'"):
        without.eval().for_architecture(VECTORS[1]).generate(Condition(context=torch.zeros(1, 1)))
    # Validation in training may come to what was not seen yet.
    without.for_architecture(VECTORS[1])(Condition(context=torch.zeros(1, 1)))


def test_what_was_seen_is_saved_with_the_weights():
    first, second = make(), make()
    first.train()(asking(VECTORS[0]))
    second.load_state_dict(first.state_dict())
    with pytest.raises(ConditionError, match="never saw"):
        second.eval().generate(asking(VECTORS[1]))


def test_class_heads_of_any_width_from_prototypes():
    torch.manual_seed(0)
    wide = conv(channels=6, depth=2, classes=3, image=(1, 12, 12))
    narrow = ConvNet(
        channels=(4,), kernels=(3,), strides=(2,), skips=(False,), image=(1, 12, 12), classes=3
    )
    x, y = torch.rand(1, 9, 1, 12, 12), torch.arange(3).repeat(3)[None]
    support = Condition(ExampleSet.of(x, y, classes=3))
    reader = Examples((1, 12, 12), size=16, channels=8)
    hypernetwork = make(wide, reader, head="anchor-only")
    for architecture in (wide, narrow):
        network = hypernetwork.for_architecture(architecture).generate(support)
        assert network(x[0]).shape == (9, 3)
        # One mean per class tells apart examples that are those means.
        assert (network(x[0]).argmax(dim=1) == y[0]).float().mean() > 0.5


@pytest.mark.parametrize("head", ["anchored", "residual-only"])
def test_learned_rows_of_class_heads_fit_any_number_of_features(head):
    torch.manual_seed(0)
    pictures = {"image": (1, 12, 12), "classes": 3}
    # 6, 54 and 80 features: fewer and more than there are learned ones.
    wanted = [conv(channels=c, depth=2, **pictures) for c in (2, 6, 10)]
    x, y = torch.rand(1, 9, 1, 12, 12), torch.arange(3).repeat(3)[None]
    reader = Examples((1, 12, 12), size=16, channels=8)
    hypernetwork = make(wanted[1], reader, head=head).eval()
    order = torch.tensor([2, 0, 1])
    for architecture in wanted:
        own = hypernetwork.for_architecture(architecture)
        rows = own(Condition(ExampleSet.of(x, y, classes=3)))["head.weight"]
        turned = own(Condition(ExampleSet.of(x, order[y], classes=3)))["head.weight"]
        torch.testing.assert_close(turned[:, order], rows, rtol=1e-4, atol=1e-5)
        assert own.class_head.residual is hypernetwork.class_head.residual


def test_learned_rows_change_anchors_in_the_anchors_own_unit():
    torch.manual_seed(0)
    rows = AnyClassRows(["weight", "bias"], 8, reads_anchor=True)
    space = Child(nn.Sequential(nn.Linear(5, 3))).space
    tokens = torch.randn(2, 3, 8)
    anchor = [torch.randn(2, 3, 5), torch.randn(2, 3, 1)]
    for factor in (1e-3, 1e3):
        scaled = [part * factor for part in anchor]
        found = rows(tokens, scaled, space)
        for start, row, plain in zip(scaled, found, rows(tokens, anchor, space), strict=True):
            assert 0.05 < float((row - start).detach().std() / start.std()) < 1
            # Features in another unit are told apart by the same rows.
            torch.testing.assert_close(row / factor, plain, rtol=1e-3, atol=1e-4)


def test_architectures_are_a_list_with_one_for_each_task():
    with pytest.raises(ConditionError, match="expected a list"):
        Architectures(VECTORS[0])
    mixed = replace(asking(*VECTORS[:2]), context=torch.zeros(3, 1))
    with pytest.raises(ConditionError, match="2 architectures for 3 tasks"):
        mixed.check()


def test_a_condition_without_architecture_is_refused_by_its_conditioner():
    with pytest.raises(ConditionError, match="expected `architecture`"):
        make()(Condition(context=torch.zeros(1, 1)))


def start_of(generator):
    """How matrices are mixed to theta_0 of each tensor."""
    about = torch.cat([generator.graph.features[generator.places], generator.told], dim=1)
    return generator._start_shares(about, generator.starts_at_zero)


def test_lower_frequencies_let_similar_layers_share_more():
    wide, narrow = (mlp(inputs=3, hidden=(8, width), outputs=4) for width in (16, 8))

    def likeness(frequency):
        found = []
        for seed in range(5):
            torch.manual_seed(seed)
            hypernetwork = make(wide, frequency=frequency)
            assert hypernetwork.generator.options().get("frequency", 4.0) == frequency
            both = (hypernetwork, hypernetwork.for_architecture(narrow))
            # Of the second layer's weights: the two differ by its width.
            shares = [start_of(each.generator)[2].detach() for each in both]
            found.append(float(torch.cosine_similarity(*shares, dim=0)))
        return sum(found) / len(found)

    assert likeness(0.3) > 0.9 > likeness(4.0)


@pytest.mark.parametrize(
    "option", ["mixtures", "rank", "depth", "frequency", "units", "identity", "correction"]
)
def test_options_out_of_range_are_refused(option):
    with pytest.raises(RunError, match=option):
        make(**{option: -1})


def test_what_the_condition_changes_at_the_start_is_as_large_as_asked_for():
    def change(**options):
        torch.manual_seed(0)
        context = Context([0.0], [1.0], size=16)
        hypernetwork = make(conditioner=[Architecture(size=16), context], **options).eval()
        wanted = replace(asking(*[VECTORS[0]] * 2), context=torch.tensor([[0.0], [3.0]]))
        weight = hypernetwork(wanted)["linear1.weight"].detach()
        return float((weight[1] - weight[0]).std() / weight[0].std())

    assert change(correction=0.01) / change() == pytest.approx(0.1, rel=0.05)
    assert make(correction=0.01).generator.options()["correction"] == 0.01
    assert "correction" not in make().generator.options()
    # Weights that are corrections alone are of full size whatever these would start with.
    whole = [make(initialisation="hyperfan", correction=c)(asking(VECTORS[0])) for c in (0.01, 0.1)]
    spreads = [float(each["linear1.weight"].detach().std()) for each in whole]
    assert 0.5 < spreads[0] / spreads[1] < 2


@pytest.mark.parametrize("widths", [(8, 8, 8), (4, 8, 6)])
def test_layers_between_the_first_and_the_last_hand_on_what_they_read(widths):
    torch.manual_seed(0)
    architecture = mlp(inputs=3, hidden=widths, outputs=4)
    plain, passing = make(architecture), make(architecture, identity=2.0)
    passing.load_state_dict(plain.state_dict(), strict=False)
    before, after = (each(asking(architecture)) for each in (plain, passing))
    changed = {n: (after[n] - before[n])[0] for n in before if not torch.equal(after[n], before[n])}
    assert len(changed) == 2
    for value in changed.values():
        torch.testing.assert_close(value, 2 * torch.eye(*value.shape))


def test_kernels_hand_on_what_is_in_their_middle():
    torch.manual_seed(0)
    conv = ConvNet(channels=(6, 6, 6), kernels=(3, 5, 3), strides=(1, 1, 1), outputs=4, norm="none")
    passing = make(conv, identity=1.0)
    assert [
        s.name
        for s, p in zip(passing.child.space.tensors, passing.generator.passes, strict=True)
        if p
    ] == [
        "block2.conv.weight",
        "block3.conv.weight",
    ]
    whole = passing(asking(conv))
    passing.generator.passed.bias.data.add_(1.0)
    more = passing(asking(conv))
    x = torch.rand(1, 2, 1, 28, 28)
    for name in ("block2.conv.weight", "block3.conv.weight"):
        kernel = (more[name] - whole[name])[0]
        features = torch.rand(2, 6, 9, 9)
        passed = torch.nn.functional.conv2d(features, kernel, padding=kernel.shape[-1] // 2)
        torch.testing.assert_close(passed, features, rtol=1e-4, atol=1e-4)
    assert passing.child(more, x).shape == (1, 2, 4)
    # A start that is meant is no problem of the start, and is shown.
    start = passing.check_initialisation(asking(conv), x)
    of = {tensor.name: tensor for tensor in start.tensors}
    assert of["block2.conv.weight"].variance > 2
    assert not of["block2.conv.weight"].judged
    assert of["block1.conv.weight"].judged
    assert not any("conv.weight" in problem for problem in start.problems)


def test_fewer_units_are_enough_for_narrow_children_and_are_widened_for_wide_ones():
    small = make(mlp(inputs=3, hidden=(8, 8), outputs=4), units=8)
    assert small.generator.matrices.shape[1:] == (8, 8)
    assert small.generator.options()["units"] == 8
    wide = mlp(inputs=3, hidden=(20, 12), outputs=4)
    params = small.for_architecture(wide)(asking(wide))
    assert [tuple(p.shape[1:]) for p in params.values()][2] == (12, 20)
    again = nw.Hypernetwork.from_record(small.record())
    assert again.generator.matrices.shape == small.generator.matrices.shape


def test_architectures_that_are_too_large_are_refused_before_they_are_made():
    with pytest.raises(nw.errors.RunError, match="parameters"):
        make().for_architecture(mlp(inputs=30_000, hidden=(40_000,), outputs=2))
