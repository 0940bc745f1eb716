"""What a regressor of a table is worth: scores of rows that it was not written from, beside usual baselines."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from netwright.estimators.held_out import OWN, HeldOut, folds_of, with_intervals
from netwright.estimators.regressor import NetwrightRegressor
from netwright.estimators.table_estimator import taken
from netwright.tasks.columns import ColumnEncoder, Columns

# Folds have about the same share of each tenth of the targets.
_LEVELS = 10


def held_out_values(
    columns: Columns,
    y: np.ndarray,
    *,
    folds: int = 5,
    seed: int = 0,
    resamples: int = 200,
    make: Callable[[], NetwrightRegressor] = NetwrightRegressor,
) -> list[HeldOut]:
    """Cross-validated scores of `NetwrightRegressor`, ridge regression, a random forest and gradient boosting.

    R^2, mean absolute error in the target's unit and, for the network, the share of rows between its outermost
    quantiles. Baselines have the defaults of scikit-learn (the ridge's penalty is chosen by what it says of rows left out), and read the same encoded
    columns, made from the rows of each fit. Intervals are of a bootstrap over rows: fits stay as they are.

    Args:
        columns: By name, N values each.
        y: Targets [N].
        folds: Number of folds.
        seed: Of the folds and the bootstrap.
        resamples: Of the bootstrap.
        make: What makes the regressor.
    """
    ranks = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    fold = folds_of(ranks * _LEVELS // len(y), folds, seed)
    found: dict[str, np.ndarray] = {}
    for number in range(folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if not len(test) or not len(train):
            continue
        here, there = (taken(columns, rows) for rows in (train, test))
        own = make().fit_columns(here, y[train])
        mean, quantiles = own.answers_of(there, len(test)), own.quantiles_of(there, len(test))
        answers = {OWN: np.concatenate([mean, quantiles], axis=1)}
        encoder = ColumnEncoder.fit(here)
        for name, baseline in _baselines().items():
            answers[name] = np.full((len(test), 1), y[train].mean())
            if encoder.encodings:
                fitted = baseline.fit(encoder.encode(here), y[train])
                answers[name] = fitted.predict(encoder.encode(there))[:, None]
        for name, said in answers.items():
            found.setdefault(name, np.zeros((len(y), said.shape[1])))[test] = said
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(resamples)]
    return [
        HeldOut(name, said, with_intervals(partial(value_scores, y, said), draws))
        for name, said in found.items()
    ]


def value_scores(
    y: np.ndarray, answers: np.ndarray, rows: np.ndarray | Sequence[int] | slice = slice(None)
) -> dict[str, float]:
    """Metrics of the mean and quantiles [N, 1 + Q] of targets [N], at some rows."""
    y, answers = y[rows], answers[rows]
    off = y - answers[:, 0]
    scores = {
        "R2": float(1 - np.square(off).mean() / max(np.var(y), 1e-300)),
        "absolute error": float(np.abs(off).mean()),
    }
    if answers.shape[1] > 2:
        scores["inside"] = float(((y >= answers[:, 1]) & (y <= answers[:, -1])).mean())
    return scores


def _baselines() -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "ridge regression": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))),
        "random forest": RandomForestRegressor(random_state=0),
        "gradient boosting": HistGradientBoostingRegressor(random_state=0),
    }


__all__ = ["held_out_values", "value_scores"]
