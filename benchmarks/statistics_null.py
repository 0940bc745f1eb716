"""What the statistics claim, where nothing is to be found: false wins, and how often intervals hold the truth.

    python benchmarks/statistics_null.py       # about four CPU-minutes

1,000 simulated experiments per row. Learners are alike: an episode's logit of accuracy is a difficulty that all learners
share (t with 4 degrees of freedom: heavy tails), and effects of learner and episode, of learner and seed, and of all three;
accuracy is what 75 queries show of it. So means are near 90 %, episodes spread by 9.5 points, and seeds by 0.3
(`usual`), 1.0 (`large`) or not at all (`none`); of `failing` seeds every tenth loses 5 points. Test episodes are the
same for all seeds, as `evaluate` does, unless a row says `own episodes`.

A false claim is a win or a loss that `compare_scores` announces at 5 %, or an interval of the difference without zero.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from netwright.evaluation.statistics import (
    bca_interval,
    compare_scores,
    crossed_mean,
    mean_estimate,
    nested_interval,
    percentile_interval,
    pigeonhole_interval,
    sign_flip_test,
    wilcoxon_test,
)
from netwright.rng import stream

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/statistics_null.py"
EXPERIMENTS, EPISODES, QUERIES, RESAMPLES = 1_000, 200, 75, 1_000
LEVEL = 0.95
SEED_SPREAD = {"none": 0.0, "usual": 0.045, "large": 0.13, "failing": 0.045}

Array = npt.NDArray[np.float64]
Ends = tuple[float, float]
Method = Callable[[Array, np.random.Generator], Ends]


def experiment(
    rng: np.random.Generator, learners: int, seeds: int, spread: str, *, own: bool = False
) -> Array:
    """Accuracies [learners, seeds, EPISODES] of learners that are alike."""
    episodes = (1, seeds if own else 1, EPISODES)
    logits = 2.5 + 0.6 * rng.standard_t(4, episodes)
    logits = logits + rng.normal(0, 0.25, (learners, *episodes[1:]))
    logits = logits + seed_effects(rng, (learners, seeds, 1), spread)
    logits = logits + rng.normal(0, 0.2, (learners, seeds, EPISODES))
    return rng.binomial(QUERIES, 1 / (1 + np.exp(-logits))) / QUERIES


def seed_effects(rng: np.random.Generator, shape: tuple[int, ...], spread: str) -> Array:
    """How much better or worse the networks of a seed are, as logits."""
    effects = rng.normal(0, SEED_SPREAD[spread], shape)
    return effects - 0.5 * (rng.random(shape) < 0.1) if spread == "failing" else effects


def true_mean(spread: str) -> float:
    """The accuracy that such learners have over all seeds and episodes."""
    rng, n = stream(0, "truth", spread), 8_000_000
    logits = 2.5 + 0.6 * rng.standard_t(4, n) + rng.normal(0, np.hypot(0.25, 0.2), n)
    return float(np.mean(1 / (1 + np.exp(-logits - seed_effects(rng, (n,), spread)))))


def experiments(
    name: str, learners: int, seeds: int, spread: str, *, own: bool = False
) -> Iterator[Array]:
    """The same ones for the same arguments."""
    for i in range(EXPERIMENTS):
        yield experiment(
            stream(0, name, learners, seeds, spread, i), learners, seeds, spread, own=own
        )


# Intervals of scores [S, N], ours and those that were weighed.


def crossed(scores: Array, _: np.random.Generator) -> Ends:
    """The interval that `compare_scores` uses."""
    found = crossed_mean(scores).interval(LEVEL)
    return found.low, found.high


def nested(scores: Array, rng: np.random.Generator) -> Ends:
    """Seeds resampled, then episodes within each."""
    found = nested_interval(scores, rng, resamples=RESAMPLES)
    return found.low, found.high


def pigeonhole(scores: Array, rng: np.random.Generator) -> Ends:
    """Seeds and episodes resampled."""
    found = pigeonhole_interval(scores, rng, resamples=RESAMPLES)
    return found.low, found.high


def seed_means(scores: Array, _: np.random.Generator) -> Ends:
    """t on one mean per seed."""
    means = scores.mean(axis=1)
    return t_ends(means.mean(), means.var(ddof=1) / len(means), len(means) - 1)


def pooled(scores: Array, _: np.random.Generator) -> Ends:
    """All scores as if they were independent."""
    flat = scores.ravel()
    return t_ends(flat.mean(), flat.var(ddof=1) / len(flat), len(flat) - 1)


def satterthwaite(scores: Array, _: np.random.Generator) -> Ends:
    """The same parts as `crossed`, with one quantile for their sum."""
    s, n = scores.shape
    found = crossed_mean(scores)
    rest = scores - scores.mean(0) - scores.mean(1)[:, None] + scores.mean()
    rest = (rest**2).sum() / ((s - 1) * (n - 1)) / (s * n)
    of_episodes = scores.mean(axis=0).var(ddof=1) / n
    variance = max(found.seed_variance + of_episodes - rest, found.seed_variance, of_episodes)
    squares = found.seed_variance**2 / (s - 1) + of_episodes**2 / (n - 1)
    squares += rest**2 / ((s - 1) * (n - 1))
    return t_ends(found.value, variance, variance**2 / squares)


def t_ends(mean: float, variance: float, freedom: float) -> Ends:
    """A t interval."""
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * float(variance) ** 0.5
    return mean - half, mean + half


OVER_SEEDS: dict[str, Method] = {
    "crossed": crossed, "seed-means": seed_means, "satterthwaite": satterthwaite, "pooled": pooled,
    "two-level-nested": nested, "two-level-crossed": pigeonhole,
}  # fmt: skip


def normal(scores: Array, _: np.random.Generator) -> Ends:
    """What `evaluate` reports."""
    found = mean_estimate(torch.from_numpy(scores))
    return found.low, found.high


def percentile(scores: Array, rng: np.random.Generator) -> Ends:
    """Percentile bootstrap."""
    found = percentile_interval(scores, rng, resamples=RESAMPLES)
    return found.low, found.high


def bca(scores: Array, rng: np.random.Generator) -> Ends:
    """BCa bootstrap."""
    found = bca_interval(scores, rng, resamples=RESAMPLES)
    return found.low, found.high


OVER_EPISODES: dict[str, Method] = {"normal": normal, "percentile": percentile, "bca": bca}


class Tally:
    """Counts of a yes per name, and the CPU time that each took."""

    def __init__(self) -> None:
        self.yes: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def add(self, name: str, question: Callable[..., bool], *arguments: object) -> None:
        """Ask once."""
        started = time.process_time()
        self.yes[name] = self.yes.get(name, 0) + question(*arguments)
        self.seconds[name] = self.seconds.get(name, 0) + time.process_time() - started

    def rows(self, unit: str, note: str, *, higher_is_better: bool) -> list[Row]:
        """A row per name with Wilson's interval."""
        return [
            Row(
                f"statistics-null-{name}", 100 * yes / EXPERIMENTS, *wilson(yes), unit, higher_is_better,
                EXPERIMENTS, [0], round(self.seconds[name], 1), COMMAND, note,
            )
            for name, yes in self.yes.items()
        ]  # fmt: skip


