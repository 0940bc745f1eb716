"""`netwright regress`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netwright.cli.held_out import draw_held_out, print_scores, save_network
from netwright.cli.output import print_json
from netwright.errors import DataError
from netwright.estimators import NetwrightRegressor
from netwright.estimators.held_out_values import held_out_values
from netwright.tasks.columns import Columns, read_columns, require

FEWEST_ROWS = 10


def run_regress(
    path: Path,
    target: str,
    out: Path | None,
    *,
    ignore: tuple[str, ...],
    folds: int,
    seed: int,
    as_json: bool,
) -> None:
    """Score a network for a table whose target is a number on rows it was not written from, then write one from all rows."""
    columns, y = _read(path, target, ignore)
    found = held_out_values(columns, y, folds=folds, seed=seed)
    regressor = NetwrightRegressor(random_state=seed).fit_columns(columns, y, target=target)
    out = save_network(regressor, out, f"regress-{path.stem}")
    picture = draw_held_out(
        found, ["R2"], lambda axis: _draw_answers(axis, found[0].answers, y), out
    )
    size = regressor.to_network().size
    levels = list(regressor.quantiles)
    if as_json:
        print_json(
            {
                "table": path,
                "rows": len(y),
                "quantiles": levels,
                "folds": folds,
                "scores": {each.learner: each.scores for each in found},
                "network": out,
                "parameters": size,
                "picture": picture,
            }
        )
        return
    print_scores(f"{path.name}: {len(y)} rows; {folds} folds, 95 % intervals over rows", found)
    print(
        f"inside: share of rows between the quantiles {levels[0]:g} and {levels[-1]:g}, {levels[-1] - levels[0]:.2g} is meant"
    )
    print(f"saved: {out} ({size:,} parameters, from all {regressor.n_rows_read_} rows)")
    if picture is not None:
        print(f"picture: {picture}")


def _read(path: Path, target: str, ignore: tuple[str, ...]) -> tuple[Columns, np.ndarray]:
    columns = read_columns(path, ignore=ignore, required=(target,))
    column = require(columns, target, "the target")
    if column.kind != "numeric":
        raise DataError(
            f"Column {target!r} holds text, expected numbers. Classes are for `netwright classify`."
        )
    known = ~np.isnan(column.values)
    if known.sum() < FEWEST_ROWS:
        raise DataError(
            f"{path} has {known.sum()} rows with a target, expected at least {FEWEST_ROWS}. Add rows."
        )
    y = column.values[known]
    if y.min() == y.max():
        raise DataError(
            f"Column {target!r} is always {y[0]:g}, expected numbers that differ. What is always so needs no network."
        )
    if len(columns) < 2:
        raise DataError(
            f"{path} has no column beside {target!r}, expected at least one to predict it from."
        )
    kept = {
        name: replace(other, values=other.values[known])
        for name, other in columns.items()
        if name != target
    }
    return kept, y


def _draw_answers(axis: Any, answers: np.ndarray, y: np.ndarray) -> None:
    """What was said of each held-out row against what was so, with the outermost quantiles."""
    shown = np.argsort(answers[:, 0])[:: max(1, len(y) // 300)]
    axis.vlines(answers[shown, 0], answers[shown, 1], answers[shown, -1], color="#c9d8ee", lw=1)
    axis.plot(answers[shown, 0], y[shown], ".", color="#1f5fbf", ms=4)
    ends = [min(y.min(), answers[:, 0].min()), max(y.max(), answers[:, 0].max())]
    axis.plot(ends, ends, color="#8a8a8a", lw=1)
    axis.set_xlabel("what the network says", fontsize=8)
    axis.set_ylabel("what was so", fontsize=8)
    axis.set_title("held-out rows, with the outermost quantiles", fontsize=9)


__all__ = ["run_regress"]
