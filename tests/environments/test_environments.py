"""Machines: the same as gymnasium's where it has them, and the laws that all of them keep."""

import numpy as np
import pytest
import torch
from machines import environment_named

from netwright.environments import ENVIRONMENTS, Quantity, check_quantities, outside
from netwright.errors import DataError


@pytest.fixture(params=ENVIRONMENTS)
def environment(request):
    return environment_named(request.param)


def textbook(environment, tasks=1):
    return environment.machine().expand(tasks, -1).double()


def trajectory(environment, state, actions):
    """States of one episode after each action, [H, S]."""
    state, machine = torch.tensor(state).double().view(1, 1, -1), textbook(environment)
    found = []
    for action in actions:
        state = environment.step(state, torch.tensor(action).double().view(1, 1, -1), machine)
        found.append(state[0, 0].numpy())
    return np.array(found)


def test_the_pendulum_is_that_of_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    theirs = gymnasium.make("Pendulum-v1").unwrapped
    theirs.reset(seed=0)
    theirs.state = np.array([2.5, -0.7])
    actions = np.random.default_rng(0).uniform(-1.2, 1.2, (150, 1))
    environment = ENVIRONMENTS["pendulum"]()
    ours = trajectory(environment, [2.5, -0.7], actions)
    machine, state = textbook(environment), torch.tensor([[[2.5, -0.7]]]).double()
    for action, own in zip(actions, ours, strict=True):
        _, reward, *_ = theirs.step(2 * action)
        act = torch.tensor(action).double().view(1, 1, 1)
        assert float(environment.reward(state, act, machine)) == pytest.approx(reward, abs=1e-5)
        np.testing.assert_allclose(own, theirs.state, atol=1e-5)
        state = torch.tensor(own).view(1, 1, 2)


def test_the_cart_pole_is_that_of_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    theirs = gymnasium.make("CartPole-v1").unwrapped
    theirs.reset(seed=0)
    start = np.array([0.1, -0.2, 0.05, 0.1])
    theirs.state = start.copy()
    sides = np.random.default_rng(0).integers(0, 2, 60)
    environment = ENVIRONMENTS["cart-pole"]()
    ours = trajectory(environment, start, 2.0 * sides[:, None] - 1)
    machine, ended = textbook(environment), False
    for side, own in zip(sides, ours, strict=True):
        _, _, ended, *_ = theirs.step(int(side))
        np.testing.assert_allclose(own, theirs.state, atol=1e-5)
        assert bool(environment.failed(torch.tensor(own).view(1, 1, 4), machine)) == ended
        if ended:
            break
    assert ended


def test_the_acrobot_is_that_of_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    theirs = gymnasium.make("Acrobot-v1").unwrapped
    theirs.reset(seed=0)
    theirs.state = np.array([0.3, -0.2, 0.5, 0.1])
    sides = np.random.default_rng(0).integers(0, 3, 60)
    ours = trajectory(ENVIRONMENTS["acrobot"](), theirs.state.copy(), sides[:, None] - 1.0)
    for side, own in zip(sides, ours, strict=True):
        theirs.step(int(side))
        np.testing.assert_allclose(own, theirs.state, atol=1e-5)


def test_the_mountain_car_is_that_of_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    theirs = gymnasium.make("MountainCarContinuous-v0").unwrapped
    theirs.reset(seed=0)
    theirs.state = np.array([-0.5, 0.0])
    # First to the wall on the left, then back and forth.
    actions = np.sign(np.sin(np.arange(140) / 18 + np.pi))[:, None]
    ours = trajectory(ENVIRONMENTS["mountain-car"](), [-0.5, 0.0], actions)
    for action, own in zip(actions, ours, strict=True):
        _, _, ended, *_ = theirs.step(action.astype(np.float32))
        np.testing.assert_allclose(own, theirs.state, atol=1e-5)
        if ended:
            break
    assert ours[:, 0].min() < -0.7


def test_the_arm_keeps_its_energy_without_torque_and_friction():
    arm = ENVIRONMENTS["reacher"]()
    arm.seconds = 1e-4
    machine = arm.machine(friction=0.0, payload=0.3, upper=0.45).double()
    state = torch.tensor([[[0.2, 1.0, 1.5, -2.0]]]).double()

    def energy(state):
        """Of the masses that the arm consists of, from where they are a moment later."""
        m = {name: float(value) for name, value in arm.of(machine).items()}
        total = 0.0
        shares = (np.arange(2000) + 0.5) / 2000
        first, second, spin1, spin2 = state.flatten().tolist()
        for along in shares:
            total += 0.5 * m["upper"] / 2000 * (along * m["upper"] * spin1) ** 2
        elbow = np.array([-np.sin(first), np.cos(first)]) * m["upper"] * spin1
        turned = np.array([-np.sin(first + second), np.cos(first + second)])
        for along in [*shares, None]:
            weight = m["payload"] if along is None else m["lower"] / 2000
            at = m["lower"] * (1.0 if along is None else along)
            total += 0.5 * weight * np.sum((elbow + turned * at * (spin1 + spin2)) ** 2)
        return total

    before = energy(state)
    for _ in range(5000):
        state = arm.step(state, torch.zeros(1, 1, 2).double(), machine)
    assert energy(state) == pytest.approx(before, rel=2e-3)


