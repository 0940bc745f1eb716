"""One classifier of all training classes, as a writer: the joint model of tasks with classes of their own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.anchors import Prototype
from netwright.architectures import Architecture, to_record
from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.errors import RunError
from netwright.learners.start import Start
from netwright.tasks import Split, TaskBatch, TaskFamily, TaskShape
from netwright.tasks.episodes import ClassPool, draw_shifts, shift_pictures
from netwright.writer import Writer


class JointClassifier(Writer):
    """A child that tells all training classes apart; on a task, the class means in its features are its head.

    Without examples it has the head that it was trained with, with examples that of the nearest mean: it is
    trained on `AllClasses`, and validated on episodes.

    Args:
        architecture: The child of a task; for training its head is made as wide as there are classes.
        classes: Of all training tasks.

    References:
        Chen et al., A Closer Look at Few-shot Classification, arXiv:1904.04232.
    """

    def __init__(self, architecture: Architecture, classes: int) -> None:
        super().__init__()
        if architecture.class_head is None:
            raise RunError(
                "The child has no class head, expected one. Use `Start` where classes are the same in all tasks."
            )
        self.architecture, self.classes = architecture, classes
        self.start = Start(Child(architecture.with_classes(classes)))
        self._shares_child_of(self.start)
        features = self.child.template.get_parameter(f"{self.child.class_head}.weight").shape[1]
        # Training never meets it: its scale is not learned.
        self.anchor = Prototype(features).requires_grad_(False)

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Weights of the child, each [T, *shape]; with examples, class means are its head."""
        if condition.examples is None:
            params: dict[str, Tensor] = self.start(condition)
            return params
        examples = condition.examples
        body = {n: v.expand(examples.tasks, *v.shape) for n, v in self.body().items()}
        weight, bias = self.anchor(self.child.features(body, examples.x), examples)
        head = self.child.class_head
        return {**body, f"{head}.weight": weight, f"{head}.bias": bias}

    def body(self) -> dict[str, Tensor]:
        """Weights below the head by name, each [*shape]."""
        named = zip(self.child.space.tensors, self.start.values, strict=True)
        return {spec.name: value for spec, value in named if not spec.has_class_axis}

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        return {
            "writer": "joint-classifier",
            "child": to_record(self.architecture),
            "classes": self.classes,
        }


class AllClasses(TaskFamily):
    """To train on: pictures of all training classes, told apart at once. To validate on: a family's episodes.

    Args:
        family: Of pictures, each with a class; it holds them as `pools`.

    Raises:
        RunError: If the family has no such pools.
    """

    def __init__(self, family: TaskFamily) -> None:
        self.family, self.pool = family, pool_of(family)
        size = getattr(family, "size", None)
        self.per_task = size.ways * (size.shots + size.queries) if size is not None else 64
        self.shape = TaskShape(family.shape.x, len(self.pool.counts), "fixed-classes")
        self._labels = np.repeat(np.arange(len(self.pool.counts)), self.pool.counts)

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """For training one task with as many pictures as T episodes have; else T episodes of the family."""
        if split != "train":
            return self.family.sample(rng, tasks, split)
        rows = rng.integers(0, len(self._labels), tasks * self.per_task)
        pictures = self.pool.images[torch.from_numpy(rows)]
        if jitter := getattr(self.family, "jitter", 0):
            pictures = shift_pictures(pictures, draw_shifts(rng, rows.shape, jitter), jitter)
        y = torch.from_numpy(self._labels[rows])
        query = ExampleSet.of(pictures.float().div_(255)[None], y[None], classes=self.shape.outputs)
        return TaskBatch(Condition(context=torch.zeros(1, 1)), query)

    def members(self, split: Split) -> tuple[str, ...]:
        """Those of the family."""
        return self.family.members(split)

    def record(self) -> Mapping[str, Any]:
        """What decides the tasks: the family, by the fingerprint of what it is made of."""
        return {"of": self.family.fingerprint("train"), "per_task": self.per_task}

    def preparation(self) -> Mapping[str, Any] | None:
        """That of the family."""
        return self.family.preparation()


def pool_of(family: TaskFamily) -> ClassPool:
    """All training pictures of a family, by class.

    Raises:
        RunError: If the family does not hold them so.
    """
    pools = getattr(family, "pools", None)
    if not isinstance(pools, dict) or not isinstance(pools.get("train"), ClassPool):
        raise RunError(
            f"{type(family).__name__} has no pool of training classes, expected one for a joint classifier. "
            "Leave the joint learners out."
        )
    pool: ClassPool = pools["train"]
    return pool


__all__ = ["AllClasses", "JointClassifier", "pool_of"]
