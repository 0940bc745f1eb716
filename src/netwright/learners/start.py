"""Learned weights that every task starts from."""

from typing import Any, Literal, get_args

from torch import Tensor, nn

from netwright.architectures import Architecture, to_record
from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import ConditionError, RunError
from netwright.writer import Writer

ClassRows = Literal["own", "shared"]


class Start(Writer):
    """The same learned weights for every task, whatever its condition.

    By itself the model without condition (`joint`); under an inner loop the initialisation of MAML, Reptile and
    their like.

    Args:
        child: What is written.
        class_rows: Whether each class row of the child is learned by its `own`, which fixes the number of classes,
            or one row is `shared` by all classes, which then are exchangeable.

    Raises:
        RunError: If `class_rows` is unknown.

    References:
        Finn et al., MAML, arXiv:1703.03400.
        Ye & Chao, How to train your MAML to excel in few-shot classification (one row for all classes),
        arXiv:2106.16245.
    """

    def __init__(self, child: Child, *, class_rows: ClassRows = "own") -> None:
        super().__init__()
        if class_rows not in get_args(ClassRows):
            raise RunError(
                f"`class_rows` is {class_rows!r}, expected one of {list(get_args(ClassRows))}."
            )
        self.child, self.class_rows = child, class_rows
        initial = child.initial_params()
        self.values = nn.ParameterList(
            initial[spec.name][0][:1].clone() if self._is_shared(i) else initial[spec.name][0].clone()
            for i, spec in enumerate(child.space.tensors)
        )  # fmt: skip

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """The learned weights, T times, each [T, *shape]."""
        tasks = condition.tasks
        classes = condition.examples.classes if condition.examples is not None else None
        params = {}
        for i, (spec, value) in enumerate(zip(self.child.space.tensors, self.values, strict=True)):
            rows = value
            if spec.has_class_axis and classes is not None:
                if self._is_shared(i):
                    rows = value.expand(classes, *value.shape[1:])
                elif classes != len(value):
                    raise ConditionError(
                        f"The condition has {classes} classes and there are learned rows for {len(value)}, "
                        'expected as many. Use class_rows="shared" for any number of classes.'
                    )
            params[spec.name] = rows.expand(tasks, *rows.shape)
        return params

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        architecture = self.child.architecture
        return {
            "writer": "start",
            "child": to_record(architecture) if isinstance(architecture, Architecture) else None,
            "emissions": self.child.emission_records(),
            "space": self.child.space.digest,
            "class_rows": self.class_rows,
        }

    def _is_shared(self, i: int) -> bool:
        return self.class_rows == "shared" and self.child.space.tensors[i].has_class_axis


__all__ = ["Start"]
