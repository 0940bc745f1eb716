"""The mean of scores [seeds, episodes] whose seeds met the same episodes, with an interval that holds.

A seed (initialisation, order of data) and an episode are both drawn: a claim about the *method* must hold for
new ones of either. Two things vary, and the mean inherits both:

    score[s, n] = mean + seed[s] + episode[n] + rest[s, n]

The means of the seeds show the first and their share of the rest, with S - 1 degrees of freedom; they all met the
same episodes, so that what these did to all of them alike does not show. That part is estimated from the means of the
episodes. The two margins are added in quadrature, each with the t quantile of its own degrees of freedom:

    half^2 = t(S-1)^2 * MS_seed / (S N)  +  t(N-1)^2 * max(MS_episode - MS_rest, 0) / (S N)

Without the second term it is the t interval on the means of the seeds. One common quantile instead (Satterthwaite's
degrees of freedom, as in a quasi-F test) undercovers where seeds matter and are three; see `docs/statistics.md`.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netwright.evaluation.statistics.arrays import FloatArray, check_share, finite_array
from netwright.evaluation.statistics.interval import Interval
from netwright.evaluation.statistics.lazy_scipy import scipy_module

ALL = "t over seeds and episodes"
ONE_SEED = "t over episodes of one trained seed"
# Squares of t quantiles must stay finite, with one degree of freedom too.
SMALLEST_LOG_P = -100.0


@dataclass(frozen=True)
class CrossedMean:
    """A mean over seeds and episodes with the two parts of its squared standard error.

    Args:
        value: The mean.
        seeds: S.
        episodes: N.
        seed_variance: Squared standard error that the means of the seeds show; 0 for one seed.
        episode_variance: What the episodes did to all seeds alike.
    """

    value: float
    seeds: int
    episodes: int
    seed_variance: float
    episode_variance: float

    def interval(self, level: float = 0.95) -> Interval:
        """The confidence interval; of one seed's network over episodes only, if there is one seed.

        Raises:
            StatisticsError: If `level` is not a share.
            MissingExtraError: If SciPy is not installed.
        """
        check_share("level", level)
        half = float(np.sqrt(self._squared_margin(1 - level)))
        method = ALL if self.seeds > 1 else ONE_SEED
        return Interval(self.value, self.value - half, self.value + half, level, method)

    def p_value(self) -> float:
        """Two-sided, of the hypothesis that the mean is zero: one less the level whose interval ends there.

        Raises:
            MissingExtraError: If SciPy is not installed.
        """
        target = self.value**2
        if target == 0:
            return 1.0
        if self._squared_margin(10**SMALLEST_LOG_P) < target:
            return float(10**SMALLEST_LOG_P)
        # The margin falls as p rises: halve the range of log p until it is exact to 1e-12.
        low, high = SMALLEST_LOG_P, 0.0
        for _ in range(60):
            middle = (low + high) / 2
            if self._squared_margin(10**middle) > target:
                low = middle
            else:
                high = middle
        return float(10**high)

    def _squared_margin(self, tail: float) -> float:
        """Square of half the width, for both tails together."""
        parts = [(self.episodes - 1, self.episode_variance), (self.seeds - 1, self.seed_variance)]
        special = scipy_module("special", "A t interval")
        # One seed has no degrees of freedom, and no part of its own.
        quantiles = {df: float(special.stdtrit(df, tail / 2)) for df, part in parts if part > 0}
        return math.fsum(quantiles[df] ** 2 * part for df, part in parts if part > 0)


def crossed_mean(scores: npt.ArrayLike) -> CrossedMean:
    """The mean of scores or of paired differences, over new seeds and new episodes.

    It holds too where each seed has episodes of its own: the means of the episodes then show nothing in common.

    Args:
        scores: [S, N], seeds by episodes.

    Raises:
        ShapeError: If `scores` is not [S, N].
        StatisticsError: If a number is not finite or there are fewer than two episodes.

    References:
        Judd et al., Treating Stimuli as a Random Factor, J. Pers. Soc. Psychol. 103, 2012 (the model).
        Zou and Donner, Construction of Confidence Limits about Effect Measures, Stat. Med. 27, 2008 (margins in
        quadrature).
    """
    scores = finite_array("scores", scores, "S N", least=2)
    seeds, episodes = scores.shape
    of_episodes = float(scores.mean(axis=0).var(ddof=1)) / episodes
    if seeds == 1:
        return CrossedMean(float(scores.mean()), 1, episodes, 0.0, of_episodes)
    of_seeds = float(scores.mean(axis=1).var(ddof=1)) / seeds
    shared = max(of_episodes - _rest_variance(scores), 0.0)
    return CrossedMean(float(scores.mean()), seeds, episodes, of_seeds, shared)


def _rest_variance(scores: FloatArray) -> float:
    """Squared standard error that comes from the interaction of seeds and episodes."""
    seeds, episodes = scores.shape
    rest = (
        scores
        - scores.mean(axis=0, keepdims=True)
        - scores.mean(axis=1, keepdims=True)
        + scores.mean()
    )
    return float((rest**2).sum() / ((seeds - 1) * (episodes - 1) * seeds * episodes))
