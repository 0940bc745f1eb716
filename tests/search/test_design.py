"""The best network under a budget, with a hypernetwork that was trained for a moment."""

import json
from dataclasses import replace

import pytest
import torch
from designs import PICTURES, SPACE, digits, rows
from torch.nn import functional as F

import netwright as nw
from netwright.architectures import Limits, SearchSpace, conv_space, mlp_space
from netwright.conditions import Architectures, Condition, ExampleSet
from netwright.errors import ArtifactError, ConditionError, NetwrightError, RunError
from netwright.search import METHODS, Tried, design, latency_ms
from netwright.search.scores import wilson

LIMITS = Limits(bytes=6000)


@pytest.fixture(scope="module")
def hypernetwork(digits_run):
    return nw.load_hypernetwork(digits_run)[0]


@pytest.fixture(scope="module")
def few_shot(pictures_run):
    return nw.load_hypernetwork(pictures_run)[0]


@pytest.fixture(scope="module")
def validation():
    return rows("validation")


def support(classes: int = 2, shots: int = 3) -> ExampleSet:
    """Pictures of which each class is bright at a place of its own."""
    torch.manual_seed(0)
    y = torch.arange(classes).repeat(shots)
    x = 0.3 * torch.rand(1, len(y), 1, 12, 12)
    for n, c in enumerate(y.tolist()):
        x[0, n, 0, 3 * c : 3 * c + 3] += 1
    return ExampleSet.of(x, y[None], classes=classes)


@pytest.fixture(scope="module")
def found(hypernetwork, validation):
    return design(
        hypernetwork,
        SPACE,
        limits=LIMITS,
        held_out=validation,
        candidates=50,
        labels=[*"0123456789"],
    )


def test_all_are_within_the_budget_and_the_chosen_one_is_the_best(found):
    assert len(found.tried) == 50
    assert all(each.cost.bytes <= 6000 for each in found.tried)
    best = max(each.value for each in found.tried)
    assert found.chosen.value == best
    assert found.chosen in found.front
    assert best > 0.5


def test_nothing_tried_is_better_and_cheaper_than_what_is_on_the_front(found):
    for one in found.front:
        for other in found.tried:
            cheaper = other.cost.bytes <= one.cost.bytes and other.cost.flops <= one.cost.flops
            assert not (cheaper and other.merit > one.merit)
    values = [each.value for each in found.front]
    assert values == sorted(values)
    assert all(each.latency_ms > 0 for each in found.front)


def test_scores_are_those_of_the_written_networks(found, hypernetwork, validation):
    for tried in (found.tried[0], found.tried[17], found.chosen):
        condition = Condition(architecture=Architectures([tried.architecture]))
        network = hypernetwork.generate(condition)
        with torch.no_grad():
            outputs = network(validation.x[0])
        right = outputs.argmax(dim=-1) == validation.y[0]
        assert tried.value == pytest.approx(right.double().mean().item(), abs=0.004)
        loss = F.cross_entropy(outputs, validation.y[0]).item()
        assert tried.loss == pytest.approx(loss, rel=1e-4)


def test_the_network_is_the_chosen_one_and_can_be_saved(found, tmp_path):
    assert found.network.architecture == found.chosen.architecture
    assert found.network.size == found.chosen.cost.parameters
    again = nw.load_network(found.network.save(tmp_path / "net"))
    assert again.labels == tuple("0123456789")


def test_the_hypernetwork_is_left_as_it_was(hypernetwork, validation):
    before = {name: value.clone() for name, value in hypernetwork.state_dict().items()}
    state = torch.get_rng_state()
    hypernetwork.train()
    try:
        design(
            hypernetwork, SPACE, held_out=validation, candidates=2, polish=2, rows=rows("train", 80)
        )
        assert hypernetwork.training
    finally:
        hypernetwork.eval()
    assert torch.equal(torch.get_rng_state(), state)
    after = hypernetwork.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


