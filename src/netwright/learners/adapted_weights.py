"""Gradient steps on the weights of a child, learned through: MAML and its family."""

import copy
from collections.abc import Iterable
from typing import Any, Literal, Protocol, Self, TypeVar, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.learners.inner_loop import Values, descend
from netwright.objectives import OBJECTIVES
from netwright.space import TensorSpec
from netwright.writer import Writer

Adapts = Literal["all", "head"]
Rates = Literal["fixed", "learned", "learned-each"]


class AdaptedWeights(Writer):
    """What another writer writes, then K gradient steps on the support; trained through all of it.

    | start | options | known as |
    | --- | --- | --- |
    | `Start` | | MAML |
    | `Start` | `order=1` | first-order MAML |
    | `Start` | `adapts="head"` | ANIL |
    | `Start` | `rates="learned"` | MAML with a learned rate per tensor (Meta-SGD by tensors) |
    | `Start` | `rates="learned-each"` | a learned rate per number (Meta-SGD); all classes share theirs |
    | `Hypernetwork` | | generate, then adapt |

    Args:
        start: Writes where each task starts.
        labels: What y is, a name in `OBJECTIVES`; decides the loss that is descended.
        steps: K in training.
        steps_at_use: K when the writer is not in training; by default the same.
        rate: Learning rate of the steps.
        rates: Whether the rate is `fixed`, or a rate per tensor is `learned` from there, or one per number.
        order: 2 to differentiate through the steps' gradients, 1 to take them as constants.
        adapts: `all` written tensors, or only the `head`, the last layer.

    Raises:
        RunError: If an option is unknown or out of range.

    References:
        Finn et al., MAML, arXiv:1703.03400.
        Li et al., Meta-SGD, arXiv:1707.09835.
        Raghu et al., Rapid Learning or Feature Reuse? (ANIL), arXiv:1909.09157.
        Przewięźlikowski et al., HyperMAML, arXiv:2205.15745.
    """

    def __init__(
        self,
        start: Writer,
        labels: str,
        *,
        steps: int = 1,
        steps_at_use: int | None = None,
        rate: float = 0.01,
        rates: Rates = "fixed",
        order: int = 2,
        adapts: Adapts = "all",
    ) -> None:
        super().__init__()
        check_inner(steps, steps_at_use, rate)
        for name, value, known in (
            ("labels", labels, OBJECTIVES),
            ("rates", rates, get_args(Rates)),
            ("order", order, (1, 2)),
            ("adapts", adapts, get_args(Adapts)),
        ):
            if value not in known:
                raise RunError(f"`{name}` is {value!r}, expected one of {list(known)}.")
        self.start = start
        self._shares_child_of(start)
        self.labels, self.steps, self.order, self.adapts = labels, steps, order, adapts
        self.steps_at_use = steps if steps_at_use is None else steps_at_use
        self.rate, self.rates = rate, rates
        self.objective = OBJECTIVES[labels]()
        self.adapted = adapted_names(self.child.space.names, adapts)
        shapes = {spec.name: _rates_shape(spec, rates) for spec in self.child.space.tensors}
        self.log_rates = (
            None
            if rates == "fixed"
            else nn.ParameterList(torch.full(shapes[n], rate).log() for n in self.adapted)
        )

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write, then descend the loss of the support sets; each [T, *shape].

        Raises:
            ConditionError: If there are no examples.
        """
        examples = examples_of(condition)
        params: Values = self.start(condition)
        if not self.training:
            params = {name: value.detach() for name, value in params.items()}

        def loss(values: Values) -> Tensor:
            return self.objective.score(self.child(values, examples.x), examples).loss

        found = descend(
            loss,
            params,
            steps=self.steps if self.training else self.steps_at_use,
            rates=dict(zip(self.adapted, self._rates(), strict=True)),
            keeps_graph=self.training and self.order == 2,
        )
        return found if self.training else {name: value.detach() for name, value in found.items()}

    def with_steps_at_use(self, steps: int) -> "AdaptedWeights":
        """The same writer, with the same learned numbers, taking another number of steps in use.

        Raises:
            RunError: If the number is below 0.
        """
        return taking_steps(self, steps)

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        names = ("labels", "steps", "steps_at_use", "rate", "rates", "order", "adapts")
        return {
            "writer": "adapted-weights",
            "start": self.start.record(),
            **{name: getattr(self, name) for name in names},
        }

    def _rates(self) -> list[Tensor | float]:
        if self.log_rates is None:
            return [self.rate] * len(self.adapted)
        return [log_rate.exp() for log_rate in self.log_rates]


def _rates_shape(spec: TensorSpec, rates: Rates) -> tuple[int, ...]:
    if rates != "learned-each":
        return ()
    # Exchangeable classes, of which there may be any number, have rates in common.
    return (1, *spec.shape[1:]) if spec.has_class_axis else spec.shape


@runtime_checkable
class TakesSteps(Protocol):
    """A writer that takes gradient steps, in use perhaps another number of them than in training."""

    steps: int
    steps_at_use: int
    rate: float

    def with_steps_at_use(self, steps: int) -> Self:
        """The same writer, with the same learned numbers, taking another number of steps in use."""
        ...


W = TypeVar("W", bound=TakesSteps)


def taking_steps(writer: W, steps: int) -> W:
    """A copy of a writer, with the same learned numbers, that takes another number of steps in use.

    Raises:
        RunError: If the number is below 0.
    """
    check_inner(writer.steps, steps, writer.rate)
    other = copy.copy(writer)
    other.steps_at_use = steps
    return other


def check_inner(steps: int, steps_at_use: int | None, rate: float) -> None:
    """Refuse steps and rates of an inner loop that are out of range.

    Raises:
        RunError: If they are.
    """
    for name, value in (("steps", steps), ("steps_at_use", steps_at_use)):
        if value is not None and value < 0:
            raise RunError(f"`{name}` is {value}, expected at least 0.")
    if not rate > 0:
        raise RunError(f"`rate` is {rate}, expected more than 0.")


def adapted_names(names: Iterable[str], adapts: Adapts) -> list[str]:
    """Which tensors an inner loop changes: all, or those of the layer that comes last."""
    every = list(names)
    last = every[-1].rpartition(".")[0] + "."
    return every if adapts == "all" else [name for name in every if name.startswith(last)]


def examples_of(condition: Condition) -> ExampleSet:
    """The support sets that an inner loop descends on, with zeros where nothing is known.

    Raises:
        ConditionError: If there are none.
    """
    if condition.examples is None:
        raise ConditionError(
            f"The condition has {sorted(condition.present())}, expected `examples`: gradient steps need them."
        )
    return condition.examples.cleared()


__all__ = [
    "AdaptedWeights",
    "TakesSteps",
    "adapted_names",
    "check_inner",
    "examples_of",
    "taking_steps",
]
