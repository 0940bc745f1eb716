"""Machines of MuJoCo: gymnasium's where nothing is changed, pure steps, and what happens when physics breaks."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from netwright.environments import HalfCheetah, Hopper, Walker
from netwright.environments import mujoco as ours
from netwright.errors import MissingExtraError
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control

pytest.importorskip("gymnasium")
mujoco = pytest.importorskip("mujoco")

# Name in gymnasium, whose machine is that of the textbook.
THEIRS = {HalfCheetah: "HalfCheetah-v5", Hopper: "Hopper-v5", Walker: "Walker2d-v5"}
UPRIGHT = [Hopper, Walker]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """MuJoCo logs warnings to a file where it is."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cheetah():
    return HalfCheetah()


def exactly(environment, **values):
    """A machine [1, P] in double precision: a friction of 0.4, not of 0.40000001."""
    numbers = [values.get(q.name, q.default) for q in environment.quantities]
    return torch.tensor([numbers], dtype=torch.float64)


def trajectory(environment, state, actions, machine):
    """States of one episode after each action, [H, S]."""
    found = []
    for action in actions:
        state = environment.step(state, torch.from_numpy(action).view(1, 1, -1), machine)
        found.append(state[0, 0].numpy())
    return np.array(found)


def state_of(position, speeds):
    p = len(position)
    return torch.from_numpy(np.concatenate([position, speeds, np.zeros(p + 2)])).view(1, 1, -1)


def of_gymnasium(kind, monkeypatch):
    """The environment of gymnasium itself."""
    if find_spec("imageio") is None:
        # gymnasium wants it for pictures, of which there are none here.
        monkeypatch.setitem(sys.modules, "imageio", ModuleType("imageio"))
    import gymnasium

    return gymnasium.make(THEIRS[kind]).unwrapped


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", THEIRS, ids=THEIRS.values())
def test_trajectories_are_those_of_gymnasium_up_to_where_machines_fall(kind, seed, monkeypatch):
    theirs = of_gymnasium(kind, monkeypatch)
    theirs.reset(seed=seed)
    environment, machine = kind(), exactly(kind)
    assert environment.seconds == pytest.approx(theirs.dt)
    p, ended = environment.positions, False
    state = state_of(theirs.data.qpos, theirs.data.qvel)
    # Not many more: contacts make of a difference in the last bit one in the fifth digit within 80.
    for action in np.random.default_rng(seed).uniform(-1, 1, (50, environment.actions)):
        seen, _, ended, _, told = theirs.step(action)
        state = environment.step(state, torch.from_numpy(action).view(1, 1, -1), machine)
        own = state[0, 0].numpy()
        np.testing.assert_allclose(own[:p], theirs.data.qpos, atol=1e-5)
        np.testing.assert_allclose(own[p : 2 * p], theirs.data.qvel, atol=1e-5)
        assert float(environment.forward(state)) == pytest.approx(told["x_velocity"], abs=1e-5)
        shown = environment.observe(state, machine)[0, 0].numpy() * environment.sizes
        np.testing.assert_allclose(shown, seen, atol=1e-5)
        assert bool(environment.failed(state, machine)) == ended
        if ended:
            break
    assert ended == (kind in UPRIGHT)


@pytest.mark.parametrize("kind", UPRIGHT, ids=[THEIRS[kind] for kind in UPRIGHT])
def test_fallen_is_what_gymnasium_calls_not_healthy(kind, monkeypatch):
    theirs = of_gymnasium(kind, monkeypatch)
    theirs.reset(seed=0)
    environment, p = kind(), kind.positions
    rng = np.random.default_rng(0)
    position, speeds = theirs.init_qpos + rng.normal(size=(400, p)) * 0.2, rng.normal(size=(400, p))
    position[:, 1] += rng.normal(size=400) * 0.5
    # Joints that spin, and joints that are wound up.
    speeds[:40, 3:] *= 70
    position[40:80, 3:] *= 300
    found = []
    for at, speed in zip(position, speeds, strict=True):
        theirs.data.qpos[:], theirs.data.qvel[:] = at, speed
        state = state_of(at, speed)
        assert bool(environment.failed(state, exactly(kind))) != theirs.is_healthy, at
        found.append(theirs.is_healthy)
    assert 40 < sum(found) < 360


