"""A picture of a training's curves."""

from pathlib import Path
from typing import Any


def draw(folder: Path, log: list[dict[str, Any]]) -> Path | None:
    """Draw loss and validation metric over steps to `curves.png`; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    steps = [line for line in log if line.get("loss") is not None]
    validations = [line for line in log if "validation_loss" in line]
    metrics = [
        name for name in (validations[-1] if validations else {}) if name.startswith("validation_")
    ]
    metric = next((name for name in metrics if name != "validation_loss"), "validation_loss")
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(
        [line["step"] for line in steps], [line["loss"] for line in steps], label="training tasks"
    )
    left.plot(
        [line["step"] for line in validations],
        [line["validation_loss"] for line in validations],
        "o-",
        label="validation tasks",
    )
    if steps and min(line["loss"] for line in steps) > 0:
        left.set_yscale("log")
    right.plot(
        [line["step"] for line in validations],
        [line[metric] for line in validations],
        "o-",
        color="C1",
    )
    for axis, title in ((left, "loss"), (right, metric.replace("_", " "))):
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    left.legend()
    path = folder / "curves.png"
    figure.savefig(path, dpi=110)
    return path
