"""A classifier for any small table, written in one forward pass."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netwright._version import __version__
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ArtifactError, DataError, MissingExtraError, RunError
from netwright.estimators.canonical import canonical_order
from netwright.estimators.explanation import Explanation, explained
from netwright.estimators.frames import check_names, columns_of
from netwright.estimators.pretrained import table_writer
from netwright.export import export_c, export_npz
from netwright.generated import GeneratedNetwork
from netwright.tabular import TableWriter, between
from netwright.tasks.columns import ColumnEncoder, Columns
from netwright.tasks.table import TablePreparation

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise MissingExtraError("scikit-learn", "classical", "NetwrightClassifier") from None


# Rows answered at once: what the hidden layer says of them stays in a cache.
_AT_ONCE = 256


class NetwrightClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
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

    def __init__(
        self,
        *,
        width: int = 192,
        max_rows: int = 4096,
        max_columns: int = 128,
        checkpoint: str | Path | None = None,
        random_state: int | None = None,
    ) -> None:
        self.width = width
        self.max_rows = max_rows
        self.max_columns = max_columns
        self.checkpoint = checkpoint
        self.random_state = random_state

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
        for name in ("width", "max_rows", "max_columns"):
            if not isinstance(value := getattr(self, name), int | np.integer) or value < 1:
                raise RunError(f"`{name}` is {value!r}, expected a whole number of at least 1.")
        if y is None:
            raise DataError(
                "This NetwrightClassifier estimator requires y to be passed, but the target y is None."
            )
        x, y = self._checked(X, y)
        codes = self._codes(y)
        chosen = self._drawn(codes)
        return self._write(columns_of(_rows(x, chosen)), codes[chosen])

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
        taken = {n: replace(c, values=c.values[chosen]) for n, c in columns.items()}
        return self._write(taken, codes[chosen], target)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row, [N]."""
        logits = self.decision_logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Probabilities [N, C], in the order of `classes_`."""
        columns = self.columns_of(X)
        return self.probabilities_of(columns, _count(columns))

    def decision_logits(self, X: Any) -> np.ndarray:  # noqa: N803
        """What the network says before probabilities are formed, [N, C].

        Raises:
            DataError: If a column cannot be read.
        """
        columns = self.columns_of(X)
        return self.logits_of(columns, _count(columns))

    def columns_of(self, X: Any) -> Columns:  # noqa: N803
        """Columns of rows X by name, checked as at `fit`.

        Raises:
            DataError: If a column cannot be read.
        """
        check_is_fitted(self, "network_")
        return columns_of(self._checked(X))

    def probabilities_of(self, columns: Columns, rows: int) -> np.ndarray:
        """As `predict_proba`, for N rows whose columns are read already."""
        logits = self.logits_of(columns, rows)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def logits_of(self, columns: Columns, rows: int) -> np.ndarray:
        """As `decision_logits`, for columns that are read already.

        Args:
            columns: By name.
            rows: N.
        """
        x = _encoded(self._encoder, columns, rows).astype(np.float64)
        parts = [
            _logits(self._weights, int(self.width), x[i : i + _AT_ONCE])
            for i in range(0, len(x), _AT_ONCE)
        ]
        return np.concatenate(parts)

    def to_network(self) -> GeneratedNetwork:
        """The network by itself: save it, load it, put it where Python's scientific stack is not."""
        check_is_fitted(self, "network_")
        return self.network_

    def export(self, path: str | Path) -> Path:
        """Write the network as a file that needs no Python: encoded rows in, logits out.

        Args:
            path: Its ending says how: `.onnx`; `.c`, C99 by itself; `.npz`, arrays for NumPy.

        Raises:
            MissingExtraError: If the `export` extra is needed and not installed.
            ArtifactError: If the ending is another, or the file cannot be written.
        """
        network, path = self.to_network(), Path(path)
        if path.suffix == ".onnx":
            return network.export(path)
        if path.suffix == ".c":
            return export_c(network.network, path, version=__version__)
        if path.suffix == ".npz":
            return export_npz(network.network, path)
        raise ArtifactError(f"{path} ends in {path.suffix!r}, expected .onnx, .c or .npz.")

    def encode(self, X: Any) -> np.ndarray:  # noqa: N803
        """Rows as the network reads them, float32 [N, D]: what exported networks are given."""
        columns = self.columns_of(X)
        return _encoded(self._encoder, columns, _count(columns))

    def explain(
        self,
        X: Any,  # noqa: N803
        y: Any,
        *,
        repeats: int = 5,
    ) -> "Explanation":
        """What each column does for the answers, by what is lost when its values are shuffled among rows.

        Args:
            X: Rows [N, D], best such as the network was not written from.
            y: Their class labels [N].
            repeats: How often each column is shuffled.

        Raises:
            DataError: If a column cannot be read.
        """
        return explained(self, X, y, repeats=repeats, seed=self.random_state or 0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _checked(self, x: Any, y: Any = None) -> Any:
        """X, and y, checked as scikit-learn checks them; data frames keep their columns' types."""
        fitting = y is not None
        if hasattr(x, "iloc"):
            check_names(x)
            validate_data(self, x, skip_check_array=True, reset=fitting)
            if fitting:
                from sklearn.utils import check_consistent_length, column_or_1d

                y = column_or_1d(y, warn=True)
                check_consistent_length(x, y)
                _check_missing(y)
            if not len(x):
                raise DataError("The table has 0 rows, expected at least one.")
            return (x, y) if fitting else x
        # None: a list of texts and numbers becomes objects, one by one.
        finite = "allow-nan"
        if fitting:
            return validate_data(self, x, y, dtype=None, ensure_all_finite=finite)
        return validate_data(self, x, dtype=None, ensure_all_finite=finite, reset=False)

    def _codes(self, y: np.ndarray) -> np.ndarray:
        """Number of each row's class, [N]; sets `classes_`."""
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"`y` holds one class only, {self.classes_[0]!r}, expected at least two classes. "
                "What is always so needs no network."
            )
        return np.asarray(codes)

    def _write(
        self, columns: Columns, codes: np.ndarray, target: str = ""
    ) -> "NetwrightClassifier":
        encoder = _chosen_columns(columns, codes, len(self.classes_), self.max_columns)
        rows = _encoded(encoder, columns, len(codes))
        writer = table_writer(self.checkpoint, int(self.width))
        labels = tuple(map(str, self.classes_))
        self.network_ = _written(writer, rows, codes, TablePreparation("", target, encoder, labels))
        self.n_rows_read_ = len(codes)
        self._encoder = encoder
        self._weights = {
            name: value.detach().numpy().astype(np.float64)
            for name, value in self.network_.network.named_parameters()
        }
        return self

    def _drawn(self, codes: np.ndarray) -> np.ndarray:
        """Which rows are read, [S]: all, or `max_rows` in the proportions of the classes, at least one of each."""
        if len(codes) <= self.max_rows:
            return np.arange(len(codes))
        rng = np.random.default_rng(self.random_state)
        shuffled = rng.permutation(len(codes))
        # Place of each row among those of its class, as a share: the lowest shares are taken.
        order = np.argsort(codes[shuffled], kind="stable")
        counts = np.bincount(codes)
        place = np.concatenate([np.arange(n) / n for n in counts if n])
        return np.sort(shuffled[order][np.argsort(place, kind="stable")[: self.max_rows]])


