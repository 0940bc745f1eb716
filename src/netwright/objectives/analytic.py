"""Analytic policy gradients: what children earn is differentiated through the physics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.child import Child
from netwright.environments import Environment
from netwright.errors import RunError
from netwright.objectives.acting import Acting, machines, queries
from netwright.objectives.advantages import generalised_advantages
from netwright.objectives.base import Predict, Score
from netwright.objectives.critic import Critic
from netwright.objectives.memory import answering, memory_of
from netwright.objectives.own_gradients import limited
from netwright.objectives.rollout import Episodes
from netwright.objectives.unroll import Stretch, unroll
from netwright.rng import derive_seed
from netwright.tasks.base import TaskBatch, TaskFamily
from netwright.tasks.control import Control, EpisodeBatch
from netwright.writer import Writer


@dataclass(frozen=True, kw_only=True)
class Windows(EpisodeBatch):
    """T machines, each with N states from which what follows is differentiated: x of the queries, [T, N, S].

    Args:
        nudges: Exploration that is added to actions, [T, N, H, A].
        alive: Which of the states are of episodes that go on, bool [T, N].
        earned: Sum of rewards of each machine's last episodes, mean over these, [T].
    """

    nudges: Tensor
    alive: Tensor
    earned: Tensor

    def to(self, device: torch.device | str) -> "Windows":
        """The same on another device."""
        return self._mapped(lambda t: t.to(device), super().to(device))

    def rows(self, index: Tensor | slice) -> "Windows":
        """Of the machines that `index` selects; the task axis stays."""
        return self._mapped(lambda t: t[index], super().rows(index))

    def _mapped(self, change: Callable[[Tensor], Tensor], changed: EpisodeBatch) -> "Windows":
        own = {name: change(getattr(self, name)) for name in ("nudges", "alive", "earned")}
        return replace(
            self,
            condition=changed.condition,
            query=changed.query,
            machine=changed.machine,
            **own,  # type: ignore[arg-type]
        )


class AnalyticGradient(Acting):
    """Children as policies whose return is differentiated through the physics, for environments that are differentiable.

    Of every `updates` steps the first lets the children of T machines act for whole episodes. Each of these steps then begins
    in `starts` states per machine that were come to, and climbs what is earned in the `window` steps after them, plus what a critic that knows the
    machine thinks of where they end: short windows keep the gradient from exploding where physics is chaotic, the critic sees beyond
    them. It is trained here, on each round. Exploration is added to actions, and falls from `spread[0]` to `spread[1]`.

    loss[t] = -(sum_k discount^k reward_k + discount^window value_end) / size of returns, mean over starts

    A machine's gradient counts for at most `limit` times the median of all machines', and not at all where it is not finite.

    Args:
        updates: Steps that learn from one round of acting.
        starts: States per machine that a step begins in.
        window: Steps that are differentiated through.
        discount: Of rewards, per step.
        trace: Lambda of the returns that the critic learns.
        spread: Standard deviation of exploration, at the start and at the end; 0 for none.
        critic: Width of the critic's hidden layers; 0 for no critic, what is beyond a window then does not count.
        critic_rate: Its learning rate.
        limit: Longest gradient of a machine, in medians.

    Raises:
        RunError: If a setting is out of range.

    References:
        Xu et al., Accelerated policy learning with parallel differentiable simulation (SHAC), arXiv:2204.07137.
        Metz et al., Gradients are not all you need, arXiv:2111.05803 (why windows are short).
    """

    lessons = Windows

    def __init__(
        self,
        *,
        updates: int = 8,
        starts: int = 1,
        window: int = 24,
        discount: float = 0.98,
        trace: float = 0.95,
        spread: tuple[float, float] = (0.5, 0.1),
        critic: int = 96,
        critic_rate: float = 2e-3,
        limit: float = 3.0,
    ) -> None:
        super().__init__(updates, 1)
        if starts < 1 or window < 1 or critic < 0:
            raise RunError(
                f"starts={starts}, window={window}, critic={critic}, expected at least 1 of the first two and no negative width."
            )
        if not (0 < discount <= 1 and 0 <= trace <= 1 and 0 <= spread[1] <= spread[0]):
            raise RunError(
                f"discount={discount}, trace={trace}, spread={spread}, expected shares up to 1 and a spread that does not grow."
            )
        if not (critic_rate > 0 and limit > 0):
            raise RunError(
                f"critic_rate={critic_rate}, limit={limit}, expected more than 0 of each."
            )
        self.starts, self.window, self.discount, self.trace = starts, window, discount, trace
        self.spread, self.width, self.critic_rate, self.limit = spread, critic, critic_rate, limit
        self.critic: Critic | None = None
        self.round: dict[str, Tensor] = {}
        self._waiting: dict[str, Tensor] = {}

    def options(self) -> dict[str, Any]:
        """All of them, as the constructor takes them."""
        return {
            "updates": self.updates, "starts": self.starts, "window": self.window, "discount": self.discount,
            "trace": self.trace, "spread": list(self.spread), "critic": self.width, "critic_rate": self.critic_rate,
            "limit": self.limit,
        }  # fmt: skip

    def __call__(self, child: Child, params: Mapping[str, Tensor], batch: TaskBatch) -> Score:
        """Score children; in training, no machine's gradient drowns the others'."""
        if isinstance(batch, Windows):
            params = limited(params, self.limit)
        return self.judge(answering(child, params), batch)

    def check(self, family: TaskFamily, child: Child) -> None:
        """Refuse machines whose physics has no gradient, and children that remember.

        Raises:
            RunError: If tasks or children are of these.
        """
        if isinstance(family, Control):
            check_differentiable(family.environment, child)

    def gather(
        self, writer: Writer, batch: TaskBatch, *, step: int, steps: int, seed: int
    ) -> TaskBatch:
        """Let children act at the first step of a round, and hand out states to begin in.

        Raises:
            ConditionError: If tasks are no machines.
            RunError: If nothing can be differentiated: actions are keys, physics has no gradient, or children remember.
        """
        batch = machines(batch)
        check_differentiable(batch.environment, writer.child)
        afresh = step % self.updates == 0 or not (self.round or self._waiting)
        batch = self.told(writer, batch, afresh=afresh, step=step, seed=seed)
        self._prepare(batch)
        spread = self.spread[0] and self.spread[0] * (self.spread[1] / self.spread[0]) ** (
            step / max(1, steps)
        )
        if afresh:
            self._act(writer, batch, spread, derive_seed(seed, "act", step))
        return self._windows(batch, spread, derive_seed(seed, "windows", step))

    def kept(self) -> dict[str, Tensor]:
        """The critic, and the states of the round that is being learned from."""
        if not self.round:
            return self._waiting
        found = {f"round.{name}": value for name, value in self.round.items()}
        if self.critic is not None:
            found |= {f"critic.{name}": value for name, value in self.critic.kept().items()}
        return found | self.kept_trial()

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `kept`; unpacked when the first tasks are there."""
        self._waiting = self.keep_trial(tensors)

    def _prepare(self, batch: EpisodeBatch) -> None:
        if self.critic is None and self.width:
            low, high = batch.environment.ranges
            self.critic = Critic(
                batch.environment.observations, low, high, self.width, self.critic_rate
            )
            if self._waiting:
                self.critic.keep(_under("critic.", self._waiting))
        if self._waiting:
            self.round, self._waiting = _under("round.", self._waiting), {}
        # What was kept in a checkpoint comes back on the CPU.
        device = batch.machine.device
        self.round = {name: value.to(device) for name, value in self.round.items()}
        if self.critic is not None:
            self.critic.to(device)

    @torch.no_grad()
    def _act(self, writer: Writer, batch: EpisodeBatch, spread: float, seed: int) -> None:
        """Whole episodes: states to begin in, and what the critic learns from."""
        policy = answering(writer.child, self.written(writer, batch))
        state, environment = batch.query.x, batch.environment
        nudges = _nudges((*state.shape[:2], environment.steps, environment.actions), spread, seed)
        found = unroll(policy, environment, batch.machine, state, nudges.to(state))
        if self.critic is not None:
            _teach(self.critic, found, batch.machine, self.discount, self.trace, seed)
        self.round = {
            "states": found.states.flatten(1, 2),
            "alive": found.alive.flatten(1, 2),
            "earned": found.rewards.sum(dim=2).mean(dim=1),
        }

    def _windows(self, batch: EpisodeBatch, spread: float, seed: int) -> Windows:
        """Other states of the round in each step, of episodes that were going on."""
        states, alive = self.round["states"], self.round["alive"]
        generator = torch.Generator().manual_seed(derive_seed(seed, "starts"))
        luck = torch.rand(alive.shape, generator=generator).to(states.device)
        chosen = (luck + alive).topk(min(self.starts, alive.shape[1]), dim=1).indices
        start = states.gather(1, chosen.unsqueeze(-1).expand(-1, -1, states.shape[2]))
        shape = (*chosen.shape, self.window, batch.environment.actions)
        return Windows(
            condition=batch.condition,
            query=queries(start),
            machine=batch.machine,
            environment=batch.environment,
            trial_steps=batch.trial_steps,
            nudges=_nudges(shape, spread, seed).to(start),
            alive=alive.gather(1, chosen),
            earned=self.round["earned"],
        )

    def _learn(self, predict: Predict, batch: TaskBatch) -> Score:
        assert isinstance(batch, Windows)
        found = unroll(
            predict, batch.environment, batch.machine, batch.query.x, batch.nudges, batch.alive
        )
        rewards = found.rewards
        worth = self.discount ** torch.arange(
            self.window, dtype=rewards.dtype, device=rewards.device
        )
        gained, size = (rewards * worth).sum(dim=2), worth.sum()
        if self.critic is not None:
            after = self.critic.worth(found.last, batch.machine) * found.survived
            gained, size = gained + self.discount**self.window * after, self.critic.size
        # Beyond what actuators take, means have no gradient of their own and would drift.
        beyond = F.relu(found.means.abs() - 1).square().sum(dim=-1).mean(dim=2)
        loss = (0.05 * beyond - gained / size).mean(dim=1)
        return Score(loss, {"return": batch.earned})


