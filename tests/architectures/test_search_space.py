"""Spaces of architectures: every way of getting a member gives a member."""

import json
from itertools import product

import numpy as np
import pytest

from netwright.architectures import MLP, Limits, LogUniform, SearchSpace, Uniform, mlp_space
from netwright.errors import RunError
from netwright.splits import SPLITS

SPACES = {
    "mlp": mlp_space(6, outputs=3),
    "mlp, lists": mlp_space(6, classes=3, depth=[0, 2, 5], width=[8, 16, 31]),
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
    for name in space.choices:
        if name != "depth" or space.family not in ("mlp", "conv-net"):
            assert len({getattr(each, name) for each in walked}) > 1, name


def test_parts_share_no_member_and_are_8_1_1(space):
    rng = rng_of(2)
    drawn = [space.sample(rng) for _ in range(300)]
    found = {member: space.split_of(member) for member in drawn}
    assert set(found.values()) == set(SPLITS)
    for split in SPLITS:
        members = [space.sample(rng, split=split) for _ in range(10)]
        assert all(space.split_of(member) == split for member in members)
    assert [SPLITS.index(space.split_of(m)) for m in found] == [
        SPLITS.index(SearchSpace.from_record(space.record()).split_of(m)) for m in found
    ]


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
    space = mlp_space(6, outputs=3, depth=(1, 12), width=(1, 4096))
    # One draw in 10^5 is so small.
    most = Limits(bytes=60)
    assert space.sample(rng_of(0), most=most).cost.bytes <= 60


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
    for unit in ("parameters", "flops", "bytes", "activation_bytes"):
        least = min(getattr(member.cost, unit) for member in members)
        assert getattr(space.smallest(by=unit).cost, unit) == least


def test_depth_is_uniform_and_widths_are_log_uniform():
    space = mlp_space(2, outputs=1, depth=(1, 4), width=(8, 127))
    rng = rng_of(6)
    drawn = [space.sample(rng) for _ in range(2000)]
    depths = np.bincount([len(m.hidden) for m in drawn])[1:] / len(drawn)
    assert np.allclose(depths, 0.25, atol=0.04)
    widths = np.array([width for m in drawn for width in m.hidden])
    octaves = np.histogram(widths, [8, 16, 32, 64, 128])[0] / len(widths)
    assert np.allclose(octaves, 0.25, atol=0.03)


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
        (lambda: Uniform(3, 2), "3 to 2 is no range"),
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
