"""One data set as one task: what differs between the networks that are written for it is something else."""

import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from netwright.conditions import Condition, ExampleSet
from netwright.errors import DataError, MissingExtraError
from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.data import find_folder, sha256_of

Name = Literal["digits", "fashion-mnist"]
DATA_SETS: tuple[str, ...] = get_args(Name)
_FASHION = {
    "train": ("train15000-images-idx3-ubyte.gz", "train15000-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_NOISE = {"digits": 0.3}
_CLOTHES = (
    "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip


class DataSet(TaskFamily):
    """Classification of one data set: every task is the same one, and has no condition of its own.

    Wrap it in `Sized`, whose tasks ask for networks of different architectures; alone there is nothing to write a
    network from. Training tasks are draws of
    training rows; those of validation and test are all rows of theirs, the same for every network.

    Args:
        data: `digits`, scikit-learn's 1,797 of 8 x 8 pixels (UCI, CC BY 4.0), as vectors; `fashion-mnist`, 15,000 training and
            10,000 test pictures of 28 x 28 (MIT), which must be there.
        queries: Rows per training task.
        most: Most rows of a validation or test task.
        noise: Standard deviation of noise on training inputs, which have a spread of about 1; by default 0.3 for
            `digits`, which are few and would be learned by heart, and none for larger sets.
        soft_labels: File (.npy) with what a teacher says of the training rows, in the order of `rows["train"]`: a probability for
            each class, [rows, C]. Training tasks then ask for these and not for the classes; validation and test stay as they are.
        soft_labels_sha256: What these are known to hold, as the family's record says: a run goes on with the labels that it began with.
        data_root: Folder with the data sets.

    Raises:
        DataError: If the data set is unknown or not there, a number is out of range, or soft labels do not fit the rows or are others
            than those known.
        MissingExtraError: If digits are asked for and scikit-learn is not installed.
    """

    def __init__(
        self,
        data: Name = "digits",
        *,
        queries: int = 64,
        most: int = 2_000,
        noise: float | None = None,
        soft_labels: str | Path | None = None,
        soft_labels_sha256: str | None = None,
        data_root: str | Path | None = None,
    ) -> None:
        if data not in DATA_SETS:
            raise DataError(f"Data set {data!r} is not known, expected one of {list(DATA_SETS)}.")
        for what, value in (("queries", queries), ("most", most)):
            if not isinstance(value, int) or value < 1:
                raise DataError(f"`{what}` is {value!r}, expected a whole number of at least 1.")
        noise = _NOISE.get(data, 0.0) if noise is None else noise
        if not 0 <= noise < float("inf"):
            raise DataError(f"`noise` is {noise!r}, expected a number of at least 0.")
        self.data, self.queries, self.most, self.noise = data, queries, most, noise
        if data == "digits":
            x, y, place = _digits()
            labels: tuple[str, ...] = tuple(map(str, range(10)))
        else:
            folder = find_folder(
                "fashion_mnist", [f for pair in _FASHION.values() for f in pair], data_root
            )
            if folder is None:
                raise DataError(
                    "Fashion-MNIST was not found, expected the folder `fashion_mnist` with its IDX files. Point "
                    "$NETWRIGHT_DATA or --data-root at the folder that holds it."
                )
            x, y, place = _fashion(folder)
            labels = _CLOTHES
        self.x, self.y = x, y
        self.rows: dict[Split, np.ndarray] = {
            split: np.flatnonzero(place == i) for i, split in enumerate(SPLITS)
        }
        if soft_labels is None and soft_labels_sha256 is not None:
            raise DataError(
                "`soft_labels_sha256` is given and no `soft_labels`, expected both or neither. Name their file."
            )
        self.soft_labels = None if soft_labels is None else str(soft_labels)
        self.soft_labels_sha256 = soft_labels_sha256
        self._soft = None
        if self.soft_labels is not None:
            # Of all rows, so that a row's number finds them; only training rows have any.
            self._soft = torch.zeros(len(y), 10)
            train = torch.from_numpy(self.rows["train"])
            said = _soft_labels(Path(self.soft_labels), len(train))
            self.soft_labels_sha256 = sha256_of(said)
            if soft_labels_sha256 not in (None, self.soft_labels_sha256):
                raise DataError(
                    f"Soft labels {self.soft_labels} have sha256 {self.soft_labels_sha256[:16]}..., expected "
                    f"{str(soft_labels_sha256)[:16]}... as recorded. Put back the file, or begin a new run."
                )
            self._soft[train] = torch.from_numpy(said)
        self.shape = TaskShape(tuple(x.shape[1:]), 10, "fixed-classes", labels=labels, sources=())

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split."""
        check_split(split)
        rows = self.rows[split]
        if split == "train":
            chosen = torch.from_numpy(rows[rng.integers(len(rows), size=(tasks, self.queries))])
            x = self.x[chosen]
            if self.noise:
                drawn = rng.standard_normal(tuple(x.shape), dtype=np.float32)
                x = x + self.noise * torch.from_numpy(drawn)
            if self._soft is not None:
                query = ExampleSet.of(x, self._soft[chosen])
            else:
                query = ExampleSet.of(x, self.y[chosen], classes=10)
        else:
            own = torch.from_numpy(rows[: self.most])
            x, y = self.x[own], self.y[own]
            query = ExampleSet.of(x.expand(tasks, *x.shape), y.expand(tasks, *y.shape), classes=10)
        return TaskBatch(Condition(), query)

    def members(self, split: Split) -> tuple[str, ...]:
        """Numbers of the rows of a split."""
        check_split(split)
        return tuple(f"{self.data}:{row:05d}" for row in self.rows[split])

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        own = {"data": self.data, "queries": self.queries, "most": self.most, "noise": self.noise}
        # Left out where there are none, as in records of earlier versions.
        if self.soft_labels is None:
            return own
        return {
            **own,
            "soft_labels": self.soft_labels,
            "soft_labels_sha256": self.soft_labels_sha256,
        }


def _soft_labels(path: Path, rows: int) -> np.ndarray:
    """Probabilities [rows, 10] from a file."""
    wanted = f"expected probabilities of 10 classes for each of {rows:,} training rows, as `numpy.save` writes them"
    try:
        # Mapped: a header that claims more than the file has is refused before anything is allocated.
        found = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(
            f"Soft labels {path} cannot be read ({type(error).__name__}), {wanted}."
        ) from None
    if found.shape != (rows, 10) or found.dtype.kind != "f":
        raise DataError(f"Soft labels {path} hold {found.dtype} {list(found.shape)}, {wanted}.")
    if not ((found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=1e-3)):
        raise DataError(
            f"Soft labels {path} are no probabilities, {wanted}. Apply a softmax to logits."
        )
    return found.astype(np.float32)


@cache
def _digits() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Pictures [1797, 64], digits, and the split of each: 60, 20, 20 %."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("scikit-learn", "classical", "The digits") from None
    pictures, digits = load_digits(return_X_y=True)
    place = np.searchsorted(
        [0.6, 0.8], np.random.default_rng(0).permutation(len(digits)) / len(digits), side="right"
    )
    x = torch.from_numpy((pictures / 8.0 - 0.6).astype(np.float32))
    return x, torch.from_numpy(digits.astype(np.int64)), place


@cache
def _fashion(folder: Path) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Pictures [25000, 1, 28, 28], classes, and the split of each: 12,000, 3,000 and the official 10,000."""
    parts = [_idx(folder / name) for pair in _FASHION.values() for name in pair]
    x = np.concatenate([parts[0], parts[2]]).astype(np.float32)[:, None]
    y = np.concatenate([parts[1], parts[3]]).astype(np.int64)
    place = np.full(len(y), 2)
    place[: len(parts[1])] = np.random.default_rng(0).permutation(len(parts[1])) % 5 == 0
    return torch.from_numpy((x / 255 - 0.2860) / 0.3530), torch.from_numpy(y), place


def _idx(path: Path) -> np.ndarray:
    """An array in the IDX format of MNIST and its relatives."""
    with gzip.open(path) as file:
        raw = file.read()
    axes = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


__all__ = ["DATA_SETS", "DataSet"]
