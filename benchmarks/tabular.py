"""`NetwrightClassifier` on real small tables, beside untuned rivals on the same splits.

    python benchmarks/tabular.py                          # validation families: for choices
    python benchmarks/tabular.py --which test             # the other families: final figures, 10 CPU-minutes
    python benchmarks/tabular.py --sklearn --seconds      # tables of scikit-learn; time

Scores of every table and split are kept in benchmarks/results/tabular-WHICH-scores.json.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from netwright.estimators import NetwrightClassifier
from netwright.estimators.held_out import scores_of
from netwright.evaluation.critical_difference import critical_difference, draw_critical_difference
from netwright.evaluation.statistics import holm, wilcoxon_test

sys.path.insert(0, str(Path(__file__).parent))
from records import RESULTS, Row, write_rows
from small_tables import half_splits, small_tables

OWN = "netwright"
SPLITS = 5
METRICS = {
    "accuracy": True, "balanced_accuracy": True, "auroc": True, "log_loss": False, "ece": False,
    "fit_seconds": False,
}  # fmt: skip


def _numbers() -> Any:
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )


def _dense() -> Any:
    """For what needs numbers of one size."""
    return make_column_transformer(
        (_numbers(), make_column_selector(dtype_include=np.number)),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="?"),
                OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=32),
            ),
            make_column_selector(dtype_exclude=np.number),
        ),
    )


def _ordinal() -> Any:
    """For trees."""
    return make_column_transformer(
        (
            SimpleImputer(strategy="median", keep_empty_features=True),
            make_column_selector(dtype_include=np.number),
        ),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="?"),
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            ),
            make_column_selector(dtype_exclude=np.number),
        ),
    )


# What meta-training adds: the same before it (`pretrain_tables.py --steps 1 --learning-rate 1e-9`).
UNTRAINED = Path("runs/tables-untrained")
LEARNERS: dict[str, Callable[[], Any]] = {
    OWN: NetwrightClassifier,
    "netwright-untrained": lambda: NetwrightClassifier(checkpoint=UNTRAINED),
    "logistic-regression": lambda: make_pipeline(_dense(), LogisticRegression(max_iter=1000)),
    "random-forest": lambda: make_pipeline(_ordinal(), RandomForestClassifier(random_state=0)),
    "gradient-boosting": lambda: make_pipeline(
        _ordinal(), HistGradientBoostingClassifier(random_state=0)
    ),
    "svm": lambda: make_pipeline(_dense(), SVC(probability=True, random_state=0)),
    "nearest-neighbours": lambda: make_pipeline(_dense(), KNeighborsClassifier()),
    "mlp": lambda: make_pipeline(_dense(), MLPClassifier(max_iter=500, random_state=0)),
    "naive-bayes": lambda: make_pipeline(_dense(), GaussianNB()),
}


def measure(
    x: pd.DataFrame, y: np.ndarray, train: np.ndarray, test: np.ndarray, name: str
) -> dict[str, float] | None:
    """Scores of one learner on one split; None where it cannot be fitted."""
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner = LEARNERS[name]().fit(x.iloc[train], y[train])
            seconds = time.process_time() - started
            p = np.zeros((len(test), y.max() + 1))
            p[:, learner.classes_] = learner.predict_proba(x.iloc[test])
    except ValueError as error:
        print(f"{name}: {str(error).splitlines()[0][:150]}", file=sys.stderr)
        return None
    scores = scores_of(y[test], p).values()
    return {**dict(zip(METRICS, scores, strict=False)), "fit_seconds": seconds}


def run(which: str, learners: list[str]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Scores by table, learner and metric, one per split; those that are there are kept."""
    path = RESULTS / f"tabular-{which}-scores.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for table in small_tables(which):
        own = found.setdefault(table.name, {"family": table.family})
        for name in learners:
            if name in own and not name.startswith(OWN):
                continue
            splits = [measure(table.x, table.y, *s, name) for s in half_splits(table.y, SPLITS)]
            if all(split is not None for split in splits):
                own[name] = {m: [round(s[m], 5) for s in splits] for m in METRICS}  # type: ignore[index]
        print(
            table.name,
            *(f"{n} {np.mean(own[n]['auroc']):.3f}" for n in learners if n in own),
            flush=True,
        )
        path.write_text(json.dumps(found) + "\n")
    return found


def by_family(found: dict[str, Any], learners: list[str], metric: str) -> dict[str, np.ndarray]:
    """Mean per family of tables, [F] by learner: tables of one family are not independent."""
    families = sorted({own["family"] for own in found.values()})
    return {
        name: np.array(
            [
                np.mean(
                    [np.mean(own[name][metric]) for own in found.values() if own["family"] == f]
                )
                for f in families
            ]
        )
        for name in learners
    }


