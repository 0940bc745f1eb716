"""Spaces of architectures: every way of getting a member gives a member."""

import json
from itertools import product

import numpy as np
import pytest

from netwright.architectures import (
    MLP,
    ConvNet,
    Limits,
    LogUniform,
    OneOf,
    SearchSpace,
    Transformer,
    Uniform,
    Weighted,
    conv_space,
    mlp_space,
    recurrent_space,
    residual_space,
    to_record,
    transformer_space,
)
from netwright.architectures.choices import choice_of
from netwright.errors import RunError
from netwright.splits import SPLITS, split_of_record

SPACES = {
    "mlp": mlp_space(6, outputs=3),
    "mlp, lists": mlp_space(6, classes=3, depth=[0, 2, 5], width=[8, 16, 31]),
    "conv-net": conv_space((3, 12, 12), classes=4),
    "conv-net, no skips": conv_space((1, 9, 9), outputs=4, skips=(False,), norms=("group",)),
    "residual": residual_space(5, outputs=2),
    "recurrent": recurrent_space(3, 7, outputs=2),
    "transformer": transformer_space(3, 7, classes=2),
}


@pytest.fixture(params=SPACES)
def space(request) -> SearchSpace:
    return SPACES[request.param]


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_one_seed_gives_one_sequence(space):
    first, second = rng_of(3), rng_of(3)
    drawn = [space.sample(first) for _ in range(20)]
    assert drawn == [space.sample(second) for _ in range(20)]
    assert len(set(drawn)) > 5


def test_changed_and_crossed_members_are_members(space):
    rng = rng_of(0)
    one, other = space.sample(rng), space.sample(rng)
    for _ in range(60):
        changed = space.mutate(one, rng)
        assert changed in space
        assert changed != one
        crossed = space.cross(changed, other, rng)
        assert crossed in space
        one, other = other, crossed
        if one == other:
            other = space.sample(rng)


def test_changes_lead_everywhere(space):
    rng = rng_of(1)
    member = space.sample(rng)
    walked = [member := space.mutate(member, rng) for _ in range(300)]
    for name, choice in space.choices.items():
        seen = {
            len(each.hidden if space.family == "mlp" else each.channels)
            if name == "depth" and space.family != "transformer"
            else getattr(each, name)
            for each in walked
        }
        assert len(seen) > 1 or len(choice) == 1, name


def test_parts_share_no_member_and_are_8_1_1(space):
    rng = rng_of(2)
    drawn = [space.sample(rng) for _ in range(300)]
    found = {member: space.split_of(member) for member in drawn}
    assert set(found.values()) == set(SPLITS)
    for split in SPLITS:
        members = [space.sample(rng, split=split) for _ in range(10)]
        assert all(space.split_of(member) == split for member in members)


def test_the_share_of_training_is_eight_tenths():
    space = mlp_space(6, outputs=3)
    rng = rng_of(4)
    members = {space.sample(rng) for _ in range(3000)}
    shares = [sum(space.split_of(m) == s for m in members) / len(members) for s in SPLITS]
    # Three standard deviations of a share among these many.
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.03)


def test_records_survive_json(space):
    again = SearchSpace.from_record(json.loads(json.dumps(space.record())))
    assert again == space
    assert again.sample(rng_of(0)) == space.sample(rng_of(0))


def test_samples_keep_to_limits(space):
    rng = rng_of(5)
    typical = sorted(space.sample(rng).cost.bytes for _ in range(100))[20]
    drawn = [space.sample(rng, most=Limits(bytes=typical)) for _ in range(20)]
    assert max(member.cost.bytes for member in drawn) <= typical
    assert len(set(drawn)) > 1


def test_what_nearly_all_members_are_too_large_for_is_found():
    space = mlp_space(6, outputs=3, depth=(4, 12), width=(1, 4096))
    # Of a million draws few are so small.
    most = Limits(bytes=150)
    drawn = {space.sample(rng_of(seed), most=most) for seed in range(3)}
    assert max(member.cost.bytes for member in drawn) <= 150
    assert len(drawn) > 1


def test_the_smallest_costs_least_of_all():
    space = mlp_space(5, outputs=7, depth=(0, 2), width=(3, 5), activations=["relu", "tanh"])
    members = [
        MLP(5, hidden, outputs=7, activation=activation)
        for depth in range(3)
        for hidden in product((3, 4, 5), repeat=depth)
        for activation in ("relu", "tanh")
    ]
    assert all(member in space for member in members)
    assert space.size() == len(members)
    check_smallest(space, members)


