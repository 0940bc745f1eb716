"""Declarative children: cost known before memory is touched, records that make them again."""

import json

import pytest
import torch

from netwright.architectures import (
    ARCHITECTURES,
    Conv,
    RecurrentPolicy,
    TableNet,
    conv,
    from_record,
    mlp,
    recurrent_policy,
    to_record,
)
from netwright.errors import RunError

EXAMPLES = [
    conv(classes=5), conv(channels=12, depth=3, outputs=2, image=(3, 30, 17)),
    mlp(inputs=4, outputs=1), mlp(inputs=3, hidden=(), classes=4), mlp(inputs=9, hidden=(5,), outputs=2),
    TableNet(columns=6, hidden=10, ramps=4, classes=3), recurrent_policy(inputs=3, hidden=5, outputs=2), recurrent_policy(inputs=2, classes=4),
]  # fmt: skip


@pytest.mark.parametrize("architecture", EXAMPLES, ids=lambda a: json.dumps(to_record(a))[:60])
def test_counted_parameters_are_those_of_the_built_module(architecture):
    module = architecture.build()
    assert sum(p.numel() for p in module.parameters()) == architecture.parameters
    y = module(torch.rand(2, *architecture.input_shape))
    # One output, or one for each step of a sequence.
    steps = architecture.input_shape[:-1] if isinstance(architecture, RecurrentPolicy) else ()
    assert y.shape == (2, *steps, architecture.classes or architecture.outputs)


@pytest.mark.parametrize("architecture", EXAMPLES)
def test_records_survive_json(architecture):
    assert from_record(json.loads(json.dumps(to_record(architecture)))) == architecture


def test_every_family_is_among_the_examples():
    assert {type(example) for example in EXAMPLES} == set(ARCHITECTURES.values())


def test_the_child_of_the_benchmarks_has_2029_numbers():
    assert Conv(channels=8, depth=4, classes=5).parameters == 2029


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv(), "classes=None and outputs=None, expected exactly one"),
        (lambda: conv(classes=2, outputs=2), "expected exactly one"),
        (
            lambda: recurrent_policy(inputs=2, hidden=0, outputs=1),
            "`hidden` of recurrent-policy is 0",
        ),
        (
            lambda: recurrent_policy(inputs=2),
            "recurrent-policy has classes=None and outputs=None, expected exactly one",
        ),
        (lambda: conv(classes=2, channels=0), "`channels` of conv is 0"),
        (lambda: mlp(inputs=2, hidden=(3, -1), outputs=1), r"`hidden\[1\]` of mlp is -1"),
        (lambda: mlp(inputs=2, outputs=1, activation="swish"), "`activation` of mlp is 'swish'"),
        (
            lambda: TableNet(columns=2, hidden=3, ramps=4),
            "`ramps` of table-net is 4, expected 0 to 3",
        ),
        (lambda: from_record({"family": "os.system"}), "Architecture 'os.system' is not known"),
        (lambda: from_record({"family": "conv", "colour": 1}), "cannot take these options"),
    ],
)
def test_impossible_architectures_are_refused(make, message):
    with pytest.raises(RunError, match=message):
        make()
