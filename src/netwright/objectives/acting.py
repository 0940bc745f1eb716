"""What objectives of children that act have in common: rounds of acting, and scores without exploration."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from netwright.conditions import ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.objectives.base import Experienced, Objective, Predict, Score
from netwright.objectives.rollout import roll_out
from netwright.rng import derive_seed
from netwright.tasks.base import TaskBatch
from netwright.tasks.control import EpisodeBatch
from netwright.writer import Writer

# What names of tensors begin with that tell of a trial.
_TRIED = "tried."


class Acting(Objective, Experienced):
    """Children act at the first of every `updates` steps; each of these steps learns from one of `parts` parts of what was seen.

    Tasks are scored without exploration: `return`, the sum of rewards per episode, and `success`, the share of episodes in
    which the task was done for nearly all of the last steps.

    Args:
        updates: Steps that learn from one round of acting.
        parts: Parts that a round is cut into.

    Raises:
        RunError: If either is less than 1.
    """

    metric = "success"
    higher_is_better = True
    metrics = ("success", "return")
    lessons: ClassVar[type[TaskBatch]]
    """What a step learns from."""

    def __init__(self, updates: int, parts: int) -> None:
        if updates < 1 or parts < 1:
            raise RunError(f"updates={updates} and parts={parts}, expected at least 1 of each.")
        self.updates, self.parts = updates, parts
        self._tried: ExampleSet | None = None

    def judge(self, predict: Predict, batch: TaskBatch) -> Score:
        """Learn from what was seen, or let T policies act without exploration."""
        if isinstance(batch, self.lessons):
            return self._learn(predict, batch)
        with torch.no_grad():
            episodes = roll_out(predict, machines(batch))
        earned = episodes.rewards.sum(dim=2).mean(dim=1)
        success = episodes.success.to(earned.dtype).mean(dim=1)
        return Score(-earned, {"success": success, "return": earned})

    def score(self, outputs: Tensor, query: ExampleSet) -> Score:
        """Not possible: what follows from an action only its environment can say."""
        raise RunError("Outputs that act cannot be scored by themselves. Use `judge`.")

    def drawn_at(self, step: int) -> int:
        """The first step of the round that a step is of."""
        return step - step % self.updates

    def told(
        self, writer: Writer, batch: EpisodeBatch, *, afresh: bool, step: int, seed: int
    ) -> EpisodeBatch:
        """The machines, with what a writer found out in them by itself, if it does so.

        Args:
            writer: What writes the children.
            batch: T machines.
            afresh: Whether a round begins, and it finds out; else what it found is still known.
            step: Number of this step.
            seed: Of the training.
        """
        if afresh:
            tried = writer.tries(batch, seed=derive_seed(seed, "try", step))
            self._tried = None if tried is batch else tried.condition.examples
            return tried
        if self._tried is None:
            return batch
        # What was kept in a checkpoint comes back on the CPU.
        self._tried = self._tried.to(batch.machine.device)
        return replace(batch, condition=replace(batch.condition, examples=self._tried))

    def kept_trial(self) -> dict[str, Tensor]:
        """What a writer found out in this round, by name."""
        own = self._tried
        return {} if own is None else {f"{_TRIED}{n}": getattr(own, n) for n in ("x", "y", "mask")}

    def keep_trial(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `kept_trial`; returns what else was kept."""
        tried = {n.removeprefix(_TRIED): v for n, v in tensors.items() if n.startswith(_TRIED)}
        self._tried = ExampleSet(tried["x"], tried["y"], tried["mask"]) if tried else None
        return {name: value for name, value in tensors.items() if not name.startswith(_TRIED)}

    @torch.no_grad()
    def written(self, writer: Writer, batch: EpisodeBatch) -> Mapping[str, Tensor]:
        """Params of the children that are to act."""
        was_training = writer.training
        writer.eval()
        params: Mapping[str, Tensor] = writer(batch.condition)
        writer.train(was_training)
        return params

    def chosen(self, count: int, step: int, seed: int) -> Tensor:
        """Which of `count` transitions a step learns from: parts in turn, in an order that changes with every epoch."""
        epoch, part = divmod(step, self.parts)
        generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
        parts = torch.randperm(count, generator=generator).chunk(self.parts)
        # Fewer where there is less than one for each.
        return parts[part % len(parts)]

    @abstractmethod
    def _learn(self, predict: Predict, batch: TaskBatch) -> Score:
        """Score policies for what a step learns from."""


def machines(batch: object) -> EpisodeBatch:
    """The same batch, which must be of machines.

    Raises:
        ConditionError: If it is not.
    """
    if not isinstance(batch, EpisodeBatch):
        raise ConditionError(
            f"The tasks are {type(batch).__name__}, expected machines. Policies are trained on task families such as `control`."
        )
    return batch


def outputs_of(predict: Predict, batch: TaskBatch) -> Tensor:
    """What policies say to what was seen, [T, Q, A]."""
    # Steps of whole episodes, one after the other, where policies remember.
    return predict(batch.query.x).flatten(1, -2)


def queries(seen: Tensor) -> ExampleSet:
    """What was seen, [T, Q, O], as queries without an answer."""
    return ExampleSet.of(seen, seen.new_zeros(*seen.shape[:2], 1))


__all__ = ["Acting", "machines", "outputs_of", "queries"]
