"""What `classify` and `regress` share: their network saved, their scores as a table and a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from netwright.cli.output import next_folder, print_table
from netwright.estimators.held_out import OWN, HeldOut
from netwright.estimators.table_estimator import TableEstimator

# So that a table of four learners is no wider than a terminal.
_SHORT = {
    "logistic regression": "logistic",
    "ridge regression": "ridge",
    "random forest": "forest",
    "gradient boosting": "boosting",
    "balanced accuracy": "balanced",
    "calibration error": "calibration",
    "absolute error": "error",
}


def save_network(estimator: TableEstimator, out: Path | None, fallback: str) -> Path:
    """Save what an estimator has written as a folder, or as ONNX; returns where."""
    out = out or next_folder(fallback)
    if out.suffix.lower() == ".onnx":
        return estimator.export(out)
    return estimator.to_network().save(out)


def print_scores(title: str, found: Sequence[HeldOut]) -> None:
    """Learners beside each other; what one of them does not say is left empty."""
    print_table(
        title,
        ["held out", *(_SHORT.get(each.learner, each.learner) for each in found)],
        [
            [_SHORT.get(metric, metric), *(_cell(each.scores.get(metric)) for each in found)]
            for metric in found[0].scores
        ],
    )


def draw_held_out(
    found: Sequence[HeldOut],
    metrics: Sequence[str],
    draw_right: Callable[[Any], None],
    out: Path,
) -> Path | None:
    """Metrics of all learners with intervals, and another picture beside; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, metric in enumerate(metrics):
        for n, each in enumerate(found):
            value, low, high = each.scores[metric]
            colour = "#1f5fbf" if each.learner == OWN else "#8a8a8a"
            height = place * (len(found) + 1) + n
            left.plot([low, high], [height, height], color=colour, lw=2, solid_capstyle="round")
            left.plot(value, height, "o", color=colour)
            left.text(high, height, f"  {each.learner}", va="center", fontsize=8, color=colour)
    step = len(found) + 1
    left.set_yticks([place * step + (len(found) - 1) / 2 for place in range(len(metrics))])
    left.set_yticklabels(metrics)
    left.set_ylim(len(metrics) * step - 1, -1)
    low, high = left.get_xlim()
    left.set_xticks([tick for tick in left.get_xticks() if low <= tick <= 1])
    left.set_xlim(low, high + 0.55 * (high - low))
    left.set_title("held-out rows, 95 % intervals", fontsize=9)
    draw_right(right)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    path = out.parent / f"{out.stem}.png"
    figure.savefig(path, dpi=120)
    return path


def _cell(value: tuple[float, float, float] | None) -> str:
    if value is None:
        return ""
    middle, low, high = value
    half = (high - low) / 2
    if 0.01 <= abs(middle) < 10:
        return f"{middle:.3f} ±{half:.3f}"
    return f"{middle:.0f} ±{half:.0f}" if 10 <= abs(middle) < 1e5 else f"{middle:.1e} ±{half:.0e}"


__all__ = ["draw_held_out", "print_scores", "save_network"]
