"""The cost of a description is the cost that the built module has."""

import numpy as np
import pytest
from measuring import measured_cost

from netwright.architectures import (
    ARCHITECTURES,
    MLP,
    Architecture,
    Conv,
    ConvNet,
    Cost,
    Limits,
    Recurrent,
    RecurrentPolicy,
    Residual,
    TableNet,
    Transformer,
    check_cost,
    conv_space,
    mlp_space,
    parameter_limit,
    recurrent_space,
    residual_space,
    transformer_space,
)
from netwright.errors import RunError

MEMBERS = 12  # of each family


def draw(family: str, rng: np.random.Generator) -> Architecture:
    """A small member of a family at random, sizes of 1 included."""

    def size(most: int) -> int:
        return int(rng.integers(1, most + 1))

    makers = {
        "conv": lambda: Conv(
            channels=4 * size(3),
            depth=size(4),
            outputs=size(5),
            image=(size(3), size(17), size(17)),
            groups=size(2),
        ),
        "mlp": lambda: mlp_space(size(9), outputs=size(9), depth=(0, 4), width=(1, 40)).sample(rng),
        "conv-net": lambda: conv_space(
            (size(3), size(13) + 1, size(13) + 1), outputs=size(4), channels=(1, 9)
        ).sample(rng),
        "recurrent": lambda: recurrent_space(
            size(5), size(6), outputs=size(4), width=(1, 12), read=("last", "all")[size(2) - 1]
        ).sample(rng),
        "residual": lambda: residual_space(size(9), outputs=size(9), width=(1, 20)).sample(rng),
        "transformer": lambda: transformer_space(
            size(5), size(9), outputs=size(4), width=(1, 16)
        ).sample(rng),
        "recurrent-policy": lambda: RecurrentPolicy(size(9), size(12), outputs=size(5)),
        "table-net": lambda: TableNet(size(9), h := size(12), int(rng.integers(h + 1)), size(5)),
    }
    assert makers.keys() == ARCHITECTURES.keys(), "add the new family here"
    return makers[family]()


@pytest.mark.parametrize("seed", range(MEMBERS))
@pytest.mark.parametrize("family", ARCHITECTURES)
def test_cost_is_what_the_built_module_measures(family, seed):
    architecture = draw(family, np.random.default_rng(seed))

    assert architecture.cost == measured_cost(architecture.build(), architecture.input_shape)
    assert architecture.parameters == architecture.cost.parameters


@pytest.mark.parametrize(
    "architecture",
    [
        # Each is at its largest where others are not: in a norm, at the end, in scores, where heads join.
        Residual(inputs=1, width=1, blocks=1, expansion=1, outputs=1),
        Recurrent(inputs=1, steps=1, width=2, layers=9, outputs=1),
        Recurrent(inputs=1, steps=1, width=2, layers=12, cell="lstm", outputs=1),
        Transformer(inputs=1, steps=9, width=2, heads=2, outputs=1),
        Transformer(inputs=1, steps=2, width=3, heads=3, depth=3, outputs=1),
        Transformer(inputs=1, steps=1, width=1, heads=1, expansion=1, outputs=1),
        ConvNet((1,), (1,), (1,), (True,), outputs=1, image=(1, 2, 1)),
        MLP(inputs=3, hidden=(), outputs=2),
    ],
)
def test_cost_is_measured_where_it_peaks_elsewhere(architecture):
    assert architecture.cost == measured_cost(architecture.build(), architecture.input_shape)


def test_a_billion_parameters_are_refused_before_any_is_made():
    large = MLP(inputs=1000, hidden=(22_000, 44_000), outputs=10)

    with pytest.raises(RunError, match="MLP has 990,506,010 parameters .* at most 100,000,000"):
        large.build()


def test_the_limit_can_be_moved():
    small = MLP(inputs=4, hidden=(), outputs=1)
    check_cost(small, most_parameters=5)
    with pytest.raises(RunError, match="5 parameters .20 bytes., expected at most 4"):
        check_cost(small, most_parameters=4)
    with parameter_limit(4), pytest.raises(RunError, match=r"parameter_limit\(5\)"):
        small.build()
    small.build()


def test_limits_are_made_again_from_their_record():
    for limits in (Limits(), Limits(bytes=4096, flops=10**6)):
        assert Limits.from_record(limits.record()) == limits
    assert Limits(flops=7).record() == {"flops": 7}
    for wrong in ({"size": 3}, {"bytes": 0}, {"bytes": 1.5}, {"bytes": True}):
        with pytest.raises(RunError, match="is no limit, expected whole numbers"):
            Limits.from_record(wrong)


@pytest.mark.parametrize("unit", ["parameters", "flops", "bytes", "activation_bytes"])
def test_limits_allow_what_is_no_larger_in_any_unit(unit):
    cost = Cost(parameters=5, flops=10, bytes=20, activation_bytes=30)
    value = getattr(cost, unit)
    assert Limits(**{unit: value}).allow(cost)
    assert not Limits(**{unit: value - 1}).allow(cost)
    assert f"{value} {unit} of at most" in Limits(**{unit: value - 1}).excess(cost)
