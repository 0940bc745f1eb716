"""Torch's operators in steps of a `Program`, one function each, by name.

A function takes the program in the making, the shape of what is made (or several), and the operator's own arguments.
"""

from collections.abc import Callable
from typing import Any

from netwright.export.operators.layers import (
    adaptive,
    addmm,
    batch_norm,
    convolve,
    dropout,
    group_norm,
    layer_norm,
    linear,
    pool_of,
)
from netwright.export.operators.recurrent import recurrent
from netwright.export.operators.shapes import (
    cat,
    embedding,
    expand,
    filled,
    permute,
    reshape,
    same,
    select,
    slice_of,
    split,
    stack,
    transpose,
    unbind,
)
from netwright.export.operators.values import (
    attention,
    combine,
    elu,
    gelu,
    map_of,
    matmul,
    reduce_of,
    selu,
    softmax,
    softplus,
)

# By the operator's name, with its overload where only that one is meant.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "linear": linear, "addmm": addmm, "mm": matmul, "bmm": matmul, "matmul": matmul,
    "conv1d": convolve, "conv2d": convolve,
    "group_norm": group_norm, "layer_norm": layer_norm, "batch_norm": batch_norm,
    "max_pool1d": pool_of("max"), "max_pool2d": pool_of("max"), "avg_pool1d": pool_of("mean"), "avg_pool2d": pool_of("mean"),
    "adaptive_avg_pool1d": adaptive("mean"), "adaptive_avg_pool2d": adaptive("mean"),
    "adaptive_max_pool1d": adaptive("max"), "adaptive_max_pool2d": adaptive("max"),
    "gru.input": recurrent("gru"), "lstm.input": recurrent("lstm"),
    "rnn_tanh.input": recurrent("tanh"), "rnn_relu.input": recurrent("relu"),
    "scaled_dot_product_attention": attention,
    "dropout": dropout, "feature_dropout": dropout, "alpha_dropout": dropout,
    "alias": same, "contiguous": same, "clone": same, "detach": same, "lift_fresh_copy": same, "to": same,
    "_to_copy": same, "positive": same,
    "view": reshape, "reshape": reshape, "_unsafe_view": reshape, "flatten": reshape, "unflatten": reshape,
    "unsqueeze": reshape, "squeeze": reshape, "view_as": reshape,
    "permute": permute, "transpose": transpose, "t": transpose, "swapaxes": transpose, "swapdims": transpose,
    "slice": slice_of, "select": select, "unbind": unbind, "split": split, "split_with_sizes": split, "chunk": split,
    "embedding": embedding, "cat": cat, "stack": stack, "expand": expand, "expand_as": expand, "broadcast_to": expand,
    "zeros": filled(0.0), "new_zeros": filled(0.0), "zeros_like": filled(0.0), "ones": filled(1.0),
    "new_ones": filled(1.0), "ones_like": filled(1.0),
    **{name: map_of(name) for name in (
        "relu", "tanh", "sigmoid", "silu", "exp", "log", "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "sin",
        "cos", "erf", "mish", "hardsigmoid", "hardswish",
    )},
    "leaky_relu": map_of("leaky_relu", "a", a=0.01), "relu6": map_of("clamp", a=0.0, b=6.0),
    "hardtanh": map_of("clamp", "a", "b", a=-1.0, b=1.0), "clamp": map_of("clamp", "a", "b", a=-3e38, b=3e38),
    "clamp_min": map_of("clamp", "a", a=0.0, b=3e38), "clamp_max": map_of("clamp", "b", a=-3e38, b=0.0),
    "gelu": gelu, "softplus": softplus, "elu": elu, "selu": selu,
    "add": combine("add"), "sub": combine("sub"), "rsub": combine("sub", turned=True), "mul": combine("mul"),
    "div": combine("div"), "pow": combine("pow"), "maximum": combine("maximum"), "minimum": combine("minimum"),
    "softmax": softmax("plain"), "_softmax": softmax("plain"), "log_softmax": softmax("log"), "_log_softmax": softmax("log"),
    "mean": reduce_of("mean"), "sum": reduce_of("sum"), "amax": reduce_of("max"), "amin": reduce_of("min"),
    "max.dim": reduce_of("max"), "min.dim": reduce_of("min"), "logsumexp": reduce_of("logsumexp"),
}  # fmt: skip

__all__ = ["OPERATIONS"]
