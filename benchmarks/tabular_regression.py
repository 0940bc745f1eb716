"""`NetwrightRegressor` on real small tables, beside untuned rivals on the same splits.

    python benchmarks/tabular_regression.py                    # validation families
    python benchmarks/tabular_regression.py --which test       # the other families: final figures

The tables are those of `small_tables`, whose targets are classes: what is predicted here is their numeric column with the most different
values, from all others but the class. Beside them scikit-learn's diabetes.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from netwright.estimators import NetwrightRegressor
from netwright.estimators.frames import columns_of
from netwright.evaluation.statistics import holm, wilcoxon_test
from netwright.tasks.columns import ColumnEncoder

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows
from small_tables import small_tables

OWN, SPLITS, MOST_ROWS, FEWEST_VALUES = "netwright", 3, 3_000, 20
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _rivals() -> dict[str, Any]:
    return {
        "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))),
        "random-forest": RandomForestRegressor(random_state=0),
        "gradient-boosting": HistGradientBoostingRegressor(random_state=0),
        "svm": make_pipeline(StandardScaler(), SVR()),
        "mlp": make_pipeline(StandardScaler(), MLPRegressor(max_iter=500, random_state=0)),
    }


def tables(which: str) -> Iterator[tuple[str, str, pd.DataFrame, np.ndarray]]:
    """Name, family, columns and target of each table."""
    if which == "test":
        x, y = load_diabetes(return_X_y=True, as_frame=True)
        yield "sklearn-diabetes", "sklearn-diabetes", x, y.to_numpy()
    for table in small_tables(which):
        numeric = table.x.select_dtypes("number")
        counts = numeric.nunique()
        if counts.empty or counts.max() < FEWEST_VALUES or table.x.shape[1] < 2:
            continue
        target = counts.idxmax()
        known = table.x[target].notna().to_numpy()
        rows = np.flatnonzero(known)[:MOST_ROWS]
        yield table.name, table.family, table.x.iloc[rows].drop(columns=target), table.x[target].to_numpy()[rows]  # fmt: skip


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--which", choices=["validation", "test"], default="validation")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    scores: dict[str, dict[str, list[float]]] = {}
    inside, pinball, seconds, families = [], [], [], {}
    for name, family, x, y in tables(args.which):
        families[name] = family
        for seed in range(SPLITS):
            order = np.random.default_rng([seed, len(y)]).permutation(len(y))
            train, test = order[: len(y) // 2], order[len(y) // 2 :]
            started = time.process_time()
            own = NetwrightRegressor(quantiles=LEVELS).fit(x.iloc[train], y[train])
            seconds.append(time.process_time() - started)
            quantiles = own.predict_quantiles(x.iloc[test])
            inside.append(np.mean((y[test] >= quantiles[:, 0]) & (y[test] <= quantiles[:, -1])))
            plain = np.quantile(y[train], LEVELS)[None].repeat(len(test), axis=0)
            pinball.append(_pinball(y[test], quantiles) / max(_pinball(y[test], plain), 1e-300))
            answers = {OWN: own.predict(x.iloc[test])}
            encoder = ColumnEncoder.fit(columns_of(x.iloc[train]))
            a, b = (encoder.encode(columns_of(x.iloc[rows])) for rows in (train, test))
            for rival, learner in _rivals().items():
                scaled = (y[train] - y[train].mean()) / y[train].std()
                answers[rival] = learner.fit(a, scaled).predict(b) * y[train].std() + y[train].mean()  # fmt: skip
            spread = np.var(y[test])
            for learner_name, said in answers.items():
                r2 = 1 - np.mean(np.square(y[test] - said)) / spread
                # A few wild answers must not decide the mean over tables.
                scores.setdefault(learner_name, {}).setdefault(name, []).append(max(0.0, r2))
        print(name, {n: round(float(np.mean(s[name])), 3) for n, s in scores.items()}, flush=True)
    report(args.which, scores, families, inside, pinball, seconds)


def report(
    which: str,
    scores: dict[str, dict[str, list[float]]],
    families: dict[str, str],
    inside: list[float],
    pinball: list[float],
    seconds: list[float],
) -> None:
    """Means over tables, and corrected tests over families."""
    distinct = sorted(set(families.values()))
    by_family = {
        n: np.array([np.mean([np.mean(s[t]) for t in s if families[t] == f]) for f in distinct])
        for n, s in scores.items()
    }
    rivals = [n for n in scores if n != OWN]
    tests = [wilcoxon_test(by_family[OWN], by_family[r]).p_value for r in rivals]
    corrected = dict(zip(rivals, holm(tests), strict=True))
    command = f"python benchmarks/tabular_regression.py --which {which}"
    rng, rows = np.random.default_rng(0), []
    prefix = "tabular-regression" + ("" if which == "test" else "-validation")
    for name in scores:
        each = np.array([np.mean(s) for s in scores[name].values()])
        drawn = rng.choice(by_family[name], (4000, len(distinct))).mean(axis=1)
        low, high = np.quantile(drawn - by_family[name].mean(), [0.025, 0.975]) + each.mean()
        note = f"{len(distinct)} families; below 0 counts as 0"
        if name != OWN:
            better = np.mean([np.mean(scores[OWN][t]) > np.mean(scores[name][t]) for t in families])
            note += f"; {OWN} better on {better:.0%} of tables, Wilcoxon over families p = {corrected[name]:.2g} (Holm)"
        rows.append(Row(f"{prefix}-r2-{name}", float(each.mean()), float(low), float(high), "R2", True, len(each), list(range(SPLITS)), 0.0, command, note))  # fmt: skip
    rows.append(Row(f"{prefix}-inside", float(np.mean(inside)), *map(float, np.quantile(inside, [0.1, 0.9])), "share", True, len(inside), list(range(SPLITS)), 0.0, command, "of new rows between the quantiles 0.05 and 0.95: 0.9 is meant; ends are the tenths of tables and splits"))  # fmt: skip
    rows.append(Row(f"{prefix}-pinball", float(np.mean(pinball)), *map(float, np.quantile(pinball, [0.1, 0.9])), "of the loss without columns", False, len(pinball), list(range(SPLITS)), 0.0, command, "mean quantile loss over five levels, relative to quantiles of the target by itself"))  # fmt: skip
    rows.append(Row(f"{prefix}-fit-ms", 1000 * float(np.median(seconds)), None, None, "CPU-ms", False, len(seconds), list(range(SPLITS)), 0.0, command, "median"))  # fmt: skip
    write_rows("tabular_regression", rows)


def _pinball(y: np.ndarray, quantiles: np.ndarray) -> float:
    off = y[:, None] - quantiles
    levels = np.array(LEVELS)
    return float(np.maximum(levels * off, (levels - 1) * off).mean())


if __name__ == "__main__":
    main()
