"""Policies flown, rewritten under way, drawn, and put on a page whose arithmetic is that of the library."""

import json
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
from machines import environment_named, family_of
from making import perturb

import netwright as nw
from netwright.apps.control import Change, animate, fly, parse_machine, write_page
from netwright.apps.control.flight import Flight, recovery
from netwright.apps.control.page import hypernetwork_record
from netwright.apps.control.sketch import SKETCHES
from netwright.conditions import ExampleSet
from netwright.environments import ENVIRONMENTS, ConnectDirections
from netwright.errors import ArtifactError, ConditionError, DataError, RunError
from netwright.objectives.rollout import roll_out
from netwright.tasks import Control, EpisodeBatch
from netwright.training import make_hypernetwork


def hypernetwork_for(family, **options):
    hypernetwork = make_hypernetwork(family.shape, seed=0, size=16, **options)
    perturb(hypernetwork, torch.Generator().manual_seed(0))
    return hypernetwork.eval()


def in_node(script, **inputs):
    """What a script prints as JSON, run after the page's own scripts."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    here = files("netwright.apps.control")
    own = [(here / name).read_text() for name in ("physics.js", "networks.js")]
    source = "\n".join([*own, f"const given = {json.dumps(inputs)};", script])
    done = subprocess.run([node, "-"], input=source, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_page_has_the_physics_of_the_library(name):
    environment = environment_named(name)
    if not environment.differentiable:
        pytest.skip("no page has it")
    rng = np.random.default_rng(0)
    low, high = (np.array(end) for end in environment.ranges)
    machine = low + rng.random(len(low)) * (high - low)
    for i, q in enumerate(environment.quantities):
        if q.is_discrete:
            machine[i] = q.low + rng.integers(q.count)
    state = environment.start(rng, 1, 1).double()
    actions = rng.uniform(-1.5, 1.5, (25, environment.actions))
    numbers = dict(zip([q.name for q in environment.quantities], machine.tolist(), strict=True))
    found = in_node(
        """
        const world = MACHINES[given.name];
        let s = given.state;
        const out = given.actions.map((a) => {
          s = world.step(s, a, given.machine);
          return [s, world.see(s, given.machine), world.good(s, given.machine), !!(world.over && world.over(s, given.machine))];
        });
        console.log(JSON.stringify(out));
        """,
        name=name,
        state=state[0, 0].tolist(),
        actions=actions.tolist(),
        machine=numbers,
    )
    m = torch.tensor(machine)[None]
    for action, (moved, seen, good, over) in zip(actions, found, strict=True):
        state = environment.step(state, torch.tensor(action).view(1, 1, -1), m)
        np.testing.assert_allclose(moved, state[0, 0].numpy(), atol=1e-9)
        np.testing.assert_allclose(seen, environment.observe(state, m)[0, 0].numpy(), atol=1e-9)
        assert good == bool(environment.is_good(state, m))
        assert over == bool(environment.failed(state, m))


def test_the_page_knows_the_lines_of_every_rule():
    game = ConnectDirections()
    names = [q.name for q in game.quantities]
    rules = [dict(zip(names, rule, strict=True)) for rule in game.variants()[::3].tolist()]
    found = in_node("console.log(JSON.stringify(given.rules.map(linesOf)));", rules=rules)
    for rule, lines in zip(rules, found, strict=True):
        assert sorted(map(tuple, lines)) == list(game.lines(rule)), rule


@pytest.mark.parametrize("name", ["pendulum", "quadrotor"])
def test_the_page_writes_the_policies_of_the_hypernetwork(name):
    family = Control(name)
    hypernetwork = hypernetwork_for(family)
    machine = family.machines(np.random.default_rng(0), 1, "test")
    seen = torch.randn(4, family.shape.x[0], generator=torch.Generator().manual_seed(1))
    found = in_node(
        """
        const policy = write(unpack(given.record), given.machine);
        console.log(JSON.stringify(given.seen.map((x) => Array.from(through(policy, Float64Array.from(x))))));
        """,
        record=hypernetwork_record(hypernetwork),
        machine=machine[0].tolist(),
        seen=seen.tolist(),
    )
    with torch.no_grad():
        params = hypernetwork(nw.Condition(context=machine))
        expected = hypernetwork.child(params, seen[None])[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("name", ["cart-pole", "connect-directions"])
def test_a_page_is_one_file_that_fetches_nothing(tmp_path, name):
    family = Control(name)
    page = write_page(hypernetwork_for(family), family, tmp_path / "deep/page.html").read_text()
    assert "src=" not in page
    assert "http" not in page
    assert f'"environment": "{name}"' in page
    for mark in ("/*PHYSICS*/", "/*NETWORKS*/", "/*RECORD*/", "<!--TITLE-->"):
        assert mark not in page


def test_hypernetworks_that_a_page_cannot_run_are_refused(tmp_path):
    family = Control("pendulum", sources=("examples",))
    with pytest.raises(RunError, match="reads with Examples .*, expected Context"):
        write_page(hypernetwork_for(family), family, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("name", ["half-cheetah", "hopper", "walker"])
def test_machines_whose_physics_a_page_has_not_are_refused(tmp_path, name):
    family = family_of(name)
    with pytest.raises(RunError, match=f"no physics of '{name}', expected .* GIF instead"):
        write_page(hypernetwork_for(family), family, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_flight_is_an_episode():
    family = Control("pendulum")
    hypernetwork = hypernetwork_for(family)
    machine = family.machines(np.random.default_rng(0), 3, "test")
    start = torch.tensor([[[2.0, 0.1]], [[-1.0, 0.3]], [[3.0, 0.0]]])
    flights = fly(hypernetwork, family, machine, start=start)
    query = ExampleSet.of(start, start.new_zeros(3, 1, 1))
    condition = nw.Condition(context=machine)
    batch = EpisodeBatch(condition, query, machine, family.environment)
    with torch.no_grad():
        params = hypernetwork(condition)
    episodes = roll_out(lambda x: hypernetwork.child(params, x), batch)
    for t, flight in enumerate(flights):
        torch.testing.assert_close(flight.rewards, episodes.rewards[t, 0])
        assert flight.states.shape == (201, 2)
        assert flight.rewrites == ()


def test_a_policy_is_rewritten_when_its_machine_changes():
    family = Control("pendulum")
    hypernetwork = hypernetwork_for(family)
    before, after = (family.environment.machine(gain=g) for g in (1.0, -1.0))
    change = Change(50, after)
    stays, follows = (
        fly(hypernetwork, family, before, change=change, rewrite_every=n)[0] for n in (0, 10)
    )
    assert follows.rewrites[:2] == (10, 20)
    torch.testing.assert_close(stays.states[:51], follows.states[:51])
    assert not torch.allclose(stays.actions[51:], follows.actions[51:])
    assert float(follows.machines[49, 2]) == 1.0
    assert float(follows.machines[50, 2]) == -1.0
    # From the change on it is the policy of the new machine.
    seen = family.environment.observe(follows.states[None, 50:51], after)
    with torch.no_grad():
        params = hypernetwork(nw.Condition(context=after))
        expected = hypernetwork.child(params, seen).clamp(-1, 1)[0, 0]
    torch.testing.assert_close(follows.actions[50], expected)


def test_from_a_rolling_probe_only_what_was_seen_of_late_counts():
    family = Control("pendulum", sources=("examples",), probe=16)
    hypernetwork = hypernetwork_for(family)
    machine = family.environment.machine()
    told = []
    read = hypernetwork.conditioner.forward
    hypernetwork.conditioner.forward = lambda c: told.append(c.examples) or read(c)
    flight = fly(hypernetwork, family, machine, rewrite_every=5, window=8, steps=21)[0]
    assert [e.x.shape[1] for e in told] == [16, 5, 8, 8, 8]
    last = told[-1]
    torch.testing.assert_close(last.x[0, :, 3], flight.actions[12:20, 0])
    torch.testing.assert_close(last.y[0, :, 3], flight.rewards[12:20])
    text = Control("pendulum", sources=("description",))
    with pytest.raises(ConditionError, match="does not change under way"):
        fly(hypernetwork_for(text), text, machine, rewrite_every=5)


def test_a_policy_is_left_alone_while_its_machine_is_at_rest_and_rewritten_once_it_moves():
    family = Control("pendulum", sources=("examples",), probe=16)
    hypernetwork, machine = hypernetwork_for(family), family.environment.machine()
    start = torch.tensor([[[1e-4, 0.0]]])
    flight = fly(
        hypernetwork, family, machine, start=start, rewrite_every=1, steps=60, only_when_needed=True
    )[0]
    seen = family.environment.observe(flight.states[None], machine)[0]
    moved = (seen[1:] - seen[:-1]).abs().amax(dim=1) > 0.005
    # Before a step, by what the one before did.
    assert set(flight.rewrites) == {
        step for step in range(1, 60) if moved[step - 1] or not flight.good[step - 1]
    }
    assert not moved.all()
    # It moves before it has fallen, and is not waited for.
    assert any(flight.good[step - 1] for step in flight.rewrites)


def test_machines_outside_of_training_are_warned_of_and_far_ones_refused(caplog):
    family = Control("pendulum")
    hypernetwork = hypernetwork_for(family)
    fly(hypernetwork, family, family.environment.machine(mass=1.75), steps=3)
    assert "1.00 half ranges outside of what was trained on" in caplog.text
    with pytest.raises(ConditionError, match=r"expected at most 3. Ranges: mass 0.7 to 1.4"):
        fly(hypernetwork, family, family.environment.machine(mass=9.0), steps=3)
    games = Control("connect-k")
    for values in ({"width": 4.5}, {"line": 5.0}, {"gravity": -1.0}):
        with pytest.raises(ConditionError, match=r"`\w+` is .*, expected a whole number from"):
            fly(hypernetwork_for(games), games, games.environment.machine(**values), steps=3)
    with pytest.raises(ConditionError, match="not finite"):
        fly(hypernetwork, family, family.environment.machine(mass=float("nan")), steps=3)


def test_settings_of_machines_are_read():
    environment = ENVIRONMENTS["pendulum"]()
    found = parse_machine(environment, ["mass=1.2,gain=-1", "gravity=9"])
    torch.testing.assert_close(found, torch.tensor([[1.2, 1.0, -1.0, 0.0, 9.0]]))
    for pair in ("mass", "mass=heavy", "=1"):
        with pytest.raises(DataError, match=r"expected (one such as|some of)"):
            parse_machine(environment, [pair])


def test_recovery_is_counted_from_the_change_to_the_first_steps_that_last():
    def flight(good):
        good = torch.tensor(good, dtype=torch.bool)
        empty = torch.zeros(0)
        return Flight(empty, empty, empty, empty, good, ())

    fallen = [True] * 20 + [False] * 15 + [True] * 40
    assert recovery(flight(fallen), 20, 40) == 15
    assert recovery(flight(fallen), 20, 10) is None
    assert recovery(flight([True] * 60), 20, 40) == 0
    assert recovery(flight([True] * 20 + [False] * 60), 20, 40) is None
    blink = [True] * 20 + ([False] * 3 + [True] * 3) * 10
    assert recovery(flight(blink), 20, 40) is None


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_flights_are_drawn(tmp_path, name):
    image = pytest.importorskip("PIL.Image")
    family = family_of(name)
    flight = fly(hypernetwork_for(family), family, family.environment.machine(), steps=12)[0]
    path = animate(flight, name, family.environment, tmp_path / "flight.gif")
    with image.open(path) as picture:
        assert picture.n_frames >= 4
        first = np.asarray(picture.convert("L"))
        picture.seek(picture.n_frames - 1)
        last = np.asarray(picture.convert("L"))
    assert (first < 128).sum() > 100
    assert (first != last).any()
    shapes = SKETCHES[name][0](
        flight.states[0].tolist(),
        dict(
            zip(
                [q.name for q in family.environment.quantities],
                flight.machines[0].tolist(),
                strict=True,
            )
        ),
    )
    assert len(shapes) >= 2
    with pytest.raises(ArtifactError, match=r"expected .gif"):
        animate(flight, name, family.environment, tmp_path / "flight.avi")


@pytest.mark.parametrize("name", ["pendulum", "reacher", "half-cheetah"])
def test_there_is_a_bar_for_each_action(tmp_path, name):
    image = pytest.importorskip("PIL.Image")
    family = family_of(name)
    flight = fly(hypernetwork_for(family), family, family.environment.machine(), steps=2)[0]
    full = replace(flight, actions=torch.ones_like(flight.actions))
    with image.open(animate(full, name, family.environment, tmp_path / "flight.gif")) as picture:
        foot = np.asarray(picture.convert("L"))[-34:-4, picture.width * 3 // 4]
    is_bar = foot < 170
    starts = int(is_bar[0]) + (is_bar[1:] & ~is_bar[:-1]).sum()
    assert starts == family.environment.actions
