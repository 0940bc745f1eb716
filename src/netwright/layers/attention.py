"""Multi-head attention of T tasks: batched projections; the attention itself has no weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.layers.linear import affine
from netwright.layers.weights import FilmWeight, LowRankWeight, Weight, dense


def run_attention(
    module: nn.MultiheadAttention,
    tensors: Mapping[str, Weight],
    tasks: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """As the module's own call, for rows of T tasks one after the other.

    Args:
        module: The template.
        tensors: Its weights by name.
        tasks: T.
        query: [T * N, L, E] if the module is `batch_first`, else [L, T * N, E].
        key: [T * N, S, E] likewise.
        value: [T * N, S, E] likewise.
        key_padding_mask: True (or minus infinity) where a key is padding, [T * N, S].
        need_weights: Whether attention weights are returned.
        attn_mask: True (or minus infinity) where attention is not allowed, [L, S] or
            [T * N * heads, L, S].
        average_attn_weights: Whether they are averaged over heads.
        is_causal: A hint that `attn_mask` is causal.

    Returns:
        Outputs [T * N, L, E] (or [L, T * N, E]) and weights [T * N, L, S], or per head.
    """
    is_same = key is query and value is query
    if not module.batch_first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    q, k, v = _projections(module, tensors, tasks, query, key, value, is_same)
    heads = module.num_heads
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    mask = _mask(q, k, attn_mask, key_padding_mask, heads)
    dropout = module.dropout if module.training else 0.0
    weights = None
    if need_weights:
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
        weights = F.dropout(weights, dropout)
        y = weights @ v
    else:
        causal = is_causal and attn_mask is not None and key_padding_mask is None
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if causal else mask, dropout_p=dropout, is_causal=causal
        )
    out = _map(tensors, "out_proj.weight", "out_proj.bias", y.transpose(1, 2).flatten(2), tasks)
    if weights is not None and average_attn_weights:
        weights = weights.mean(dim=1)
    return (out if module.batch_first else out.transpose(0, 1)), weights


def _projections(
    module: nn.MultiheadAttention,
    tensors: Mapping[str, Weight],
    tasks: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    is_same: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Projected query, key and value, each [T * N, *, E]."""
    if is_same and module._qkv_same_embed_dim:
        whole = _map(tensors, "in_proj_weight", "in_proj_bias", query, tasks)
        q, k, v = whole.chunk(3, dim=-1)
        return q, k, v
    bias = tensors.get("in_proj_bias")
    assert bias is None or isinstance(bias, Tensor)
    biases = [None] * 3 if bias is None else bias.chunk(3, dim=-1)
    if module._qkv_same_embed_dim:
        weights = _thirds(tensors["in_proj_weight"])
    else:
        weights = [tensors[f"{name}_proj_weight"] for name in "qkv"]
    parts = [
        affine(x.unflatten(0, (tasks, -1)).flatten(1, 2), weight, own).reshape(*x.shape[:2], -1)
        for x, weight, own in zip((query, key, value), weights, biases, strict=True)
    ]
    return parts[0], parts[1], parts[2]


def _map(tensors: Mapping[str, Weight], weight: str, bias: str, x: Tensor, tasks: int) -> Tensor:
    """One linear map of x [T * N, L, E]."""
    own = tensors.get(bias)
    assert own is None or isinstance(own, Tensor)
    y = affine(x.unflatten(0, (tasks, -1)).flatten(1, 2), tensors[weight], own)
    return y.reshape(*x.shape[:2], -1)


def _thirds(weight: Weight) -> list[Weight]:
    """A weight of three maps, one above the other, as three."""
    if isinstance(weight, LowRankWeight):
        parts = zip(weight.base.chunk(3), weight.up.chunk(3, dim=1), strict=True)
        return [LowRankWeight(base, weight.down, up) for base, up in parts]
    if isinstance(weight, FilmWeight):
        pairs = zip(weight.base.chunk(3), weight.scale.chunk(3, dim=1), strict=True)
        return [FilmWeight(base, scale) for base, scale in pairs]
    return list(dense(weight).chunk(3, dim=-2))


def _mask(
    q: Tensor,
    k: Tensor,
    attn_mask: Tensor | None,
    key_padding_mask: Tensor | None,
    heads: int,
) -> Tensor | None:
    """What is added to scores [T * N, heads, L, S], or None."""
    parts = []
    if attn_mask is not None:
        mask = attn_mask if attn_mask.dim() == 2 else attn_mask.unflatten(0, (-1, heads))
        parts.append(_additive(mask, q))
    if key_padding_mask is not None:
        parts.append(_additive(key_padding_mask, q)[:, None, None, :])
    if not parts:
        return None
    mask = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return mask.expand(len(q), heads, q.shape[2], k.shape[2])


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
