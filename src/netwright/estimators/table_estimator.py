"""What estimators for tables share: reading rows, writing the network, answering with it, handing it out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ArtifactError, DataError, MissingExtraError, RunError
from netwright.estimators.canonical import canonical_order
from netwright.estimators.explanation import Explanation, explained
from netwright.estimators.frames import check_names, columns_of
from netwright.estimators.pretrained import table_writer
from netwright.export import FORMATS, export_npz
from netwright.generated import GeneratedNetwork
from netwright.tabular import between
from netwright.tasks.columns import ColumnEncoder, Columns
from netwright.tasks.table import TablePreparation

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise MissingExtraError("scikit-learn", "classical", "An estimator for tables") from None

# Rows answered at once: what the hidden layer says of them stays in a cache.
_AT_ONCE = 256
# To choose columns, more classes or values than these are put together.
_MOST_GROUPS = 64


class TableEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """Base of estimators whose `fit` is one forward pass of a hypernetwork; see those.

    Args:
        width: Hidden units per branch of the network, of which there are three.
        max_rows: Of more rows, so many are drawn and read.
        max_columns: Of more encoded columns, those that say most about the target by themselves are read.
        checkpoint: Run folder of a hypernetwork for tables; None for the one in the package.
        random_state: Seed of what is drawn when there are too many rows.
    """

    # Rises by as much when a column is shuffled, and what curves show; for explanations.
    loss_name = ""
    answer_name = ""

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

    def columns_of(self, X: Any) -> Columns:  # noqa: N803
        """Columns of rows X by name, checked as at `fit`.

        Raises:
            DataError: If a column cannot be read.
        """
        check_is_fitted(self, "network_")
        return columns_of(self._checked(X))

    def outputs_of(self, columns: Columns, rows: int) -> np.ndarray:
        """What the network says of rows whose columns are read already, [N, C].

        Args:
            columns: By name.
            rows: N.
        """
        x = _encoded(self._encoder, columns, rows).astype(np.float64)
        parts = [
            _outputs(self._weights, int(self.width), x[i : i + _AT_ONCE])
            for i in range(0, len(x), _AT_ONCE)
        ]
        return np.concatenate(parts)

    @abstractmethod
    def answers_of(self, columns: Columns, rows: int) -> np.ndarray:
        """What curves of an explanation show, [N, C]."""

    @abstractmethod
    def loss_of(self, columns: Columns, y: np.ndarray) -> float:
        """What an explanation says is lost, for rows with targets [N]."""

    def to_network(self) -> GeneratedNetwork:
        """The network by itself: save it, load it, put it where Python's scientific stack is not."""
        check_is_fitted(self, "network_")
        network: GeneratedNetwork = self.network_
        return network

    def export(self, path: str | Path) -> Path:
        """Write the network as a file that needs none of this library: encoded rows in, logits or values out.

        Args:
            path: Its ending says how: `.onnx`; `.c` or `.h`, C99 by itself; `.py`, a module of NumPy; `.npz`, its weights as
                arrays; `.pt2`, torch's own.

        Raises:
            MissingExtraError: If the `export` extra is needed and not installed.
            ArtifactError: If the ending is another, or the file cannot be written.
        """
        network, path = _in_units(self.to_network()), Path(path)
        if path.suffix == ".npz":
            return export_npz(network.network, path)
        endings = sorted(
            {ending for each in FORMATS.values() for ending in each.endings} | {".npz"}
        )
        if path.suffix not in endings:
            raise ArtifactError(
                f"{path} ends in {path.suffix!r}, expected one of {', '.join(endings)}."
            )
        return network.export(path)

    def encode(self, X: Any) -> np.ndarray:  # noqa: N803
        """Rows as the network reads them, float32 [N, D]: what exported networks are given."""
        columns = self.columns_of(X)
        return _encoded(self._encoder, columns, count_of(columns))

    def explain(
        self,
        X: Any,  # noqa: N803
        y: Any,
        *,
        repeats: int = 5,
    ) -> Explanation:
        """What each column does for the answers, by what is lost when its values are shuffled among rows.

        Args:
            X: Rows [N, D], best such as the network was not written from.
            y: Their targets [N].
            repeats: How often each column is shuffled.

        Raises:
            DataError: If a column cannot be read.
        """
        return explained(
            self, self.columns_of(X), np.asarray(y), repeats=repeats, seed=self.random_state or 0
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _check_options(self, y: Any) -> None:
        for name in ("width", "max_rows", "max_columns"):
            if not isinstance(value := getattr(self, name), int | np.integer) or value < 1:
                raise RunError(f"`{name}` is {value!r}, expected a whole number of at least 1.")
        if y is None:
            raise DataError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
            )

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

    def _drawn(self, codes: np.ndarray) -> np.ndarray:
        """Which rows are read, [S]: all, or `max_rows` in the proportions of their groups, at least one of each."""
        if len(codes) <= self.max_rows:
            return np.arange(len(codes))
        rng = np.random.default_rng(self.random_state)
        shuffled = rng.permutation(len(codes))
        # Place of each row among those of its group, as a share: the lowest shares are taken.
        order = np.argsort(codes[shuffled], kind="stable")
        counts = np.bincount(codes)
        place = np.concatenate([np.arange(n) / n for n in counts if n])
        return np.sort(shuffled[order][np.argsort(place, kind="stable")[: self.max_rows]])

    @torch.no_grad()
    def _write(
        self,
        columns: Columns,
        codes: np.ndarray,
        preparation: TablePreparation,
        values: np.ndarray | None = None,
        levels: Sequence[float] = (),
    ) -> None:
        """Write the network from rows of groups [S], in one order, whatever theirs is.

        Args:
            columns: By name, S values each.
            codes: Classes from 0; for values, their ranks.
            preparation: Without its encoder.
            values: What outputs are of, if not of classes, [S].
            levels: Of these the quantiles.
        """
        groups = int(codes.max()) + 1
        encoder = _chosen_columns(columns, codes, groups, self.max_columns)
        preparation = replace(preparation, encoder=encoder)
        x = _encoded(encoder, columns, len(codes))
        rows, places, classes = canonical_order(x, codes, groups)
        inputs = torch.from_numpy(np.ascontiguousarray(x[rows][:, places]))[None]
        writer = table_writer(self.checkpoint, int(self.width))
        if values is None:
            renamed = torch.from_numpy(np.argsort(classes)[codes][rows])
            condition = Condition(examples=ExampleSet.of(inputs, renamed[None], classes=groups))
            params = writer(condition)
            of_class = torch.from_numpy(np.argsort(classes))
        else:
            y = torch.from_numpy(values[rows].astype(np.float32))
            condition = Condition(examples=ExampleSet.of(inputs, y[None, :, None]))
            params = writer(condition, levels=levels)
            of_class = torch.arange(1 + len(levels))
        in_place = torch.from_numpy(np.argsort(places))
        last = torch.arange(len(places), params["head.weight"].shape[2])
        with_hidden = torch.cat([in_place, last])
        params = {
            "hidden.weight": params["hidden.weight"][:, :, in_place],
            "hidden.bias": params["hidden.bias"],
            "head.weight": params["head.weight"][:, of_class][:, :, with_hidden],
            "head.bias": params["head.bias"][:, of_class],
        }
        self.network_ = writer.network_of(
            params, condition, labels=preparation.labels, preparation=preparation.to_json()
        )
        self.n_rows_read_ = len(codes)
        self._encoder = encoder
        self._weights = {
            name: value.detach().numpy().astype(np.float64)
            for name, value in self.network_.network.named_parameters()
        }


