"""Modules with code of their own, as people write them."""

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    """A weight used in passing: no kernel knows it, it falls back as a whole."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.gain = nn.Parameter(nn.init.ones_(self.inner.bias.detach().clone()))

    def forward(self, x):
        return x + self.gain * self.inner(x).tanh()


class OwnCode(nn.Module):
    """Calls its parts and handles rows: a short cut, a slice, a functional."""

    def __init__(self, inputs: int, width: int, outputs: int, parts: list[nn.Module]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        y = F.gelu(self.first(x))
        for part in self.parts:
            y = y + part(y)
        return self.last(y)


class Recurrent(nn.Module):
    """A recurrent layer over [N, L, D], and what its last step says."""

    def __init__(self, layer: nn.Module, width: int, outputs: int = 2) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, outputs)

    def forward(self, x):
        if not self.layer.batch_first:
            return self.head(self.layer(x.transpose(0, 1))[0][-1])
        return self.head(self.layer(x)[0][:, -1])


class Unrolled(nn.Module):
    """A cell, step by step."""

    def __init__(self, cell: nn.Module, width: int) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(width, 2)

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step) if state is None else self.cell(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Attends(nn.Module):
    """Attention in each of its ways."""

    def __init__(self, attention: nn.MultiheadAttention, width: int, how: str) -> None:
        super().__init__()
        self.attention, self.head, self.how = attention, nn.Linear(width, 2), how

    def forward(self, x):
        if not self.attention.batch_first:
            x = x.transpose(0, 1)
        y, weights = self._attend(x)
        if not self.attention.batch_first:
            y = y.transpose(0, 1)
        extra = 0 if weights is None else weights.flatten(1).sum(1, keepdim=True)
        return self.head(y.mean(1)) + extra

    def _attend(self, x):
        length = x.shape[1] if self.attention.batch_first else x.shape[0]
        causal = torch.triu(torch.ones(length, length, dtype=torch.bool, device=x.device), 1)
        padding = torch.zeros(
            x.shape[0] if self.attention.batch_first else x.shape[1],
            length,
            dtype=torch.bool,
            device=x.device,
        )
        padding[:, -1] = True
        if self.how == "masked":
            return self.attention(x, x, x, attn_mask=causal, need_weights=False)
        if self.how == "hinted":
            return self.attention(x, x, x, attn_mask=causal, need_weights=False, is_causal=True)
        if self.how == "padded":
            return self.attention(x, x, x, key_padding_mask=padding, average_attn_weights=False)
        if self.how == "both":
            additive = torch.zeros(length, length, dtype=x.dtype).masked_fill(causal, -1e4)
            return self.attention(x, x, x, padding.to(x.dtype) * -1e4, False, additive)
        if self.how == "crossed":
            return self.attention(x, x.flip(-1), x * 2)
        return self.attention(x, x, x)