def test_conv_nets_are_counted_and_the_smallest_costs_least_of_all():
    space = conv_space(
        (2, 6, 5), outputs=3, depth=(1, 2), channels=[2, 3], kernels=(1, 3), activations=["relu"]
    )
    pairs = [(False,), (True,), *product((False, True), repeat=2)]
    options = product(pairs, ("none", "group"), product((2, 3), repeat=2), product((1, 3), repeat=2),
                      product((1, 2), repeat=2))  # fmt: skip
    members = set()
    for skips, norm, channels, kernels, strides in options:
        depth = len(skips)
        try:
            made = (channels[:depth], kernels[:depth], strides[:depth], skips)
            members.add(ConvNet(*made, outputs=3, image=(2, 6, 5), norm=norm))
        except RunError:
            continue
    assert all(member in space for member in members)
    drawn = {space.sample(rng) for rng in [rng_of(7)] for _ in range(2000)}
    assert drawn <= members
    assert len(drawn) > 0.9 * len(members)
    check_smallest(space, members)


def test_transformers_are_counted_and_the_smallest_costs_least_of_all():
    space = transformer_space(
        2, 5, outputs=3, depth=(1, 2), width=(5, 12), heads=(2, 3, 4), activations=["relu"]
    )
    members = [
        Transformer(2, 5, width, heads, depth, expansion, outputs=3, activation="relu")
        for width, heads, depth, expansion in product(range(5, 13), (2, 3, 4), (1, 2), (1, 2, 4))
        if width % heads == 0
    ]
    assert all(member in space for member in members)
    assert space.size() == len(members)
    check_smallest(space, members)


def check_smallest(space: SearchSpace, members) -> None:
    for unit in ("parameters", "flops", "bytes", "activation_bytes"):
        least = min(getattr(member.cost, unit) for member in members)
        assert getattr(space.smallest(by=unit).cost, unit) == least, unit


def test_a_space_without_short_cuts_is_counted():
    space = conv_space((2, 6, 5), outputs=3, depth=(1, 2), channels=[2, 3], skips=(False,))
    assert space.size() == (2 * 3 * 2 + (2 * 3 * 2) ** 2) * 2 * 4
    assert conv_space((2, 6, 5), outputs=3).size() is None


def test_short_cuts_are_drawn_often():
    rng = rng_of(8)
    drawn = [conv_space((3, 12, 12), outputs=4).sample(rng) for _ in range(200)]
    assert np.mean([any(member.skips) for member in drawn]) > 0.5


def test_depth_is_uniform_and_widths_are_log_uniform():
    space = mlp_space(2, outputs=1, depth=(1, 4), width=(8, 127))
    rng = rng_of(6)
    drawn = [space.sample(rng) for _ in range(2000)]
    depths = np.bincount([len(m.hidden) for m in drawn])[1:] / len(drawn)
    assert np.allclose(depths, 0.25, atol=0.04)
    widths = np.array([width for m in drawn for width in m.hidden])
    octaves = np.histogram(widths, [8, 16, 32, 64, 128])[0] / len(widths)
    assert np.allclose(octaves, 0.25, atol=0.03)


def test_a_choice_of_numbers_has_an_order_and_knows_them_from_truths():
    choice = OneOf((5, 1, 3))
    assert choice.extremes == (1, 5)
    assert {choice.near(1, rng_of(seed)) for seed in range(9)} == {3}
    assert {choice.near(3, rng_of(seed)) for seed in range(9)} == {1, 5}
    assert 1 in choice
    assert True not in choice


def test_weights_say_how_often_a_value_is_drawn():
    choice = Weighted((2, 1, 5), (6, 1, 3))
    assert choice.values == (1, 2, 5)
    rng = rng_of(0)
    drawn = np.array([choice.draw(rng) for _ in range(4000)])
    assert np.allclose([(drawn == v).mean() for v in (1, 2, 5)], [0.1, 0.6, 0.3], atol=0.03)
    assert choice_of(json.loads(json.dumps(choice.record()))) == choice
    space = conv_space((1, 8, 8), outputs=2, strides=Weighted((1, 2), (1, 9)), skips=[False])
    strides = [s for _ in range(300) for s in space.sample(rng).strides]
    assert 0.85 < np.mean(np.array(strides) == 2) < 0.95
    assert SearchSpace.from_record(space.record()) == space


