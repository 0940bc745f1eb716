"""Gradient steps on a policy from what it earned in a few episodes of its own, learned through: MAML for acting."""

from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.learners.adapted_weights import check_inner, examples_of, taking_steps
from netwright.learners.inner_loop import Values, descend
from netwright.objectives.acting import machines, queries
from netwright.objectives.advantages import generalised_advantages, linear_baseline
from netwright.objectives.memory import memory_of
from netwright.objectives.rollout import Episodes, log_likelihood, roll_out
from netwright.rng import derive_seed, stream
from netwright.writer import Writer

B = TypeVar("B")


class AdaptedPolicy(Writer):
    """What another writer writes acts with exploration; K steps on the policy gradient of that make the policy.

    theta[t] = theta_0 + rates * grad of mean(likelihood ratio * advantage), over the trial of task t

    With `Start` it is MAML for reinforcement learning, with a learned rate per tensor. Advantages are relative to a linear fit of what is
    usual on the machine by itself, so that adapting needs no more than the trial. The ratio of likelihoods has the same gradient as
    their logarithm where the trial was acted by these very weights; where training has moved these since, it says so, and
    its second derivative is that of what is expected to be earned.

    Args:
        start: Writes where each task starts; must not read examples, in whose place the trial stands.
        trials: Episodes that are acted to find out.
        steps: K in training.
        steps_at_use: K when the writer is not in training; by default the same.
        rate: Learning rate of the steps, from which one per tensor is learned.
        spread: Standard deviation of exploration in the trial.
        discount: Of rewards in the trial, per step.
        trace: Lambda of the trial's generalised advantages.
        order: 2 to differentiate through the steps' gradients, 1 to take them as constants.
        keys: Whether actions are keys.

    Raises:
        RunError: If an option is out of range, or the child remembers.

    References:
        Finn et al., MAML, arXiv:1703.03400, section 4.3.
        Rothfuss et al., ProMP (the ratio in the inner step), arXiv:1810.06784.
    """

    def __init__(
        self,
        start: Writer,
        *,
        trials: int = 1,
        steps: int = 1,
        steps_at_use: int | None = None,
        rate: float = 0.1,
        spread: float = 0.5,
        discount: float = 0.98,
        trace: float = 0.95,
        order: int = 2,
        keys: bool = False,
    ) -> None:
        super().__init__()
        check_inner(steps, steps_at_use, rate)
        if order not in (1, 2):
            raise RunError(f"`order` is {order!r}, expected 1 or 2.")
        if trials < 1 or spread <= 0 or not (0 < discount <= 1 and 0 <= trace <= 1):
            raise RunError(
                f"trials={trials}, spread={spread}, discount={discount}, trace={trace}, expected at least one episode, "
                "more than 0, and shares up to 1."
            )
        if memory_of(start.child):
            raise RunError(
                "The child remembers, expected a policy without a memory: a step is taken on its transitions. Use `rl2`."
            )
        self.start = start
        self._shares_child_of(start)
        self.trials, self.steps, self.order, self.keys = trials, steps, order, keys
        self.steps_at_use = steps if steps_at_use is None else steps_at_use
        self.rate, self.spread, self.discount, self.trace = rate, spread, discount, trace
        names = self.child.space.names
        self.log_rates = nn.ParameterList(torch.tensor(rate).log() for _ in names)

    @torch.no_grad()
    def tries(self, batch: B, *, seed: int = 0) -> B:
        """The machines, with what the start policies saw, did and gained there in a trial as examples.

        x is what was seen, [T, S, O]; y the action, the logarithm of how likely it was and its advantage, [T, S, A + 2].

        Raises:
            ConditionError: If tasks are no machines, or some keys are not legal everywhere.
        """
        own = machines(batch)
        environment, device = own.environment, own.machine.device
        begin = environment.start(stream(seed, "trial"), own.tasks, self.trials).to(device)
        was_training = self.training
        params = self.eval().start(own.condition)
        self.train(was_training)
        episodes = roll_out(
            partial(self.child, params),
            replace(own, query=queries(begin)),
            spread=self.spread,
            seed=derive_seed(seed, "trial"),
        )
        if episodes.legal is not None:
            raise ConditionError(
                f"In {type(environment).__name__} not all keys are legal everywhere, which this learner does not take into "
                "account, expected machines where they are. Use a hypernetwork, film, concat or joint."
            )
        told = replace(
            own,
            condition=replace(own.condition, examples=self._examples(episodes)),
            trial_steps=own.trial_steps + self.trials * environment.steps,
        )
        return told  # type: ignore[return-value]

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write, then climb what was gained in the trials; each [T, *shape].

        Raises:
            ConditionError: If nothing was tried.
        """
        trial = examples_of(condition)
        params: Values = self.start(condition)
        if not self.training:
            params = {name: value.detach() for name, value in params.items()}
        found = descend(
            lambda values: -self._gained(values, trial),
            params,
            steps=self.steps if self.training else self.steps_at_use,
            rates={n: r.exp() for n, r in zip(self.child.space.names, self.log_rates, strict=True)},
            keeps_graph=self.training and self.order == 2,
        )
        return found if self.training else {name: value.detach() for name, value in found.items()}

    def with_steps_at_use(self, steps: int) -> "AdaptedPolicy":
        """The same writer, with the same learned numbers, taking another number of steps in use.

        Raises:
            RunError: If the number is below 0.
        """
        return taking_steps(self, steps)

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        names = (
            "trials", "steps", "steps_at_use", "rate", "spread", "discount", "trace", "order", "keys",
        )  # fmt: skip
        return {
            "writer": "adapted-policy",
            "start": self.start.record(),
            **{name: getattr(self, name) for name in names},
        }

    def _examples(self, episodes: Episodes) -> ExampleSet:
        values, last = linear_baseline(episodes, discount=self.discount)
        advantage = generalised_advantages(
            episodes, values, last, discount=self.discount, trace=self.trace
        )
        alive = episodes.alive.flatten(1, 2)
        weights = alive / alive.sum(dim=1, keepdim=True).clamp(min=1)
        advantage = advantage.flatten(1, 2)
        centred = (advantage - (advantage * weights).sum(dim=1, keepdim=True)) * alive
        size = (centred.square() * weights).sum(dim=1, keepdim=True).sqrt() + 1e-8
        y = [
            episodes.actions.flatten(1, 2),
            episodes.likelihood.flatten(1, 2).unsqueeze(-1),
            (centred / size).unsqueeze(-1),
        ]
        return ExampleSet(episodes.seen.flatten(1, 2), torch.cat(y, dim=-1), alive)

    def _gained(self, values: Values, trial: ExampleSet) -> Tensor:
        """Mean over the steps of each trial, [T], of how much likelier its better actions have become."""
        action, before, advantage = trial.y.split([trial.y.shape[-1] - 2, 1, 1], dim=-1)
        now = log_likelihood(action, self.child(values, trial.x), self.spread, self.keys)
        ratio = (now - before.squeeze(-1)).exp()
        lasted = trial.mask.to(ratio.dtype)
        gained: Tensor = (ratio * advantage.squeeze(-1) * lasted).sum(dim=1)
        return gained / lasted.sum(dim=1).clamp(min=1)


__all__ = ["AdaptedPolicy"]
