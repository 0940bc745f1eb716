"""How hypernetworks start: a guarantee for every generator and emission, and a check that sees what is wrong."""

import json
import logging
import re
from dataclasses import replace

import pytest
import torch
from making import make_condition, make_conditioner, make_vector_hypernetwork
from torch import nn

import netwright as nw
from netwright.conditioners import CONDITIONERS
from netwright.errors import RunError
from netwright.generators import GENERATORS

EMISSIONS = {
    "full": "full",
    "low_rank": nw.LowRank(2),
    "film": nw.Film(),
    "bias_only": nw.BiasOnly(),
}
VARIANCE, OUTPUT = (0.8, 1.25), (0.5, 2.0)


def start_of(generator, emission, conditioner, seed):
    """How a random child starts."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    depth = int(torch.randint(1, 4, (), generator=rng))
    hidden = tuple(torch.randint(8, 49, (depth,), generator=rng).tolist())
    inputs = int(torch.randint(4, 25, (), generator=rng))
    child = nw.Child(
        nw.architectures.mlp(inputs=inputs, hidden=hidden, outputs=12),
        emissions=[("*", EMISSIONS[emission])],
    )
    hypernetwork = nw.Hypernetwork(child, make_conditioner(conditioner), generator)
    return hypernetwork.check_initialisation(
        make_condition(8, rng), torch.randn(8, 32, inputs, generator=rng)
    )


@pytest.mark.parametrize("emission", EMISSIONS)
@pytest.mark.parametrize("generator", GENERATORS)
def test_children_start_as_their_own_initialisation_would_have_them(generator, emission):
    for seed, conditioner in enumerate(CONDITIONERS):
        start = start_of(generator, emission, conditioner, seed)
        assert not start.problems, str(start)
        assert OUTPUT[0] <= start.output <= OUTPUT[1], str(start)
        for tensor in start.tensors:
            if tensor.variance is not None and tensor.formed >= 64:
                assert VARIANCE[0] <= tensor.variance <= VARIANCE[1], str(start)


@pytest.mark.parametrize("generator", GENERATORS)
def test_without_theta_0_corrections_alone_have_the_childs_own_variance(generator):
    child = nw.Child(nw.architectures.mlp(inputs=20, hidden=(40, 40), outputs=12))
    squares = {spec.name: [] for spec in child.space.tensors if spec.size >= 400}
    for seed in range(8):
        torch.manual_seed(seed)
        rng = torch.Generator().manual_seed(seed)
        hypernetwork = nw.Hypernetwork(
            child, make_conditioner("examples"), generator, initialisation="hyperfan"
        )
        params = hypernetwork(make_condition(8, rng, "examples"))
        for name, found in squares.items():
            found.append(params[name].detach().square().mean())
    for spec in child.space.tensors:
        if spec.name in squares:
            # Over draws and around zero: one draw of a product of few factors says little.
            ratio = float(torch.stack(squares[spec.name]).mean() / spec.std**2)
            assert 0.5 <= ratio <= 2, (spec.name, ratio)


def test_a_record_says_how_weights_start_where_that_is_not_the_default():
    child = nw.Child(nw.architectures.mlp(inputs=3, hidden=(8,), outputs=2))
    reader = make_conditioner("examples")
    without = nw.Hypernetwork(child, reader, "dense", initialisation="hyperfan")
    again = nw.Hypernetwork.from_record(json.loads(json.dumps(without.record())))
    assert again.initialisation == "hyperfan"
    assert "initialisation" not in make_vector_hypernetwork("dense").record()
    with pytest.raises(RunError, match="`initialisation` is 'kaiming', expected one of"):
        nw.Hypernetwork(child, reader, "dense", initialisation="kaiming")


@pytest.mark.slow
@pytest.mark.parametrize("conditioner", CONDITIONERS)
@pytest.mark.parametrize("emission", EMISSIONS)
@pytest.mark.parametrize("generator", GENERATORS)
def test_that_holds_for_every_conditioner_and_twenty_random_children(
    generator, emission, conditioner
):
    for seed in range(20):
        start = start_of(generator, emission, conditioner, seed)
        assert not start.problems, str(start)
        for tensor in start.tensors:
            if tensor.variance is not None and tensor.formed >= 64:
                assert VARIANCE[0] <= tensor.variance <= VARIANCE[1], str(start)


@pytest.fixture
def rng():
    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)


def problems_of(hypernetwork, rng):
    start = hypernetwork.check_initialisation(
        make_condition(4, rng, "examples"), torch.randn(4, 16, 3, generator=rng)
    )
    assert all(f"! {problem}" in str(start) for problem in start.problems)
    return " / ".join(start.problems)


def variance_named(problems):
    """The number that is said of the first layer."""
    return float(re.search(r"`linear1.weight` starts with ([\d.]+) times", problems)[1])


def test_variance_that_is_off_is_named(rng):
    hypernetwork = make_vector_hypernetwork("dense")
    assert not problems_of(hypernetwork, rng)
    with torch.no_grad():
        for head in hypernetwork.generator.heads:
            head.base *= 3
    found = problems_of(hypernetwork, rng)
    assert 8 < variance_named(found) < 10
    assert "times the variance of the child's own initialisation, expected 0.5 to 2.0" in found
    assert "outputs start with" in found


def graph_hypernetwork(hidden=(40, 40)):
    child = nw.Child(nw.architectures.mlp(inputs=3, hidden=hidden, outputs=12))
    return nw.Hypernetwork(child, make_conditioner("examples"), "graph")


def test_a_start_that_is_drawn_anew_is_compared_with_what_such_draws_are_like(rng):
    hypernetwork = graph_hypernetwork()
    with torch.no_grad():
        # The child as it is says nothing of them: theirs are not its numbers.
        for parameter in hypernetwork.child.template.parameters():
            parameter *= 3
    assert not problems_of(hypernetwork, rng)
    with torch.no_grad():
        hypernetwork.generator.gain.bias.fill_(1.1)
    found = problems_of(hypernetwork, rng)
    assert 7 < variance_named(found) < 11
    assert "outputs start with" in found


def test_rows_without_gradient_are_no_fault_of_a_start_that_has_no_more_of_them_than_others(rng):
    # Ten layers of five units: about half of the units of the last ones are 0 for all inputs, however they are drawn.
    start = graph_hypernetwork((5,) * 10).check_initialisation(
        make_condition(4, rng, "examples"), torch.randn(4, 16, 3, generator=rng)
    )
    usual = {tensor.name: tensor.usual_dead for tensor in start.tensors}
    assert usual["linear1.weight"] < usual["linear9.weight"]
    assert usual["linear9.weight"] > 0.3
    few = start.tensors[0]
    assert not replace_dead(start, dead=0.6, usual_dead=0.4).problems
    assert (
        f"60% of the rows of `{few.name}`"
        in replace_dead(start, dead=0.6, usual_dead=0.2).problems[0]
    )


def replace_dead(start, **shares):
    """The first tensor alone, with such shares of rows without gradient."""
    return replace(start, tensors=(replace(start.tensors[0], **shares),), output=1.0)


def test_a_child_without_base_is_found_wanting(rng):
    hypernetwork = make_vector_hypernetwork("dense")
    with torch.no_grad():
        for head in hypernetwork.generator.heads:
            head.base.zero_()
    # A tenth of the child's own scale is what a correction starts with.
    assert 0.007 < variance_named(problems_of(hypernetwork, rng)) < 0.013


def test_units_and_parameters_without_gradient_are_named(rng):
    hypernetwork = make_vector_hypernetwork("dense")
    first_bias = hypernetwork.child.space.names.index("linear1.bias")
    with torch.no_grad():
        hypernetwork.generator.heads[first_bias].base.fill_(-100.0)
    hypernetwork.forgotten = nn.Parameter(torch.ones(2))
    start = hypernetwork.check_initialisation(
        make_condition(4, rng, "examples"), torch.randn(4, 16, 3, generator=rng)
    )
    assert "! 100% of the rows of `linear1.weight` have no gradient" in str(start)
    assert "- nothing that is written depends on `forgotten` of the hypernetwork" in str(start)
    assert start.unreached == ("forgotten",)


def test_checking_changes_nothing(rng):
    hypernetwork = make_vector_hypernetwork("dense").train()
    before = {n: v.clone() for n, v in hypernetwork.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    problems_of(hypernetwork, rng)
    assert torch.equal(torch.rand(3), expected)
    assert hypernetwork.training
    assert all(torch.equal(v, before[n]) for n, v in hypernetwork.state_dict().items())
    assert all(p.grad is None for p in hypernetwork.parameters())


def test_training_says_that_the_start_is_bad(caplog):
    tasks = nw.tasks.Sine()
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=0)
    settings = {"steps": 1, "tasks": 2, "validation_tasks": 2, "progress": False}
    with caplog.at_level(logging.WARNING):
        nw.train(hypernetwork, tasks, **settings)
    assert not caplog.records
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=0)
    _four_times(hypernetwork)
    with caplog.at_level(logging.WARNING):
        nw.train(hypernetwork, tasks, **settings)
    assert "initialisation: `linear1.weight` starts with" in caplog.text


def test_a_trained_hypernetwork_that_is_trained_on_is_not_told_that_its_start_is_bad(
    caplog, tmp_path
):
    tasks = nw.tasks.Sine()
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=0)
    settings = {"steps": 1, "tasks": 2, "validation_tasks": 2, "progress": False}
    nw.train(hypernetwork, tasks, **settings)
    _four_times(hypernetwork)
    hypernetwork.save_pretrained(tmp_path / "trained")
    for each in (hypernetwork, nw.Hypernetwork.from_pretrained(tmp_path / "trained")):
        with caplog.at_level(logging.WARNING):
            nw.train(each, tasks, **settings)
    assert not caplog.records


def _four_times(hypernetwork):
    with torch.no_grad():
        for head in hypernetwork.generator.heads:
            head.base *= 4


def test_the_default_hypernetwork_of_every_kind_of_tasks_starts_without_a_warning(caplog):
    for tasks in (nw.tasks.Sine(), nw.tasks.DigitRules(), nw.tasks.Glyphs()):
        hypernetwork = nw.make_hypernetwork(tasks.shape, seed=0)
        with caplog.at_level(logging.WARNING):
            nw.train(hypernetwork, tasks, steps=1, tasks=2, validation_tasks=2, progress=False)
    assert not caplog.records


def test_a_frozen_hypernetwork_can_be_looked_at(rng):
    hypernetwork = make_vector_hypernetwork("dense").requires_grad_(False)
    assert "100% of the rows of `linear1.weight` have no gradient" in problems_of(hypernetwork, rng)
