"""Copies of modules are those of `copy.deepcopy`."""

import copy

import pytest
import torch
from torch import nn

import netwright as nw
from netwright.module_copy import copy_module


class Own(nn.Module):
    """With attributes of many kinds, a tied tensor, a buffer and a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
        self.sizes, self.table, self.tensor = [1, [2]], {"x": [3]}, torch.ones(2)
        self.pair = (self.a, "text")
        self.register_buffer("mean", torch.zeros(3))
        self.a.register_forward_hook(lambda module, x, y: y + 1)

    def forward(self, x):
        return self.b(torch.relu(self.a(x))) + self.mean


MODULES = {
    "own": Own,
    "mlp": nw.architectures.mlp(inputs=3, hidden=(4,), outputs=2).build,
    "gru": lambda: nn.GRU(3, 4),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout()),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_copy_is_the_one_that_deepcopy_makes(name):
    module = MODULES[name]()
    fast, slow = copy_module(module), copy.deepcopy(module)
    assert repr(fast) == repr(slow)
    assert [type(m) for m in fast.modules()] == [type(m) for m in slow.modules()]
    assert all(
        vars(a).keys() == vars(b).keys()
        for a, b in zip(fast.modules(), slow.modules(), strict=True)
    )
    for a, b, own in zip(
        fast.state_dict().values(),
        slow.state_dict().values(),
        module.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(a, b)
        assert a.data_ptr() != own.data_ptr()


def test_nothing_that_can_change_is_shared_and_ties_stay():
    module = Own()
    made = copy_module(module)
    assert made.b.weight is made.a.weight
    assert made.pair[0] is made.a
    made.sizes[1].append(5)
    made.table["x"].append(5)
    made.tensor.zero_()
    made.a._forward_hooks.clear()
    assert (module.sizes, module.table, float(module.tensor.sum())) == ([1, [2]], {"x": [3]}, 2.0)
    x = torch.ones(1, 3)
    assert not torch.equal(module(x), made(x))


def test_what_stands_in_the_memo_takes_its_place():
    module = nn.Linear(2, 2)
    weight = nn.Parameter(torch.zeros(2, 2))
    made = copy_module(module, {id(module.weight): weight})
    assert made.weight is weight
    assert made.bias is not module.bias


def test_a_class_with_a_copy_of_its_own_is_asked():
    class Special(nn.Linear):
        def __deepcopy__(self, memo):
            return "asked"

    assert copy_module(nn.Sequential(Special(1, 1)))._modules["0"] == "asked"