def report(found: dict[str, Any], which: str, command: str) -> list[Row]:
    """Means over tables, mean ranks over families, and corrected tests against each rival."""
    learners = [name for name in LEARNERS if all(name in own for own in found.values())]
    rows = []
    prefix = "tabular" if which == "test" else "tabular-validation"
    rng = np.random.default_rng(0)
    for metric, higher in METRICS.items():
        if metric == "accuracy":
            continue
        scores = by_family(found, learners, metric)
        ranks: dict[str, float] = {}
        if metric in ("auroc", "log_loss", "balanced_accuracy"):
            difference = critical_difference(scores, higher_is_better=higher)
            ranks = dict(zip(difference.learners, difference.ranks, strict=True))
            if which == "test":
                picture = Path("docs/images") / f"tabular-test-{metric}.png"
                draw_critical_difference(difference, picture)
        rivals = [name for name in learners if name != OWN]
        tests = [wilcoxon_test(scores[OWN], scores[r]) for r in rivals]
        corrected = dict(zip(rivals, holm([t.p_value for t in tests]), strict=True))
        for name in learners:
            each = np.array([np.mean(own[name][metric]) for own in found.values()])
            resampled = rng.choice(scores[name], (4000, len(scores[name]))).mean(axis=1)
            low, high = np.quantile(resampled - scores[name].mean(), [0.025, 0.975]) + each.mean()
            note = f"mean rank {ranks[name]:.2f} of {len(learners)} over families" if ranks else ""
            if name != OWN:
                better = np.mean([
                    (np.mean(own[OWN][metric]) > np.mean(own[name][metric])) == higher
                    for own in found.values()
                ])  # fmt: skip
                note += f"; {OWN} better on {better:.0%} of tables, Wilcoxon over families p = {corrected[name]:.2g} (Holm)"
            rows.append(
                Row(
                    f"{prefix}-{metric.replace('_', '-')}-{name}", float(each.mean()), float(low), float(high), metric,
                    higher, len(each), list(range(SPLITS)), 0.0, command, note.removeprefix("; "),
                )
            )  # fmt: skip
    return rows


def sklearn_rows(command: str) -> list[Row]:
    """Accuracy on tables that come with scikit-learn."""
    rows = []
    for name, load, train in (
        ("breast-cancer", load_breast_cancer, 284),
        ("digits", load_digits, 200),
    ):
        x, y = load(return_X_y=True)
        for learner in (OWN, "logistic-regression", "random-forest", "svm"):
            values = []
            for seed in range(10):
                order = np.random.default_rng(seed).permutation(len(y))
                a, b = order[:train], order[train:]
                fitted = LEARNERS[learner]().fit(pd.DataFrame(x[a]).astype(float), y[a])
                values.append(fitted.score(pd.DataFrame(x[b]).astype(float), y[b]))
            spread = 1.96 * np.std(values, ddof=1) / len(values) ** 0.5
            mean = float(np.mean(values))
            rows.append(
                Row(
                    f"tabular-sklearn-{name}-{learner}", mean, mean - spread, mean + spread, "accuracy",
                    True, len(y) - train, list(range(10)), 0.0, command, f"{train} rows to fit, the others to test",
                )
            )  # fmt: skip
    return rows


def seconds_rows(command: str) -> list[Row]:
    """Time to fit 500 rows of 20 columns, and to answer 10,000, beside a random forest, in turn."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(10_500, 20)))
    y = (x[0] + x[1] * x[2] + 0.3 * rng.normal(size=len(x)) > 0).astype(int).to_numpy()
    times: dict[str, list[float]] = {}
    for _ in range(9):
        for name in (OWN, "random-forest", "logistic-regression"):
            started = time.perf_counter()
            learner = LEARNERS[name]().fit(x[:500], y[:500])
            times.setdefault(f"fit-{name}", []).append(1000 * (time.perf_counter() - started))
            started = time.perf_counter()
            learner.predict_proba(x[500:])
            times.setdefault(f"predict-{name}", []).append(1000 * (time.perf_counter() - started))
    return [
        Row(
            f"tabular-ms-{name}", float(np.median(v)), float(np.quantile(v, 0.25)), float(np.quantile(v, 0.75)), "ms",
            False, len(v), [0], round(sum(v) / 1000, 1), command, "median and quartiles, wall clock, one thread",
        )
        for name, v in times.items()
    ]  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--which", choices=["validation", "test"], default="validation")
    there = [n for n in LEARNERS if n != "netwright-untrained" or UNTRAINED.is_dir()]
    parser.add_argument("--learners", nargs="+", choices=list(LEARNERS), default=there)
    parser.add_argument("--sklearn", action="store_true")
    parser.add_argument("--seconds", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)
    if args.sklearn or args.seconds:
        command = "python benchmarks/tabular.py --sklearn --seconds"
        rows = sklearn_rows(command) if args.sklearn else []
        write_rows("tabular", rows + (seconds_rows(command) if args.seconds else []))
        return
    found = run(args.which, args.learners)
    if OWN not in args.learners:
        return
    command = f"python benchmarks/tabular.py --which {args.which}"
    benchmark = "tabular" if args.which == "test" else "tabular_validation"
    write_rows(benchmark, report(found, args.which, command))


if __name__ == "__main__":
    main()
