"""Modules as a person writes them: children of the execution benchmarks."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """64-64-64-10: 8,970 numbers."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [64, 64, 64, 10]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)


class Conv4(nn.Module):
    """Four times convolution, batch statistics, ReLU, pooling; then a linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inputs = [1, channels, channels, channels]
        self.convs = nn.ModuleList(nn.Conv2d(i, channels, 3, padding=1) for i in inputs)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels, track_running_stats=False) for _ in inputs
        )
        self.head = nn.Linear(channels, 5)
        self.channels_last = False

    def forward(self, x: Tensor) -> Tensor:
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(x)
            if self.channels_last and i == 0:
                x = x.contiguous(memory_format=torch.channels_last)
            x = F.max_pool2d(F.relu(norm(x)), 2)
        return self.head(x.flatten(1))


class GRU(nn.Module):
    """16 -> 32 over 32 steps, then a linear layer on the last state: 5,064 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(16, 32, batch_first=True)
        self.head = nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[1][0])


class Block(nn.Module):
    """Attention and MLP, pre-norm, causal."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, size = x.shape
        shape = (rows, length, 3, self.heads, size // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(rows, length, size))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Two blocks of width 32 over 32 tokens: 27,552 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(32, 32)
        self.blocks = nn.ModuleList(Block(32, 4) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, -1])


class Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs, track_running_stats=False)
        self.norm2 = nn.BatchNorm2d(outputs, track_running_stats=False)
        self.short = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.short(x))


class ResNet18(nn.Module):
    """For 32 x 32 pictures: 11,173,962 numbers."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width, track_running_stats=False)
        blocks, inputs = [], width
        for stage in range(4):
            outputs = width << stage
            blocks += [
                Residual(inputs, outputs, 2 if stage else 1), Residual(outputs, outputs, 1)
            ]  # fmt: skip
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        return self.head(self.blocks(x).mean((2, 3)))
