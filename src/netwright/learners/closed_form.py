"""A learned body with a head that is solved for each task."""

from typing import Any

from torch import Tensor

from netwright.anchors import ANCHORS
from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import ConditionError, RunError
from netwright.learners.start import Start
from netwright.writer import Writer


class ClosedForm(Writer):
    """The same body for every task, and class rows in closed form from the support: nothing is generated.

    With the anchor `prototype` these are prototypical networks, with `ridge` R2D2.

    Args:
        child: What is written; it must have a class head.
        anchor: Name in `ANCHORS`.

    Raises:
        RunError: If the anchor is unknown or the child has no class head.

    References:
        Snell et al., Prototypical Networks, arXiv:1703.05175.
        Bertinetto et al., R2D2, arXiv:1805.08136.
    """

    def __init__(self, child: Child, *, anchor: str = "prototype") -> None:
        super().__init__()
        if anchor not in ANCHORS:
            raise RunError(f"Anchor {anchor!r} is not known, expected one of {list(ANCHORS)}.")
        if child.class_head is None:
            raise RunError(
                "The child has no class head, expected one: a closed form solves for class rows. "
                "Use it on tasks with exchangeable classes."
            )
        self.anchor_name = anchor
        self.start = Start(child, class_rows="shared")
        self._shares_child_of(self.start)
        # The rows are never used: not to be decayed, averaged or counted.
        for i, spec in enumerate(child.space.tensors):
            if spec.has_class_axis:
                self.start.values[i].requires_grad_(False)
        features = child.template.get_parameter(f"{child.class_head}.weight").shape[1]
        self.anchor = ANCHORS[anchor](features)

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """The body, and class rows solved from the support sets; each [T, *shape].

        Raises:
            ConditionError: If there are no examples with classes.
        """
        examples = condition.examples
        if examples is None or examples.classes is None:
            raise ConditionError(
                f"The condition has {sorted(condition.present())}, expected examples with classes."
            )
        params = self.start(condition)
        weight, bias = self.anchor(self.child.features(params, examples.x), examples)
        head = self.child.class_head
        return {**params, f"{head}.weight": weight, f"{head}.bias": bias}

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        return {"writer": "closed-form", "start": self.start.record(), "anchor": self.anchor_name}


__all__ = ["ClosedForm"]
