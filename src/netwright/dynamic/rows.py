"""Rows of weight matrices that are scaled, and biases that are written, from embeddings."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from netwright.errors import RunError
from netwright.shapes import check_shape


def check_sizes(**sizes: int) -> None:
    """Refuse a layer that would have no numbers.

    Raises:
        RunError: If a size is below 1.
    """
    if min(sizes.values()) < 1:
        named = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise RunError(f"The sizes are {named}, expected at least 1.")


def check_state(state: NamedTuple, batch: int, hidden: int, hyper: int) -> None:
    """Refuse the state of other sequences, or of a layer of another width.

    Args:
        state: Tensors of the large cell [B, H] and of the small one [B, K], the latter named `hyper_*`.
        batch: B.
        hidden: H.
        hyper: K.

    Raises:
        ShapeError: If a tensor is of another shape.
    """
    hint = "Begin with no state, or go on with the one that this layer returned."
    for name, value in state._asdict().items():
        axis, size = ("K", hyper) if name.startswith("hyper_") else ("H", hidden)
        check_shape(f"state.{name}", value, f"B {axis}", B=batch, hint=hint, **{axis: size})


def reset_rows(
    weight_h: Tensor, weight_x: Tensor, embed: nn.Linear, factor: Tensor, shift: Tensor
) -> None:
    """As in the paper: orthogonal gates, embeddings of ones, factors of 0.1.

    Args:
        weight_h: [G * H, H], for G gates.
        weight_x: [G * H, D].
        embed: From the small cell to the embeddings, which are read as [B, 3, G, E].
        factor: [2, G, E, H].
        shift: [G, E, H].
    """
    gates, size = shift.shape[:2]
    for weight in (weight_h, weight_x):
        for gate in weight.data.chunk(gates):
            nn.init.orthogonal_(gate)
    nn.init.zeros_(embed.weight)
    nn.init.ones_(embed.bias)
    with torch.no_grad():
        # The bias starts as it is: its embeddings start without a constant part.
        embed.bias[2 * gates * size :] = 0
        nn.init.normal_(embed.weight[2 * gates * size :], std=0.01)
    nn.init.constant_(factor, 0.1 / size)
    nn.init.normal_(shift, std=0.01)


def rows_of(z: Tensor, factor: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Factors of the rows of W_h and of W_x, and what is added to the bias, each [B, G * H].

    Args:
        z: Embeddings for W_h, W_x and the bias, [B, 3 * G * E].
        factor: [2, G, E, H].
        shift: [G, E, H].
    """
    z = z.unflatten(1, (3, *shift.shape[:2]))
    of_h, of_x = torch.einsum("bwge,wgeh->wbgh", z[:, :2], factor).flatten(2)
    of_b = torch.einsum("bge,geh->bgh", z[:, 2], shift).flatten(1)
    return of_h, of_x, of_b
