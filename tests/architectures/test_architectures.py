"""Declarative children: cost known before memory is touched, records that make them again."""

import json

import pytest
import torch
from children import assert_equals_a_loop_over_modules, random_params

from netwright.architectures import (
    ARCHITECTURES,
    Conv,
    ConvNet,
    Recurrent,
    RecurrentPolicy,
    Residual,
    TableNet,
    Transformer,
    conv,
    from_record,
    mlp,
    recurrent_policy,
    to_record,
)
from netwright.architectures.transformer import SelfAttention
from netwright.child import Child
from netwright.emission import Film, LowRank
from netwright.errors import RunError
from netwright.export.onnx import export_onnx

EXAMPLES = [
    conv(classes=5), conv(channels=12, depth=3, outputs=2, image=(3, 30, 17)),
    mlp(inputs=4, outputs=1), mlp(inputs=3, hidden=(), classes=4), mlp(inputs=9, hidden=(5,), outputs=2),
    TableNet(columns=6, hidden=10, ramps=4, classes=3), ConvNet(classes=5),
    ConvNet((4, 4, 6), (1, 5, 3), (2, 1, 1), (False, True, False), outputs=3, image=(2, 9, 7), norm="none"),
    ConvNet((3, 3), (), (1, 1), (True, True), classes=3, image=(3, 5, 5), activation="silu"),
    Residual(inputs=5, outputs=2), Residual(inputs=3, width=7, blocks=3, expansion=1, classes=3),
    Recurrent(inputs=3, steps=6, outputs=2), Recurrent(2, 5, width=4, layers=2, cell="lstm", classes=3),
    Transformer(inputs=3, steps=6, outputs=2), Transformer(2, 5, width=6, heads=2, depth=2, classes=3),
    recurrent_policy(inputs=3, hidden=5, outputs=2), recurrent_policy(inputs=2, classes=4),
]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "silent"),
    [
        (Residual(inputs=5, width=6, blocks=2, outputs=2), ["narrow"]),
        (Transformer(inputs=5, steps=3, width=6, heads=2, outputs=2), ["narrow", "out"]),
        (ConvNet((3, 3), (3, 1), (1, 1), (True, True), outputs=2, image=(3, 5, 5)), ["norm"]),
    ],
)
def test_short_cuts_lead_around_blocks_that_say_nothing(architecture, silent):
    module = architecture.build()
    for path, part in module.named_modules():
        if path.rpartition(".")[2] in silent and path.startswith(("block", "attend")):
            part.weight.data.zero_()
            part.bias.data.zero_()
    without = [
        part
        for name, part in module.named_children()
        if "block" not in name and "attend" not in name
    ]
    x = torch.rand(4, *architecture.input_shape)
    torch.testing.assert_close(module(x), torch.nn.Sequential(*without)(x))


def test_attention_is_that_of_torch():
    own, torchs = SelfAttention(6, 3), torch.nn.MultiheadAttention(6, 3, batch_first=True)
    torch.nn.init.normal_(torchs.in_proj_bias)
    own.project.weight, own.project.bias = torchs.in_proj_weight, torchs.in_proj_bias
    own.out = torchs.out_proj
    x = torch.rand(4, 5, 6)
    torch.testing.assert_close(own(x), torchs(x, x, x)[0])


def test_transformers_and_recurrent_networks_know_the_order_of_steps():
    x = torch.rand(4, 5, 3)
    for architecture in (Transformer(3, 5, outputs=2), Recurrent(3, 5, outputs=2)):
        module = architecture.build()
        assert (module(x) - module(x.flip(1))).abs().max() > 1e-3


def test_recurrent_networks_read_the_last_step_or_all():
    every, last = Recurrent(3, 5, outputs=2, read="all").build(), Recurrent(3, 5, outputs=2).build()
    last.load_state_dict(every.state_dict())
    x = torch.rand(4, 5, 3)
    assert every(x).shape == (4, 5, 2)
    torch.testing.assert_close(every(x)[:, -1], last(x))


def name_of(architecture) -> str:
    return json.dumps(to_record(architecture))[:60]


@pytest.mark.parametrize("architecture", EXAMPLES, ids=name_of)
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


@pytest.mark.parametrize("architecture", EXAMPLES, ids=name_of)
def test_children_of_different_tasks_equal_a_loop(architecture):
    child = Child(architecture)
    torch.manual_seed(0)
    params = random_params(child, 3)
    x = torch.rand(3, 2, *architecture.input_shape)
    assert_equals_a_loop_over_modules(child, params, x, "auto", 1e-5)


