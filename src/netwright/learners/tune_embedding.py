"""Gradient steps on what a hypernetwork has read, its weights kept."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from netwright.conditioners import Embedding
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError, TrainingError
from netwright.generated import GeneratedNetwork, weights_digest
from netwright.hypernetwork import Hypernetwork
from netwright.learners.base import Cost, Learner, Predictor, cost_of_child
from netwright.objectives import Objective


class TuneEmbedding(Learner):
    """K steps of Adam on the embedding alone: tasks are fitted within what the hypernetwork can write.

    Starts from the embedding that the hypernetwork reads, which is the mean of all known ones for an
    unseen identity (`Identity`, -1), and minimises the objective on the examples of the condition, which
    the conditioner need not read. Where an embedding has several tokens, the global one, the others and
    those of classes are all tuned, each on its own. A task without labelled example keeps what was read.

    Args:
        hypernetwork: What writes, trained; its weights stay as they are.
        objective: What is minimised.
        steps: K; 0 leaves the embedding as it was read.
        rate: Learning rate.

    Raises:
        RunError: If `steps` is negative or `rate` is not positive.

    References:
        Zintgraf et al., CAVIA (gradient steps on a context alone), arXiv:1810.03642.
        von Oswald et al., Continual learning with hypernetworks (task embeddings), arXiv:1906.00695.
    """

    def __init__(
        self, hypernetwork: Hypernetwork, objective: Objective, *, steps: int, rate: float = 0.05
    ) -> None:
        if steps < 0 or not 0 < rate < float("inf"):
            raise RunError(
                f"`steps` is {steps} and `rate` is {rate}, expected at least 0 steps and a positive rate."
            )
        self.hypernetwork, self.objective = hypernetwork.eval(), objective
        self.steps, self.rate = steps, rate

    def adapt(self, condition: Condition) -> Predictor:
        """Tune the embeddings of T tasks, and write their networks.

        Raises:
            ConditionError: If there are no examples, or the condition lacks what the conditioner reads.
            ShapeError: If it is of another shape than in training.
            TrainingError: If an embedding has left the finite numbers.
        """
        params = self._write(self.trajectory(condition, [self.steps])[0], condition)
        return lambda x: self.hypernetwork.child(params, x)

    def cost(self, condition: Condition) -> Cost:
        """The hypernetwork's learned numbers, and the network that is written for the first task."""
        with torch.no_grad():
            params = self.hypernetwork(condition.rows(slice(0, 1)))
        return cost_of_child(self.hypernetwork, self.hypernetwork.child, params)

    def generate_many(
        self, condition: Condition, *, labels: Sequence[Sequence[str]] = ()
    ) -> list[GeneratedNetwork]:
        """A network per task, which says that it was tuned; see `Hypernetwork.generate_many`.

        Raises:
            ConditionError, ShapeError, TrainingError: As `adapt`, and for what is not finite.
        """
        condition.check()
        conditioner = self.hypernetwork.conditioner
        # Examples serve here whether the conditioner reads them or not.
        reads = "examples" in conditioner.reads
        conditioner.check(condition if reads else replace(condition, examples=None))
        params = self._write(self.trajectory(condition, [self.steps])[0], condition)
        objective = type(self.objective).__name__
        written_by = (
            f"{weights_digest(self.hypernetwork)}, its embedding tuned: {self.steps} steps of "
            f"{self.rate:g} on {objective}"
        )
        return [
            self.hypernetwork.network_of(
                params, t, condition, written_by, tuple(labels[t]) if labels else ()
            )
            for t in range(condition.tasks)
        ]

    def trajectory(self, condition: Condition, at: list[int]) -> list[Embedding]:
        """Embeddings after each number of steps in `at`, ascending: one run serves to choose among them.

        Raises:
            ConditionError, ShapeError, TrainingError: As `adapt`.
        """
        if condition.examples is None:
            raise ConditionError(
                "Tuning an embedding needs examples, found none. Give them beside what the "
                "hypernetwork reads."
            )
        examples = condition.examples.cleared()
        with torch.no_grad():
            start = self.hypernetwork.read(condition)
        tuned = _leaves_of(start)
        # One optimiser for all tasks: Adam works number by number, so tasks stay independent.
        optimiser = torch.optim.Adam(tuned.values(), lr=self.rate, fused=True)
        found = []
        for step in range(max(at) + 1):
            if step in at:
                reached = {name: value.detach().clone() for name, value in tuned.items()}
                _check_finite(reached, step)
                found.append(_embedding_of(reached, start))
            if step < max(at):
                self._step(tuned, start, condition, examples)
                optimiser.step()
        return found

    def _step(
        self,
        tuned: dict[str, Tensor],
        start: Embedding,
        condition: Condition,
        examples: ExampleSet,
    ) -> None:
        """Gradients of the sum over tasks: each task's is that of its own loss."""
        with torch.enable_grad():
            params = self.hypernetwork.write_from(_embedding_of(tuned, start), condition)
            outputs = self.hypernetwork.child(params, examples.x)
            loss = self.objective.score(outputs, examples).loss.sum()
            # Not `backward`: the hypernetwork's own parameters are to gather no gradient.
            gradients = torch.autograd.grad(
                loss, list(tuned.values()), allow_unused=True, materialize_grads=True
            )
        for value, gradient in zip(tuned.values(), gradients, strict=True):
            value.grad = gradient

    @torch.no_grad()
    def _write(self, embedding: Embedding, condition: Condition) -> dict[str, Tensor]:
        return self.hypernetwork.write_from(embedding, condition)


def _leaves_of(embedding: Embedding) -> dict[str, Tensor]:
    """What is tuned, by name: copies, so that no two of them are one tensor."""
    values = {"z": embedding.z}
    if not _is_single(embedding):
        values["tokens"] = embedding.tokens
    if embedding.classes is not None:
        values["classes"] = embedding.classes
    return {name: value.detach().clone().requires_grad_() for name, value in values.items()}


def _embedding_of(tuned: dict[str, Tensor], start: Embedding) -> Embedding:
    """As it started, with what was tuned in its place."""
    z = tuned["z"]
    tokens = tuned.get("tokens", z.unsqueeze(1))
    return Embedding(z, tokens, start.mask, tuned.get("classes"))


def _is_single(embedding: Embedding) -> bool:
    """Whether the only token is the global one: they then stay one."""
    return embedding.tokens.shape[1] == 1 and torch.equal(embedding.tokens[:, 0], embedding.z)


def _check_finite(tuned: dict[str, Tensor], step: int) -> None:
    """Refuse embeddings that no network can be written from.

    Raises:
        TrainingError: If there is one.
    """
    for value in tuned.values():
        wrong = ~value.isfinite().flatten(1).all(dim=1)
        if wrong.any():
            raise TrainingError(
                f"The embedding of task {int(wrong.nonzero()[0])} is not finite by step {step}, expected "
                "finite numbers. Lower `rate`, or look at the examples of that task."
            )
