"""How good networks are on rows that were held out, and how sure that is."""

from dataclasses import replace
from statistics import NormalDist

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.architectures import Architecture
from netwright.conditions import Architectures, ExampleSet
from netwright.hypernetwork import Hypernetwork
from netwright.search.held_out import Folds
from netwright.search.tried import Tried

_Z = NormalDist().inv_cdf(0.975)


def written(
    hypernetwork: Hypernetwork, architecture: Architecture, folds: Folds
) -> tuple[Hypernetwork, dict[str, Tensor]]:
    """What writes an architecture, and its params, each [F, *shape].

    Raises:
        RunError: If the architecture cannot be written.
        ConditionError: If the condition lacks what is read.
    """
    writer = hypernetwork.for_architecture(architecture)
    wanted = Architectures([architecture] * folds.folds)
    return writer, writer(replace(folds.condition, architecture=wanted))


def scored(tried: Tried, outputs: Tensor, rows: ExampleSet) -> Tried:
    """The same with its value, interval and loss.

    Args:
        tried: What is scored.
        outputs: What its networks answer, [F, N, C].
        rows: What is right, F tasks.
    """
    said, right = outputs[rows.has_label].double(), rows.y[rows.has_label]
    if not bool(said.isfinite().all()):
        return replace(tried, why="its outputs are not finite")
    if rows.classes is not None:
        loss = float(F.cross_entropy(said, right))
        count, value = len(right), float((said.argmax(dim=-1) == right).double().mean())
        low, high = wilson(value, count)
        return replace(tried, metric="accuracy", value=value, low=low, high=high, loss=loss)
    errors = (said - right.double()).square().mean(dim=-1)
    value = float(errors.mean())
    half = _Z * float(errors.std()) / len(errors) ** 0.5 if len(errors) > 1 else None
    ends = (None, None) if half is None else (max(0.0, value - half), value + half)
    return replace(tried, metric="mse", value=value, low=ends[0], high=ends[1], loss=value)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` rows, which stays within 0 and 1 and is no point at its ends.

    >>> [round(end, 3) for end in wilson(1.0, 50)]
    [0.929, 1.0]
    """
    square = _Z * _Z
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        _Z / (1 + square / count) * (share * (1 - share) / count + square / (4 * count**2)) ** 0.5
    )
    return max(0.0, middle - half), min(1.0, middle + half)


@torch.no_grad()
def score(hypernetwork: Hypernetwork, tried: Tried, folds: Folds) -> Tried:
    """Write the networks of an architecture in one pass and score them."""
    writer, params = written(hypernetwork, tried.architecture, folds)
    return scored(tried, writer.child(params, folds.held_out.x), folds.held_out)


__all__ = ["score", "scored", "wilson", "written"]