@pytest.mark.parametrize("emission", [LowRank(2), Film()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("architecture", EXAMPLES, ids=name_of)
def test_children_with_corrected_weights_equal_a_loop(architecture, emission):
    child = Child(architecture, emissions=[("*weight*", emission)])
    torch.manual_seed(0)
    params = random_params(child, 3)
    x = torch.rand(3, 2, *architecture.input_shape)
    assert_equals_a_loop_over_modules(child, params, x, "auto", 1e-4)


@pytest.mark.parametrize("architecture", EXAMPLES, ids=name_of)
def test_children_run_by_kernels_alone(architecture):
    plan = Child(architecture).plan(torch.rand(3, 2, *architecture.input_shape))
    assert plan.how in ("chain", "composite")
    assert {line.how for line in plan.lines} <= {"kernel", "kernels"}


@pytest.mark.parametrize("architecture", EXAMPLES, ids=name_of)
def test_modules_can_be_traced(architecture):
    if isinstance(architecture, RecurrentPolicy):
        pytest.skip("what it does depends on whether memory comes with its inputs")
    module = architecture.build()
    traced = torch.fx.symbolic_trace(module)
    x = torch.rand(2, *architecture.input_shape)
    torch.testing.assert_close(traced(x), module(x))


NEW = {
    type(each): each
    for each in EXAMPLES
    if type(each) in (ConvNet, Residual, Recurrent, Transformer)
}


@pytest.mark.parametrize("architecture", NEW.values(), ids=name_of)
def test_networks_export_to_onnx(architecture, tmp_path):
    network = architecture.build().eval()
    # Answers of the file are compared with the network's before it is written.
    path = export_onnx(network, architecture.input_shape, tmp_path / "net.onnx")
    assert path.stat().st_size > 4 * architecture.parameters


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
        (
            lambda: ConvNet((4, 4), (3,), outputs=1),
            "`kernels` of conv-net has 1 entries for 2 blocks",
        ),
        (lambda: ConvNet((), outputs=1), "`channels` of conv-net has 0 entries for 0 blocks"),
        (lambda: ConvNet((4, 4), (3, 4), outputs=1), r"`kernels\[1\]` of conv-net is 4"),
        (lambda: ConvNet((4,), strides=(3,), outputs=1), r"`strides\[0\]` of conv-net is 3"),
        (lambda: ConvNet((4,), skips=(1,), outputs=1), r"`skips\[0\]` of conv-net is 1"),
        (lambda: ConvNet((4, 0), outputs=1), r"`channels\[1\]` of conv-net is 0"),
        (lambda: ConvNet((4,), outputs=1, image=(28, 28)), "expected three numbers"),
        (lambda: ConvNet((4,), outputs=1, image=(1, 0, 2)), "`height` of conv-net is 0"),
        (lambda: ConvNet((4,), outputs=1, norm="batch"), "`norm` of conv-net is 'batch'"),
        (lambda: ConvNet((4,), outputs=1, activation="x"), "`activation` of conv-net is 'x'"),
        (
            lambda: ConvNet((4, 4), (3, 3), (2, 2), (False, True), outputs=1),
            r"`skips\[1\]` of conv-net leads around 4 to 4 channels with stride 2",
        ),
        (
            lambda: ConvNet((4, 5), (3, 3), (2, 1), (False, True), outputs=1),
            "around 4 to 5 channels with stride 1",
        ),
        (
            lambda: ConvNet((1, 1), image=(1, 2, 2), outputs=1),
            "Block 1 of conv-net normalises a single",
        ),
        (lambda: Residual(inputs=2, width=0, outputs=1), "`width` of residual is 0"),
        (lambda: Residual(inputs=2, outputs=1, activation="x"), "`activation` of residual is 'x'"),
        (lambda: Recurrent(2, 3, cell="rnn", outputs=1), "`cell` of recurrent is 'rnn'"),
        (lambda: Recurrent(2, 3, read="first", outputs=1), "`read` of recurrent is 'first'"),
        (lambda: Recurrent(2, 3, read="all", classes=2), "reads `all` steps with classes"),
        (lambda: Recurrent(2, 0, outputs=1), "`steps` of recurrent is 0"),
        (
            lambda: Transformer(2, 3, width=6, heads=4, outputs=1),
            "is 6 with 4 heads, expected a multiple",
        ),
        (lambda: Transformer(2, 3, expansion=0, outputs=1), "`expansion` of transformer is 0"),
        (lambda: from_record({"family": "os.system"}), "Architecture 'os.system' is not known"),
        (lambda: from_record({"family": "conv", "colour": 1}), "cannot take these options"),
    ],
)
def test_impossible_architectures_are_refused(make, message):
    with pytest.raises(RunError, match=message):
        make()
