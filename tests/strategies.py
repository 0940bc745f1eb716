"""Random children and support sets for property tests."""

from hypothesis import strategies as st
from torch import nn

size = st.integers(1, 4)  # 1 is the size at which axes get lost
ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid]


class Residual(nn.Module):
    """A module that no kernel knows: it falls back as a whole."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.gain = nn.Parameter(nn.init.ones_(self.inner.bias.detach().clone()))

    def forward(self, x):
        return x + self.gain * self.inner(x).tanh()


@st.composite
def vector_children(draw):
    """A child for vectors and the width of its input."""
    inputs, width = draw(size), draw(st.integers(2, 6))
    layers: list[nn.Module] = [nn.Linear(inputs, width, bias=draw(st.booleans()))]
    for _ in range(draw(st.integers(0, 3))):
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
    return nn.Sequential(*layers, nn.Linear(width, draw(size))), inputs


@st.composite
def picture_children(draw):
    """A child for pictures of 8 x 8 and the number of input channels."""
    inputs, width = draw(st.integers(1, 3)), draw(st.sampled_from([2, 4]))
    layers: list[nn.Module] = []
    channels = inputs
    for _ in range(draw(st.integers(1, 2))):
        stride = draw(st.sampled_from([1, 2]))
        layers.append(nn.Conv2d(channels, width, 3, stride, 1, bias=draw(st.booleans())))
        norms = [nn.Identity(), nn.GroupNorm(1, width), nn.GroupNorm(2, width)]
        norms.append(nn.BatchNorm2d(width, track_running_stats=False))
        layers.append(draw(st.sampled_from(norms)))
        layers.append(draw(st.sampled_from(ACTIVATIONS))())
        channels = width
    layers.append(
        draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2)]))
    )
    layers += [nn.Flatten(), nn.LazyLinear(draw(st.integers(2, 3)))]
    return nn.Sequential(*layers), inputs
