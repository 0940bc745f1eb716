"""Children that learn from a teacher who knows the machine."""

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.objectives import Imitation
from netwright.objectives.changing import up_to_now
from netwright.objectives.imitation import Lessons, _going_on, _thinned
from netwright.rng import stream
from netwright.tasks import Control, Sine
from netwright.training import make_hypernetwork


class Knowing(torch.nn.Module):
    """A teacher that pushes with the machine's gain, whatever it sees."""

    def forward(self, condition):
        return {"gain": condition.context[:, 2]}

    @staticmethod
    def child(params, x):
        return params["gain"].view(-1, 1, 1).expand(*x.shape[:2], 1) / 2


def lessons(taught, discrete=False):
    taught = torch.tensor(taught).view(1, -1, 1 if not discrete else 2)
    seen = torch.zeros(1, taught.shape[1], 1)
    return Lessons(Condition(), ExampleSet.of(seen, seen), taught, discrete)


def test_the_loss_is_how_far_off_the_teacher_actions_are_as_actuators_take_them():
    said = torch.tensor([0.5, 3.0, -0.5]).view(1, 3, 1)
    score = Imitation(Knowing()).judge(lambda x: said, lessons([0.25, 1.5, -0.5]))
    # 3 and 1.5 are the same to an actuator; what is beyond it is drawn back a little.
    expected = (0.25**2 + 0.05 * 2.0**2) / 3
    assert float(score.loss) == pytest.approx(expected)
    logits = torch.tensor([1.0, -1.0]).view(1, 1, 2)
    same = Imitation(Knowing()).judge(lambda x: logits, lessons([1.0, -1.0], True))
    other = Imitation(Knowing()).judge(lambda x: -logits, lessons([1.0, -1.0], True))
    p = torch.softmax(logits.flatten(), 0)
    assert float(same.loss) == pytest.approx(float(-(p * p.log()).sum()), rel=1e-5)
    assert float(other.loss) > float(same.loss)


def test_what_is_taught_is_what_the_teacher_does_where_the_child_has_come_to():
    family = Control("pendulum", sources=("examples",), probe=8)
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = family.sample(stream(0, "b"), 4, "train")
    objective = Imitation(Knowing(), updates=4, parts=2, led=0.0)
    parts = [objective.gather(writer, batch, step=s, steps=8, seed=0) for s in range(2)]
    for part in parts:
        expected = (batch.machine[:, 2] / 2).view(4, 1, 1).expand_as(part.taught)
        torch.testing.assert_close(part.taught, expected)
    assert sum(part.query.x.shape[1] for part in parts) == 200
    # Led by the teacher, other states are seen.
    led = Imitation(Knowing(), updates=4, parts=2, led=1.0)
    led.gather(writer, batch, step=0, steps=8, seed=0)
    assert not torch.allclose(led.round["seen"], objective.round["seen"])
    kept = objective.kept()
    again = Imitation(Knowing(), updates=4, parts=2)
    again.keep(kept)
    resumed = again.gather(writer, batch, step=1, steps=8, seed=0)
    assert torch.equal(resumed.query.x, parts[1].query.x)


def test_of_a_probe_a_part_is_left_out_and_never_all():
    x, y = torch.randn(200, 8, 2), torch.randn(200, 8, 1)
    mask = torch.ones(200, 8, dtype=torch.bool)
    mask[:, 5:] = False
    mask[0, 1:] = False
    found = _thinned(ExampleSet(x, y, mask), torch.Generator().manual_seed(0)).mask
    assert not (found & ~mask).any()
    assert found.any(dim=1).all()
    assert 0.4 < found[1:, :5].float().mean() < 0.85


