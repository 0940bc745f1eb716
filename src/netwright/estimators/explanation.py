"""What each column of a table does for the answers of an estimator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netwright.errors import MissingExtraError
from netwright.tasks.columns import Column, Columns

# Columns whose curves are drawn, points of a curve, and rows that it is a mean over.
DRAWN, POINTS, ROWS = 4, 25, 200


@dataclass(frozen=True)
class Explanation:
    """Importance of columns, and curves of the most important ones.

    Args:
        columns: Names, most important first.
        importances: By how much the loss grows when a column's values are shuffled among rows, [D]: log loss in nats, or
            squared error as a share of the target's variance.
        spreads: Standard deviation of the same over repeats, [D].
        curves: Partial dependence of the first columns: values, and mean probabilities [points, C] or means [points, 1].
        classes: Class labels; empty if the target is a number.
        loss: What the loss is.
        answer: What curves show.
    """

    columns: tuple[str, ...]
    importances: np.ndarray
    spreads: np.ndarray
    curves: dict[str, tuple[list[Any], np.ndarray]]
    classes: tuple[str, ...]
    loss: str = "log loss"
    answer: str = "mean probability"

    def __str__(self) -> str:
        width = max(map(len, self.columns))
        rows = zip(self.columns, self.importances, self.spreads, strict=True)
        return "\n".join(
            f"{name:{width}}  {value:+.4f} ± {spread:.4f}" for name, value, spread in rows
        )

    def draw(self, path: str | Path) -> Path:
        """Importances as bars, and partial dependence of the most important columns.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("matplotlib", "plot", "Drawing") from None
        figure = Figure(figsize=(10, 2.6 + 0.16 * min(len(self.columns), 20)), layout="constrained")
        axes = figure.subplots(1, 1 + len(self.curves), squeeze=False)[0]
        shown = min(len(self.columns), 20)
        axes[0].barh(
            self.columns[:shown],
            self.importances[:shown],
            xerr=self.spreads[:shown],
            color="#1f5fbf",
        )
        axes[0].invert_yaxis()
        axes[0].set_title(f"{self.loss} lost by shuffling", fontsize=9)
        for axis, (name, (values, shares)) in zip(axes[1:], self.curves.items(), strict=True):
            for c, label in enumerate(self.classes[:6] or ("",)):
                axis.plot(
                    range(len(values)) if isinstance(values[0], str) else values,
                    shares[:, c],
                    label=label,
                )
            if isinstance(values[0], str):
                axis.set_xticks(range(len(values)), values, rotation=90)
            axis.set_title(name, fontsize=9)
            if self.classes:
                axis.set_ylim(0, 1)
        if len(axes) > 1:
            if self.classes:
                axes[1].legend(fontsize=7, frameon=False)
            axes[1].set_ylabel(self.answer, fontsize=8)
        for axis in axes:
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=7)
        path = Path(path)
        figure.savefig(path, dpi=120)
        return path


class Explainable(Protocol):
    """What can be explained: an estimator for tables."""

    loss_name: str
    answer_name: str

    def answers_of(self, columns: Columns, rows: int) -> np.ndarray: ...

    def loss_of(self, columns: Columns, y: np.ndarray) -> float: ...


def explained(
    estimator: Explainable, columns: Columns, y: np.ndarray, *, repeats: int, seed: int
) -> Explanation:
    """See `TableEstimator.explain`."""
    rng = np.random.default_rng(seed)
    rows, whole = len(y), estimator.loss_of(columns, y)
    losses = {
        name: [
            estimator.loss_of({**columns, name: _taken(column, rng.permutation(rows))}, y) - whole
            for _ in range(repeats)
        ]
        for name, column in columns.items()
    }
    order = sorted(losses, key=lambda name: -float(np.mean(losses[name])))
    some = rng.permutation(rows)[:ROWS]
    part = {name: _taken(column, some) for name, column in columns.items()}
    return Explanation(
        tuple(order),
        np.array([np.mean(losses[name]) for name in order]),
        np.array([np.std(losses[name]) for name in order]),
        {name: _curve(estimator, part, name, len(some)) for name in order[:DRAWN]},
        tuple(map(str, getattr(estimator, "classes_", ()))),
        estimator.loss_name,
        estimator.answer_name,
    )


def _curve(
    estimator: Explainable, columns: Columns, name: str, rows: int
) -> tuple[list[Any], np.ndarray]:
    column = columns[name]
    if column.kind == "numeric":
        known = column.values[~np.isnan(column.values)]
        low, high = np.quantile(known, [0.02, 0.98]) if len(known) else (0.0, 0.0)
        values: list[Any] = np.linspace(low, high, POINTS).tolist()
    else:
        texts, counts = np.unique([v for v in column.values if v is not None], return_counts=True)
        values = [str(text) for text in texts[np.argsort(-counts, kind="stable")][:12]]
    shares = [
        estimator.answers_of({**columns, name: _constant(column, value, rows)}, rows).mean(axis=0)
        for value in values
    ]
    return values, np.stack(shares)


def _constant(column: Column, value: Any, rows: int) -> Column:
    kind = np.float64 if column.kind == "numeric" else object
    return Column(column.kind, np.full(rows, value, dtype=kind), column.is_boolean)


def _taken(column: Column, rows: np.ndarray) -> Column:
    return Column(column.kind, column.values[rows], column.is_boolean)


__all__ = ["Explanation", "explained"]