@pytest.mark.parametrize("choice", [Uniform(2, 9), LogUniform(2, 9)])
def test_what_is_near_is_another_value_close_by(choice):
    for value in choice.values:
        found = {choice.near(value, rng_of(seed)) for seed in range(40)}
        assert value not in found
        assert all(each in choice and value / 2 - 1 <= each <= 2 * value for each in found)
        assert len(found) > 1 or value in (2, 9)


@pytest.mark.parametrize(
    "other",
    [
        MLP(6, (8, 65), outputs=3), MLP(6, (7,), outputs=3), MLP(6, (8,) * 5, outputs=3),
        MLP(6, (), outputs=3), MLP(5, (8,), outputs=3), MLP(6, (8,), classes=3), MLP(6, (8,), outputs=2),
    ],
)  # fmt: skip
def test_what_differs_from_what_is_fixed_or_chosen_is_no_member(other):
    space = mlp_space(6, outputs=3)
    assert MLP(6, (8, 64), outputs=3) in space
    assert other not in space
    with pytest.raises(RunError, match="is no member of the space"):
        space.mutate(other, rng_of(0))


# A part that the only member of a space is not of.
ABSENT = "test" if split_of_record(to_record(MLP(2, (8,), outputs=1))) == "train" else "train"
FIXED = {"inputs": 6, "outputs": 3}
LAYERS = {"depth": [1, 2], "hidden": [8]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SearchSpace("cnn", {}, {}), "Architecture 'cnn' is not known"),
        (lambda: SearchSpace("mlp", FIXED, {"hidden": [8]}), "expected all of"),
        (lambda: SearchSpace("mlp", FIXED, {**LAYERS, "colour": [1]}), "unknown .'colour'."),
        (lambda: SearchSpace("mlp", FIXED, {**LAYERS, "inputs": [1]}), ".'inputs'. twice"),
        (lambda: SearchSpace("mlp", {"inputs": 6}, LAYERS), "expected exactly one of them"),
        (lambda: SearchSpace("mlp", {"outputs": 6}, LAYERS), "cannot be made of this"),
        (lambda: SearchSpace("mlp", FIXED, {**LAYERS, "activation": 3}), "3 is no choice"),
        (lambda: SearchSpace("mlp", FIXED, {**LAYERS, "activation": []}), "expected one or more"),
        (lambda: SearchSpace.from_record({"family": "mlp"}), "expected exactly `family`"),
        (lambda: conv_space((3, 8, 8), outputs=2, skips=(True,)), "Allow choices that go together"),
        (
            lambda: transformer_space(2, 3, outputs=1, width=(65, 300), heads=(130,)).smallest(),
            "No small member of a space of transformer",
        ),
        (lambda: transformer_space(2, 3, outputs=1, width=[6], heads=(4,)), "6 with 4 heads"),
        (
            lambda: mlp_space(2, outputs=1, depth=[1], width=[8], activations=["relu"]).sample(
                rng_of(0), split=ABSENT
            ),
            "no member one change away",
        ),
        (lambda: Uniform(3, 2), "3 to 2 is no range"),
        (lambda: Weighted((1, 2), (1,)), "expected one above 0 for each"),
        (lambda: Weighted((1, 2), (1, 0)), "expected one above 0 for each"),
        (lambda: choice_of({"weighted": [[1, 2], [3]]}), "is no choice, expected a list"),
        (lambda: choice_of({"weighted": []}), "is no choice, expected a list"),
        (lambda: LogUniform(0, 2), "`low` of a logarithmic choice is 0"),
        (lambda: mlp_space(6, outputs=3).sample(rng_of(0), split="dev"), "`split` is 'dev'"),
        (lambda: mlp_space(6, outputs=3).smallest(by="size"), "`by` is 'size'"),
        (
            lambda: mlp_space(6, outputs=3).sample(rng_of(0), most=Limits(bytes=100)),
            "has at most 100 bytes: the smallest has 332 bytes of at most 100",
        ),
        (
            lambda: SearchSpace("mlp", FIXED, {"depth": [1], "hidden": [8]}).mutate(
                MLP(6, (8,), outputs=3), rng_of(0)
            ),
            "no member one change away",
        ),
    ],
)
def test_impossible_spaces_and_wishes_are_refused(make, message):
    with pytest.raises(RunError, match=message):
        make()
