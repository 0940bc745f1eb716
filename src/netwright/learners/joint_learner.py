"""The model that is trained on all tasks without knowing which, as it is or tuned on the support set."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from netwright.architectures import Architecture
from netwright.child import Child
from netwright.conditions import Condition
from netwright.learners.base import Cost, Learner, Predictor, cost_of_child
from netwright.learners.fine_tune import FineTune
from netwright.learners.generate import Generate
from netwright.learners.joint_classes import AllClasses, JointClassifier, pool_of
from netwright.learners.start import Start
from netwright.objectives import OBJECTIVES
from netwright.tasks import TaskFamily


class Joint(Generate):
    """One model for all tasks, without adaptation.

    Where outputs mean the same in all tasks, it is a child trained on the queries of all of them. Where each
    task has classes of its own, it is a classifier of all training classes, and class means in its features.

    Args:
        family: Where tasks come from.
        architecture: The child.
    """

    def __init__(self, family: TaskFamily, architecture: Architecture) -> None:
        self.is_classifier = family.shape.kind == "exchangeable-classes"
        if self.is_classifier:
            super().__init__(JointClassifier(architecture, len(pool_of(family).counts)))
        else:
            super().__init__(Start(Child(architecture)))

    def training_tasks(self, family: TaskFamily) -> TaskFamily:
        """All training classes at once, where tasks have classes of their own."""
        return AllClasses(family) if self.is_classifier else family


class TunedJoint(Learner):
    """The joint model, then K steps of Adam on the support set of each task.

    A classifier's head starts at zero: its features decide, and no class is preferred.

    Args:
        joint: The model that is trained.
        architecture: The child.
        labels: What y is, a name in `OBJECTIVES`.
        steps: K.
        rate: Learning rate.
    """

    def __init__(
        self, joint: Joint, architecture: Architecture, labels: str, *, steps: int, rate: float
    ) -> None:
        self.joint, self.writer = joint, joint.writer
        self.child = Child(architecture)
        self.objective = OBJECTIVES[labels]()
        self.steps, self.rate = steps, rate

    def training_tasks(self, family: TaskFamily) -> TaskFamily:
        """Those of the joint model."""
        return self.joint.training_tasks(family)

    def adapt(self, condition: Condition) -> Predictor:
        """Tune the children of T tasks."""
        return self._tuner().adapt(condition)

    def adapt_each(
        self, condition: Condition, choices: Sequence[Mapping[str, Any]]
    ) -> list[Predictor]:
        """As for all learners; fewer steps are met on the way to more of the same rate."""
        return self._tuner().adapt_each(condition, choices)

    def cost(self, condition: Condition) -> Cost:
        """What the joint model trains, and the child that is kept per task."""
        params = {name: value.unsqueeze(0) for name, value in self._initial().items()}
        return cost_of_child(self.writer, self.child, params)

    def chosen(self, **options: Any) -> Self:
        """The same with other `steps` or another `rate`."""
        if options.keys() - {"steps", "rate"}:
            return super().chosen(**options)
        other = copy.copy(self)
        other.steps = options.get("steps", self.steps)
        other.rate = options.get("rate", self.rate)
        return other

    def _tuner(self) -> FineTune:
        return FineTune(
            self.child, self._initial(), self.objective, steps=self.steps, rate=self.rate
        )

    def _initial(self) -> dict[str, Tensor]:
        own = {name: value[0] for name, value in self.child.initial_params().items()}
        if isinstance(self.writer, JointClassifier):
            body = self.writer.body()
            return {n: body.get(n, torch.zeros_like(v)).detach() for n, v in own.items()}
        assert isinstance(self.writer, Start)
        return dict(zip(own, self.writer.values, strict=True))


__all__ = ["Joint", "TunedJoint"]