class Stop(KeyboardInterrupt):
    """Ends a search in the middle."""


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_was_cut_ends_in_the_same_result(method, hypernetwork, validation, tmp_path):
    asked = {"limits": LIMITS, "held_out": validation, "candidates": 14, "method": method}
    whole = design(hypernetwork, SPACE, **asked)
    left = [6]

    def stops(tried):
        left[0] -= 1
        if left[0] == 0:
            raise Stop

    with pytest.raises(Stop):
        design(hypernetwork, SPACE, **asked, folder=tmp_path / "cut", say=stops)
    lines = tmp_path / "cut/tried.jsonl"
    assert len(lines.read_bytes().splitlines()) == 6
    # As a kill in the middle of a line leaves it.
    lines.write_bytes(lines.read_bytes() + b'{"number": 6, "arch')
    told: list[Tried] = []
    resumed = design(
        hypernetwork, SPACE, **asked, folder=tmp_path / "cut", resume=True, say=told.append
    )
    assert resumed.tried == whole.tried == tuple(told)
    assert [e.architecture for e in resumed.front] == [e.architecture for e in whole.front]
    for a, b in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len(lines.read_bytes().splitlines()) == 14
    # What is there is not tried again, and more may be asked for.
    more = design(
        hypernetwork, SPACE, **{**asked, "candidates": 16}, folder=tmp_path / "cut", resume=True
    )
    assert more.tried[:14] == whole.tried


def test_folders_of_other_searches_are_refused(hypernetwork, validation, tmp_path):
    asked = {"held_out": validation, "candidates": 3, "folder": tmp_path / "a"}
    with pytest.raises(RunError, match=r"holds no search, expected a folder that"):
        design(hypernetwork, SPACE, **asked, resume=True)
    design(hypernetwork, SPACE, **asked)
    with pytest.raises(RunError, match="holds a search already, expected a new folder"):
        design(hypernetwork, SPACE, **asked)
    for change, name in (
        ({"seed": 1}, "seed is 0, here it is 1"),
        ({"method": "random"}, 'method is "evolution", here it is "random"'),
        ({"limits": LIMITS}, "limits is"),
        ({"held_out": rows("test")}, "held_out is"),
    ):
        with pytest.raises(RunError, match=f"holds another search: its {name}"):
            design(hypernetwork, SPACE, **{**asked, **change}, resume=True)
    lines = tmp_path / "a/tried.jsonl"
    first, *others = lines.read_text().splitlines(keepends=True)
    lines.write_text(first.replace("[4]", "[5]") + "".join(others))
    with pytest.raises(RunError, match="candidate 0 is proposed otherwise now"):
        design(hypernetwork, SPACE, **asked, resume=True)
    lines.write_text("{}\n" + "".join(others))
    with pytest.raises(ArtifactError, match="damaged in line 1"):
        design(hypernetwork, SPACE, **asked, resume=True)


def test_polish_is_kept_where_it_helps_and_nowhere_else(hypernetwork, validation, tmp_path):
    asked = {"limits": LIMITS, "held_out": validation, "candidates": 8}
    plain = design(hypernetwork, SPACE, **asked)
    better = design(hypernetwork, SPACE, **asked, polish=40, rows=rows("train"))
    assert better.tried == plain.tried
    assert better.chosen.polished == 40
    assert better.chosen.merit > plain.chosen.merit
    with torch.no_grad():
        right = better.network(validation.x[0]).argmax(dim=-1) == validation.y[0]
    assert better.chosen.value == pytest.approx(right.double().mean().item(), abs=0.004)
    assert "40 steps of Adam" in better.network.provenance.hypernetwork
    # Labels that say nothing make networks worse: they stay as they were written.
    torch.manual_seed(0)
    wrong = rows("train")
    wrong = replace(wrong, y=(wrong.y + 1 + torch.randint(0, 9, wrong.y.shape)) % 10)
    worse = design(hypernetwork, SPACE, **asked, polish=40, rows=wrong)
    assert worse.chosen == replace(plain.chosen, latency_ms=worse.chosen.latency_ms)
    with pytest.raises(RunError, match=r"nothing to polish on.*`polish` \(--polish\) left out"):
        design(hypernetwork, SPACE, **asked, polish=1)


def test_latency_is_a_limit_and_a_cost(hypernetwork, validation):
    asked = {"held_out": validation, "candidates": 6, "limits": LIMITS}
    found = design(hypernetwork, SPACE, **asked, latency_ms=1e4, by=("latency_ms",))
    assert all(each.latency_ms > 0 for each in found.tried)
    for one in found.front:
        better = [each for each in found.tried if each.merit > one.merit]
        assert all(each.latency_ms > one.latency_ms for each in better)
    with pytest.raises(
        RunError, match=r"None of 6 candidates can be used.*The fastest takes .* ms"
    ):
        design(hypernetwork, SPACE, **asked, latency_ms=1e-9)
    assert latency_ms(SPACE.smallest()) > 0