def test_what_was_seen_of_late_stands_in_for_probes_of_some_machines():
    family = Control("pendulum", sources=("examples",), probe=16)
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = family.sample(stream(0, "b"), 40, "train")
    objective = Imitation(Knowing(), updates=4, parts=2, own=0.5)
    found = objective.gather(writer, batch, step=0, steps=8, seed=0).condition.examples
    probes = batch.condition.examples
    replaced = (found.x != probes.x).flatten(1).any(dim=1)
    assert 8 < replaced.sum() < 32
    environment = batch.environment
    for t in replaced.nonzero().flatten()[:5].tolist():
        count = int(found.mask[t].sum())
        assert 4 <= count <= 16
        assert found.mask[t, :count].all()
        # Each is what the machine does: the next thing seen follows from the change.
        x, y = found.x[t, :count], found.y[t, :count]
        torch.testing.assert_close(x[1:, :3], x[:-1, :3] + y[:-1, :3] / 10)
        angle = torch.atan2(x[:, 1], x[:, 0])
        state = torch.stack([angle, x[:, 2] * 8], dim=1)[None]
        moved = environment.step(state, x[None, :, 3:], batch.machine[t : t + 1])
        seen = environment.observe(moved, batch.machine[t : t + 1])
        torch.testing.assert_close((seen[0] - x[:, :3]) * 10, y[:, :3], atol=1e-3, rtol=1e-3)


def test_a_teacher_is_followed():
    family = Control("pendulum", sources=("examples",), probe=16)
    writer = make_hypernetwork(family.shape, seed=0, size=32, encoder_channels=32)
    objective = Imitation(Knowing(), updates=10, parts=10)
    nw.train(
        writer, family, objective=objective, steps=200, tasks=64, learning_rate=3e-3, warm_up=20,
        validate_every=200, validation_tasks=4, progress=False,
    )  # fmt: skip
    batch = family.sample(stream(1, "b"), 40, "test")
    with torch.no_grad():
        said = writer.child(writer(batch.condition), batch.inputs).mean(dim=(1, 2))
    gains = batch.machine[:, 2] / 2
    assert ((said > 0) == (gains > 0)).float().mean() > 0.9
    assert torch.corrcoef(torch.stack([said, gains]))[0, 1] > 0.9


def test_what_cannot_be_taught_is_refused():
    batch = Sine().sample(stream(0, "b"), 2, "test")
    with pytest.raises(ConditionError, match="expected machines"):
        Imitation(Knowing()).judge(lambda x: x, batch)
    with pytest.raises(ConditionError, match="expected machines"):
        Imitation(Knowing()).gather(None, batch, step=0, steps=1, seed=0)
    with pytest.raises(RunError, match="led=2"):
        Imitation(Knowing(), led=2)
    with pytest.raises(RunError, match=r"misled=0\.6"):
        Imitation(Knowing(), led=0.5, misled=0.6)


def test_keys_that_are_not_legal_are_neither_taught_nor_learned():
    taught = torch.tensor([[[1.0, -1.0, 9.0]]])
    said = torch.tensor([[[0.5, 0.5, 2.0]]]).requires_grad_()
    legal = torch.tensor([[[True, True, False]]])
    seen = torch.zeros(1, 1, 1)
    found = Lessons(Condition(), ExampleSet.of(seen, seen), taught, True, legal)
    score = Imitation(Knowing()).judge(lambda x: said, found)
    p = torch.softmax(taught[0, 0, :2], 0)
    assert float(score.loss.detach()) == pytest.approx(np.log(2), rel=1e-5)
    (gradient,) = torch.autograd.grad(score.loss.sum(), said)
    torch.testing.assert_close(gradient[0, 0], torch.tensor([0.5 - p[0], 0.5 - p[1], 0.0]))
    assert torch.equal(found.rows(torch.tensor([0, 0])).legal, legal.expand(2, 1, 3))
    assert found.to("cpu").legal is not None


def test_of_board_games_the_legal_keys_are_kept_with_the_round():
    family = Control("connect-k", training_episodes=2)
    teacher = make_hypernetwork(family.shape, seed=1, size=8)
    writer = make_hypernetwork(family.shape, seed=0, size=8)
    objective = Imitation(teacher, updates=4, parts=2)
    batch = family.sample(stream(0, "b"), 3, "train")
    found = objective.gather(writer, batch, step=1, steps=4, seed=0)
    taken = (found.query.x[..., :25] + found.query.x[..., 25:]) > 0
    assert found.legal.shape == found.taught.shape
    assert not (found.legal & taken).any()
    assert found.legal.any()
    assert set(objective.kept()) == {"seen", "taught", "legal"}


