"""Random children and support sets for property tests."""

from hypothesis import strategies as st
from modules import OwnCode, Recurrent, Residual
from torch import nn

from netwright.emission import BiasOnly, Film, LowRank

size = st.integers(1, 4)  # 1 is the size at which axes get lost
ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid]
EMISSIONS = [
    "full",
    "shared",
    "frozen",
    LowRank(1),
    LowRank(3, "frozen"),
    Film(),
    Film("frozen"),
    BiasOnly(),
]


@st.composite
def layers_of(draw, width: int, most: int = 3):
    """Layers from `width` to `width` numbers."""
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, most))):
        kind = draw(
            st.sampled_from(["linear", "norm", "residual", "activation", "groups", "nested"])
        )
        if kind == "linear":
            layers.append(nn.Linear(width, width, bias=draw(st.booleans())))
        elif kind == "norm":
            layers.append(nn.LayerNorm(width, elementwise_affine=draw(st.booleans())))
        elif kind == "groups":
            layers.append(nn.GroupNorm(1, width))
        elif kind == "residual":
            layers.append(Residual(width))
        elif kind == "nested":
            layers.append(nn.Sequential(nn.Linear(width, width), nn.Tanh()))
        else:
            layers.append(draw(st.sampled_from(ACTIVATIONS))())
    return layers


@st.composite
def vector_children(draw):
    """A child for vectors and the shape of its input."""
    inputs, width = draw(size), draw(st.integers(2, 6))
    outputs = draw(size)
    layers = draw(layers_of(width))
    if draw(st.booleans()):
        return OwnCode(inputs, width, outputs, layers), (inputs,)
    first = nn.Linear(inputs, width, bias=draw(st.booleans()))
    return nn.Sequential(first, *layers, nn.Linear(width, outputs)), (inputs,)


@st.composite
def picture_children(draw):
    """A child for pictures of 8 x 8 and the shape of its input."""
    inputs, width = draw(st.integers(1, 3)), draw(st.sampled_from([2, 4]))
    layers: list[nn.Module] = []
    channels, side = inputs, 8
    for _ in range(draw(st.integers(1, 2))):
        stride = draw(st.sampled_from([1, 2]))
        layers.append(nn.Conv2d(channels, width, 3, stride, 1, bias=draw(st.booleans())))
        norms = [nn.Identity(), nn.GroupNorm(1, width), nn.GroupNorm(2, width)]
        norms.append(nn.BatchNorm2d(width, track_running_stats=False))
        layers.append(draw(st.sampled_from(norms)))
        layers.append(draw(st.sampled_from(ACTIVATIONS))())
        channels, side = width, side // stride
    pooling = draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2)]))
    side = 2 if isinstance(pooling, nn.AdaptiveAvgPool2d) else side // 2
    layers += [pooling, nn.Flatten(), nn.Linear(width * side * side, draw(st.integers(2, 3)))]
    module = nn.Sequential(*layers)
    # Wrapped, the same layers run as a composite, one task at a time on a CPU.
    return (module if draw(st.booleans()) else Wrapped(module)), (inputs, 8, 8)


class Wrapped(nn.Module):
    """Code of its own around layers."""

    def __init__(self, inner: nn.Sequential) -> None:
        super().__init__()
        self.parts = nn.ModuleList(inner)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x * 1.5


@st.composite
def sequence_children(draw):
    """A child for sequences and the shape of its input."""
    inputs, width = draw(size), draw(st.sampled_from([2, 4]))
    layer = draw(st.sampled_from([nn.RNN, nn.GRU, nn.LSTM]))(
        inputs,
        width,
        num_layers=draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        bidirectional=draw(st.booleans()),
    )
    outputs = width * (2 if layer.bidirectional else 1)
    return Recurrent(layer, outputs), (draw(st.integers(1, 4)), inputs)


@st.composite
def any_children(draw):
    """A child of any kind, the shape of its input, and rules for emissions."""
    module, shape = draw(st.one_of(vector_children(), picture_children(), sequence_children()))
    # The last one is always written: a child of which nothing is written is refused.
    *names, _ = [name for name, _ in module.named_parameters()]
    picked = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    rules = [(name, draw(st.sampled_from(EMISSIONS))) for name in picked]
    return module, shape, rules
