"""Gradient steps on what a hypernetwork reads, learned through."""

from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from netwright.conditioners import Embedding
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.learners.adapted_weights import check_inner, examples_of, taking_steps
from netwright.learners.inner_loop import Values, descend
from netwright.objectives import OBJECTIVES
from netwright.writer import Writer


class AdaptedEmbedding(Writer):
    """A hypernetwork whose global token takes K gradient steps on the support before weights are written.

    Second-order MAML in the space of embeddings: far fewer numbers are adapted than a child has, and all that
    they can reach is what the hypernetwork can write. Other tokens stay as they were read; where the global
    token is the only one, it is adapted wherever it stands.

    Args:
        start: Reads and writes.
        labels: What y is, a name in `OBJECTIVES`.
        steps: K in training.
        steps_at_use: K in use; by default the same.
        rate: Learning rate of the steps.
        order: 2 to differentiate through the steps' gradients, 1 to take them as constants.

    Raises:
        RunError: If an option is unknown or out of range.

    References:
        Rusu et al., LEO (inner loop in a latent space), arXiv:1807.05960.
        Zintgraf et al., CAVIA, arXiv:1810.03642.
    """

    def __init__(
        self,
        start: Hypernetwork,
        labels: str,
        *,
        steps: int = 1,
        steps_at_use: int | None = None,
        rate: float = 0.1,
        order: int = 2,
    ) -> None:
        super().__init__()
        check_inner(steps, steps_at_use, rate)
        for name, value, known in (("labels", labels, OBJECTIVES), ("order", order, (1, 2))):
            if value not in known:
                raise RunError(f"`{name}` is {value!r}, expected one of {list(known)}.")
        self.start = start
        self._shares_child_of(start)
        self.labels, self.steps, self.rate, self.order = labels, steps, rate, order
        self.steps_at_use = steps if steps_at_use is None else steps_at_use
        self.objective = OBJECTIVES[labels]()

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Read, descend the loss of the support sets, write; each [T, *shape].

        Raises:
            ConditionError: If there are no examples, or the condition lacks what is read.
            ShapeError: If it is of another shape than in training.
        """
        examples = examples_of(condition)
        read = self.start.read(condition)

        def write(values: Values) -> dict[str, Tensor]:
            return self.start.write_from(_moved(read, values["z"]), condition)

        def loss(values: Values) -> Tensor:
            outputs = self.child(write(values), examples.x)
            return self.objective.score(outputs, examples).loss

        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            found = descend(
                loss,
                {"z": read.z if self.training else read.z.detach()},
                steps=self.steps if self.training else self.steps_at_use,
                rates={"z": self.rate},
                keeps_graph=self.training and self.order == 2,
            )
            return write(found if self.training else {"z": found["z"].detach()})

    def with_steps_at_use(self, steps: int) -> "AdaptedEmbedding":
        """The same writer, with the same learned numbers, taking another number of steps in use.

        Raises:
            RunError: If the number is below 0.
        """
        return taking_steps(self, steps)

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        names = ("labels", "steps", "steps_at_use", "rate", "order")
        return {
            "writer": "adapted-embedding",
            "start": self.start.record(),
            **{name: getattr(self, name) for name in names},
        }


def _moved(read: Embedding, z: Tensor) -> Embedding:
    """The embedding with another global token, and with it as its only token if that was so."""
    is_single = read.tokens.shape[1] == 1 and read.classes is None
    return replace(read, z=z, tokens=z.unsqueeze(1) if is_single else read.tokens)


__all__ = ["AdaptedEmbedding"]
