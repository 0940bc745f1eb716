"""Pre-norm attention over sets of tokens: no positions, so the order of tokens carries nothing."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention from queries [T, A, E] to keys and values [T, B, E]."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(size, size)
        self.key_value = nn.Linear(size, 2 * size)
        self.out = nn.Linear(size, size)

    def forward(
        self, a: Tensor, b: Tensor, mask: Tensor | None, bias: Tensor | None = None
    ) -> Tensor:
        """Attend; `mask` [T, B] is True where a token of b is real, `bias` [T, heads, A, B] is added to scores."""
        q = self._split(self.query(a))
        k, v = (self._split(part) for part in self.key_value(b).chunk(2, dim=-1))
        allowed = None if mask is None else mask[:, None, None, :]
        if bias is not None:
            allowed = bias if allowed is None else bias.masked_fill(~allowed, float("-inf"))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return split


class SetBlock(nn.Module):
    """Self-attention over tokens, attention to a context where there is one, and an MLP.

    Args:
        size: E, the width of a token.
        heads: Attention heads; must divide E.
        cross: Whether the block attends to a context.
    """

    def __init__(self, size: int, *, heads: int = 4, cross: bool = False) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(size)
        self.attend_self = Attention(size, heads)
        self.norm_cross = nn.LayerNorm(size) if cross else None
        self.attend_cross = Attention(size, heads) if cross else None
        self.norm_mlp = nn.LayerNorm(size)
        self.mlp = _mlp(size)

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        *,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Update tokens [T, A, E] (real where mask [T, A]) given a context [T, B, E].

        `bias` [T, heads, A, A] is added to the scores of tokens for each other.
        """
        x = self.norm_self(tokens)
        tokens = tokens + self.attend_self(x, x, mask, bias)
        if self.attend_cross is not None and self.norm_cross is not None:
            assert context is not None
            tokens = tokens + self.attend_cross(self.norm_cross(tokens), context, context_mask)
        out: Tensor = tokens + self.mlp(self.norm_mlp(tokens))
        return out


class InducedSetBlock(nn.Module):
    """A `SetBlock` whose tokens attend to each other through M learned points, at a cost linear in A.

    The points gather from all tokens, then every token reads what they have gathered.

    Args:
        size: E, the width of a token.
        points: M, the number of learned points.
        heads: Attention heads; must divide E.

    References:
        Lee et al., Set Transformer, arXiv:1810.00825, section 3.1 (ISAB).
    """

    def __init__(self, size: int, points: int, *, heads: int = 4) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(points, size))
        self.norm_self = nn.LayerNorm(size)
        self.gather = Attention(size, heads)
        self.norm_points = nn.LayerNorm(size)
        self.mlp_points = _mlp(size)
        self.norm_gathered = nn.LayerNorm(size)
        self.read = Attention(size, heads)
        self.norm_mlp = nn.LayerNorm(size)
        self.mlp = _mlp(size)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Update tokens [T, A, E], real where mask [T, A]."""
        x = self.norm_self(tokens)
        points = self.points.expand(len(tokens), -1, -1)
        points = points + self.gather(points, x, mask)
        points = points + self.mlp_points(self.norm_points(points))
        tokens = tokens + self.read(x, self.norm_gathered(points), None)
        out: Tensor = tokens + self.mlp(self.norm_mlp(tokens))
        return out


def _mlp(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values [T, N, E] over real examples, mask [T, N]: [T, E]; zero for an empty set."""
    weights = mask.to(values.dtype).unsqueeze(-1)
    return torch.sum(values * weights, dim=1) / weights.sum(dim=1).clamp(min=1)
