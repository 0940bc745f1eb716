"""Children that act as a teacher would, in the states that they come to themselves."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.artifacts import tensors_to_bytes
from netwright.conditions import Condition, ExampleSet
from netwright.environments import drive, masked
from netwright.errors import RunError
from netwright.objectives.acting import Acting, machines, outputs_of, queries
from netwright.objectives.base import Predict, Score
from netwright.objectives.changing import change, up_to_now
from netwright.objectives.memory import memory_of
from netwright.objectives.rollout import roll_out
from netwright.rng import derive_seed
from netwright.tasks.base import TaskBatch
from netwright.tasks.control import EpisodeBatch, told_of
from netwright.writer import Writer


@dataclass(frozen=True)
class Lessons(TaskBatch):
    """What T children saw, x of the queries [T, Q, O], and what a teacher would have done there.

    Args:
        taught: The teacher's outputs, [T, Q, A].
        discrete: Whether they are logits of keys.
        legal: Which of these were legal, bool [T, Q, A]; None where all always are.
    """

    taught: Tensor
    discrete: bool
    legal: Tensor | None = None

    def to(self, device: torch.device | str) -> "Lessons":
        """The same on another device."""
        return self._mapped(lambda t: t.to(device), super().to(device))

    def rows(self, index: Tensor | slice) -> "Lessons":
        """Of the tasks that `index` selects; the task axis stays."""
        return self._mapped(lambda t: t[index], super().rows(index))

    def _mapped(self, change: Callable[[Tensor], Tensor], changed: TaskBatch) -> "Lessons":
        legal = None if self.legal is None else change(self.legal)
        return replace(
            self,
            condition=changed.condition,
            query=changed.query,
            taught=change(self.taught),
            legal=legal,
        )


class Imitation(Acting):
    """Distillation of a teacher that knows the machine into children that are written from less.

    Of every `updates` steps the first lets the children act, some of them led by the teacher; each of these steps then learns, on a part
    of what was seen, to do what the teacher would have done. That is supervised learning: it takes far fewer steps than finding
    out by trial. Of a probe, a random part is left out in each step, so that probes are not learned by heart.

    Args:
        teacher: What writes policies from the machine's numbers; see `PolicyGradient`.
        updates: Steps that learn from one round of acting.
        parts: Parts that a round is cut into; a step learns from one.
        spread: Standard deviation of exploration.
        led: Share of the machines on which the teacher acts.
        own: Share of the machines that, in a step, are told by what the child itself has seen of late in place of a probe: for policies
            that are rewritten under way.
        misled: Share of the machines on which a policy acts that was written for another machine, as it does after a machine has
            changed: what is seen then is what a new policy has to be written from.
        changing: Share of the machines that become another one under way, while their policies are written anew in every step from
            what was seen of late, as they are in use (`netwright.apps.control.fly`): a step then learns from what was seen up to some
            moment, and what a teacher of the machine of that moment would do. For a second training of what was taught already: policies
            that cannot do their task yet come to states from which there is nothing to be learned.

    Raises:
        RunError: If a setting is out of range.

    References:
        Ross et al., A reduction of imitation learning to no-regret online learning, arXiv:1011.0686.
        Rezaei-Shoshtari et al., Hypernetworks for zero-shot transfer in reinforcement learning, arXiv:2211.15457.
    """

    lessons = Lessons

    def __init__(
        self,
        teacher: Writer,
        *,
        updates: int = 24,
        parts: int = 6,
        spread: float = 0.15,
        led: float = 0.25,
        own: float = 0.0,
        misled: float = 0.0,
        changing: float = 0.0,
    ) -> None:
        super().__init__(updates, parts)
        shares = (led, misled, changing)
        if min(shares) < 0 or sum(shares) > 1 or not 0 <= own <= 1 or spread <= 0:
            raise RunError(
                f"led={led}, misled={misled}, changing={changing}, own={own}, spread={spread}, expected shares, the first three of "
                "them at most 1 together, and a spread of more than 0."
            )
        self.teacher = teacher.eval()
        self.spread, self.led, self.own, self.misled = spread, led, own, misled
        self.changing = changing
        self.round: dict[str, Tensor] = {}

    def options(self) -> dict[str, Any]:
        """All of them; of the teacher what tells it from others, and where it lies if that is known."""
        return {
            "teacher": _identity(self.teacher), "updates": self.updates, "parts": self.parts,
            "spread": self.spread, "led": self.led, "own": self.own, "misled": self.misled,
            # Left out where there are none, as in records of earlier versions.
            **({"changing": self.changing} if self.changing else {}),
        }  # fmt: skip

    @torch.no_grad()
    def gather(
        self, writer: Writer, batch: TaskBatch, *, step: int, steps: int, seed: int
    ) -> TaskBatch:
        """Let children act at the first step of a round, and hand out a part of what they saw, with what is taught."""
        batch = machines(batch)
        if memory_of(writer.child):
            raise RunError(
                "The children remember, expected policies without a memory: only these can be taught. Use `PolicyGradient`."
            )
        afresh = step % self.updates == 0 or not self.round
        batch = self.told(writer, batch, afresh=afresh, step=step, seed=seed)
        if afresh:
            self._act(writer, batch, derive_seed(seed, "act", step))
        # What was kept in a checkpoint comes back on the CPU.
        self.round = {name: value.to(batch.machine.device) for name, value in self.round.items()}
        seen = self.round["seen"]
        chosen = self.chosen(seen.shape[1], step, seed).to(seen.device)
        seen, taught = seen[:, chosen], self.round["taught"][:, chosen]
        condition = batch.condition
        if condition.examples is not None:
            generator = torch.Generator().manual_seed(derive_seed(seed, "thin", step))
            examples = _thinned(condition.examples, generator)
            if self.own:
                examples = self._of_late(examples, generator)
            if "since" in self.round:
                own = self._changing(batch.tasks)
                examples, machine = up_to_now(self.round, own, examples, batch.machine, generator)
                params = self.teacher(Condition(context=machine[own]))
                taught = taught.clone()
                taught[own] = self.teacher.child(params, seen[own])
            condition = replace(condition, examples=examples)
        return Lessons(
            condition,
            queries(seen),
            taught,
            batch.environment.discrete,
            self.round["legal"][:, chosen] if "legal" in self.round else None,
        )

    def kept(self) -> dict[str, Tensor]:
        """The round that is being learned from; the teacher is not kept, it does not change."""
        return self.round | self.kept_trial()

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `kept`."""
        self.round = self.keep_trial(tensors)

    def _act(self, writer: Writer, batch: EpisodeBatch, seed: int) -> None:
        own = self.written(writer, batch)
        taught = self.teacher(Condition(context=batch.machine))
        led = torch.arange(batch.tasks) < round(self.led * batch.tasks)
        led = led.to(batch.machine.device).view(-1, 1, 1)
        if misled := round(self.misled * batch.tasks):
            # The last machines each get the policy of the one before.
            own = {n: torch.cat([v[:-misled], v.roll(1, dims=0)[-misled:]]) for n, v in own.items()}

        def policy(seen: Tensor) -> Tensor:
            said: Tensor = writer.child(own, seen)
            return torch.where(led, self.teacher.child(taught, seen), said) if led.any() else said

        episodes = roll_out(policy, batch, spread=self.spread, seed=seed)
        if self.changing:
            episodes, course = change(
                writer, batch, self._changing(batch.tasks), episodes, own, seed
            )
        at = _going_on(episodes.alive.flatten(1, 2), derive_seed(seed, "alive"))
        seen = episodes.seen.flatten(1, 2).gather(1, at.expand(-1, -1, episodes.seen.shape[-1]))
        self.round = {"seen": seen, "taught": self.teacher.child(taught, seen)}
        if episodes.legal is not None:
            legal = episodes.legal.flatten(1, 2)
            self.round["legal"] = legal.gather(1, at.expand(-1, -1, legal.shape[-1]))
        if self.own:
            after = torch.cat([episodes.seen[:, :, 1:], episodes.last.unsqueeze(2)], dim=2)
            acted = drive(episodes.actions) if not batch.environment.discrete else episodes.actions
            x, y = told_of(episodes.seen, acted, after, episodes.rewards)
            self.round |= {"x": x[:, 0], "y": y[:, 0], "lasted": episodes.alive[:, 0]}
        if self.changing:
            self.round |= course

    def _changing(self, tasks: int) -> slice:
        """Machines that become another one: those before the misled ones."""
        end = tasks - round(self.misled * tasks)
        return slice(end - round(self.changing * tasks), end)

    def _of_late(self, examples: ExampleSet, generator: torch.Generator) -> ExampleSet:
        """Of some tasks, a stretch of their first episode of this round in place of the probe."""
        tasks, longest = examples.mask.shape
        x, y, lasted = self.round["x"], self.round["y"], self.round["lasted"]
        device = x.device
        luck = torch.rand(tasks, 3, generator=generator).to(device)
        # A stretch lies within what the episode lasted for.
        length = min(longest, x.shape[1])
        room = (lasted.sum(dim=1) - length).clamp(min=0)
        first = (luck[:, 0] * (room + 1)).long()
        at = (first.unsqueeze(1) + torch.arange(length, device=device)).unsqueeze(-1)
        count = (4 + luck[:, 1] * (length - 3)).long().clamp(max=length).unsqueeze(1)
        mask = torch.zeros_like(examples.mask)
        mask[:, :length] = torch.arange(length, device=device) < count
        own = (luck[:, 2] < self.own).view(-1, 1, 1)
        pad = (0, 0, 0, longest - length)
        stretch_x = F.pad(x.gather(1, at.expand(-1, -1, x.shape[2])), pad)
        stretch_y = F.pad(y.gather(1, at.expand(-1, -1, y.shape[2])), pad)
        return replace(
            examples,
            x=torch.where(own, stretch_x, examples.x),
            y=torch.where(own, stretch_y, examples.y),
            mask=torch.where(own.squeeze(-1), mask, examples.mask),
        )

    def _learn(self, predict: Predict, batch: TaskBatch) -> Score:
        assert isinstance(batch, Lessons)
        outputs = outputs_of(predict, batch)
        if batch.discrete:
            sure = torch.softmax(masked(batch.taught, batch.legal), dim=-1)
            said = torch.log_softmax(masked(outputs, batch.legal), dim=-1)
            off = -(sure * said).sum(dim=-1)
        else:
            # What actuators cut off makes no difference; beyond that a little pull, for there is no gradient.
            off = (drive(outputs) - drive(batch.taught)).square().sum(dim=-1)
            off = off + 0.05 * F.relu(outputs.abs() - 1).square().sum(dim=-1)
        loss = off.mean(dim=1)
        return Score(loss, {"off": loss.detach()})