def test_a_misled_machine_has_the_policy_of_another():
    family = Control("pendulum")
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = family.sample(stream(0, "b"), 4, "train")

    def seen(misled: float) -> torch.Tensor:
        # Without luck of their own, episodes differ by their policies alone.
        objective = Imitation(Knowing(), updates=4, parts=1, led=0.0, misled=misled, spread=1e-9)
        return objective.gather(writer, batch, step=0, steps=8, seed=0).query.x

    own, half = seen(0.0), seen(0.5)
    same = [torch.equal(own[t].sort(dim=0)[0], half[t].sort(dim=0)[0]) for t in range(4)]
    assert same == [True, True, False, False]


def test_of_machines_that_change_what_is_taught_is_for_the_machine_of_the_moment():
    family = Control("pendulum", sources=("examples",), probe=16)
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = family.sample(stream(0, "b"), 8, "train")
    objective = Imitation(Knowing(), updates=9, parts=2, led=0.25, misled=0.25, changing=0.5)
    environment, changes = batch.environment, slice(2, 6)
    before, after = batch.machine[changes], batch.machine[changes].roll(1, dims=0)
    moments = [objective.gather(writer, batch, step=s, steps=9, seed=0) for s in range(6)]
    at = (objective.round["machines"] == after.unsqueeze(1)).all(dim=2).int().argmax(dim=1)
    assert ((at >= 25) & (at < 125)).all()
    became = []
    for lesson in moments:
        examples = lesson.condition.examples
        torch.testing.assert_close(examples.x[:2], batch.condition.examples.x[:2])
        torch.testing.assert_close(examples.x[6:], batch.condition.examples.x[6:])
        for t in range(4):
            mask = examples.mask[2 + t]
            # What was seen up to this moment is at the end of it.
            count = int(mask.sum())
            assert 4 <= count <= 16
            assert mask[-count:].all()
            # All since a policy was last right, or as many as fit.
            course, since = objective.round["course_x"][t], objective.round["since"][t]
            now = int((course == examples.x[2 + t, -1]).all(dim=1).nonzero()[0]) + 1
            assert count == min(16, now - int(since[now]))
            x, y = examples.x[2 + t, -count:], examples.y[2 + t, -count:]
            torch.testing.assert_close(x[1:, :3], x[:-1, :3] + y[:-1, :3] / 10)
            state = torch.stack([torch.atan2(x[:, 1], x[:, 0]), x[:, 2] * 8], dim=1)[None]
            fits = []
            for machine in (before[t : t + 1], after[t : t + 1]):
                moved = environment.step(state, x[None, :, 3:], machine)
                change = 10 * (environment.observe(moved, machine)[0] - x[:, :3])
                fits.append(torch.isclose(change, y[:, :3], atol=1e-3, rtol=1e-3).all(dim=1))
            # Never of the other machine again once there was a step of the new one.
            assert (fits[0] | fits[1]).all()
            taught = lesson.taught[2 + t]
            gain = next(m[t, 2] for m in (before, after) if torch.allclose(taught, m[t, 2] / 2))
            became.append(bool(gain == after[t, 2]))
            if not became[-1]:
                assert fits[0].all()
    assert 0 < sum(became) < len(became)
    # The states it came to are among those that are learned from.
    course = objective.round["course_x"][0, :, :3]
    assert torch.equal(objective.round["seen"][2, :200], course)


