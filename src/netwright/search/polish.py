"""Some steps of gradient descent from weights that were written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.hypernetwork import Hypernetwork
from netwright.objectives import OBJECTIVES, Objective
from netwright.rng import stream
from netwright.search.held_out import Folds, expanded
from netwright.search.scores import scored, written
from netwright.search.tried import Tried
from netwright.tasks import TaskBatch

RATE = 2e-3
# So many of the best are polished.
BEST = 5
# Rows of one step.
_ROWS = 64


def polished(
    child: Child,
    params: Mapping[str, Tensor],
    rows: ExampleSet,
    *,
    steps: int,
    objective: Objective,
    seed: int,
    rate: float = RATE,
) -> dict[str, Tensor]:
    """The parameters of T children after so many steps of Adam, the rate falling to 0.

    Args:
        child: What they are parameters of.
        params: Where to start, each [T, *shape].
        rows: What each child learns from, T tasks; of more than 64 rows each step draws 64.
        steps: How many.
        objective: What is descended.
        seed: Decides which rows.
        rate: Of the first step.
    """
    own = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    optimiser = torch.optim.Adam(own.values(), lr=rate)
    with torch.enable_grad():
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 - step / steps)
            optimiser.zero_grad()
            batch = TaskBatch(Condition(), _drawn(rows, seed, step))
            # Of each child its own loss: none sees the others.
            objective(child, own, batch).loss.sum().backward()
            optimiser.step()
    return {name: value.detach() for name, value in own.items()}


@torch.no_grad()
def polish_best(
    hypernetwork: Hypernetwork,
    usable: Sequence[Tried],
    folds: Folds,
    rows: ExampleSet | None,
    steps: int,
    seed: int,
) -> list[Tried]:
    """The same candidates; of the best five, those that polishing made better as it left them.

    Args:
        hypernetwork: What writes them.
        usable: All that have a score.
        folds: What they are written from and scored on.
        rows: What they learn from, T = 1; by default what they are written from.
        steps: Of each.
        seed: Decides which rows.
    """
    learns = folds.condition.examples
    if rows is not None:
        learns = expanded(Condition(examples=rows), folds.folds).examples
    assert learns is not None
    objective = objective_of(folds.held_out)
    better: dict[int, Tried] = {}
    for one in sorted(usable, key=lambda each: each.merit, reverse=True)[:BEST]:
        writer, params = written(hypernetwork, one.architecture, folds)
        params = polished(writer.child, params, learns, steps=steps, objective=objective, seed=seed)
        outputs = writer.child(params, folds.held_out.x)
        found = scored(replace(one, polished=steps), outputs, folds.held_out)
        if found.merit > one.merit:
            better[one.number] = found
    return [better.get(each.number, each) for each in usable]


def objective_of(rows: ExampleSet) -> Objective:
    """What is descended on such rows."""
    return OBJECTIVES["values" if rows.classes is None else "fixed-classes"]()


def _drawn(rows: ExampleSet, seed: int, step: int) -> ExampleSet:
    count = rows.x.shape[1]
    if count <= _ROWS:
        return rows
    places = stream(seed, "polish", step).permutation(count)[:_ROWS]
    chosen = torch.from_numpy(places)
    labelled = None if rows.labelled is None else rows.labelled[:, chosen]
    return replace(
        rows, x=rows.x[:, chosen], y=rows.y[:, chosen], mask=rows.mask[:, chosen], labelled=labelled
    )


__all__ = ["RATE", "objective_of", "polish_best", "polished"]
