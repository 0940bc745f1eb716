"""Gradient steps on children, differentiable with respect to where they started."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Values = Mapping[str, Tensor]


def descend(
    loss: Callable[[Values], Tensor],
    start: Values,
    *,
    steps: int,
    rates: Mapping[str, Tensor | float],
    keeps_graph: bool,
) -> dict[str, Tensor]:
    """K steps of gradient descent; values without a rate stay as they are.

    Args:
        loss: The loss of each task, [T], as a function of values with a leading task axis. Each step
            descends the sum, so that every task follows the gradient of its own loss.
        start: Values by name, each [T, *].
        steps: K.
        rates: Learning rates by name.
        keeps_graph: Whether the result can be differentiated through the gradients (second order). Otherwise
            gradients count as constants, and the result depends on `start` as its sum with them.

    References:
        Finn et al., MAML, arXiv:1703.03400.
    """
    values = dict(start)
    names = [name for name in values if name in rates]
    with torch.enable_grad():
        for _ in range(steps):
            # Where no graph leads to the start, a fresh leaf is what can be differentiated.
            at = {
                n: v if v.requires_grad else v.detach().requires_grad_() for n, v in values.items()
            }
            gradients = torch.autograd.grad(
                loss(at).sum(),
                [at[name] for name in names],
                create_graph=keeps_graph,
                allow_unused=True,
                materialize_grads=True,
            )
            for name, gradient in zip(names, gradients, strict=True):
                values[name] = at[name] - rates[name] * gradient
    return values