def wilson(yes: int) -> Ends:
    """95 % interval of a share of EXPERIMENTS, in per cent."""
    z, n = NormalDist().inv_cdf(0.975), EXPERIMENTS
    centre = (yes + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (yes * (n - yes) / n + z**2 / 4) ** 0.5
    return 100 * (centre - half), 100 * (centre + half)


def holds(method: Method, scores: Array, experiment: int, truth: float) -> bool:
    """Whether the interval has the truth inside."""
    low, high = method(scores, stream(0, "draws", experiment))
    return bool(low <= truth <= high)


def flips_claim(first: Array, second: Array, experiment: int) -> bool:
    """Whether random sign flips find a difference."""
    rng = stream(0, "flips", experiment)
    return sign_flip_test(first, second, rng, resamples=RESAMPLES - 1).p_value <= 1 - LEVEL


def ranks_claim(first: Array, second: Array, _: int) -> bool:
    """Whether Wilcoxon's test finds a difference."""
    return wilcoxon_test(first, second).p_value <= 1 - LEVEL


def one_seed_rows() -> list[Row]:
    """Tests of two learners over the episodes of one seed."""
    rows = []
    unfair = "learners that are equally good, one network each: why one seed is no claim"
    for spread, meaning in (
        ("none", "networks that are equally good: 5 is right"),
        ("usual", unfair),
        ("large", unfair),
    ):
        tally = Tally()
        for i, scores in enumerate(experiments("one-seed", 2, 1, spread)):
            for test, claims in (("sign-flips", flips_claim), ("wilcoxon", ranks_claim)):
                tally.add(f"one-seed-{test}-{spread}", claims, *scores[:, 0], i)
        note = f"{EPISODES} episodes; {meaning}"
        rows += tally.rows("% false claims", note, higher_is_better=False)
    return rows


def table_claims(scores: Array, correction: str) -> bool:
    """Whether a table of `compare_scores` has a win or a loss."""
    table = {str(i): values for i, values in enumerate(scores)}
    found = compare_scores(table, reference="0", level=LEVEL, correction=correction)
    return any(row.verdict in ("win", "loss") for row in found.rows)


def bare_claims(scores: Array, experiment: int) -> bool:
    """The same without a correction."""
    return not all(holds(crossed, other - scores[0], experiment, 0) for other in scores[1:])


def comparison_rows() -> list[Row]:
    """The verdicts of `compare_scores`: one comparison, and four at once."""
    rows = []
    for seeds, spread in (
        *((s, spread) for s in (2, 3, 5, 10) for spread in ("usual", "large")),
        (3, "none"),
        (3, "failing"),
    ):
        tally = Tally()
        for scores in experiments("compare", 2, seeds, spread):
            tally.add(f"compare-2-learners-{seeds}-seeds-{spread}", table_claims, scores, "holm")
        note = f"`compare_scores`, {seeds} seeds of {EPISODES} episodes, seed effects {spread}"
        rows += tally.rows("% false claims", note, higher_is_better=False)
    for seeds, spread in ((s, spread) for s in (3, 5) for spread in ("usual", "large")):
        tally = Tally()
        for i, scores in enumerate(experiments("compare", 5, seeds, spread)):
            name = f"compare-5-learners-{seeds}-seeds-{spread}"
            tally.add(f"{name}-holm", table_claims, scores, "holm")
            tally.add(f"{name}-uncorrected", bare_claims, scores, i)
        note = f"any of 4 comparisons, {seeds} seeds of {EPISODES} episodes, seed effects {spread}"
        rows += tally.rows("% false claims", note, higher_is_better=False)
    return rows


def coverage_rows() -> list[Row]:
    """How often 95 % intervals hold the true mean of a learner, and the true difference, which is zero."""
    rows = []
    truth = {spread: true_mean(spread) for spread in SEED_SPREAD}
    tally = Tally()
    for i, scores in enumerate(experiments("alone", 1, 1, "none")):
        for episodes in (30, EPISODES):
            for name, method in OVER_EPISODES.items():
                values = scores[0, 0, :episodes]
                label = f"coverage-{name}-{episodes}-episodes"
                tally.add(label, holds, method, values, i, truth["none"])
    note = "mean accuracy of one network, episodes with a heavy tail"
    rows += tally.rows("% of 95 % intervals", note, higher_is_better=True)
    for seeds, spread, own in (
        *((s, spread, False) for s in (3, 5, 10) for spread in ("usual", "large")),
        (5, "none", False),
        (5, "failing", False),
        (5, "usual", True),
    ):
        tally = Tally()
        place = f"{seeds}-seeds-{spread}" + "-own-episodes" * own
        for i, scores in enumerate(experiments("pairs", 2, seeds, spread, own=own)):
            for name, method in OVER_SEEDS.items():
                tally.add(f"coverage-{name}-{place}", holds, method, scores[0] - scores[1], i, 0.0)
            label = f"coverage-crossed-mean-{place}"
            tally.add(label, holds, crossed, scores[0], i, truth[spread])
        note = f"difference of two learners (`crossed-mean`: mean of one), {seeds} seeds of {EPISODES} episodes"
        note += ", each its own" * own
        rows += tally.rows("% of 95 % intervals", note, higher_is_better=True)
    return rows


def main() -> None:
    """Simulate and write."""
    torch.set_num_threads(1)
    for rows in (one_seed_rows, comparison_rows, coverage_rows):
        write_rows("statistics_null", rows())


if __name__ == "__main__":
    main()