@pytest.mark.parametrize("kind", UPRIGHT, ids=[THEIRS[kind] for kind in UPRIGHT])
def test_what_has_fallen_stays_as_it_is_and_earns_nothing(kind, caplog):
    environment = kind()
    machine, action = environment.machine(), torch.full((1, 3, environment.actions), 0.5)
    state = environment.start(np.random.default_rng(0), 1, 3)
    state[0, 1, 2] = -1.5
    state[..., -2:] = machine[0, 0]
    assert environment.failed(state, machine).tolist() == [[False, True, False]]
    assert environment.is_good(state, machine).tolist() == [[True, False, True]]
    assert environment.reward(state, action, machine)[0, 1] == 0
    assert (environment.reward(state, action, machine)[0, [0, 2]] > 0.9).all()
    moved = environment.step(state, action, machine)
    assert torch.equal(moved[0, 1], state[0, 1])
    assert "broken" not in caplog.text
    assert (moved[0, [0, 2]] != state[0, [0, 2]]).any(dim=-1).all()


@pytest.mark.parametrize("kind", UPRIGHT, ids=[THEIRS[kind] for kind in UPRIGHT])
def test_an_upright_machine_is_worth_how_near_its_speed_is_and_never_less_than_a_fallen_one(kind):
    environment = kind()
    machine, still = environment.machine(speed=1.6), torch.zeros(1, 6, environment.actions)
    state = environment.start(np.random.default_rng(0), 1, 6)
    state[0, :, -2] = torch.tensor([0.0, 1.6, 0.8, 2.4, -1.6, 16.0])
    found = environment.reward(state, still, machine)
    expected = 0.25 + 0.75 / torch.tensor([[10.0, 1.0, 3.25, 3.25, 37.0, 730.0]])
    torch.testing.assert_close(found, expected)
    # Motors at their limits cost a twentieth; beyond, they do no more.
    torch.testing.assert_close(environment.reward(state, still + 3, machine), 0.95 * expected)
    # Outside of what is trained on it may be told to stand, or to go backwards.
    found = environment.reward(state, still, environment.machine(speed=0.0))
    assert found.isfinite().all()
    assert found.argmax() == 0
    found = environment.reward(state, still, environment.machine(speed=-1.6))
    assert found.argmax() == 4
    state[0, :, -1] = torch.tensor([0.0, 1.6, 1.27, 1.29, 1.91, 1.93])
    assert environment.is_good(state, machine).tolist() == [[False, True, False, True, True, False]]


def test_the_speed_of_an_upright_machine_is_averaged_over_half_a_second():
    hopper = Hopper()
    state, machine = hopper.start(np.random.default_rng(0), 1, 1), hopper.machine()
    state[0, 0, 6], expected = 1.0, 0.0
    for _ in range(8):
        before = float(state[0, 0, 0])
        state = hopper.step(state, torch.zeros(1, 1, 3), machine)
        expected += ((float(state[0, 0, 0]) - before) / 0.008 - expected) / 60
    assert float(state[0, 0, -1]) == pytest.approx(expected, rel=1e-3)
    assert expected > 0.1


@pytest.mark.parametrize(
    ("kind", "values", "gears", "contact"),
    [
        (Hopper, {"thigh": 0.8, "leg": 1.1, "foot": 1.2, "friction": 1.4}, [160, 220, 240], 1.4),
        (Walker, {"right": 0.8, "left": 1.2, "friction": 1.5}, [80, 80, 80, 120, 120, 120], 1.5),
    ],
)
def test_numbers_of_an_upright_machine_are_those_of_its_model(kind, values, gears, contact):
    environment = kind()
    plain, model = (
        environment._plain,
        environment._model(tuple(exactly(kind, mass=1.25, **values)[0].tolist())),
    )
    np.testing.assert_allclose(model.actuator_gear[:, 0], gears)
    np.testing.assert_allclose(model.body_mass, 1.25 * plain.body_mass)
    np.testing.assert_allclose(model.body_inertia, 1.25 * plain.body_inertia)
    # In a step on the ground it is the larger of the two that touch that counts.
    data = mujoco.MjData(model)
    data.qpos[1] = 1.2
    mujoco.mj_forward(model, data)
    assert data.ncon > 0
    np.testing.assert_allclose(data.contact.friction[: data.ncon, 0], contact, rtol=1e-6)
    assert float(plain.body_mass.sum()) == float(environment._plain.body_mass.sum())


