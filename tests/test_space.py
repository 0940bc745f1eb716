"""Parameter spaces: layout, meaning of axes, initial scale."""

import pytest
import torch
from hypothesis import given
from strategies import size, vector_children
from torch import nn

from netwright.child import Child
from netwright.errors import ParameterNameError, ShapeError
from netwright.space import ParameterSpace


@given(child_and_width=vector_children(), tasks=size)
def test_flatten_is_the_inverse_of_unflatten(child_and_width, tasks):
    space = ParameterSpace.of(child_and_width[0])
    theta = torch.randn(tasks, space.size)
    params = space.unflatten(theta)
    assert all(value.shape[0] == tasks for value in params.values())
    torch.testing.assert_close(space.flatten(params), theta)


def test_theta_of_another_child_is_refused_with_a_way_out():
    with pytest.raises(ShapeError, match=r"`theta` is \[4, 12\], expected \[T, P=8\].*child"):
        ParameterSpace.of(nn.Linear(3, 2)).unflatten(torch.zeros(4, 12))


def test_flattening_incomplete_params_is_refused():
    with pytest.raises(ParameterNameError, match=r"lacks \['bias'\]"):
        ParameterSpace.of(nn.Linear(3, 2)).flatten({"weight": torch.zeros(1, 2, 3)})


def test_the_initial_scale_is_that_of_torchs_own_initialisation():
    space = ParameterSpace.of(nn.Sequential(nn.Linear(300, 200), nn.LayerNorm(200)))
    stds = {spec.name: spec.std for spec in space.tensors}
    # nn.Linear draws uniformly from +-1/sqrt(fan_in), whose standard deviation is 1/sqrt(3 fan_in).
    assert stds["0.weight"] == pytest.approx((3 * 300) ** -0.5, rel=0.02)
    assert stds["1.weight"] == stds["1.bias"] == 0


def test_measuring_the_scale_leaves_the_random_state_and_the_module_alone():
    module = nn.Linear(5, 5)
    before, state = module.weight.detach().clone(), torch.random.get_rng_state()
    ParameterSpace.of(module)
    assert torch.equal(module.weight, before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_axes_and_roles_follow_from_layers():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.GroupNorm(1, 3), nn.Flatten(), nn.Linear(3, 4))
    space = ParameterSpace.of(module, class_module="3")
    found = {spec.name: (spec.role, spec.axes, spec.fan_in) for spec in space.tensors}
    assert found["0.weight"] == ("weight", ("hidden", "feature", "kernel", "kernel"), 18)
    assert found["1.weight"] == ("scale", ("hidden",), 1)
    assert found["3.weight"] == ("weight", ("class", "feature"), 3)
    assert found["3.bias"] == ("bias", ("class",), 1)


def test_digests_tell_layouts_apart_and_not_values():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    assert ParameterSpace.of(a).digest == ParameterSpace.of(b).digest
    assert ParameterSpace.of(a).digest != ParameterSpace.of(nn.Linear(2, 3)).digest


def test_tensors_with_a_class_axis_agree_on_the_number_of_classes():
    child = Child(nn.Sequential(nn.Linear(3, 2)), class_head="0")
    params = {"0.weight": torch.zeros(1, 5, 3), "0.bias": torch.zeros(1, 5)}
    assert child.space.check(params) == 1
    with pytest.raises(ShapeError, match=r"`params\['0.bias'\]` is \[1, 4\], expected \[T=1, 5\]"):
        child.space.check({**params, "0.bias": torch.zeros(1, 4)})
