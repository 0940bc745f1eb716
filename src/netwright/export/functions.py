"""Functions of one number, and of two, as NumPy and C spell them.

`{x}` is the argument, `{a}` and `{b}` are settings such as a slope; of two numbers they are the arguments.
"""

from typing import NamedTuple


class Spelling(NamedTuple):
    """One function: an expression of NumPy on arrays, and one of C on `float`s."""

    numpy: str
    c: str


OF_ONE: dict[str, Spelling] = {
    "relu": Spelling("np.maximum({x}, 0)", "{x} > 0 ? {x} : 0.0f"),
    "tanh": Spelling("np.tanh({x})", "tanhf({x})"),
    "sigmoid": Spelling("sigmoid({x})", "1.0f / (1.0f + expf(-{x}))"),
    "gelu": Spelling(
        "0.5 * {x} * (1 + erf({x} * 0.7071067811865476))",
        "0.5f * {x} * (1.0f + erff({x} * 0.70710678f))",
    ),
    "gelu_tanh": Spelling(
        "0.5 * {x} * (1 + np.tanh(0.7978845608028654 * ({x} + 0.044715 * {x} ** 3)))",
        "0.5f * {x} * (1.0f + tanhf(0.79788456f * ({x} + 0.044715f * {x} * {x} * {x})))",
    ),
    "silu": Spelling("{x} * sigmoid({x})", "{x} / (1.0f + expf(-{x}))"),
    "exp": Spelling("np.exp({x})", "expf({x})"),
    "log": Spelling("np.log({x})", "logf({x})"),
    "neg": Spelling("-{x}", "-{x}"),
    "abs": Spelling("np.abs({x})", "fabsf({x})"),
    "square": Spelling("np.square({x})", "{x} * {x}"),
    "sqrt": Spelling("np.sqrt({x})", "sqrtf({x})"),
    "rsqrt": Spelling("1 / np.sqrt({x})", "1.0f / sqrtf({x})"),
    "reciprocal": Spelling("1 / {x}", "1.0f / {x}"),
    "sin": Spelling("np.sin({x})", "sinf({x})"),
    "cos": Spelling("np.cos({x})", "cosf({x})"),
    "erf": Spelling("erf({x})", "erff({x})"),
    "leaky_relu": Spelling("np.where({x} > 0, {x}, {a} * {x})", "{x} > 0 ? {x} : {a} * {x}"),
    "elu": Spelling(
        "np.where({x} > 0, {x}, {a} * np.expm1(np.minimum({x}, 0)))",
        "{x} > 0 ? {x} : {a} * expm1f({x})",
    ),
    "softplus": Spelling(
        "np.where({x} > 0, {x}, 0) + np.log1p(np.exp(-np.abs({x})))",
        "({x} > 0 ? {x} : 0.0f) + log1pf(expf(-fabsf({x})))",
    ),
    "softsign": Spelling("{x} / (1 + np.abs({x}))", "{x} / (1.0f + fabsf({x}))"),
    "mish": Spelling(
        "{x} * np.tanh(np.maximum({x}, 0) + np.log1p(np.exp(-np.abs({x}))))",
        "{x} * tanhf(({x} > 0 ? {x} : 0.0f) + log1pf(expf(-fabsf({x}))))",
    ),
    "clamp": Spelling(
        "np.minimum(np.maximum({x}, {a}), {b})", "{x} < {a} ? {a} : ({x} > {b} ? {b} : {x})"
    ),
    "hardsigmoid": Spelling(
        "np.minimum(np.maximum({x} + 3, 0), 6) / 6",
        "({x} < -3 ? 0.0f : ({x} > 3 ? 6.0f : {x} + 3.0f)) / 6.0f",
    ),
    "hardswish": Spelling(
        "{x} * np.minimum(np.maximum({x} + 3, 0), 6) / 6",
        "{x} * ({x} < -3 ? 0.0f : ({x} > 3 ? 6.0f : {x} + 3.0f)) / 6.0f",
    ),
}
OF_TWO: dict[str, Spelling] = {
    "add": Spelling("{a} + {b}", "{a} + {b}"),
    "sub": Spelling("{a} - {b}", "{a} - {b}"),
    "mul": Spelling("{a} * {b}", "{a} * {b}"),
    "div": Spelling("{a} / {b}", "{a} / {b}"),
    "pow": Spelling("{a} ** {b}", "powf({a}, {b})"),
    "maximum": Spelling("np.maximum({a}, {b})", "fmaxf({a}, {b})"),
    "minimum": Spelling("np.minimum({a}, {b})", "fminf({a}, {b})"),
}

__all__ = ["OF_ONE", "OF_TWO", "Spelling"]