def test_a_machine_is_the_model_that_its_numbers_describe(cheetah):
    """Compiled by MuJoCo from a file in which these numbers stand, rather than changed afterwards."""
    path = Path(find_spec("gymnasium").origin).parent / "envs/mujoco/assets/half_cheetah.xml"
    root = ElementTree.parse(path).getroot()
    root.find("compiler").attrib.pop("settotalmass")
    for geom in [*root.iter("geom")]:
        if geom.get("type") != "plane":
            geom.set("density", "1000")
    root.find("default/geom").set("friction", "0.3 .1 .1")
    for motor in root.iter("motor"):
        if motor.get("gear"):
            strength = 0.6 if motor.get("joint").startswith("b") else 1.3
            motor.set("gear", str(strength * float(motor.get("gear"))))
    plain = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, "unicode"))
    share = 1.5 * 14 / plain.body_mass.sum()
    for geom in root.iter("geom"):
        geom.set("density", str(1000 * share))
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, "unicode"))
    assert model.body_mass.sum() == pytest.approx(1.5 * 14)

    machine = exactly(cheetah, mass=1.5, friction=0.3, hind=0.6, front=1.3)
    rng = np.random.default_rng(1)
    position, speeds = rng.uniform(-0.1, 0.1, 9), rng.uniform(-1, 1, 9)
    actions = rng.uniform(-1, 1, (40, 6))
    found = trajectory(cheetah, state_of(position, speeds), actions, machine)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = position, speeds
    for action, own in zip(actions, found, strict=True):
        data.ctrl[:] = action
        mujoco.mj_step(model, data, nstep=5)
        np.testing.assert_allclose(own[:9], data.qpos, atol=1e-5)
        np.testing.assert_allclose(own[9:18], data.qvel, atol=1e-4)


def test_a_step_follows_from_what_it_is_given_alone(cheetah):
    state, machine = cheetah.start(np.random.default_rng(0), 2, 2), cheetah.machine().repeat(2, 1)
    machine[1, 1] = 1.4
    action = torch.full((2, 2, 6), 0.7)
    for _ in range(8):
        state = cheetah.step(state, action, machine)
    before = state.clone()
    once = cheetah.step(state, action, machine)
    cheetah.step(cheetah.start(np.random.default_rng(1), 2, 2), -action, machine.flip(0))
    assert torch.equal(cheetah.step(state, action, machine), once)
    assert torch.equal(state, before)
    assert torch.equal(HalfCheetah().step(state, action, machine), once)


def test_a_step_is_worth_how_near_its_speed_is_to_the_one_asked_for(cheetah):
    state = torch.zeros(1, 4, 29)
    state[0, :, -2] = torch.tensor([0.0, 2.5, 1.25, 5.0])
    machine, action = cheetah.machine(speed=2.5), torch.zeros(1, 4, 6)
    found = cheetah.reward(state, action, machine)
    torch.testing.assert_close(found, torch.tensor([[0.0, 1.0, 0.5, 0.0]]))
    backwards = cheetah.machine(speed=-2.5)
    torch.testing.assert_close(cheetah.reward(-state, action, backwards), found)
    # An action of 2 is cut off at 1, and costs as much.
    torch.testing.assert_close(cheetah.reward(state, action + 2, machine), found - 0.05)


def test_the_speed_that_decides_is_that_of_the_last_second(cheetah):
    state, machine = cheetah.start(np.random.default_rng(0), 1, 1), cheetah.machine()
    place, expected = [float(state[0, 0, 0])], 0.0
    for _ in range(30):
        state = cheetah.step(state, torch.full((1, 1, 6), 0.5), machine)
        place.append(float(state[0, 0, 0]))
        expected += ((place[-1] - place[-2]) / 0.05 - expected) / 20
    assert float(state[0, 0, -1]) == pytest.approx(expected, abs=1e-4)
    state = state.repeat(1, 4, 1)
    state[0, :, -1] = torch.tensor([1.59, 1.61, 2.39, 2.41])
    state[0, :, -2] = 9.0
    assert cheetah.is_good(state, machine).tolist() == [[False, True, True, False]]
    backwards = cheetah.machine(speed=-2.0)
    assert cheetah.is_good(-state, backwards).tolist() == [[False, True, True, False]]


