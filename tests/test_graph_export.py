"""Children as graphs, traced with an input."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from untraceable import Branches, Sorts

import netwright as nw
from netwright.architectures import ConvNet, Recurrent, Residual, Transformer, mlp
from netwright.child import Child
from netwright.conditioners import Context
from netwright.conditions import Condition
from netwright.errors import UnsupportedChildError
from netwright.graph import graph_of
from netwright.graph_export import exported_graph

FAMILIES = [
    mlp(inputs=5, hidden=(12, 7), outputs=3, activation="silu"),
    Residual(inputs=5, width=16, blocks=2, outputs=3),
    ConvNet(
        channels=(8, 8), kernels=(3, 5), strides=(2, 1), skips=(False, True), image=(1, 12, 12), outputs=4
    ),
    Recurrent(inputs=4, width=12, steps=6, outputs=3),
    Transformer(inputs=4, width=16, heads=2, depth=1, steps=6, outputs=3),
]  # fmt: skip


class Unrolled(nn.Module):
    """As many layers as the input has steps, and a branch on its shape: a symbolic trace knows neither."""

    def __init__(self):
        super().__init__()
        self.read = nn.Linear(3, 4)
        self.gate = nn.Parameter(torch.ones(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        found = torch.zeros(len(x), 4)
        for step in range(x.shape[1]):
            found = torch.tanh(found + self.read(x[:, step]))
        if x.shape[1] > 1:
            found = found * self.gate
        return self.head(found)


@pytest.mark.parametrize("architecture", FAMILIES, ids=lambda a: type(a).__name__)
def test_both_ways_of_tracing_give_one_graph(architecture):
    module = architecture.build()
    found = exported_graph(module, torch.zeros(2, *architecture.input_shape))
    symbolic = graph_of(module)
    told = [[(o.kind, o.tensors, o.sizes) for o in g.operations] for g in (found, symbolic)]
    if isinstance(architecture, Transformer):
        # A symbolic trace also has what is computed of a shape, which is a number here.
        told = [[each for each in one if each[1]] for one in told]
        assert told[0] == told[1]
        return
    assert told[0] == told[1]
    assert found.edges == symbolic.edges


def test_loops_over_lengths_and_branches_on_shapes_are_followed():
    module = Unrolled()
    with pytest.raises(UnsupportedChildError, match="exported_graph"):
        graph_of(module)
    graph = exported_graph(module, torch.zeros(2, 3, 3))
    kinds = [each.kind for each in graph.operations]
    assert kinds.count("linear") == 4
    assert kinds.count("tanh") == 3
    assert kinds.count("multiply") == kinds.count("parameter") == 1
    assert sorted(graph.owner()) == sorted(name for name, _ in module.named_parameters())
    short = exported_graph(module, torch.zeros(2, 1, 3))
    assert "multiply" not in [each.kind for each in short.operations]


def test_a_child_with_a_graph_of_its_own_is_written_and_trains():
    torch.manual_seed(0)
    module = Unrolled()
    child = Child(module, graph=exported_graph(module, torch.zeros(2, 3, 3)))
    hypernetwork = nw.Hypernetwork(child, Context([-3.0, -3.0], [3.0, 3.0], size=16), "graph")
    x, scale = torch.randn(4, 20, 3, 3), torch.randn(4, 2)
    condition, y = Condition(context=scale), scale[:, None] * x.mean(dim=(2, 3))[..., None]
    optimiser = torch.optim.Adam(hypernetwork.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = F.mse_loss(child(hypernetwork(condition), x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    # Without it there is no way to one.
    with pytest.raises(UnsupportedChildError, match="cannot be traced"):
        nw.Hypernetwork(Child(module), Context([-3.0, -3.0], [3.0, 3.0], size=16), "graph")


@pytest.mark.parametrize(
    ("module", "inputs", "said"),
    [
        (Branches(), torch.zeros(2, 3), "Branches cannot be exported"),
        (Sorts(), torch.zeros(2, 3), "Sorts calls 'sort'"),
        (nn.Linear(3, 2), torch.zeros(2, 5), "Linear cannot be exported"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(module, inputs, said):
    with pytest.raises(UnsupportedChildError, match=said) as error:
        exported_graph(module, inputs)
    assert "slots" in str(error.value)
    assert "\n" not in str(error.value)


def test_tracing_takes_nothing_from_the_random_state():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.Linear(3, 2))
    before = torch.random.get_rng_state()
    kinds = [each.kind for each in exported_graph(module, torch.zeros(2, 3)).operations]
    assert kinds == ["input", "linear", "dropout", "linear", "output"]
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_weight_that_more_than_its_layer_reads_is_an_operation_too_and_in_place_is_no_other_word():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return F.relu(self.layer(x), inplace=True) @ self.layer.weight

    graph = exported_graph(Tied(), torch.zeros(2, 3))
    assert [each.kind for each in graph.operations] == [
        "parameter", "input", "linear", "relu", "multiply", "output",
    ]  # fmt: skip
    assert set(graph.edges) >= {(0, 4), (3, 4)}
