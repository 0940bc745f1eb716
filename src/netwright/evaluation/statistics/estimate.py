"""Means with intervals."""

from dataclasses import dataclass
from statistics import NormalDist

from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean over tasks with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {(self.high - self.low) / 2:.4f}"


def mean_estimate(values: Tensor, level: float = 0.95) -> Estimate:
    """Mean of one number per task, [n], with a normal interval on the mean.

    One number per task, not per query: queries of a task share its network and are not independent.
    """
    values = values.double()
    mean, n = float(values.mean()), len(values)
    half = float("nan")
    if n > 1:
        half = NormalDist().inv_cdf(0.5 + level / 2) * float(values.std()) / n**0.5
    return Estimate(mean, mean - half, mean + half, n)
