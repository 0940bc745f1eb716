"""A picture of a search: score over cost, the front, what was chosen, and the budget."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netwright.artifacts import write_file
from netwright.errors import ArtifactError, MissingExtraError
from netwright.search.design import Design
from netwright.search.tried import Tried

_UNITS = {
    "parameters": "parameters",
    "flops": "FLOPs per input",
    "bytes": "bytes of weights",
    "activation_bytes": "bytes of activations",
    "latency_ms": "milliseconds per input",
}


def draw(found: Design, path: str | Path) -> Path:
    """Draw the candidates, the front and the chosen network, one panel per cost.

    Args:
        found: What a search has found.
        path: A .png or .svg.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        ArtifactError: If the ending is another, or the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise ArtifactError(f"{path} ends in {path.suffix!r}, expected .png or .svg.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "Drawing a search") from None
    # Panels one below the other, and letters that can be read on a telephone as well.
    figure = Figure(figsize=(6.0, 0.7 + 3.4 * len(found.by)), layout="constrained")
    panels = figure.subplots(len(found.by), 1, squeeze=False)[:, 0]
    for panel, unit in zip(panels, found.by, strict=True):
        _panel(panel, found, unit)
    told: dict[str, Any] = {}
    for panel in panels:
        handles, names = panel.get_legend_handles_labels()
        told.update(zip(names, handles, strict=True))
    figure.legend(
        told.values(), told.keys(), loc="outside upper center", ncols=len(told), frameon=False
    )
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=150)
    write_file(path, file.getvalue())
    return path


def _panel(panel: Any, found: Design, unit: str) -> None:
    is_share = found.chosen.metric == "accuracy"

    def score(each: Tried) -> float:
        assert each.value is not None
        return 100 * each.value if is_share else each.value

    def cost(each: Tried) -> float:
        return each.cost_by(unit)

    # Those that were polished are on the front at their new score.
    others = [each for each in found.tried if each.value is not None]
    panel.scatter(
        [cost(each) for each in others], [score(each) for each in others],
        s=14, color="0.72", label="tried", linewidths=0,
    )  # fmt: skip
    front = sorted(found.front, key=cost)
    panel.plot(
        [cost(each) for each in front], [score(each) for each in front],
        "o", ms=5, color="#1f5fa8", label="front",
    )  # fmt: skip
    panel.plot(*_steps(front, cost, score, is_share), color="#1f5fa8", lw=1.2)
    panel.plot(
        [cost(found.chosen)], [score(found.chosen)], "*", ms=15, color="#d9480f",
        mec="white", mew=0.8, label="chosen",
    )  # fmt: skip
    most = getattr(found.limits, unit, None)
    if most is not None:
        panel.axvline(most, color="0.35", ls="--", lw=1, label="budget")
    panel.set_xscale("log")
    _round_ticks(panel)
    if is_share:
        _spread(panel, [score(each) for each in others], [score(each) for each in front])
    panel.set_xlabel(_UNITS[unit], fontsize=11)
    panel.set_ylabel("accuracy, %" if is_share else "mean squared error", fontsize=11)
    panel.tick_params(labelsize=10)
    panel.grid(alpha=0.25)


def _steps(
    front: list[Tried], cost: Callable[[Tried], float], score: Callable[[Tried], float], up: bool
) -> tuple[list[float], list[float]]:
    """The best that can be had for each cost: a staircase."""
    xs: list[float] = []
    ys: list[float] = []
    for each in front:
        x, y = cost(each), score(each)
        if ys and (y <= ys[-1] if up else y >= ys[-1]):
            continue
        if ys:
            xs.append(x)
            ys.append(ys[-1])
        xs.append(x)
        ys.append(y)
    return xs, ys


def _spread(panel: Any, others: list[float], front: list[float]) -> None:
    """Leave out the worst of what is not on the front, where it would press all others together."""
    tenth = sorted(others)[len(others) // 10]
    least = max(min(others), tenth - 0.6 * (max(front) - tenth))
    span = max(front) - min([*front, least])
    panel.set_ylim(min([*front, least]) - 0.05 * span - 0.1, None)


def _round_ticks(panel: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = panel.get_xlim()
    if high < 10 * low:
        panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    else:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


__all__ = ["draw"]
