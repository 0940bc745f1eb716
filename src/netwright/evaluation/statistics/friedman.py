"""Several learners over several task families, by ranks: Friedman's test and Nemenyi's difference."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netwright.errors import StatisticsError
from netwright.evaluation.statistics.arrays import (
    check_count,
    check_share,
    finite_array,
)
from netwright.evaluation.statistics.lazy_scipy import scipy_module
from netwright.evaluation.statistics.ranks import average_ranks


@dataclass(frozen=True)
class FriedmanTest:
    """Whether any of L learners ranks differently over F families.

    Args:
        mean_ranks: Of each learner, 1 for the best; [L].
        chi_squared: Friedman's statistic, corrected for ties.
        p_value: From chi-squared with L - 1 degrees of freedom.
        f_statistic: The Iman-Davenport variant; infinite if all families agree.
        f_p_value: From F with L - 1 and (L - 1)(F - 1) degrees of freedom: less conservative.
        families: F.
    """

    mean_ranks: tuple[float, ...]
    chi_squared: float
    p_value: float
    f_statistic: float
    f_p_value: float
    families: int


def friedman_test(scores: npt.ArrayLike) -> FriedmanTest:
    """Friedman's test of scores of which higher ones are better.

    Args:
        scores: [F, L], a mean score per family and learner.

    Raises:
        ShapeError: If `scores` is not [F, L].
        StatisticsError: If a number is not finite, there are fewer than two families or three learners, or no family
            tells any two learners apart.
        MissingExtraError: If SciPy is not installed.

    References:
        Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006.
        Iman and Davenport, Approximations of the Critical Region of the Friedman Statistic, 1980.
    """
    scores = finite_array("scores", scores, "F L", least=3)
    families, learners = scores.shape
    check_count("families", families, 2)
    ranks = average_ranks(scores)
    # Ties within a family leave its ranks less variance than 1 ... L have.
    variance = float(ranks.var(axis=1).sum()) * learners / (learners - 1)
    if variance == 0:
        raise StatisticsError(
            f"`scores` are the same for all {learners} learners in every family: there are no ranks to compare."
        )
    mean_ranks = ranks.mean(axis=0)
    between = families**2 * float(((mean_ranks - (learners + 1) / 2) ** 2).sum())
    chi_squared = between / variance
    stats = scipy_module("stats", "Friedman's test")
    left = families * (learners - 1) - chi_squared
    f_statistic = (families - 1) * chi_squared / left if left > 1e-9 * chi_squared else float("inf")
    freedom = (learners - 1, (learners - 1) * (families - 1))
    return FriedmanTest(
        mean_ranks=tuple(map(float, mean_ranks)),
        chi_squared=chi_squared,
        p_value=float(stats.chi2.sf(chi_squared, learners - 1)),
        f_statistic=f_statistic,
        f_p_value=float(stats.f.sf(f_statistic, *freedom)),
        families=families,
    )


def nemenyi_difference(learners: int, families: int, level: float = 0.95) -> float:
    """How far two mean ranks must lie apart, for all pairs of learners together.

    Args:
        learners: L.
        families: F.
        level: One less the chance of any false difference.

    Raises:
        StatisticsError: If there are fewer than two learners or families, or `level` is not a share.
        MissingExtraError: If SciPy is not installed.

    References:
        Nemenyi, Distribution-free Multiple Comparisons, 1963.
    """
    check_count("learners", learners, 2)
    check_count("families", families, 2)
    check_share("level", level)
    stats = scipy_module("stats", "Nemenyi's difference")
    quantile = float(stats.studentized_range.ppf(level, learners, np.inf))
    return quantile * float(np.sqrt(learners * (learners + 1) / (12 * families)))