# A whole machine that rises faster than anything, and joints that tear it apart within a step.
@pytest.mark.parametrize(("joints", "speed"), [(slice(10, 11), 1.2e4), (slice(9, 18), 9e3)])
def test_a_machine_whose_physics_breaks_is_reported_and_left_out(
    caplog, tmp_path, monkeypatch, joints, speed
):
    monkeypatch.chdir(tmp_path)
    batch = Control("half-cheetah").sample(stream(0, "b"), 3, "train")
    start = batch.query.x.clone()
    start[1, ..., joints] = speed
    whole = roll_out(lambda seen: seen[..., :6].tanh(), batch)
    batch.query.x.copy_(start)
    found = roll_out(lambda seen: seen[..., :6].tanh(), batch)
    assert found.rewards[1].isnan().any()
    assert torch.equal(found.rewards[[0, 2]], whole.rewards[[0, 2]])
    assert whole.rewards.isfinite().all()
    assert not bool(found.success[1].any())
    lines = [line for line in caplog.text.splitlines() if "physics of a machine has broken" in line]
    assert len(lines) == batch.query.x.shape[1]
    assert f"speed={float(batch.machine[1, 0]):.3g}" in lines[0]
    # By ourselves: MuJoCo leaves no file of its own.
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", THEIRS, ids=THEIRS.values())
def test_actions_that_are_not_finite_break_only_their_own_episode(kind):
    environment = kind()
    state, machine = environment.start(np.random.default_rng(0), 1, 3), environment.machine()
    action = torch.zeros(1, 3, environment.actions)
    action[0, 1, 2] = torch.nan
    moved = environment.step(state, action, machine)
    assert moved[0, 1].isnan().all()
    assert moved[0, [0, 2]].isfinite().all()
    # And stays broken, which is no fall: its task is left out, not counted as a failure.
    action[0, 1, 2] = 0.0
    assert environment.step(moved, action, machine)[0, 1].isnan().all()
    assert environment.reward(moved, action, machine)[0].isfinite().tolist() == [True, False, True]


def test_limbs_are_where_the_joints_put_them(cheetah):
    upright = torch.zeros(29)
    limbs = cheetah.limbs(upright, cheetah.machine()[0])
    # Torso, head, and three for each leg; the torso lies 0.7 m above the ground.
    assert len(limbs) == 8
    np.testing.assert_allclose(limbs[0], [0.5, 0.7, -0.5, 0.7, 0.092], atol=1e-9)
    # Turned by 90 degrees around its middle, with the nose down, a metre further.
    upright[0], upright[2] = 1.0, np.pi / 2
    torso = cheetah.limbs(upright, cheetah.machine()[0])[0]
    np.testing.assert_allclose(torso, [1.0, 0.2, 1.0, 1.2, 0.092], atol=1e-6)


@pytest.mark.parametrize(("kind", "legs"), [(Hopper, 1), (Walker, 2)])
def test_limbs_of_an_upright_machine_stand_on_the_ground(kind, legs):
    environment = kind()
    upright = environment.start(np.random.default_rng(0), 1, 1)[0, 0] * 0
    # Its height is that of the middle of the trunk.
    upright[1] = 1.25
    limbs = environment.limbs(upright, environment.machine()[0])
    # Trunk, and thigh, leg and foot of each leg.
    assert len(limbs) == 1 + 3 * legs
    np.testing.assert_allclose(sorted(limbs[0][1:4:2]), [1.05, 1.45], atol=1e-6)
    lowest = min(min(z, v) - width / 2 for _, z, _, v, width in limbs)
    assert abs(lowest) < 0.06


@pytest.mark.parametrize("package", ["mujoco", "gymnasium"])
def test_what_is_not_installed_is_named_with_its_extra(package, monkeypatch):
    monkeypatch.setattr(
        ours, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    with pytest.raises(
        MissingExtraError, match=rf"MuJoCo needs the package `{package}`.*netwright\[rl\]"
    ):
        Control("half-cheetah")
