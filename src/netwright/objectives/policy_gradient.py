"""Proximal policy optimisation: children act on environments, and learn from what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.environments import masked
from netwright.errors import RunError
from netwright.objectives.acting import Acting, machines, outputs_of, queries
from netwright.objectives.advantages import generalised_advantages
from netwright.objectives.base import Predict, Score
from netwright.objectives.critic import Critic
from netwright.objectives.memory import Remembers, answering, told
from netwright.objectives.rollout import Episodes, as_taken, log_likelihood, roll_out
from netwright.rng import derive_seed
from netwright.tasks.base import TaskBatch
from netwright.tasks.control import EpisodeBatch
from netwright.writer import Writer

# Advantages beyond so many standard deviations come from single accidents.
_MOST_ADVANTAGE = 5.0
# What a nat of the entropy of keys is worth, in standard deviations of advantages, where the spread is 1.
_ENTROPY = 0.05


@dataclass(frozen=True)
class Experience(TaskBatch):
    """What T children saw and did: x of the queries is what they saw, [T, Q, O], or, where they remember, what they were told in
    episodes, [T, N, H, D], of which the steps are Q.

    Args:
        action: What they did, [T, Q, A].
        likelihood: Logarithm of how likely that was, [T, Q].
        advantage: How much better it was than usual, [T, Q].
        spread: Standard deviation of exploration, a scalar; of keys, how much their entropy is worth.
        discrete: Whether actions are keys.
        earned: Sum of rewards of each task's episodes, mean over these, [T].
        legal: Which keys were legal, bool [T, Q, A]; None where all always are.
    """

    action: Tensor
    likelihood: Tensor
    advantage: Tensor
    spread: Tensor
    earned: Tensor
    discrete: bool
    legal: Tensor | None = None

    def to(self, device: torch.device | str) -> "Experience":
        """The same on another device."""
        return self._mapped(lambda t: t.to(device), super().to(device))

    def rows(self, index: Tensor | slice) -> "Experience":
        """Of the tasks that `index` selects; the task axis stays."""
        return self._mapped(lambda t: t if t.dim() == 0 else t[index], super().rows(index))

    def _mapped(self, change: Any, changed: TaskBatch) -> "Experience":
        own = {name: change(value) for name, value in self.tensors().items()}
        return replace(self, condition=changed.condition, query=changed.query, **own)

    def tensors(self) -> dict[str, Tensor]:
        """All of its own that there is, by name."""
        own = {name: getattr(self, name) for name in _OWN}
        return {name: value for name, value in own.items() if value is not None}


_OWN = ("action", "likelihood", "advantage", "spread", "earned", "legal")


class PolicyGradient(Acting):
    """Children as policies: outputs are the mean action, around which training explores.

    Of every `updates` steps the first lets the children of T tasks act; each of these steps then learns from a part
    of what they saw, chosen at random, by the clipped objective. What is usual in a state is told by a critic that knows the machine
    (children need not), and is trained here. Exploration falls from `spread[0]` to `spread[1]` over the training.

    A task whose environment says something that is not finite is left out.

    Args:
        updates: Steps that learn from one round of acting.
        parts: Parts that a round is cut into; a step learns from one.
        discount: Of rewards, per step.
        trace: Lambda of generalised advantages.
        clip: By how much a likelihood may change to count.
        spread: Standard deviation of exploration, at the start and at the end.
        critic: Width of the critic's hidden layers.
        critic_rate: Its learning rate.

    Raises:
        RunError: If a setting is out of range.

    References:
        Schulman et al., Proximal policy optimization, arXiv:1707.06347; generalised advantages, arXiv:1506.02438.
        Pinto et al., Asymmetric actor critic, arXiv:1710.06542 (a critic that knows more than the policy).
    """

    lessons = Experience

    def __init__(
        self,
        *,
        updates: int = 24,
        parts: int = 6,
        discount: float = 0.98,
        trace: float = 0.95,
        clip: float = 0.2,
        spread: tuple[float, float] = (0.6, 0.15),
        critic: int = 96,
        critic_rate: float = 2e-3,
    ) -> None:
        super().__init__(updates, parts)
        if not (0 < discount <= 1 and 0 <= trace <= 1 and 0 < spread[1] <= spread[0]):
            raise RunError(
                f"discount={discount}, trace={trace}, spread={spread}, expected shares up to 1 and a spread that does not grow."
            )
        if not (clip > 0 and critic >= 1 and critic_rate > 0):
            raise RunError(
                f"clip={clip}, critic={critic}, critic_rate={critic_rate}, expected more than 0 of each."
            )
        self.discount, self.trace = discount, trace
        self.clip, self.spread, self.width, self.critic_rate = clip, spread, critic, critic_rate
        self.critic: Critic | None = None
        self.experience: Experience | None = None
        self._waiting: dict[str, Tensor] = {}

    def options(self) -> dict[str, Any]:
        """All of them, as the constructor takes them."""
        return {
            "updates": self.updates, "parts": self.parts, "discount": self.discount, "trace": self.trace,
            "clip": self.clip, "spread": list(self.spread), "critic": self.width, "critic_rate": self.critic_rate,
        }  # fmt: skip

    def gather(
        self, writer: Writer, batch: TaskBatch, *, step: int, steps: int, seed: int
    ) -> TaskBatch:
        """Let children act at the first step of a round, and hand out a part of what they saw.

        Raises:
            ConditionError: If tasks are no machines.
        """
        afresh = step % self.updates == 0 or not (self.experience or self._waiting)
        batch = self.told(writer, machines(batch), afresh=afresh, step=step, seed=seed)
        if self.critic is None:
            low, high = batch.environment.ranges
            seen = batch.environment.observations
            self.critic = Critic(seen, low, high, self.width, self.critic_rate)
            if self._waiting:
                self._unpack(self.critic, batch)
        self.critic.to(batch.machine.device)
        if afresh or self.experience is None:
            spread = self.spread[0] * (self.spread[1] / self.spread[0]) ** (step / max(1, steps))
            act_seed = derive_seed(seed, "act", step)
            self.experience = self._act(writer, self.critic, batch, spread, act_seed)
        return self._part(self.experience, step, seed)

    def kept(self) -> dict[str, Tensor]:
        """The critic, and the round that is being learned from."""
        if self.critic is None or self.experience is None:
            return self._waiting
        found = {f"critic.{name}": value for name, value in self.critic.kept().items()}
        found |= {f"experience.{name}": value for name, value in self.experience.tensors().items()}
        return found | {"experience.seen": self.experience.query.x} | self.kept_trial()

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `kept`; unpacked when the first tasks are there."""
        self._waiting = self.keep_trial(tensors)

    def _unpack(self, critic: Critic, batch: EpisodeBatch) -> None:
        critic.keep(_under("critic.", self._waiting))
        e = {
            name: value.to(batch.machine.device)
            for name, value in _under("experience.", self._waiting).items()
        }
        query = queries(e.pop("seen"))
        self.experience = Experience(
            batch.condition, query, **e, discrete=batch.environment.discrete
        )
        self._waiting = {}

    def _act(
        self, writer: Writer, critic: Critic, batch: EpisodeBatch, spread: float, seed: int
    ) -> Experience:
        policy = answering(writer.child, self.written(writer, batch))
        episodes = roll_out(policy, batch, spread=spread, seed=seed)
        values = critic.values(episodes.seen, batch.machine)
        last = critic.values(episodes.last, batch.machine)
        advantage = self.advantages(episodes, values, last)
        # A machine whose physics breaks must not reach what all machines share.
        sound = advantage.isfinite().flatten(1).all(dim=1)
        critic.learn(
            episodes.rows(sound), (advantage + values)[sound], batch.machine[sound], seed=seed
        )
        alive = episodes.alive.flatten(1, 2).to(advantage.dtype)
        advantage = advantage.flatten(1, 2)
        count = alive[sound].sum().clamp(min=1)
        centred = (advantage - (advantage * alive)[sound].sum() / count) * alive
        size = (centred[sound].square().sum() / count).sqrt() + 1e-8
        seen = episodes.seen.flatten(1, 2)
        if isinstance(policy, Remembers):
            taken = as_taken(episodes.actions, batch.environment.discrete)
            seen = told(episodes.seen, taken, episodes.rewards)
        return Experience(
            batch.condition,
            queries(seen),
            action=episodes.actions.flatten(1, 2),
            likelihood=episodes.likelihood.flatten(1, 2),
            advantage=(centred / size).clamp(-_MOST_ADVANTAGE, _MOST_ADVANTAGE),
            spread=torch.tensor(spread, device=advantage.device),
            earned=episodes.rewards.sum(dim=2).mean(dim=1),
            discrete=batch.environment.discrete,
            legal=None if episodes.legal is None else episodes.legal.flatten(1, 2),
        )

    def advantages(self, episodes: Episodes, values: Tensor, last: Tensor) -> Tensor:
        """Generalised advantages, [T, N, H].

        Args:
            episodes: What happened.
            values: What states were worth before each step, [T, N, H].
            last: And after the last one, [T, N]: the end of time is not the end of the world.
        """
        return generalised_advantages(
            episodes, values, last, discount=self.discount, trace=self.trace
        )

    def _part(self, experience: Experience, step: int, seed: int) -> Experience:
        """The transitions that a step learns from; whole episodes of some machines, where policies remember."""
        seen = experience.query.x
        if seen.dim() == 4:
            return experience.rows(self.chosen(len(seen), step, seed).to(seen.device))
        chosen = self.chosen(seen.shape[1], step, seed).to(seen.device)
        return replace(
            experience,
            query=queries(seen[:, chosen]),
            action=experience.action[:, chosen],
            likelihood=experience.likelihood[:, chosen],
            advantage=experience.advantage[:, chosen],
            legal=None if experience.legal is None else experience.legal[:, chosen],
        )

    def _learn(self, predict: Predict, batch: TaskBatch) -> Score:
        assert isinstance(batch, Experience)
        # Likelihoods are those of the policy that played: its mask is part of it.
        means = masked(outputs_of(predict, batch), batch.legal)
        now = log_likelihood(batch.action, means, batch.spread, batch.discrete)
        ratio = (now - batch.likelihood).exp()
        plain = ratio * batch.advantage
        cautious = ratio.clamp(1 - self.clip, 1 + self.clip) * batch.advantage
        if batch.discrete:
            logits = torch.log_softmax(means, dim=-1)
            aside = _ENTROPY * batch.spread * (logits.exp() * logits).sum(dim=-1)
        else:
            # Beyond what actuators take, means have no gradient of their own and would drift.
            aside = 0.05 * F.relu(means.abs() - 1).square().sum(dim=-1)
        loss = -torch.minimum(plain, cautious).mean(dim=1) + aside.mean(dim=1)
        with torch.no_grad():
            clipped = ((ratio - 1).abs() > self.clip).to(loss.dtype).mean(dim=1)
        return Score(loss, {"return": batch.earned, "clipped": clipped})


def _under(head: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(head): v for n, v in tensors.items() if n.startswith(head)}


__all__ = ["Experience", "PolicyGradient"]
