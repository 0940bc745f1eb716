"""`netwright classify`."""

from pathlib import Path
from typing import Any

import numpy as np

from netwright.cli.held_out import draw_held_out, print_scores, save_network
from netwright.cli.output import print_json
from netwright.estimators import NetwrightClassifier
from netwright.estimators.held_out import held_out, reliability
from netwright.estimators.labelled import read_labelled


def run_classify(
    path: Path,
    target: str,
    out: Path | None,
    *,
    ignore: tuple[str, ...],
    folds: int,
    seed: int,
    as_json: bool,
) -> None:
    """Score a network for a table on rows it was not written from, then write one from all rows."""
    columns, y = read_labelled(path, target, ignore=ignore)
    found = held_out(columns, y, folds=folds, seed=seed)
    classifier = NetwrightClassifier(random_state=seed).fit_columns(columns, y, target=target)
    out = save_network(classifier, out, f"classify-{path.stem}")
    codes = np.unique(y, return_inverse=True)[1]
    picture = draw_held_out(
        found,
        ["accuracy", "AUROC"],
        lambda axis: _draw_reliability(axis, found[0].answers, codes),
        out,
    )
    size = classifier.to_network().size
    if as_json:
        print_json(
            {
                "table": path,
                "rows": len(y),
                "classes": list(classifier.classes_),
                "folds": folds,
                "scores": {each.learner: each.scores for each in found},
                "network": out,
                "parameters": size,
                "picture": picture,
            }
        )
        return
    print_scores(
        f"{path.name}: {len(y)} rows, {len(classifier.classes_)} classes; {folds} folds, 95 % intervals over rows",
        found,
    )
    print(f"saved: {out} ({size:,} parameters, from all {classifier.n_rows_read_} rows)")
    if picture is not None:
        print(f"picture: {picture}")


def _draw_reliability(axis: Any, p: np.ndarray, y: np.ndarray) -> None:
    means = [(sure, right) for sure, right, _ in reliability(p, y)]
    axis.plot([0, 1], [0, 1], color="#c0c0c0", lw=1)
    axis.plot(*zip(*means, strict=True), "o-", color="#1f5fbf", ms=4)
    low = min(min(pair) for pair in means)
    axis.set_xlim(max(0, low - 0.05), 1.02)
    axis.set_ylim(max(0, low - 0.05), 1.02)
    axis.set_xlabel("how sure the network is", fontsize=8)
    axis.set_ylabel("how often it is right", fontsize=8)
    axis.set_title("calibration", fontsize=9)


__all__ = ["run_classify"]
