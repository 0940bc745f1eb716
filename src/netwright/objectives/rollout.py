"""T policies, each in N episodes, act on their machines at once."""

from dataclasses import dataclass, fields
from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.environments import Environment, drive, gumbel, masked
from netwright.errors import ConditionError
from netwright.objectives.base import Predict
from netwright.objectives.memory import UnderWay, begun
from netwright.tasks.control import EpisodeBatch

# An episode is a success if so large a share of its last steps was good.
_SHARE = 0.9


@dataclass(frozen=True)
class Episodes:
    """What happened, over H steps.

    Args:
        seen: What policies saw before each step, [T, N, H, O].
        actions: What they did; with exploration before actuators cut it off, [T, N, H, A].
        likelihood: Logarithm of how likely that was, [T, N, H]; empty without exploration.
        rewards: [T, N, H]; 0 once an episode is over.
        alive: Whether an episode was still going on before each step, bool [T, N, H].
        last: What was seen after the last step, [T, N, O].
        survived: Whether an episode was still going on then, bool [T, N].
        success: Whether the task was being done in the end, bool [T, N].
        legal: Which keys were legal before each step, bool [T, N, H, A]; None where all always are.
    """

    seen: Tensor
    actions: Tensor
    likelihood: Tensor
    rewards: Tensor
    alive: Tensor
    last: Tensor
    survived: Tensor
    success: Tensor
    legal: Tensor | None = None

    @property
    def goes_on(self) -> Tensor:
        """Whether an episode went on after each step, bool [T, N, H]; the end of time does not end it."""
        return torch.cat([self.alive[..., 1:], self.survived.unsqueeze(-1)], dim=2)

    def rows(self, index: Tensor) -> "Episodes":
        """Of some of the machines."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return Episodes(
            **{name: v if v is None or v.dim() < 2 else v[index] for name, v in own.items()}
        )


@torch.no_grad()
def roll_out(
    policy: Predict, batch: EpisodeBatch, *, spread: float = 0.0, seed: int = 0
) -> Episodes:
    """Let policies act from the states of the queries on.

    Args:
        policy: From what is seen, [T, N, O], to mean actions, [T, N, A]; or what begins with nothing in memory and is told, after
            each step, what came of it (`Remembers`).
        batch: T machines and N states to begin in.
        spread: Standard deviation of exploration.
        seed: Of exploration, and of keys that are drawn without it.

    Raises:
        ConditionError: If policies say another number of actions than machines take.
    """
    environment, machine, state = batch.environment, batch.machine, batch.query.x
    steps, hold = environment.steps, environment.hold
    policy = begun(policy)
    generator = torch.Generator().manual_seed(seed)
    alive = ~environment.finished(state, machine)
    failed = environment.failed(state, machine)
    seen, actions, likelihoods, rewards, alives, legals = [], [], [], [], [], []
    good = torch.zeros_like(state[..., 0])
    for t in range(steps):
        sight = environment.observe(state, machine)
        outputs = policy(sight)
        check_actions(outputs, environment)
        legal = environment.legal(state, machine)
        outputs = masked(outputs, legal)
        if spread:
            action = explored(outputs, environment.discrete, spread, generator)
            likelihoods.append(log_likelihood(action, outputs, spread, environment.discrete))
        else:
            action = environment.decide(outputs, generator)
        seen.append(sight)
        actions.append(action)
        alives.append(alive)
        if legal is not None:
            legals.append(legal)
        moved, reward = environment.advance(state, action, machine)
        rewards.append(reward * alive)
        if isinstance(policy, UnderWay):
            policy.felt(as_taken(action, environment.discrete), rewards[-1])
        state = torch.where(alive.unsqueeze(-1), moved, state)
        alive = alive & ~environment.finished(state, machine)
        failed = failed | environment.failed(state, machine)
        if t >= steps - hold:
            good = good + (environment.is_good(state, machine) & ~failed)
    return Episodes(
        torch.stack(seen, dim=2),
        torch.stack(actions, dim=2),
        torch.stack(likelihoods, dim=2) if spread else state.new_zeros(0),
        torch.stack(rewards, dim=2),
        torch.stack(alives, dim=2),
        environment.observe(state, machine),
        alive,
        good >= _SHARE * hold,
        torch.stack(legals, dim=2) if legals else None,
    )


def check_actions(outputs: Tensor, environment: Environment) -> None:
    """Refuse policies whose outputs [T, N, A] are not as many as there are actions.

    Raises:
        ConditionError: If they are not.
    """
    if outputs.shape[-1] != environment.actions:
        raise ConditionError(
            f"Policies say {outputs.shape[-1]} numbers and {type(environment).__name__} takes {environment.actions} "
            f"{'keys' if environment.discrete else 'actions'}, expected as many. Give the child so many outputs."
        )


def as_taken(action: Tensor, discrete: bool) -> Tensor:
    """Actions as the machine takes them: those of actuators are cut off."""
    return action if discrete else drive(action)


def explored(outputs: Tensor, discrete: bool, spread: float, generator: torch.Generator) -> Tensor:
    """Actions [T, N, A] drawn around a policy's outputs: normal, or keys by their logits."""
    if not discrete:
        return outputs + spread * torch.randn(outputs.shape, generator=generator).to(outputs)
    drawn = (outputs + gumbel(outputs, generator)).argmax(dim=-1)
    return F.one_hot(drawn, outputs.shape[-1]).to(outputs.dtype)


def log_likelihood(
    action: Tensor, outputs: Tensor, spread: float | Tensor, discrete: bool
) -> Tensor:
    """Logarithm of how likely actions [T, Q, A] are where a policy says `outputs` and explores, [T, Q].

    Args:
        action: What was done.
        outputs: Mean actions, or logits.
        spread: Standard deviation of exploration; logits explore by themselves.
        discrete: Whether actions are keys.
    """
    if discrete:
        return (torch.log_softmax(outputs, dim=-1) * action).sum(dim=-1)
    spread = torch.as_tensor(spread, dtype=outputs.dtype, device=outputs.device)
    size = action.shape[-1] * (spread.log() + 0.5 * log(2 * pi))
    return -0.5 * ((action - outputs) / spread).square().sum(dim=-1) - size


__all__ = ["Episodes", "as_taken", "check_actions", "explored", "log_likelihood", "roll_out"]
