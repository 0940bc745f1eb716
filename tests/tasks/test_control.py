"""Machines as tasks: cells that splits do not share, wider boxes, probes, sentences."""

import numpy as np
import pytest
import torch
from machines import family_of

from netwright.environments import ENVIRONMENTS, outside
from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import Control
from netwright.tasks.control import _CORNER, _split_of


def shares_of(family, machine):
    columns = []
    for i, q in enumerate(family.environment.quantities):
        value = machine[:, i].abs() if q.kind == "signed" else machine[:, i]
        columns.append((value.numpy() - q.low) / (q.high - q.low))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", [name for name, e in ENVIRONMENTS.items() if not e.discrete])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_machines_are_of_the_cells_of_their_split_and_of_no_corner(name, split):
    family = family_of(name)
    shares = shares_of(family, family.machines(stream(0, "m"), 400, split))
    # Rounding to single precision may move a machine over the edge of its cell.
    off_edges = (np.abs(shares[:, :4] * 4 - np.round(shares[:, :4] * 4)) > 1e-4).all(axis=1)
    assert (_split_of(shares[off_edges], family.environment) == split).all()
    near = (shares[:, :2] < _CORNER - 1e-5) | (shares[:, :2] > 1 - _CORNER + 1e-5)
    assert not near.all(axis=1).any()


def test_about_one_cell_in_ten_is_for_testing():
    counts = {s: len(Control().members(s)) for s in ("train", "validation", "test")}
    assert sum(counts.values()) == 4**4
    assert counts["train"] > 190
    assert min(counts.values()) >= 15


def test_wider_regions_lie_outside_of_the_box():
    for region, most in (("1.25x", 0.25), ("1.5x", 0.5)):
        family = Control("pendulum", region=region)
        machine = family.machines(stream(0, "m"), 300, "test")
        beyond = outside(family.environment, machine)
        assert beyond.min() > -1e-6
        assert (beyond > 1e-3).float().mean() > 0.95
        assert beyond.max() <= most + 1e-5
        # Training stays in its box.
        assert (
            outside(family.environment, family.machines(stream(0, "m"), 300, "train")).max() < 1e-5
        )


def test_corners_are_extreme_in_both_of_the_first_two_quantities():
    family = Control("cart-pole", region="corners")
    shares = shares_of(family, family.machines(stream(0, "m"), 200, "test"))[:, :2]
    assert ((shares < _CORNER + 1e-5) | (shares > 1 - _CORNER - 1e-5)).all()
    assert 0.2 < (shares > 0.5).mean() < 0.8


def test_signs_and_switches_are_drawn_both_ways():
    machine = Control("quadrotor").machines(stream(0, "m"), 300, "train")
    assert 0.35 < machine[:, -1].mean() < 0.65
    gains = Control("pendulum").machines(stream(0, "m"), 300, "train")[:, 2]
    assert 0.35 < (gains > 0).float().mean() < 0.65
    assert gains.abs().min() >= 0.75


def test_a_probe_tells_what_the_machine_does():
    family = Control("pendulum", sources=("examples",), probe=20)
    rng = stream(0, "p")
    machine = torch.cat([family.environment.machine(), family.environment.machine(gain=-1.0)])
    start = torch.tensor([[[3.0, 0.5]], [[3.0, 0.5]]])
    probe = family.probed(machine, rng, start)
    assert probe.x.shape == (2, 20, 4)
    assert probe.y.shape == (2, 20, 4 + 4 * 3)
    # Actions are held for four steps, and each transition is one of the machine.
    assert (probe.x[:, :4, 3] == probe.x[:, :1, 3]).all()
    state = start
    for t in range(20):
        action = probe.x[:, t : t + 1, 3:]
        moved = family.environment.step(state, action, machine)
        change = family.environment.observe(moved, machine) - family.environment.observe(
            state, machine
        )
        torch.testing.assert_close(probe.y[:, t, :3], 10 * change[:, 0])
        products = probe.y[:, t, 4:].view(2, 4, 3)
        torch.testing.assert_close(products[:, 3], 10 * change[:, 0] * action[:, 0])
        torch.testing.assert_close(products[:, :3], probe.x[:, t, :3, None] * 10 * change)
        torch.testing.assert_close(
            probe.y[:, t, 3], family.environment.reward(state, action, machine)[:, 0]
        )
        state = moved


def test_a_machine_that_fails_in_a_probe_begins_again():
    family = Control("cart-pole", sources=("examples",), probe=200)
    probe = family.sample(stream(0, "p"), 5, "train").condition.examples
    assert (probe.x[..., 0].abs() < 1.1).all()


def test_sentences_say_what_is_unusual():
    family = Control("pendulum", sources=("description",))
    environment = family.environment

    def said(**values):
        return environment.describe(environment.machine(**values)[0], stream(0, "s"))

    assert "very high mass" in said(mass=1.4)
    assert "gain reversed" in said(gain=-1.1)
    assert "mass" not in said(mass=1.05)


def test_conditions_are_what_was_asked_for():
    family = Control("reacher", sources=("context", "examples", "description"), probe=8)
    batch = family.sample(stream(0, "c"), 3, "test")
    assert set(batch.condition.present()) == {"context", "examples", "description"}
    assert batch.rows(slice(0, 2)).machine.shape == (2, 6)
    assert batch.inputs.shape == (3, 4, 6)
    torch.testing.assert_close(batch.condition.context, batch.machine)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"environment": "pendulums"}, "Environment 'pendulums' is not known"),
        ({"environment": "connect-k", "region": "1.5x"}, "`region` is '1.5x' and .* a few values"),
        ({"environment": "grid-world", "region": "corners"}, "`region` is 'corners' and the"),
        ({"region": "2x"}, "`region` is '2x', expected one of"),
        ({"probe": 0}, "`probe` is 0, expected a whole number"),
        ({"sources": ("sound",)}, "`sources` is .*sound.*, expected one or more of"),
        ({"sources": "context"}, "`sources` is 'context', expected one or more of"),
        ({"sources": ()}, "`sources` is .*, expected one or more"),
    ],
)
def test_what_is_no_option_is_refused(options, message):
    with pytest.raises(DataError, match=message):
        Control(**options)
