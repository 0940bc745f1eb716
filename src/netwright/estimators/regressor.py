"""A regressor for any small table, with quantiles, written in one forward pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import DataError, MissingExtraError, RunError
from netwright.estimators.frames import columns_of
from netwright.estimators.table_estimator import TableEstimator, count_of, rows_of, taken
from netwright.tabular import QUANTILES
from netwright.tasks.columns import ColumnEncoder, Columns
from netwright.tasks.table import TablePreparation

try:
    from sklearn.base import RegressorMixin
    from sklearn.utils import check_array
except ImportError:
    raise MissingExtraError("scikit-learn", "classical", "NetwrightRegressor") from None

# Rows are drawn in the proportions of so many levels of the target.
_LEVELS = 10


class NetwrightRegressor(RegressorMixin, TableEstimator):  # type: ignore[misc]
    """Writes a small network for a table whose target is a number: `fit` is one forward pass and trains nothing.

    Reads what `NetwrightClassifier` reads. The network says the mean and quantiles; they come in closed form from what
    is said of each row when it is left out (`netwright.tabular.values`), so that of new rows about as many lie below
    a quantile as its level says, whatever the errors' distribution.

    Args:
        quantiles: Levels of the quantiles, between 0 and 1, rising.
        width: Hidden units per branch of the network, of which there are three.
        max_rows: Of more rows, so many are drawn, in the proportions of tenths of the target, and read.
        max_columns: Of more encoded columns, those that say most about the target by themselves are read.
        checkpoint: Run folder of a hypernetwork for tables; None for the one in the package.
        random_state: Seed of what is drawn when there are too many rows.

    Attributes:
        network_: The network, an `nn.Module`, from encoded rows to the mean and quantiles of the standardised target.
        n_features_in_: Columns of the table.
        n_rows_read_: Rows that were read.

    Raises:
        DataError: (at `fit`) If the target or a column cannot be read.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> bool(NetwrightRegressor().fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.4)
    True
    """

    loss_name = "share of variance"
    answer_name = "mean prediction"

    def __init__(
        self,
        *,
        quantiles: Sequence[float] = QUANTILES,
        width: int = 192,
        max_rows: int = 4096,
        max_columns: int = 128,
        checkpoint: str | Path | None = None,
        random_state: int | None = None,
    ) -> None:
        super().__init__(
            width=width,
            max_rows=max_rows,
            max_columns=max_columns,
            checkpoint=checkpoint,
            random_state=random_state,
        )
        self.quantiles = quantiles

    # scikit-learn names its arguments X and y.
    def fit(self, X: Any, y: Any) -> "NetwrightRegressor":  # noqa: N803
        """Write the network.

        Args:
            X: Rows [N, D]: an array, a list of lists or a data frame.
            y: Targets [N]: numbers.

        Raises:
            DataError: If a target is no finite number, or a column cannot be read.
            RunError: If an option is out of range.
        """
        self._check_options(y)
        x, y = self._checked(X, y)
        y = _numbers(y)
        chosen = self._drawn(_levels(y))
        return self._written(columns_of(rows_of(x, chosen)), y[chosen])

    def fit_columns(
        self, columns: Columns, y: np.ndarray, *, target: str = ""
    ) -> "NetwrightRegressor":
        """As `fit`, from columns that are read already, as `netwright.tasks.columns.read_columns` does.

        Args:
            columns: By name, N values each.
            y: Targets [N].
            target: What `y` is called, for networks that are saved.
        """
        self.n_features_in_ = len(columns)
        y = _numbers(y)
        chosen = self._drawn(_levels(y))
        return self._written(taken(columns, chosen), y[chosen], target)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The mean for each row, [N], in the units of the target."""
        columns = self.columns_of(X)
        return self.answers_of(columns, count_of(columns))[:, 0]

    def predict_quantiles(self, X: Any) -> np.ndarray:  # noqa: N803
        """Quantiles [N, Q], at the levels of `quantiles`, in the units of the target; never falling."""
        columns = self.columns_of(X)
        return np.sort(self._in_units(columns, count_of(columns))[:, 1:], axis=1)

    def answers_of(self, columns: Columns, rows: int) -> np.ndarray:
        """Means [N, 1], for N rows whose columns are read already."""
        return self._in_units(columns, rows)[:, :1]

    def quantiles_of(self, columns: Columns, rows: int) -> np.ndarray:
        """As `predict_quantiles`, for N rows whose columns are read already."""
        return np.sort(self._in_units(columns, rows)[:, 1:], axis=1)

    def loss_of(self, columns: Columns, y: np.ndarray) -> float:
        """Squared error as a share of the variance of targets [N]."""
        errors = np.square(np.asarray(y, dtype=np.float64) - self.answers_of(columns, len(y))[:, 0])
        return float(errors.mean() / max(np.var(y), 1e-300))

    def _in_units(self, columns: Columns, rows: int) -> np.ndarray:
        return self.outputs_of(columns, rows) * self._std + self._mean

    def _written(self, columns: Columns, y: np.ndarray, target: str = "") -> "NetwrightRegressor":
        levels = _checked_levels(self.quantiles)
        self._mean = float(y.mean())
        # A target that never varies has no units; nor has one whose spread is rounding.
        spread = float(y.std())
        self._std = spread if spread > 1e-12 * abs(self._mean) else 1.0
        ranks = np.unique(y, return_inverse=True)[1]
        preparation = TablePreparation("", target, ColumnEncoder(()), (), self._mean, self._std)
        self._write(columns, ranks, preparation, (y - self._mean) / self._std, levels)
        return self


def _numbers(y: Any) -> np.ndarray:
    numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if np.abs(numbers).max() > 1e150:
        raise DataError(
            f"`y` holds {np.abs(numbers).max():.0e}, expected numbers below 1e150. Change its unit."
        )
    return np.asarray(numbers)


def _levels(y: np.ndarray) -> np.ndarray:
    """Which tenth of the targets each row is in, from 0."""
    ranks = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    return np.unique(ranks * _LEVELS // len(y), return_inverse=True)[1]


def _checked_levels(quantiles: Sequence[float]) -> tuple[float, ...]:
    try:
        levels = tuple(float(q) for q in quantiles)
    except (TypeError, ValueError):
        levels = (0.0,)
    if not all(0 < q < 1 for q in levels) or sorted(set(levels)) != list(levels):
        raise RunError(
            f"`quantiles` is {quantiles!r}, expected rising levels between 0 and 1, such as (0.05, 0.5, 0.95)."
        )
    return levels


__all__ = ["NetwrightRegressor"]
