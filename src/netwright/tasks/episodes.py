"""N-way K-shot episodes from a pool of pictures grouped by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.errors import DataError
from netwright.tasks.base import TaskBatch

# Above this many pictures per class, random keys for all of them cost more than Floyd's algorithm.
_MOST_KEYS = 1024


@dataclass(frozen=True)
class ClassPool:
    """Pictures of one split, grouped by class.

    Args:
        images: Pictures of class 0, then of class 1 and so on, uint8 [M, C, H, W].
        counts: Pictures per class, [classes].
        groups: Which group (alphabet, task) a class belongs to, [classes].
        names: Name per class.
    """

    images: Tensor
    counts: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, images: Sequence[np.ndarray], groups: Sequence[int], names: Sequence[str]
    ) -> "ClassPool":
        """A pool from pictures per class, each uint8 [count, C, H, W]."""
        counts = np.array([len(pictures) for pictures in images])
        stacked = torch.from_numpy(np.concatenate(images))
        return cls(stacked, counts, np.array(groups), tuple(map(str, names)))

    def with_rotations(self) -> "ClassPool":
        """Four times the classes: each turned by 0, 90, 180 and 270 degrees, in its group."""
        turned = [torch.rot90(self.images, k, (2, 3)) for k in range(4)]
        return ClassPool(
            torch.cat(turned),
            np.tile(self.counts, 4),
            np.tile(self.groups, 4),
            tuple(f"{name} rot{90 * k}" for k in range(4) for name in self.names),
        )


@dataclass(frozen=True)
class EpisodeSize:
    """Size of an episode.

    Args:
        ways: Classes per task.
        shots: Support examples per class.
        queries: Query examples per class, at most; classes with fewer pictures give fewer.
    """

    ways: int
    shots: int
    queries: int

    def check(self) -> None:
        """Refuse sizes of which no episode can be made.

        Raises:
            DataError: If a size is below its minimum.
        """
        least = {"ways": 2, "shots": 1, "queries": 1}
        for name, minimum in least.items():
            size = getattr(self, name)
            if not isinstance(size, int) or size < minimum:
                raise DataError(
                    f"`{name}` is {size!r}, expected a whole number of at least {minimum}."
                )


def check_pool(pool: ClassPool, size: EpisodeSize, name: str) -> None:
    """Refuse a pool that cannot serve an episode.

    Raises:
        DataError: If it has too few classes, or a class has too few pictures.
    """
    if len(pool.counts) < size.ways:
        raise DataError(
            f"{name} has {len(pool.counts)} classes, expected at least ways={size.ways}. "
            "Add classes or ask for fewer ways."
        )
    least = int(pool.counts.argmin())
    if pool.counts[least] < size.shots + 1:
        raise DataError(
            f"{name} has {pool.counts[least]} pictures of class {pool.names[least]!r}, expected at "
            f"least {size.shots + 1}: shots={size.shots} and one query. Add pictures or ask for fewer shots."
        )


def sample_episodes(
    pool: ClassPool,
    rng: np.random.Generator,
    tasks: int,
    size: EpisodeSize,
    *,
    within_groups: bool = False,
    jitter: int = 0,
) -> TaskBatch:
    """Draw T episodes; no picture stands in a support set and a query set at once.

    Args:
        pool: Pictures of one split.
        rng: Source of all randomness.
        tasks: T.
        size: Ways, shots and queries.
        within_groups: Whether all classes of a task come from one group.
        jitter: Largest random shift of a picture, in pixels.

    Returns:
        Support x [T, ways * shots, C, H, W] in [0, 1]; query x [T, ways * queries, C, H, W].
    """
    chosen = _choose_classes(pool, rng, tasks, size.ways, within_groups)
    wanted = size.shots + size.queries
    order = choose_examples(pool.counts[chosen], rng, wanted)
    is_real = order < pool.counts[chosen][..., None]
    starts = np.concatenate([[0], np.cumsum(pool.counts)[:-1]])
    index = starts[chosen][..., None] + np.where(is_real, order, 0)
    shifts = draw_shifts(rng, (tasks, size.ways, wanted), jitter) if jitter else None

    def example_set(part: slice) -> ExampleSet:
        # `index_select` copies whole pictures; an index in brackets takes several times as long.
        pictures = pool.images.index_select(0, torch.from_numpy(index[..., part].reshape(-1)))
        if shifts is not None:
            pictures = shift_pictures(pictures, shifts[..., part].reshape(2, -1), jitter)
        mask = torch.from_numpy(is_real[..., part].reshape(tasks, -1))
        y = torch.arange(size.ways).repeat_interleave(mask.shape[1] // size.ways)
        # One pass from bytes to [0, 1].
        x = pictures.div(255).unflatten(0, (tasks, -1))
        return ExampleSet(x, y.expand(tasks, -1), mask, size.ways)

    support, query = slice(0, size.shots), slice(size.shots, wanted)
    return TaskBatch(Condition(examples=example_set(support)), example_set(query))


def _choose_classes(
    pool: ClassPool, rng: np.random.Generator, tasks: int, ways: int, within_groups: bool
) -> np.ndarray:
    """Classes [T, ways], distinct within a task, in random order."""
    if not within_groups and len(pool.counts) > _MOST_KEYS:
        return _floyd(np.full((tasks,), len(pool.counts)), rng, ways)
    keys = rng.random((tasks, len(pool.counts)))
    if within_groups:
        ids, sizes = np.unique(pool.groups, return_counts=True)
        group = rng.choice(ids[sizes >= ways], size=tasks)
        keys[pool.groups[None] != group[:, None]] = 2.0
    smallest = keys.argpartition(ways - 1, axis=1)[:, :ways]
    # argpartition's order depends on the keys' places; class numbers must not.
    return np.take_along_axis(smallest, np.take_along_axis(keys, smallest, 1).argsort(1), 1)


def choose_examples(counts: np.ndarray, rng: np.random.Generator, wanted: int) -> np.ndarray:
    """Distinct picture numbers [T, ways, wanted] in random order; too large where there are too few."""
    most = int(counts.max())
    if most > _MOST_KEYS and counts.min() >= wanted:
        return _floyd(counts, rng, wanted)
    width = max(most, wanted)
    keys = rng.random((*counts.shape, width))
    keys[np.arange(width) >= counts[..., None]] = 2.0
    return keys.argsort(axis=-1)[..., :wanted]


def _floyd(counts: np.ndarray, rng: np.random.Generator, wanted: int) -> np.ndarray:
    """Floyd's sampling without replacement, one pass per wanted picture for all classes at once."""
    chosen = np.full((*counts.shape, wanted), -1)
    for i in range(wanted):
        last = counts - wanted + i
        candidate = rng.integers(0, last + 1)
        is_taken = (chosen == candidate[..., None]).any(axis=-1)
        chosen[..., i] = np.where(is_taken, last, candidate)
    return rng.permuted(chosen, axis=-1)


def draw_shifts(rng: np.random.Generator, shape: tuple[int, ...], jitter: int) -> np.ndarray:
    """Offsets down and right, [2, *shape], each from 0 to 2 * jitter; jitter is no shift."""
    return rng.integers(0, 2 * jitter + 1, (2, *shape))


def shift_pictures(pictures: Tensor, shifts: np.ndarray, jitter: int) -> Tensor:
    """Shift pictures [n, C, H, W] by offsets [2, n] of `draw_shifts`; zeros come in from outside."""
    count, channels, height, width = pictures.shape
    padded = pictures.new_zeros(count, channels, height + 2 * jitter, width + 2 * jitter)
    padded[:, :, jitter : jitter + height, jitter : jitter + width] = pictures
    step, _, row, _ = padded.stride()
    starts = np.arange(count) * step + shifts[0] * row + shifts[1]
    # A view with a window at every place in memory: picking windows is then one `index_select`.
    places = (count - 1) * step + 2 * jitter * (row + 1) + 1
    windows = padded.as_strided((places, channels, height, width), (1, *padded.stride()[1:]))
    return windows.index_select(0, torch.from_numpy(starts))
