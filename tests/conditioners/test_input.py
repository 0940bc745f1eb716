"""The conditioner that reads the very input of a network."""

import json

import pytest
import torch
from torch import nn

import netwright as nw
from netwright.conditioners import Input
from netwright.errors import ConditionError, RunError, ShapeError


def test_inputs_of_other_shapes_and_types_are_refused():
    reader = Input((1, 12, 12), channels=8)
    with pytest.raises(
        ShapeError, match=r"`input` is \[2, 3, 12, 12\], expected \[T, C=1, H=12, W=12\]"
    ):
        reader(nw.Condition(input=torch.rand(2, 3, 12, 12)))
    with pytest.raises(ShapeError, match=r"`input` is torch.uint8, expected torch.float32"):
        reader(nw.Condition(input=torch.zeros(2, 1, 12, 12, dtype=torch.uint8)))
    with pytest.raises(RunError, match=r"`x` is \(3, 4\), .* expected \(C, H, W\) or \(D,\)"):
        Input((3, 4))
    with pytest.raises(RunError, match="`channels` 1, expected"):
        Input((1, 8, 8), channels=1)


def test_an_input_that_is_not_finite_is_refused_with_its_place():
    hypernetwork = nw.Hypernetwork(nw.Child(nn.Linear(3, 2)), Input((3,)), "dense")
    x = torch.zeros(2, 3)
    x[1, 2] = float("nan")
    with pytest.raises(ConditionError, match=r"`input` is nan at \[1, 2\], expected finite"):
        hypernetwork.generate_many(nw.Condition(input=x))


def test_each_task_is_read_alone_pictures_too():
    torch.manual_seed(0)
    reader = Input((2, 9, 7), size=8, channels=8)
    x = torch.rand(5, 2, 9, 7)
    whole = reader(nw.Condition(input=x)).z
    for t in range(5):
        torch.testing.assert_close(reader(nw.Condition(input=x[t : t + 1])).z[0], whole[t])
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)


def test_a_hypernetwork_that_reads_inputs_survives_its_record():
    hypernetwork = nw.Hypernetwork(nw.Child(nn.Linear(3, 2)), Input((3,), size=8), "dense")
    record = json.loads(json.dumps(hypernetwork.record()))
    again = nw.Hypernetwork.from_record(record, child=nw.Child(nn.Linear(3, 2)))
    again.load_state_dict(hypernetwork.state_dict())
    condition = nw.Condition(input=torch.randn(2, 3))
    for name, value in hypernetwork(condition).items():
        torch.testing.assert_close(again(condition)[name], value)
