"""A short cut around layers."""

from torch import Tensor, nn


class Skip(nn.Sequential):
    """x + layers(x), for layers whose outputs are of the shape of their inputs."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape that the layers take."""
        y = x
        for layer in self:
            y = layer(y)
        return x + y
