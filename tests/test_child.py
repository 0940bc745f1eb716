"""Children: what is accepted, what is refused and how it says so."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.errors import ParameterNameError, ShapeError, UnsupportedChildError


def test_batch_norm_needs_a_stated_policy():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with pytest.raises(
        UnsupportedChildError, match=r'BatchNorm1d at \'1\'.*Pass `batch_norm="batch"`'
    ):
        Child(module)
    with pytest.raises(UnsupportedChildError, match="`batch_norm` is 'maybe', expected 'refuse'"):
        Child(module, batch_norm="maybe")


def test_batch_statistics_of_one_row_are_refused_with_a_way_out():
    child = Child(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), batch_norm="batch")
    with pytest.raises(ShapeError, match='one value per channel.*batch_norm="group"'):
        child(child.initial_params(2), torch.randn(2, 1, 2))


def test_group_norm_takes_the_place_of_batch_norm_with_its_weights():
    module = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Flatten())
    nn.init.normal_(module[1].weight)
    child = Child(module, batch_norm="group")
    norm = child.template[1]
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_channels % norm.num_groups == 0
    assert torch.equal(norm.weight, module[1].weight)
    alone = child(child.initial_params(1), torch.randn(1, 1, 1, 5, 5))
    assert alone.isfinite().all()


def test_parametrised_and_hooked_weights_are_refused():
    with pytest.raises(
        UnsupportedChildError, match="parametrised weights.*remove_parametrizations"
    ):
        Child(parametrizations.weight_norm(nn.Linear(2, 2)))
    with pytest.warns(FutureWarning):
        hooked = weight_norm(nn.Linear(2, 2))
    with pytest.raises(
        UnsupportedChildError, match="computes its weight in a hook.*remove_weight_norm"
    ):
        Child(hooked)


def test_lazy_modules_and_modules_without_parameters_are_refused():
    with pytest.raises(UnsupportedChildError, match="has no shape yet"):
        Child(nn.LazyLinear(2))
    with pytest.raises(UnsupportedChildError, match="ReLU has no parameter to generate"):
        Child(nn.ReLU())
    with pytest.raises(UnsupportedChildError, match="no parameter to generate"):
        Child(nn.Linear(2, 2), emissions=[("*", "shared")])


def test_rules_that_select_nothing_and_unknown_emissions_are_refused():
    with pytest.raises(
        ParameterNameError,
        match=r"The rule 'boddy.\*' selects no parameter, expected one of \['weight'",
    ):
        Child(nn.Linear(2, 2), emissions=[("boddy.*", "shared")])
    with pytest.raises(ParameterNameError, match="Emission 'sharde' is not known"):
        Child(nn.Linear(2, 2), emissions=[("bias", "sharde")])


def test_the_first_rule_that_selects_a_tensor_wins():
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 1))
    child = Child(
        module, emissions=[("1.bias", "full"), (nn.LayerNorm, "shared"), ("0.*", "frozen")]
    )
    assert child.space.names == ("1.bias", "2.weight", "2.bias")


def test_a_class_head_must_be_the_path_of_a_linear_layer():
    with pytest.raises(
        UnsupportedChildError,
        match=r"`class_head` is 'haed', expected the path of the last nn.Linear, one of \['0'\]",
    ):
        Child(nn.Sequential(nn.Linear(2, 2)), class_head="haed")


def test_features_and_readout_make_up_the_whole_child():
    child = Child(conv(classes=3, channels=4, depth=2, image=(1, 8, 8)))
    params, x = child.initial_params(2), torch.rand(2, 5, 1, 8, 8)
    features = child.features(params, x)
    torch.testing.assert_close(child.readout(params, features), child(params, x))
    without_head = {name: v for name, v in params.items() if not name.startswith("head")}
    torch.testing.assert_close(child.features(without_head, x), features)


def test_features_of_a_child_without_class_head_are_refused():
    child = Child(mlp(inputs=2, outputs=1))
    with pytest.raises(UnsupportedChildError, match="no class head"):
        child.features(child.initial_params(), torch.randn(1, 1, 2))


def test_materialised_modules_stand_on_their_own():
    child = Child(conv(classes=5))
    params = {name: v.requires_grad_() for name, v in child.initial_params(2).items()}
    module = child.materialise(params, 1)
    assert all(p.is_leaf and p.requires_grad for p in module.parameters())
    module[0].weight.data.zero_()
    assert child.template[0].weight.abs().sum() > 0
    assert params["conv1.weight"].abs().sum() > 0
    with pytest.raises(ShapeError, match="Task 2 was asked for, expected 0 to 1"):
        child.materialise(params, 2)


def test_a_module_that_was_materialised_can_be_trained_further():
    child = Child(mlp(inputs=2, hidden=(8,), outputs=1))
    module = child.materialise(child.initial_params())
    x, y = torch.randn(16, 2), torch.randn(16, 1)
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    before = nn.functional.mse_loss(module(x), y)
    for _ in range(50):
        optimiser.zero_grad()
        nn.functional.mse_loss(module(x), y).backward()
        optimiser.step()
    assert nn.functional.mse_loss(module(x), y) < before
