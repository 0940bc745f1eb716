"""What a classifier of a table is worth: scores of rows that it was not written from, beside usual baselines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from netwright.estimators.classifier import NetwrightClassifier
from netwright.estimators.table_estimator import taken
from netwright.tasks.columns import ColumnEncoder, Columns

METRICS = ("accuracy", "balanced accuracy", "AUROC", "log loss", "calibration error")
OWN = "netwright"
_BINS = 10
_LEAST = 1e-6


@dataclass(frozen=True)
class HeldOut:
    """Scores of one learner.

    Args:
        learner: Its name.
        answers: Of each row, by a fit that has not seen it: probabilities [N, C], or the mean and quantiles [N, 1 + Q].
        scores: By metric: value, and the ends of a 95 % interval for new rows.
    """

    learner: str
    answers: np.ndarray
    scores: dict[str, tuple[float, float, float]]


def held_out(
    columns: Columns,
    y: np.ndarray,
    *,
    folds: int = 5,
    seed: int = 0,
    resamples: int = 200,
    make: Callable[[], NetwrightClassifier] = NetwrightClassifier,
) -> list[HeldOut]:
    """Cross-validated scores of `NetwrightClassifier`, logistic regression, a random forest and gradient boosting.

    Folds are stratified; a class of fewer rows than folds is missing from some of them. Baselines have the defaults of
    scikit-learn, and read the same encoded columns, made from the rows of each fit. Intervals are of a bootstrap over
    rows: fits stay as they are.

    Args:
        columns: By name, N values each.
        y: Class labels [N].
        folds: Number of folds.
        seed: Of the folds and the bootstrap.
        resamples: Of the bootstrap.
        make: What makes the classifier.
    """
    classes, codes = np.unique(y, return_inverse=True)
    fold = folds_of(codes, folds, seed)
    names = [OWN, *_baselines()]
    found = {name: np.zeros((len(y), len(classes))) for name in names}
    for number in range(folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        here, there = (taken(columns, rows) for rows in (train, test))
        if not len(test) or len(np.unique(codes[train])) < 2:
            continue
        own = make().fit_columns(here, codes[train])
        found[OWN][np.ix_(test, own.classes_)] = own.answers_of(there, len(test))
        encoder = ColumnEncoder.fit(here)
        if not encoder.encodings:
            continue
        x, x_test = encoder.encode(here), encoder.encode(there)
        for name, baseline in _baselines().items():
            fitted = baseline.fit(x, codes[train])
            found[name][np.ix_(test, fitted.classes_)] = fitted.predict_proba(x_test)
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(resamples)]
    return [
        HeldOut(name, p, with_intervals(partial(_scores_at, codes, p), draws))
        for name, p in found.items()
    ]


def with_intervals(
    scores_at: Callable[[np.ndarray | slice], dict[str, float]], draws: Sequence[np.ndarray]
) -> dict[str, tuple[float, float, float]]:
    """Each metric of all rows, and the ends of its 95 % interval over draws of rows."""
    own = scores_at(slice(None))
    drawn = [scores_at(rows) for rows in draws]
    ends = {m: np.nanquantile([each[m] for each in drawn], [0.025, 0.975]) for m in own}
    return {m: (own[m], float(ends[m][0]), float(ends[m][1])) for m in own}


def scores_of(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Metrics of probabilities [N, C] of classes [N]; AUROC is a mean over pairs of classes, each both ways."""
    p = np.clip(p, _LEAST, None)
    p = p / p.sum(axis=1, keepdims=True)
    there = np.unique(y)
    areas = []
    for n, a in enumerate(there):
        for b in there[n + 1 :]:
            rows = (y == a) | (y == b)
            areas += [area_under_curve(y[rows] == c, p[rows, c]) for c in (a, b)]
    hit, sure = p.argmax(axis=1) == y, p.max(axis=1)
    bin_of = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = [abs((sure - hit)[bin_of == b].sum()) for b in range(_BINS)]
    values = (
        hit.mean(),
        np.mean([hit[y == c].mean() for c in there]),
        np.mean(areas) if areas else np.nan,
        -np.log(p[np.arange(len(y)), y]).mean(),
        sum(gaps) / len(y),
    )
    return dict(zip(METRICS, map(float, values), strict=True))


def area_under_curve(is_positive: np.ndarray, score: np.ndarray) -> float:
    """AUROC of scores [N]: how often a positive row has a higher score than a negative one, ties counted half.

    By ranks (Mann and Whitney): a bootstrap asks for it a thousand times, and scikit-learn's takes thirty times as long.
    """
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[place]
    positive = int(is_positive.sum())
    above = ranks[is_positive].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(score) - positive)))


def reliability(p: np.ndarray, y: np.ndarray) -> list[tuple[float, float, int]]:
    """How sure, how often right, and how many rows, in up to eight groups of rows from the least sure to the surest.

    Args:
        p: Probabilities [N, C].
        y: Classes [N].
    """
    sure, hit = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.unique(np.quantile(sure, np.linspace(0, 1, 9)))
    bin_of = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, max(0, len(edges) - 2))
    groups = [bin_of == b for b in np.unique(bin_of)]
    return [(float(sure[own].mean()), float(hit[own].mean()), int(own.sum())) for own in groups]


def _scores_at(y: np.ndarray, p: np.ndarray, rows: np.ndarray | slice) -> dict[str, float]:
    return scores_of(y[rows], p[rows])


def _baselines() -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "random forest": RandomForestClassifier(random_state=0),
        "gradient boosting": HistGradientBoostingClassifier(random_state=0),
    }


def folds_of(codes: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold of each row, [N]: the rows of each class are dealt out in turn."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), dtype=int)
    fold[order] = np.arange(len(codes)) % folds
    return fold


__all__ = [
    "METRICS",
    "OWN",
    "HeldOut",
    "area_under_curve",
    "folds_of",
    "held_out",
    "reliability",
    "scores_of",
    "with_intervals",
]
