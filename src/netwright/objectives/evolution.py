"""Evolution strategies: written weights are varied at random, and what the variants earn says which way is up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.objectives.acting import Acting, machines, queries
from netwright.objectives.base import Predict, Score
from netwright.objectives.memory import answering
from netwright.objectives.own_gradients import steered
from netwright.objectives.rollout import roll_out
from netwright.rng import derive_seed
from netwright.tasks.base import TaskBatch, TaskFamily
from netwright.tasks.control import EpisodeBatch
from netwright.writer import Writer

# Of weights that a child's own initialisation does not vary, such as scales of a normalisation.
_NO_STD = 0.1


@dataclass(frozen=True)
class Steered(TaskBatch):
    """T machines, and which way the weights of their children are to go.

    Args:
        slopes: Estimated gradients of minus what children earn, in units of ranks, by name, each [T, *shape].
        earned: Sum of rewards per episode, mean over variants, [T].
        apart: Standard deviation of it among variants, [T].
    """

    slopes: dict[str, Tensor]
    earned: Tensor
    apart: Tensor

    def to(self, device: torch.device | str) -> "Steered":
        """The same on another device."""
        moved = super().to(device)
        return replace(
            self,
            condition=moved.condition,
            query=moved.query,
            slopes={name: slope.to(device) for name, slope in self.slopes.items()},
            earned=self.earned.to(device),
            apart=self.apart.to(device),
        )

    def rows(self, index: Tensor | slice) -> "Steered":
        """Of the tasks that `index` selects; the task axis stays."""
        some = super().rows(index)
        return replace(
            self,
            condition=some.condition,
            query=some.query,
            slopes={name: slope[index] for name, slope in self.slopes.items()},
            earned=self.earned[index],
            apart=self.apart[index],
        )


class EvolutionStrategies(Acting):
    """Children as policies that are improved without any gradient of theirs: by how variants of their weights fare.

    In each step the weights theta[t] that are written for a machine are varied in `pairs` random directions, there and back, all from the same states.
    The ranks of what the variants earn, from -1/2 to 1/2, estimate

    slope[t] = -sum_k (rank(theta + s e_k) - rank(theta - s e_k)) / 2 e_k / (pairs s)

    which goes on into the hypernetwork by an ordinary backward pass: only what is written is varied, not the far more numbers that write it. Nothing
    has to be differentiable: keys, boards, MuJoCo and policies that remember serve as well. The size s falls from `spread[0]` to `spread[1]`
    standard deviations of each tensor's own initialisation.

    A task whose environment says something that is not finite is left out.

    Args:
        pairs: Directions per machine and step; each is two variants.
        spread: Size of variations, at the start and at the end.

    Raises:
        RunError: If a setting is out of range.

    References:
        Salimans et al., Evolution strategies as a scalable alternative to reinforcement learning, arXiv:1703.03864.
        Wierstra et al., Natural evolution strategies, arXiv:1106.4487 (ranks).
    """

    lessons = Steered

    def __init__(self, *, pairs: int = 4, spread: tuple[float, float] = (0.3, 0.1)) -> None:
        super().__init__(1, 1)
        if pairs < 1 or not 0 < spread[1] <= spread[0]:
            raise RunError(
                f"pairs={pairs}, spread={spread}, expected at least one pair and a spread of more than 0 that does not grow."
            )
        self.pairs, self.spread = pairs, spread

    def options(self) -> dict[str, Any]:
        """Both of them."""
        return {"pairs": self.pairs, "spread": list(self.spread)}

    def check(self, family: TaskFamily, child: Child) -> None:
        """Refuse children of which a part is learned and not written: nothing varies it.

        Raises:
            RunError: If there is such a part.
        """
        shared = sum(p.numel() for p in child.parameters() if p.requires_grad)
        if shared:
            raise RunError(
                f"{shared} weights of the child are shared by all tasks and learned, which variants of written weights say nothing about, "
                "expected none. Write all of them, or use `policy-gradient`."
            )

    def __call__(self, child: Child, params: Mapping[str, Tensor], batch: TaskBatch) -> Score:
        """Score children; in training, with the gradient that was estimated."""
        if not isinstance(batch, Steered):
            return super().__call__(child, params, batch)
        loss = steered(-batch.earned, params, batch.slopes)
        return Score(loss, {"return": batch.earned, "apart": batch.apart})

    @torch.no_grad()
    def gather(
        self, writer: Writer, batch: TaskBatch, *, step: int, steps: int, seed: int
    ) -> TaskBatch:
        """Let variants of the children act, and estimate which way their weights are to go.

        Raises:
            ConditionError: If tasks are no machines.
        """
        batch = self.told(writer, machines(batch), afresh=True, step=step, seed=seed)
        params = self.written(writer, batch)
        spread = self.spread[0] * (self.spread[1] / self.spread[0]) ** (step / max(1, steps))
        generator = torch.Generator().manual_seed(derive_seed(seed, "vary", step))
        stds = {spec.name: spec.std for spec in writer.child.space.tensors}
        sizes = {name: spread * (stds.get(name) or _NO_STD) for name in params}
        directions = {
            name: torch.randn(len(v), self.pairs, *v.shape[1:], generator=generator).to(v)
            for name, v in params.items()
        }
        variants = {
            name: (v.unsqueeze(1) + sizes[name] * torch.cat([d, -d], dim=1)).flatten(0, 1)
            for (name, v), d in zip(params.items(), directions.values(), strict=True)
        }
        found = roll_out(
            answering(writer.child, variants),
            _repeated(batch, 2 * self.pairs),
            seed=derive_seed(seed, "luck", step),
        )
        earned = found.rewards.sum(dim=2).mean(dim=1).view(batch.tasks, 2 * self.pairs)
        there, back = ranks(earned).chunk(2, dim=1)
        weight = (there - back) / (-2 * self.pairs)
        slopes = {
            name: torch.einsum("tk,tk...->t...", weight, d) / sizes[name]
            for name, d in directions.items()
        }
        return Steered(
            batch.condition,
            queries(batch.inputs),
            slopes=slopes,
            earned=earned.mean(dim=1),
            apart=earned.std(dim=1),
        )

    def kept(self) -> dict[str, Tensor]:
        """Nothing: every step begins anew."""
        return {}

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `kept`."""

    def _learn(self, predict: Predict, batch: TaskBatch) -> Score:
        raise RunError(
            "Evolution strategies estimate gradients of weights, and were given outputs, expected weights. Call the objective with a "
            "child and its params."
        )


def ranks(values: Tensor) -> Tensor:
    """Ranks of values [T, K] among those of their task, from -1/2 to 1/2; equal ones have the same, in the middle."""
    below = (values.unsqueeze(2) - values.unsqueeze(1)).sign().sum(dim=2)
    return below / (2 * (values.shape[1] - 1))


def _repeated(batch: EpisodeBatch, times: int) -> EpisodeBatch:
    """Each machine so many times, with the same states to begin in."""
    return replace(
        batch,
        condition=Condition(),
        query=queries(batch.query.x.repeat_interleave(times, dim=0)),
        machine=batch.machine.repeat_interleave(times, dim=0),
    )


__all__ = ["EvolutionStrategies", "Steered", "ranks"]
