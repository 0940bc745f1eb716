"""Children as graphs of operations."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from untraceable import Branches, Sorts

from netwright.architectures import mlp
from netwright.child import Child
from netwright.errors import UnsupportedChildError
from netwright.graph import FEATURES, MOST_STEPS, OPERATIONS, chain_of, graph_of, requested_graph
from netwright.graph_export import exported_graph
from netwright.space import ParameterSpace


class Skip(nn.Module):
    """Two ways from input to output, one of them longer."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        y = F.gelu(self.norm(self.conv2(x)))
        return self.head((x + y).mean(dim=(2, 3)))


class Sequences(nn.Module):
    """A recurrent child that reads out its last step."""

    def __init__(self):
        super().__init__()
        self.layers = nn.GRU(3, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        states, _ = self.layers(x)
        return self.head(states[:, -1])


class Within(nn.Module):
    """Holds what cannot be traced."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), Branches()

    def forward(self, x):
        return self.second(self.first(x))


def kinds(graph):
    return [each.kind for each in graph.operations]


def test_a_graph_has_the_operations_in_order_and_who_reads_from_whom():
    graph = graph_of(Skip())
    assert kinds(graph) == [
        "input", "convolution", "relu", "convolution", "norm", "gelu", "add", "mean", "linear", "output",
    ]  # fmt: skip
    chain = [(i, i + 1) for i in range(9)]
    assert graph.edges == tuple(sorted([*chain, (2, 6)]))
    assert graph.operations[1].sizes == (8, 3, 9, 2)
    assert graph.operations[1].tensors == ("conv1.weight", "conv1.bias")


@pytest.mark.parametrize(
    "module", [Skip(), Sequences(), nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh())]
)
def test_every_parameter_has_one_owner(module):
    graph = graph_of(module)
    assert sorted(graph.owner()) == sorted(ParameterSpace.of(module).names)


def test_layers_that_return_several_things_are_one_operation():
    assert kinds(graph_of(Sequences())) == ["input", "recurrent", "linear", "output"]


def test_distances_are_shortest_ways_and_tell_forwards_from_backwards():
    graph = graph_of(Skip())
    found = graph.distances
    count = len(graph.operations)
    # Floyd and Warshall, as an independent answer.
    steps = torch.full((count, count), 99)
    steps.fill_diagonal_(0)
    for i, j in graph.edges:
        steps[i, j] = 1
    for k in range(count):
        steps = torch.minimum(steps, steps[:, k : k + 1] + steps[k : k + 1])
    for i in range(count):
        for j in range(count):
            if i == j:
                expected = 0
            elif steps[i, j] < 99:
                expected = min(MOST_STEPS, int(steps[i, j]))
            elif steps[j, i] < 99:
                expected = MOST_STEPS + min(MOST_STEPS, int(steps[j, i]))
            else:
                expected = 2 * MOST_STEPS + 1
            assert found[i, j] == expected, (i, j)
    assert found[2, 6] == 1
    assert found[6, 2] == MOST_STEPS + 1


def test_branches_do_not_read_from_each_other():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3)

        def forward(self, x):
            return self.a(x) * self.b(x)

    graph = graph_of(Two())
    assert kinds(graph) == ["input", "linear", "linear", "multiply", "output"]
    assert graph.distances[1, 2] == graph.distances[2, 1] == 2 * MOST_STEPS + 1


def test_features_tell_kind_size_and_place():
    graph = graph_of(Skip())
    assert graph.features.shape == (10, FEATURES)
    first, second, head = (graph.features[i] for i in (1, 3, 8))
    assert not torch.equal(first, second)
    assert not torch.equal(second, head)
    deep = requested_graph(mlp(inputs=3, hidden=(8, 8, 8), outputs=2))
    hidden = [i for i, each in enumerate(deep.operations) if each.sizes[:2] == (8, 8)]
    # Layers of one size differ by how far they are from the ends.
    assert len(hidden) == 2
    assert not torch.equal(*(deep.features[i] for i in hidden))


class Halving(nn.Module):
    """Three halvings, by a convolution, a layer that pools and a call that does; pooling to one place is none."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=(2, 1), padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = F.avg_pool2d(self.pool(self.second(self.first(x))), 2)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


@pytest.mark.parametrize("of", [graph_of, lambda m: exported_graph(m, torch.zeros(1, 1, 28, 28))])
def test_features_tell_how_often_strides_have_halved(of):
    graph = of(Halving())
    before, after = (4 * graph.features[:, len(OPERATIONS) + i] for i in (8, 9))
    assert kinds(graph) == [
        "input",
        "convolution",
        "convolution",
        "pool",
        "pool",
        "pool",
        "linear",
        "output",
    ]
    assert before.tolist() == [0, 0, 1, 1, 2, 3, 3, 3]
    assert after.tolist() == [0, 1, 1, 2, 3, 3, 3, 3]


def test_a_window_that_is_known_only_when_it_runs_has_no_stride():
    class Whole(Halving):
        """Pools over as much as there is."""

        def forward(self, x):
            x = self.first(x)
            return self.head(F.avg_pool2d(x, x.shape[2:]).flatten(1))

    graph = graph_of(Whole())
    assert [each.sizes[3] for each in graph.operations if each.kind == "pool"] == [1]


def test_features_tell_the_narrowest_layer_on_the_way():
    graph = requested_graph(mlp(inputs=3, hidden=(16, 4, 8), outputs=2))
    layers = [i for i, each in enumerate(graph.operations) if each.kind == "linear"]
    # Of what a layer makes and reads, by itself.
    own = 2 / graph.features[layers][:, len(OPERATIONS) + 10 : len(OPERATIONS) + 12]
    assert own.flatten().tolist() == pytest.approx([16, 3, 4, 16, 8, 4, 2, 8])
    before, after = (2 ** (4 * graph.features[layers, i]) for i in (-2, -1))
    # The last layer makes answers, as many as there are.
    assert before.tolist() == pytest.approx([16, 4, 4, 4])
    assert after.tolist() == pytest.approx([4, 4, 8, 1024])

    class Around(nn.Module):
        """A narrow way and a wide one around it."""

        def __init__(self):
            super().__init__()
            self.wide, self.narrow, self.again = (
                nn.Linear(3, 16),
                nn.Linear(16, 2),
                nn.Linear(2, 16),
            )
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            x = self.wide(x)
            return self.head(x + self.again(self.narrow(x)))

    graph = graph_of(Around())
    at = {each.name: i for i, each in enumerate(graph.operations)}
    told = {name: (2 ** (4 * graph.features[i, -2:])).tolist() for name, i in at.items()}
    assert told["head"] == pytest.approx([16, 1024])
    assert told["wide"] == pytest.approx([16, 16])
    assert told["again"] == pytest.approx([2, 16])


def test_features_tell_what_follows_up_to_the_next_layer():
    graph = graph_of(Skip())
    first, second, head = (
        graph.operations.index(each)
        for each in graph.operations
        if each.kind in ("linear", "convolution")
    )

    def after(i):
        told = graph.features[i, len(OPERATIONS) + 12 : 2 * len(OPERATIONS) + 12]
        return {kind for kind, value in zip(OPERATIONS, told, strict=True) if value}

    assert after(first) == {"relu", "convolution", "add", "mean", "linear"}
    assert after(second) == {"norm", "gelu", "add", "mean", "linear"}
    assert after(head) == {"output"}


def test_a_space_alone_gives_a_chain():
    graph = chain_of(Child(mlp(inputs=3, hidden=(8,), outputs=2)).space)
    assert kinds(graph) == ["input", "linear", "linear", "output"]
    assert graph.operations[1].tensors == ("linear1.weight", "linear1.bias")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Branches(), "Branches cannot be traced: Branches fails"),
        (Within(), r"Within cannot be traced: second \(Branches\) fails"),
        (Sorts(), "Sorts calls 'sort'"),
        (nn.Sequential(nn.Linear(2, 2), nn.PixelShuffle(1)), "Layer '1' is a PixelShuffle"),
    ],
)
def test_what_cannot_be_a_graph_is_refused_with_its_place_and_a_way_out(module, said):
    with pytest.raises(UnsupportedChildError, match=said) as error:
        graph_of(module)
    assert "slots" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_graph_of_an_architecture_takes_nothing_from_the_random_state():
    before = torch.random.get_rng_state()
    requested_graph(mlp(inputs=3, hidden=(5, 7), outputs=2))
    assert torch.equal(before, torch.random.get_rng_state())
