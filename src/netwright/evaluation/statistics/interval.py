"""A number with an interval that says how it was made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval.

    Args:
        value: The statistic of the data themselves.
        low: Lower end.
        high: Upper end.
        level: How often such intervals hold the truth, a share.
        method: How it was made, and over what it generalises.
    """

    value: float
    low: float
    high: float
    level: float
    method: str

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0