def check_differentiable(environment: Environment, child: Child) -> None:
    """Refuse environments through which there is no gradient, and children that begin in the middle of an episode with nothing in memory.

    Raises:
        RunError: If actions are keys, a step is not differentiable, or the child remembers.
    """
    name = type(environment).__name__
    if environment.discrete or not environment.differentiable:
        why = "actions are keys" if environment.discrete else "physics has no gradient"
        raise RunError(
            f"{name}: its {why}, expected physics in tensors with actions from -1 to 1 to differentiate through. "
            "Use `policy-gradient` or `evolution-strategies`."
        )
    if memory_of(child):
        raise RunError(
            "The children remember, expected policies without a memory: windows begin in the middle of episodes. Use `policy-gradient`."
        )


def _teach(
    critic: Critic, found: Stretch, machine: Tensor, discount: float, trace: float, seed: int
) -> None:
    """Have a critic learn the returns of a round; a machine whose physics breaks does not reach it."""
    empty = found.rewards.new_zeros(0)
    episodes = Episodes(
        found.seen, empty, empty, found.rewards, found.alive, found.last, found.survived, empty
    )
    values = critic.values(found.seen, machine)
    last = critic.values(found.last, machine)
    returns = values + generalised_advantages(
        episodes, values, last, discount=discount, trace=trace
    )
    sound = returns.isfinite().flatten(1).all(dim=1)
    critic.learn(episodes.rows(sound), returns[sound], machine[sound], seed=seed)


def _nudges(shape: tuple[int, ...], spread: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, "nudges"))
    return spread * torch.randn(shape, generator=generator)


def _under(head: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(head): v for n, v in tensors.items() if n.startswith(head)}


__all__ = ["AnalyticGradient", "Windows", "check_differentiable"]