def _going_on(alive: Tensor, seed: int) -> Tensor:
    """Places of as many steps per task as are taught, [T, Q, 1]: of those that are alive, bool [T, Q'], in an order by chance unless all are.

    Once an episode is over nothing is to be done. Q is the mean over tasks; where a task has fewer its own are there again.
    """
    places = torch.arange(alive.shape[1], device=alive.device).expand_as(alive)
    if bool(alive.all()):
        return places.unsqueeze(-1)
    luck = torch.rand(alive.shape, generator=torch.Generator().manual_seed(seed)).to(alive.device)
    order = luck.masked_fill(~alive, 2.0).argsort(dim=1)
    count = alive.sum(dim=1, keepdim=True)
    kept = places[:, : max(1, round(float(count.float().mean())))]
    return order.gather(1, kept % count.clamp(min=1)).unsqueeze(-1)


def _identity(teacher: Writer) -> dict[str, str]:
    """A digest of what a teacher is and of its weights, and the folder of its run."""
    record = teacher.record() if isinstance(teacher, Writer) else {"name": type(teacher).__name__}
    weights = {name: value.detach() for name, value in teacher.state_dict().items()}
    own = hashlib.sha256(json.dumps(record, sort_keys=True).encode() + tensors_to_bytes(weights))
    folder = getattr(teacher, "run_folder", "")
    return {"digest": own.hexdigest()[:16], **({"path": folder} if folder else {})}


def _thinned(examples: ExampleSet, generator: torch.Generator) -> ExampleSet:
    """The same examples, of each task a random part of a quarter to all; one is always left."""
    luck = torch.rand(examples.mask.shape, generator=generator).to(examples.x.device)
    share = 0.25 + 0.75 * torch.rand(examples.tasks, 1, generator=generator).to(luck)
    first = luck == luck.masked_fill(~examples.mask, 2.0).amin(dim=1, keepdim=True)
    return replace(examples, mask=examples.mask & ((luck < share) | first))


__all__ = ["Imitation", "Lessons"]
