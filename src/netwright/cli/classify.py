"""`netwright classify`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netwright.cli.output import next_folder, print_json, print_table
from netwright.errors import DataError
from netwright.estimators import NetwrightClassifier
from netwright.estimators.held_out import METRICS, OWN, HeldOut, held_out
from netwright.tasks.columns import Columns, as_text, read_columns, require

FEWEST_ROWS = 10
# So that a table of four learners is no wider than a terminal.
_SHORT = {
    "logistic regression": "logistic",
    "random forest": "forest",
    "gradient boosting": "boosting",
    "balanced accuracy": "balanced",
    "calibration error": "calibration",
}


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
    columns, y = _read(path, target, ignore)
    found = held_out(columns, y, folds=folds, seed=seed)
    classifier = NetwrightClassifier(random_state=seed).fit_columns(columns, y, target=target)
    network = classifier.to_network()
    out = out or next_folder(f"classify-{path.stem}")
    if out.suffix.lower() == ".onnx":
        out.parent.mkdir(parents=True, exist_ok=True)
        network.export(out)
    else:
        network.save(out)
    picture = _draw(found, np.unique(y, return_inverse=True)[1], out)
    if as_json:
        print_json(
            {
                "table": path,
                "rows": len(y),
                "classes": list(classifier.classes_),
                "folds": folds,
                "scores": {each.learner: each.scores for each in found},
                "network": out,
                "parameters": network.size,
                "picture": picture,
            }
        )
        return
    print_table(
        f"{path.name}: {len(y)} rows, {len(classifier.classes_)} classes; {folds} folds, 95 % intervals over rows",
        ["held out", *(_SHORT.get(each.learner, each.learner) for each in found)],
        [
            [_SHORT.get(metric, metric), *(_cell(each.scores[metric]) for each in found)]
            for metric in METRICS
        ],
    )
    print(f"saved: {out} ({network.size:,} parameters, from all {classifier.n_rows_read_} rows)")
    if picture is not None:
        print(f"picture: {picture}")


def _read(path: Path, target: str, ignore: tuple[str, ...]) -> tuple[Columns, np.ndarray]:
    columns = read_columns(path, ignore=ignore, required=(target,))
    labels = as_text(require(columns, target, "the target"))
    known = np.array([label is not None for label in labels])
    if known.sum() < FEWEST_ROWS:
        raise DataError(
            f"{path} has {known.sum()} rows with a target, expected at least {FEWEST_ROWS}. Add rows."
        )
    kinds = len(set(labels[known]))
    if kinds < 2:
        raise DataError(
            f"Column {target!r} holds one class only, {labels[known][0]!r}, expected at least two classes."
        )
    if kinds > max(20, known.sum() // 4):
        raise DataError(
            f"Column {target!r} has {kinds} different values in {known.sum()} rows, expected classes. "
            "Numbers to be forecast are no classes; cut them into levels first."
        )
    if len(columns) < 2:
        raise DataError(
            f"{path} has no column beside {target!r}, expected at least one to predict it from."
        )
    kept = {
        name: replace(column, values=column.values[known])
        for name, column in columns.items()
        if name != target
    }
    return kept, labels[known].astype(str)


def _cell(value: tuple[float, float, float]) -> str:
    middle, low, high = value
    return f"{middle:.3f} ±{(high - low) / 2:.3f}"


def _draw(found: list[HeldOut], y: np.ndarray, out: Path) -> Path | None:
    """Log loss of all learners with intervals, and how far the network's confidence holds; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, metric in enumerate(("accuracy", "AUROC")):
        for n, each in enumerate(found):
            value, low, high = each.scores[metric]
            colour = "#1f5fbf" if each.learner == OWN else "#8a8a8a"
            height = place * (len(found) + 1) + n
            left.plot([low, high], [height, height], color=colour, lw=2, solid_capstyle="round")
            left.plot(value, height, "o", color=colour)
            left.text(high, height, f"  {each.learner}", va="center", fontsize=8, color=colour)
    left.set_yticks([(len(found) - 1) / 2, len(found) + 1 + (len(found) - 1) / 2])
    left.set_yticklabels(["accuracy", "AUROC"])
    left.set_ylim(2 * len(found) + 1, -1)
    low, high = left.get_xlim()
    left.set_xticks([tick for tick in left.get_xticks() if low <= tick <= 1])
    left.set_xlim(low, high + 0.55 * (high - low))
    left.set_title("held-out rows, 95 % intervals", fontsize=9)
    _draw_reliability(right, found[0].probabilities, y)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    path = out.parent / f"{out.stem}.png"
    figure.savefig(path, dpi=120)
    return path


def _draw_reliability(axis: Any, p: np.ndarray, y: np.ndarray) -> None:
    sure, hit = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.unique(np.quantile(sure, np.linspace(0, 1, 9)))
    bin_of = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, max(0, len(edges) - 2))
    means = [(sure[bin_of == b].mean(), hit[bin_of == b].mean()) for b in np.unique(bin_of)]
    axis.plot([0, 1], [0, 1], color="#c0c0c0", lw=1)
    axis.plot(*zip(*means, strict=True), "o-", color="#1f5fbf", ms=4)
    low = min(min(pair) for pair in means)
    axis.set_xlim(max(0, low - 0.05), 1.02)
    axis.set_ylim(max(0, low - 0.05), 1.02)
    axis.set_xlabel("how sure the network is", fontsize=8)
    axis.set_ylabel("how often it is right", fontsize=8)
    axis.set_title("calibration", fontsize=9)


__all__ = ["run_classify"]
