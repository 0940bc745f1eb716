"""The user's own pictures: a folder per class, or a folder of tasks with a folder per class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import ExampleSet
from netwright.errors import DataError, MissingExtraError
from netwright.rng import stream
from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.episodes import ClassPool, EpisodeSize, check_pool, sample_episodes

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".png", ".jpg", ".jpeg")


class Images(TaskFamily):
    """N-way K-shot tasks from a folder of pictures.

    `root/<class>/*.png`: classes are split between training, validation and test (at least `ways`
    each), and a task is a draw of classes of one split. `root/<task>/<class>/*.png`: tasks are
    split, and a task's classes are its own (`ways` of them; tasks with fewer are left out).

    Args:
        root: The folder.
        ways: Classes per task.
        shots: Support pictures per class.
        queries: Query pictures per class, at most.
        image_size: Pictures are resized to this height and width.
        channels: 1 for grey, 3 for colour.
        validation: Fraction of classes (or tasks) for validation.
        test: Fraction for testing.
        jitter: Largest random shift of a training picture, in pixels.
        seed: Decides the split.

    Raises:
        DataError: If the folder is missing or empty, has one class only or too few pictures, or a
            picture cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        *,
        image_size: int = 28,
        channels: int = 1,
        validation: float = 0.15,
        test: float = 0.25,
        jitter: int = 0,
        seed: int = 0,
    ) -> None:
        self.root, self.jitter, self.seed = Path(root), jitter, seed
        self.size = EpisodeSize(ways, shots, queries)
        self.size.check()
        self.shares = {"validation": validation, "test": test}
        self.shape = TaskShape((channels, image_size, image_size), ways, "exchangeable-classes")
        classes = _find_classes(self.root)
        self.has_tasks = any(task for task, _ in classes)
        # Classes of one split make its tasks, so that each split needs as many as a task has.
        least = 1 if self.has_tasks else ways
        units = _units(classes, ways, self.has_tasks)
        if len(units) < 3 * least:
            what = "tasks" if self.has_tasks else "classes"
            each = "one" if self.has_tasks else f"ways={ways}"
            raise DataError(
                f"{self.root} has {len(units)} {what}, expected at least {3 * least}: {each} in each "
                f"of three splits. Add {what} or ask for fewer ways."
            )
        self._units = _split_units(units, self.shares, seed, least)
        self.pools: dict[Split, ClassPool] = {}
        for split in SPLITS:
            own = [key for key in classes if _unit_of(key, self.has_tasks) in self._units[split]]
            pool = _read_pool([(key, classes[key]) for key in own], image_size, channels)
            check_pool(pool, self.size, f"The {split} split of {self.root}")
            self.pools[split] = pool

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split; only training pictures are shifted."""
        check_split(split)
        return sample_episodes(
            self.pools[split],
            rng,
            tasks,
            self.size,
            within_groups=self.has_tasks,
            jitter=self.jitter if split == "train" else 0,
        )

    def members(self, split: Split) -> tuple[str, ...]:
        """Names of the classes, or tasks, of a split."""
        check_split(split)
        return tuple(sorted(self._units[split]))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        channels, image_size, _ = self.shape.x
        return {
            "root": str(self.root),
            "ways": self.size.ways,
            "shots": self.size.shots,
            "queries": self.size.queries,
            "image_size": image_size,
            "channels": channels,
            **self.shares,
            "jitter": self.jitter,
            "seed": self.seed,
        }


def read_support(
    folder: str | Path, *, image_size: int, channels: int
) -> tuple[ExampleSet, tuple[str, ...]]:
    """The support set of one task, T = 1, from `folder/<class>/*.png`, and the classes' names.

    Raises:
        DataError: If the folder is missing or empty, has one class only, or a picture cannot be read.
    """
    folder = Path(folder)
    classes = {key: paths for key, paths in _find_classes(folder).items() if key[0] == ""}
    if len(classes) < 2:
        raise DataError(
            f"{folder} has {len(classes)} folders of pictures, expected at least 2: one per class. "
            "Put the pictures of each class into a folder of its own."
        )
    pool = _read_pool(list(classes.items()), image_size, channels)
    y = torch.from_numpy(np.repeat(np.arange(len(classes)), pool.counts))
    x = pool.images.float().div(255)
    names = tuple(name for _, name in classes)
    return ExampleSet.of(x[None], y[None], classes=len(classes)), names


def read_pictures(
    folder: str | Path, *, image_size: int, channels: int
) -> tuple[Tensor, tuple[Path, ...]]:
    """All pictures below a folder (or one file), [N, C, H, W] in [0, 1], and their paths.

    Raises:
        DataError: If there is none, or one cannot be read.
    """
    folder = Path(folder)
    paths = [folder] if folder.is_file() else sorted(_pictures(folder.rglob("*")))
    if not paths:
        raise DataError(f"{folder} holds no picture, expected {', '.join(ENDINGS)} files.")
    pictures = np.stack([_read(path, image_size, channels) for path in paths])
    return torch.from_numpy(pictures).float().div(255), tuple(paths)


def _find_classes(root: Path) -> dict[tuple[str, str], list[Path]]:
    """(task, class) -> paths; the task is "" where classes stand at the top."""
    if not root.is_dir():
        what = "is a file" if root.exists() else "is not there"
        raise DataError(f"{root} {what}, expected a folder with a folder of pictures per class.")
    found: dict[tuple[str, str], list[Path]] = {}
    for first in sorted(path for path in root.iterdir() if path.is_dir()):
        for second in sorted(path for path in first.iterdir() if path.is_dir()):
            if paths := sorted(_pictures(second.iterdir())):
                found[first.name, second.name] = paths
        if paths := sorted(_pictures(first.iterdir())):
            found["", first.name] = paths
    if not found:
        kinds = ", ".join(ENDINGS)
        raise DataError(
            f"{root} holds no pictures in class folders, expected {root.name}/<class>/*{ENDINGS[0]} "
            f"({kinds}). Put the pictures of each class into a folder of its own."
        )
    if len({task == "" for task, _ in found}) == 2:
        raise DataError(
            f"{root} holds class folders and task folders side by side, expected one kind: "
            "<class>/pictures or <task>/<class>/pictures."
        )
    return found


def _pictures(paths: Any) -> list[Path]:
    return [path for path in paths if path.suffix.lower() in ENDINGS and path.is_file()]


def _units(
    classes: Sequence[tuple[str, str]] | Mapping[Any, Any], ways: int, has_tasks: bool
) -> list[str]:
    """What is split: classes, or tasks with enough classes."""
    if not has_tasks:
        names = [name for _, name in classes]
        if len(names) < 2:
            raise DataError(
                f"There is one class only, {names[0]!r}, expected at least 2 per split."
            )
        return names
    sizes = Counter(task for task, _ in classes)
    enough = [task for task, size in sizes.items() if size >= ways]
    if not enough:
        raise DataError(
            f"No task has ways={ways} classes (the largest has {max(sizes.values())}), expected at "
            "least three that do. Ask for fewer ways."
        )
    return enough


def _unit_of(key: tuple[str, str], has_tasks: bool) -> str:
    return key[0] if has_tasks else key[1]


def _split_units(
    units: list[str], shares: Mapping[str, float], seed: int, least: int
) -> dict[Split, set[str]]:
    """Units of each split: its share of them, but at least `least`."""
    if any(not 0 < share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise DataError(
            f"The shares of the splits are {dict(shares)}, expected fractions with a sum below 1."
        )
    order = stream(seed, "images", "split").permutation(sorted(units)).tolist()
    counts = {name: max(least, round(share * len(units))) for name, share in shares.items()}
    validation, test = counts["validation"], counts["test"]
    return {
        "validation": set(order[:validation]),
        "test": set(order[validation : validation + test]),
        "train": set(order[validation + test :]),
    }


def _read_pool(
    classes: Sequence[tuple[tuple[str, str], list[Path]]], image_size: int, channels: int
) -> ClassPool:
    if not classes:
        empty = torch.zeros(0, channels, image_size, image_size, dtype=torch.uint8)
        return ClassPool(empty, np.zeros(0, int), np.zeros(0, int), ())
    tasks = sorted({task for (task, _), _ in classes})
    pictures = [np.stack([_read(p, image_size, channels) for p in paths]) for _, paths in classes]
    names = [f"{task}/{name}" if task else name for (task, name), _ in classes]
    return ClassPool.of(pictures, [tasks.index(task) for (task, _), _ in classes], names)


def _read(path: Path, image_size: int, channels: int) -> np.ndarray:
    """One picture, uint8 [C, H, W]."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise MissingExtraError("pillow", "vision", "Reading pictures") from None
    try:
        with Image.open(path) as image:
            return picture_array(image, image_size, channels)
    except (
        OSError,
        UnidentifiedImageError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} cannot be read as a picture ({reason}), expected a whole PNG or JPEG. "
            "Remove or replace it."
        ) from None


def picture_array(image: "Image", image_size: int, channels: int) -> np.ndarray:
    """An open picture as what networks read, uint8 [C, H, W]."""
    from PIL.Image import Resampling

    mode = "L" if channels == 1 else "RGB"
    box = Resampling.BOX if min(image.size) >= image_size else Resampling.BICUBIC
    pixels = np.asarray(image.convert(mode).resize((image_size, image_size), box))
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