def test_support_sets_are_held_out_in_turn(few_shot):
    own = support()
    found = design(few_shot, PICTURES, own, candidates=6, limits=Limits(parameters=400))
    assert (found.folds, found.rows) == (3, 6)
    # Each fold by itself: written from the others alone.
    from netwright.search import support_in_turn

    folds = support_in_turn(Condition(examples=own), seed=0)
    right = 0
    for fold in range(3):
        out = folds.held_out.mask[fold]
        part = ExampleSet.of(own.x[:, ~out], own.y[:, ~out], classes=2)
        network = few_shot.generate(
            Condition(examples=part, architecture=Architectures([found.chosen.architecture]))
        )
        with torch.no_grad():
            right += int((network(own.x[0, out]).argmax(dim=-1) == own.y[0, out]).sum())
    assert found.chosen.value == right / 6
    whole = few_shot.generate(
        Condition(examples=own, architecture=Architectures([found.chosen.architecture]))
    )
    for a, b in zip(found.network.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_task_may_have_another_number_of_classes_than_in_training(few_shot):
    limits = Limits(parameters=300)
    found = design(few_shot, PICTURES, support(classes=3), candidates=4, limits=limits, polish=3)
    assert found.network(torch.zeros(1, 1, 12, 12)).shape == (1, 3)
    assert found.network.size == found.chosen.cost.parameters <= 300


def test_a_share_at_its_end_is_no_certainty():
    assert wilson(1.0, 10)[0] == pytest.approx(0.7225, abs=1e-4)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"method": "guess"}, RunError, "Method 'guess' is not known, expected one of .*evolution"),
        ({"candidates": 0}, RunError, "`candidates` is 0"),
        ({"polish": -1}, RunError, "`polish` is -1"),
        ({"latency_ms": 0}, RunError, "`latency_ms` is 0"),
        ({"by": ("weight",)}, RunError, "`by` is 'weight', expected some of"),
        ({"by": ()}, RunError, "`by` is empty"),
        ({"limits": Limits(bytes=500)}, RunError, r"at most 500 bytes: the smallest has 1,240"),
        ({"limits": Limits(flops=9)}, RunError, r"at most 9 flops: the smallest has 592"),
        ({"held_out": None}, ConditionError, "no support set and no held-out rows"),
        (
            {"space": mlp_space(8, outputs=10)},
            ConditionError,
            r"Rows of `held_out` have inputs of shape \(64,\) and networks of the space read \(8,\)",
        ),
        (
            {"condition": rows("train", 9)},
            ConditionError,
            r"has \['examples'\], which this hypernetwork does not read",
        ),
        (
            {"rows": rows("train", 9).rows(torch.tensor([0, 0]))},
            ConditionError,
            "`rows` is of 2 tasks, expected one",
        ),
        (
            {"space": mlp_space(64, outputs=10, activations=["silu"])},
            NetwrightError,
            r"has \['silu'\], which this hypernetwork never saw",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(
    hypernetwork, validation, change, kind, message
):
    asked = {"space": SPACE, "held_out": validation, "candidates": 2, **change}
    with pytest.raises(kind, match=message) as error:
        design(hypernetwork, **asked)
    assert "\n" not in str(error.value)


def test_operations_that_training_never_had_are_refused_where_the_generator_alone_reads_them(
    few_shot,
):
    assert few_shot.conditioner.parts[1].depth == 0
    space = conv_space((1, 12, 12), classes=5, channels=(4, 6), kernels=(3,), activations=("silu",))
    tried = []
    with pytest.raises(RunError, match=r"'silu'\], which this hypernetwork never saw"):
        design(few_shot, space, support(), candidates=2, say=tried.append)
    assert not tried


def test_hypernetworks_of_one_architecture_are_refused(validation):
    inner = digits().family
    shape = replace(inner.shape, sources=("description",))
    plain = nw.make_hypernetwork(shape, seed=0, child=SPACE.smallest(), size=16)
    with pytest.raises(
        RunError, match=r"writes one architecture, .*netwright train FAMILY --sizes"
    ):
        design(plain, SPACE, held_out=validation, candidates=1)


def test_too_large_members_are_passed_over(hypernetwork, validation):
    huge = SearchSpace("mlp", SPACE.fixed, {**SPACE.choices, "hidden": [8, 30_000]})
    found = design(hypernetwork, huge, held_out=validation, candidates=6, method="random")
    assert all(each.cost.parameters <= 10**8 for each in found.tried)


def test_lines_hold_what_a_person_wants_to_know(hypernetwork, validation, tmp_path):
    found = design(hypernetwork, SPACE, held_out=validation, candidates=2, folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "tried.jsonl").read_text().splitlines()]
    assert lines[1]["cost"]["bytes"] == found.tried[1].cost.bytes
    assert lines[1]["value"] == found.tried[1].value
    assert Tried.from_json(lines[0]) == found.tried[0]