def rows_of(x: Any, index: np.ndarray) -> Any:
    """Some rows of an array or a data frame."""
    if len(index) == len(x):
        return x
    return x.iloc[index] if hasattr(x, "iloc") else x[index]


def taken(columns: Columns, index: np.ndarray) -> Columns:
    """Some rows of columns."""
    return {name: replace(column, values=column.values[index]) for name, column in columns.items()}


def count_of(columns: Columns) -> int:
    """N, how many rows columns have."""
    return len(next(iter(columns.values())).values)


def _outputs(weights: dict[str, np.ndarray], ramps: int, x: np.ndarray) -> np.ndarray:
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


def _in_units(network: GeneratedNetwork) -> GeneratedNetwork:
    """The same network with values in the units of the target: what it is exported as."""
    told = network.preparation or {}
    mean, std = float(told.get("mean", 0.0)), float(told.get("std", 1.0))
    if (mean, std) == (0.0, 1.0):
        return network
    network = deepcopy(network)
    head = network.network.get_submodule("head")
    with torch.no_grad():
        head.get_parameter("weight").mul_(std)
        head.get_parameter("bias").mul_(std).add_(mean)
    return network


def _check_missing(y: np.ndarray) -> None:
    missing = [v is None or v != v for v in y] if y.dtype.kind in "fO" else []
    if any(missing):
        raise DataError(
            f"`y` is missing (NaN) at row {missing.index(True)}, expected a target for each row. Leave such rows out."
        )


def _encoded(encoder: ColumnEncoder, columns: Columns, rows: int) -> np.ndarray:
    """Rows as numbers [N, D]; where no column varies, one column of zeros."""
    return encoder.encode(columns) if encoder.encodings else np.zeros((rows, 1), dtype=np.float32)


def _chosen_columns(columns: Columns, codes: np.ndarray, groups: int, most: int) -> ColumnEncoder:
    """An encoder of at most `most` numbers per row, of the columns that say most by themselves."""
    encoder = ColumnEncoder.fit(columns)
    if encoder.width <= most:
        return encoder
    if groups > _MOST_GROUPS:
        codes = codes * _MOST_GROUPS // groups
    y = torch.nn.functional.one_hot(torch.from_numpy(codes)).float()[None]
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


__all__ = ["TableEstimator", "count_of", "rows_of", "taken"]
