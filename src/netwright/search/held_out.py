"""Rows that networks are scored on: given, or held out of a support set in turn."""

from dataclasses import dataclass, replace

import torch

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError
from netwright.rng import stream

MOST_FOLDS = 5


@dataclass(frozen=True)
class Folds:
    """F networks of one architecture, each written from one part and scored on another.

    Args:
        condition: What they are written from, F tasks.
        held_out: What they are scored on, F tasks.
    """

    condition: Condition
    held_out: ExampleSet

    @property
    def folds(self) -> int:
        """F."""
        return self.held_out.tasks


def given_rows(condition: Condition, held_out: ExampleSet) -> Folds:
    """One fold: written from all there is, scored on rows that the user gave.

    Raises:
        ConditionError: If there is no labelled row, or a class that the support set does not have.
        ShapeError: If axes do not agree.
    """
    held_out.check("held_out")
    support = condition.examples
    if not held_out.has_label.any():
        raise ConditionError("`held_out` has no labelled row, expected at least one.")
    if support is not None and support.classes != held_out.classes:
        raise ConditionError(
            f"`held_out` counts {held_out.classes} classes and the support set {support.classes}, expected the "
            "same ones. Give rows of the same task."
        )
    return Folds(condition, held_out)


def support_in_turn(condition: Condition, *, seed: int) -> Folds:
    """Each labelled example of the support set held out once, by classes where there are some.

    As many folds as the rarest class has examples, at most five: every network sees every class.

    Args:
        condition: Of one task, with examples.
        seed: Decides which examples go together.

    Raises:
        ConditionError: If a class has one example only, or there is one example only.
    """
    support = condition.examples
    if support is None:
        raise ConditionError(
            "The condition has no support set and no held-out rows are given, expected one of them: there is "
            "nothing to choose an architecture by. Give `held_out` (--held-out)."
        )
    known = support.has_label[0].nonzero().flatten()
    labels = support.y[0][known] if support.classes is not None else torch.zeros(len(known))
    groups = [known[labels == label] for label in labels.unique()]
    least = min((len(group) for group in groups), default=0)
    if least < 2:
        what = "a class has" if support.classes is not None else "it has"
        raise ConditionError(
            f"The support set cannot be held out in turn: {what} {least} labelled example{'s' * (least != 1)}, "
            "expected at least 2. Give more examples, or rows to score on: `held_out` (--held-out)."
        )
    folds = min(least, MOST_FOLDS)
    rng = stream(seed, "folds")
    fold = torch.full((support.x.shape[1],), -1)
    for group in groups:
        order = torch.from_numpy(rng.permutation(len(group)))
        fold[group[order]] = torch.arange(len(group)) % folds
    is_out = fold == torch.arange(folds)[:, None]
    whole = expanded(condition, folds)
    assert whole.examples is not None
    # Masked, not cut out: all folds are tasks of one batch.
    mask = whole.examples.mask
    written_from = replace(whole.examples, mask=mask & ~is_out)
    return Folds(replace(whole, examples=written_from), replace(whole.examples, mask=mask & is_out))


def expanded(condition: Condition, tasks: int) -> Condition:
    """The condition of one task, that of so many."""
    return condition.rows(torch.zeros(tasks, dtype=torch.int64))


__all__ = ["MOST_FOLDS", "Folds", "expanded", "given_rows", "support_in_turn"]