def _logits(weights: dict[str, np.ndarray], ramps: int, x: np.ndarray) -> np.ndarray:
    """What the network says of rows [N, D]: [N, C].

    In double precision: a row's answer does not depend on the rows beside it.
    """
    x = x / np.sqrt(1 + np.square(x / 4))
    hidden = x @ weights["hidden.weight"].T
    hidden += weights["hidden.bias"]
    np.maximum(hidden[:, :ramps], 0, out=hidden[:, :ramps])
    hidden[:, ramps:] = np.exp(-np.square(hidden[:, ramps:]))
    head = weights["head.weight"].T
    columns = x.shape[1]
    return np.asarray(x @ head[:columns] + hidden @ head[columns:] + weights["head.bias"])


def _check_missing(y: np.ndarray) -> None:
    missing = [v is None or v != v for v in y] if y.dtype.kind in "fO" else []
    if any(missing):
        raise DataError(
            f"`y` is missing (NaN) at row {missing.index(True)}, expected a class for each row. Leave such rows out."
        )


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())).values)


def _rows(x: Any, index: np.ndarray) -> Any:
    if len(index) == len(x):
        return x
    return x.iloc[index] if hasattr(x, "iloc") else x[index]


def _encoded(encoder: ColumnEncoder, columns: Columns, rows: int) -> np.ndarray:
    """Rows as numbers [N, D]; where no column varies, one column of zeros."""
    return encoder.encode(columns) if encoder.encodings else np.zeros((rows, 1), dtype=np.float32)


def _chosen_columns(columns: Columns, codes: np.ndarray, classes: int, most: int) -> ColumnEncoder:
    """An encoder of at most `most` numbers per row, of the columns that say most by themselves."""
    encoder = ColumnEncoder.fit(columns)
    if encoder.width <= most:
        return encoder
    y = torch.nn.functional.one_hot(torch.from_numpy(codes), classes).float()[None]
    one = torch.ones(1, len(codes), 1)
    says = []
    for encoding in encoder.encodings:
        own = {encoding.name: columns[encoding.name]}
        x = torch.from_numpy(ColumnEncoder((encoding,)).encode(own))[None]
        says.append(float(between(x, y, one).max()))
    kept, width = set(), 0
    for place in np.argsort(says, kind="stable")[::-1].tolist():
        size = encoder.encodings[place].width
        if width + size <= most:
            kept.add(place)
            width += size
    return ColumnEncoder(tuple(e for i, e in enumerate(encoder.encodings) if i in kept))


@torch.no_grad()
def _written(
    writer: TableWriter,
    x: np.ndarray,
    codes: np.ndarray,
    preparation: TablePreparation,
) -> GeneratedNetwork:
    """The network for rows x [S, D] of classes [S], written from them in one order, whatever theirs is."""
    labels = preparation.labels
    rows, columns, classes = canonical_order(x, codes, len(labels))
    renamed = np.argsort(classes)[codes]
    condition = Condition(
        examples=ExampleSet.of(
            torch.from_numpy(np.ascontiguousarray(x[rows][:, columns]))[None],
            torch.from_numpy(renamed[rows])[None],
            classes=len(labels),
        )
    )
    params = writer(condition)
    in_place = torch.from_numpy(np.argsort(columns))
    with_hidden = torch.cat([in_place, torch.arange(len(columns), params["head.weight"].shape[2])])
    of_class = torch.from_numpy(np.argsort(classes))
    params = {
        "hidden.weight": params["hidden.weight"][:, :, in_place],
        "hidden.bias": params["hidden.bias"],
        "head.weight": params["head.weight"][:, of_class][:, :, with_hidden],
        "head.bias": params["head.bias"][:, of_class],
    }
    return writer.network_of(params, condition, labels=labels, preparation=preparation.to_json())


__all__ = ["NetwrightClassifier"]
