"""Children with random parameters, and what they must equal."""

import copy

import torch
from torch import nn
from torch.func import functional_call

from netwright.child import Child


def random_params(child: Child, tasks: int, dtype: torch.dtype = torch.float32):
    return {
        name: (value + 0.3 * torch.randn_like(value)).to(dtype).requires_grad_()
        for name, value in child.initial_params(tasks).items()
    }


def assert_equals_a_loop_over_modules(child: Child, params, x, strategy: str, tolerance: float):
    """Values and gradients of the batched call against each module on its own, with weights by hand."""
    tasks = len(x)
    if x.is_floating_point():
        x = x.clone().requires_grad_()
    shared = [p for p in child.template.parameters() if p.requires_grad]
    inputs = [*params.values(), *([x] if x.requires_grad else [])]
    y = child(params, x, strategy=strategy)
    weight = torch.randn_like(y)
    batched = torch.autograd.grad((y * weight).sum(), [*inputs, *shared], allow_unused=True)
    module = copy.deepcopy(child.template)
    alone = [
        functional_call(module, weights_by_hand(child, params, t), (x[t],), tie_weights=False)
        for t in range(tasks)
    ]
    expected = torch.stack(alone)
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    singly = torch.autograd.grad((expected * weight).sum(), [*inputs, *shared], allow_unused=True)
    for found, wanted in zip(batched, singly, strict=True):
        if found is None or wanted is None:
            rest = wanted if found is None else found
            assert rest is None or not rest.abs().max() > tolerance
        else:
            torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    for t in range(tasks):
        network = child.materialise(params, t)
        torch.testing.assert_close(network(x[t]), y[t], rtol=tolerance, atol=tolerance)


def weights_by_hand(child: Child, params, t: int) -> dict[str, torch.Tensor]:
    """All of a task's weights by the formulas that emissions promise."""
    weights = {}
    for name, base in child.template.named_parameters():
        if name in params:
            weights[name] = params[name][t]
        elif f"{name}.down" in params:
            product = params[f"{name}.up"][t] @ params[f"{name}.down"][t]
            weights[name] = base + product.reshape(base.shape)
        elif f"{name}.film" in params:
            is_table = type(child.template.get_submodule(name.rpartition(".")[0])) is nn.Embedding
            factor = 1 + params[f"{name}.film"][t]
            weights[name] = base * (
                factor if is_table else factor.reshape(-1, *[1] * (base.dim() - 1))
            )
        else:
            weights[name] = base
    return weights
