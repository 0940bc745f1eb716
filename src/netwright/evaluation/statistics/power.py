"""How many tasks show a difference, and which difference so many tasks show.

For paired scores, two-sided, by the noncentral t distribution. Tasks are what is counted: for a claim about a method, n is
the number of seeds and `std` that of the differences between seeds' means.
"""

import math
from statistics import NormalDist

from netwright.errors import StatisticsError
from netwright.evaluation.statistics.arrays import check_count, check_share
from netwright.evaluation.statistics.lazy_scipy import scipy_module

PURPOSE = "Power"


def power_of(n: int, difference: float, std: float, *, level: float = 0.95) -> float:
    """Chance that n paired scores show a mean difference.

    Args:
        n: Number of pairs.
        difference: The true one.
        std: Standard deviation of differences.
        level: Of the interval that must exclude zero.

    Raises:
        StatisticsError: If n is below 2, `std` is not above 0, or `level` is not a share.
        MissingExtraError: If SciPy is not installed.
    """
    check_count("n", n, 2)
    check_share("level", level)
    _check_positive("std", std)
    special = scipy_module("special", PURPOSE)
    stats = scipy_module("stats", PURPOSE)
    bar = float(special.stdtrit(n - 1, (1 + level) / 2))
    noncentrality = abs(difference) / std * math.sqrt(n)
    upper = float(stats.nct.sf(bar, n - 1, noncentrality))
    # The lower tail, mirrored: nct.cdf(-bar, n - 1, noncentrality) is NaN where it is small.
    return upper + float(stats.nct.sf(bar, n - 1, -noncentrality))


def episodes_needed(
    difference: float, std: float, *, level: float = 0.95, power: float = 0.8
) -> int:
    """The smallest number of paired episodes that shows a mean difference with that power.

    Args:
        difference: The smallest one that matters, in the units of the scores.
        std: Standard deviation of differences between two learners on the same episode.
        level: Of the interval that must exclude zero.
        power: Chance to see it.

    Raises:
        StatisticsError: If `difference` is zero, `std` is not above 0, or a share is not one.
        MissingExtraError: If SciPy is not installed.
    """
    check_share("power", power)
    _check_positive("difference", abs(difference))
    _check_positive("std", std)
    check_share("level", level)
    # The normal approximation asks for a few too few; from there to a bracket, then halves.
    low, high = 1, max(2, _normal_count(difference, std, level, power))
    while power_of(high, difference, std, level=level) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if power_of(middle, difference, std, level=level) < power:
            low = middle
        else:
            high = middle
    return high


def smallest_difference(n: int, std: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """The mean difference that n paired episodes show with that power.

    Args:
        n: Number of pairs.
        std: Standard deviation of differences.
        level: Of the interval that must exclude zero.
        power: Chance to see it.

    Raises:
        StatisticsError: If n is below 2, `std` is not above 0, or a share is not one.
        MissingExtraError: If SciPy is not installed.
    """
    check_share("power", power)
    check_count("n", n, 2)
    check_share("level", level)
    _check_positive("std", std)
    if power <= 1 - level:
        raise StatisticsError(
            f"`power` is {power}, expected more than {1 - level:.4g}: so often a difference of zero is seen."
        )
    low, high = 0.0, std / math.sqrt(n)
    while power_of(n, high, std, level=level) < power:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if power_of(n, middle, std, level=level) < power:
            low = middle
        else:
            high = middle
    return high


def _normal_count(difference: float, std: float, level: float, power: float) -> int:
    normal = NormalDist()
    quantiles = normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
    return math.ceil((quantiles * std / difference) ** 2)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise StatisticsError(f"`{name}` is {value}, expected a finite number above 0.")