def test_a_round_with_changes_goes_on_after_a_stop():
    family = Control("pendulum", sources=("examples",), probe=16)
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = family.sample(stream(0, "b"), 4, "train")
    objective, again = (Imitation(Knowing(), updates=4, parts=2, changing=0.5) for _ in range(2))
    objective.gather(writer, batch, step=0, steps=8, seed=0)
    again.keep(objective.kept())
    one, other = (o.gather(writer, batch, step=1, steps=8, seed=0) for o in (objective, again))
    assert torch.equal(one.condition.examples.x, other.condition.examples.x)
    assert torch.equal(one.taught, other.taught)
    assert again.options() != Imitation(Knowing(), updates=4, parts=2).options()


def test_policies_that_read_numbers_are_not_taught_by_what_is_seen_of_late():
    family = Control("pendulum")
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    batch = family.sample(stream(0, "b"), 4, "train")
    with pytest.raises(RunError, match="expected `sources` examples alone"):
        Imitation(Knowing(), changing=0.5).gather(writer, batch, step=0, steps=8, seed=0)
    probed = Control("pendulum", sources=("examples",), probe=8)
    writer = make_hypernetwork(probed.shape, seed=0, size=16)
    for tasks, changing in ((1, 0.4), (2, 0.5)):
        few = probed.sample(stream(0, "b"), tasks, "train")
        with pytest.raises(RunError, match=f"Of {tasks} machines {tasks - 1} are to change"):
            Imitation(Knowing(), changing=changing).gather(writer, few, step=0, steps=8, seed=0)
    with pytest.raises(RunError, match=r"changing=0\.6"):
        Imitation(Knowing(), led=0.5, changing=0.6)


def test_nothing_is_taught_of_games_that_are_over():
    alive = torch.tensor([[True] * 4 + [False] * 4, [True] + [False] * 7, [True] * 8])
    at = _going_on(alive, seed=3).squeeze(-1)
    assert at.shape == (3, 4)
    assert alive.gather(1, at).all()
    # Each once, where there are enough; in no order of time.
    assert sorted(at[0].tolist()) == [0, 1, 2, 3]
    assert at[1].tolist() == [0] * 4
    assert len(set(at[2].tolist())) == 4
    assert {tuple(_going_on(alive, seed=s)[2, :, 0].tolist()) for s in range(5)} != {(0, 1, 2, 3)}
    # Where all go on they stay as they are.
    assert _going_on(alive[2:], seed=3).flatten().tolist() == list(range(8))
    family = Control("connect-k", training_episodes=4)
    teacher = make_hypernetwork(family.shape, seed=1, size=8)
    objective = Imitation(teacher, updates=4, parts=1, led=0.0)
    batch = family.sample(stream(0, "b"), 6, "train")
    found = objective.gather(make_hypernetwork(family.shape, seed=0, size=8), batch, step=0, steps=4, seed=0)  # fmt: skip
    assert found.legal.any(dim=-1).all()
    with torch.no_grad():
        own = teacher.child(teacher(Condition(context=batch.machine)), found.query.x)
    torch.testing.assert_close(found.taught, own)


def test_only_what_was_seen_since_the_machine_began_to_move_is_told():
    steps, moment = 40, 25
    moments = torch.arange(steps).view(1, -1)
    kept = {
        "since": (moments - 6).clamp(min=0), "needed": moments == moment, "changed": torch.tensor([35]),
        "course_x": moments.unsqueeze(-1).float(), "course_y": -moments.unsqueeze(-1).float(),
        "machines": 10.0 * moments.unsqueeze(-1),
    }  # fmt: skip
    probes = ExampleSet.of(torch.full((2, 16, 1), 99.0), torch.zeros(2, 16, 1))
    soon = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        told, machine = up_to_now(kept, slice(1, 2), probes, torch.zeros(2, 1), generator)
        now = int(machine[1, 0]) // 10
        # The one that asks for it, or, every other time, one soon after the change.
        assert now == moment or 35 < now < 40
        soon += now > moment
        assert told.x[1, told.mask[1], 0].tolist() == list(range(now - 6, now))
        assert told.y[1, told.mask[1], 0].tolist() == [-n for n in range(now - 6, now)]
        assert told.mask[0].all()
        assert (told.x[0] == 99).all()
        assert float(machine[0, 0]) == 0
    assert 3 < soon < 17