def test_a_quadrotor_hovers_at_action_zero_and_turns_towards_the_weaker_side():
    environment = ENVIRONMENTS["quadrotor"]()
    level = torch.zeros(1, 1, 6)
    hovering = environment.step(level, torch.zeros(1, 1, 2), environment.machine(drag=0.0))
    torch.testing.assert_close(hovering, level)
    more = torch.tensor([[[1.0, 0.0]]])
    assert environment.step(level, more, environment.machine())[0, 0, 5] < 0
    assert environment.step(level, more, environment.machine(swap=1.0))[0, 0, 5] > 0


def test_wires_that_are_swapped_turn_actions_round():
    environment = ENVIRONMENTS["pendulum"]()
    state, action = torch.tensor([[[3.0, 0.2]]]), torch.tensor([[[0.4]]])
    straight = environment.step(state, action, environment.machine(gain=1.2))
    crossed = environment.step(state, -action, environment.machine(gain=-1.2))
    torch.testing.assert_close(straight, crossed)


def drawn(environment, tasks=5, episodes=3, seed=0):
    rng = np.random.default_rng(seed)
    state = environment.start(rng, tasks, episodes).double()
    action = torch.from_numpy(rng.uniform(-1.5, 1.5, (tasks, episodes, environment.actions)))
    shares = rng.random((tasks, len(environment.quantities)))
    low, high = (np.array(end) for end in environment.ranges)
    machine = low + shares * (high - low)
    is_discrete = [q.is_discrete for q in environment.quantities]
    machine[:, is_discrete] = np.round(machine[:, is_discrete])
    if environment.discrete:
        action = environment.decide(action)
    return state, action, torch.from_numpy(machine)


def test_shapes_are_as_stated(environment):
    state, action, machine = drawn(environment)
    assert state.shape == (5, 3, environment.states)
    moved = environment.step(state, action, machine)
    assert moved.shape == state.shape
    assert environment.observe(moved, machine).shape == (5, 3, environment.observations)
    assert environment.reward(state, action, machine).shape == (5, 3)
    for found in (environment.is_good(moved, machine), environment.failed(moved, machine)):
        assert found.shape == (5, 3)
        assert found.dtype == torch.bool
    assert 1 <= environment.hold <= environment.steps


def test_machines_and_episodes_are_independent(environment):
    state, action, machine = drawn(environment)
    moved = environment.step(state, action, machine)
    reward = environment.reward(state, action, machine)
    for t in range(5):
        for n in range(3):
            one = state[t : t + 1, n : n + 1], action[t : t + 1, n : n + 1], machine[t : t + 1]
            torch.testing.assert_close(environment.step(*one)[0, 0], moved[t, n])
            torch.testing.assert_close(environment.reward(*one)[0, 0], reward[t, n])


def test_actuators_cut_off_what_is_too_much(environment):
    if environment.discrete:
        pytest.skip("keys are pressed or not")
    state, action, machine = drawn(environment)
    far = environment.step(state, 100 * action.sign(), machine)
    torch.testing.assert_close(environment.step(state, action.sign(), machine), far)


def test_every_quantity_makes_a_difference_to_the_machine(environment):
    state, action, _ = drawn(environment, tasks=1, episodes=64)
    if not environment.discrete:
        state = state + torch.linspace(-1, 1, 64).double().view(1, -1, 1)
    for q in environment.quantities:
        other = q.least if q.default != q.least else q.high
        outcomes = []
        for machine in (
            environment.machine().double(),
            environment.machine(**{q.name: other}).double(),
        ):
            moved = state
            rewards = []
            for _ in range(40):
                rewards.append(environment.reward(moved, action, machine))
                moved = environment.step(moved, action, machine)
            outcomes.append((moved, torch.stack(rewards), environment.is_good(moved, machine)))
        assert any(not torch.equal(a, b) for a, b in zip(*outcomes, strict=True)), q.name


def test_physics_can_be_differentiated(environment):
    if not environment.differentiable:
        pytest.skip("stepped outside of torch")
    if environment.discrete:
        pytest.skip("keys have no gradient")
    state, action, machine = drawn(environment)
    action = (0.3 * action).requires_grad_()
    total = environment.observe(environment.step(state, action, machine), machine).square().sum()
    (gradient,) = torch.autograd.grad(
        total + environment.reward(state, action, machine).sum(), action
    )
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_how_far_a_machine_is_outside_of_training_is_told():
    environment = ENVIRONMENTS["pendulum"]()
    machines = torch.cat([environment.machine(), environment.machine(mass=1.75, gain=-1.0)])
    machines = torch.cat(
        [machines, environment.machine(gain=-1.875), environment.machine(gain=0.5625)]
    )
    torch.testing.assert_close(outside(environment, machines), torch.tensor([0.0, 1.0, 1.0, 0.5]))


def test_unknown_quantities_are_refused():
    environment = ENVIRONMENTS["pendulum"]()
    with pytest.raises(DataError, match="The machine has no 'weight', expected some of"):
        environment.machine(weight=2.0)
    check_quantities(environment, {"mass": 1.0})
    assert Quantity("x", 0.5, 2.0, 1.0, "signed").least == -2.0
