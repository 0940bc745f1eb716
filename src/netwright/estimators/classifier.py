"""A classifier for any small table, written in one forward pass."""

from typing import Any

import numpy as np

from netwright.errors import DataError, MissingExtraError
from netwright.estimators.frames import columns_of
from netwright.estimators.table_estimator import TableEstimator, count_of, rows_of, taken
from netwright.tasks.columns import ColumnEncoder, Columns
from netwright.tasks.table import TablePreparation

try:
    from sklearn.base import ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
except ImportError:
    raise MissingExtraError("scikit-learn", "classical", "NetwrightClassifier") from None


class NetwrightClassifier(ClassifierMixin, TableEstimator):  # type: ignore[misc]
    """Writes a small network for a table: `fit` is one forward pass of a hypernetwork and trains nothing.

    Numbers, booleans, text, categories and dates are read as they are, missing values included; columns need no
    scaling. Any number of classes. The network does not depend on the order of rows, columns or classes.

    Args:
        width: Hidden units per branch of the network, of which there are three.
        max_rows: Of more rows, so many are drawn, in the proportions of the classes, and read.
        max_columns: Of more encoded columns, those that say most about the classes by themselves are read.
        checkpoint: Run folder of a hypernetwork for tables; None for the one in the package.
        random_state: Seed of what is drawn when there are too many rows.

    Attributes:
        classes_: Class labels in order.
        network_: The network, an `nn.Module`, from encoded rows to logits.
        n_features_in_: Columns of the table.
        n_rows_read_: Rows that were read.

    Raises:
        DataError: (at `fit`) If there is one class only, or a column cannot be read.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(NetwrightClassifier().fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.9)
    True
    """

    loss_name = "log loss"
    answer_name = "mean probability"

    # scikit-learn names its arguments X and y.
    def fit(self, X: Any, y: Any) -> "NetwrightClassifier":  # noqa: N803
        """Write the network.

        Args:
            X: Rows [N, D]: an array, a list of lists or a data frame.
            y: Class labels [N]: numbers or text.

        Raises:
            DataError: If there is one class only, or a column cannot be read.
            RunError: If an option is out of range.
        """
        self._check_options(y)
        x, y = self._checked(X, y)
        codes = self._codes(y)
        chosen = self._drawn(codes)
        return self._written(columns_of(rows_of(x, chosen)), codes[chosen])

    def fit_columns(
        self, columns: Columns, y: np.ndarray, *, target: str = ""
    ) -> "NetwrightClassifier":
        """As `fit`, from columns that are read already, as `netwright.tasks.columns.read_columns` does.

        Args:
            columns: By name, N values each.
            y: Class labels [N].
            target: What `y` is called, for networks that are saved.

        Raises:
            DataError: If there is one class only.
        """
        codes = self._codes(y)
        self.n_features_in_ = len(columns)
        chosen = self._drawn(codes)
        return self._written(taken(columns, chosen), codes[chosen], target)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row, [N]."""
        logits = self.decision_logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Probabilities [N, C], in the order of `classes_`."""
        columns = self.columns_of(X)
        return self.answers_of(columns, count_of(columns))

    def decision_logits(self, X: Any) -> np.ndarray:  # noqa: N803
        """What the network says before probabilities are formed, [N, C].

        Raises:
            DataError: If a column cannot be read.
        """
        columns = self.columns_of(X)
        return self.outputs_of(columns, count_of(columns))

    def answers_of(self, columns: Columns, rows: int) -> np.ndarray:
        """As `predict_proba`, for N rows whose columns are read already."""
        logits = self.outputs_of(columns, rows)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def loss_of(self, columns: Columns, y: np.ndarray) -> float:
        """Log loss in nats, for rows of classes [N]."""
        codes = np.searchsorted(self.classes_, y)
        p = self.answers_of(columns, len(codes))
        return float(-np.log(np.clip(p[np.arange(len(codes)), codes], 1e-6, None)).mean())

    def _codes(self, y: np.ndarray) -> np.ndarray:
        """Number of each row's class, [N]; sets `classes_`."""
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"`y` holds one class only, {self.classes_.tolist()[0]!r}, expected at least two classes. "
                "What is always so needs no network."
            )
        return np.asarray(codes)

    def _written(
        self, columns: Columns, codes: np.ndarray, target: str = ""
    ) -> "NetwrightClassifier":
        labels = tuple(map(str, self.classes_))
        self._write(columns, codes, TablePreparation("", target, ColumnEncoder(()), labels))
        return self


__all__ = ["NetwrightClassifier"]
