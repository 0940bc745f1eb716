"""Drawings: handwritten and printed characters as a pen on a page would leave them, in tasks of many sizes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import Condition, ExampleSet
from netwright.errors import DataError
from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.data import cached_arrays
from netwright.tasks.episodes import ClassPool, EpisodeSize, check_pool, sample_episodes
from netwright.tasks.glyphs import VERSION as GLYPHS_VERSION
from netwright.tasks.glyphs import Glyphs
from netwright.tasks.ink import SIZE, picture_of_ink
from netwright.tasks.omniglot import Omniglot
from netwright.tasks.warps import freshly_warped

# Change with anything that changes a picture: it names the cache.
VERSION = 1
Sizes = int | tuple[int, int]
# Kinds of tasks and how often training and validation meet them.
_SOURCES: dict[str, float] = {"omniglot": 0.6, "glyphs": 0.4}


class Drawings(TaskFamily):
    """N-way K-shot tasks of drawn characters, with N and K drawn anew for every batch.

    Omniglot's characters and those of `Glyphs`, each cut to its ink, centred, its longer side of one length, as
    `picture_of_ink` and the studio's page leave a drawing. In training every class of every task is under an affine
    map of its own, and every picture under a small one, its strokes thinner or thicker.

    Splits are those of the two families: alphabets and scripts of one split are in no other. All classes of a task
    are of one of the two.

    Args:
        ways: Classes per task; or the fewest and the most, both drawn.
        shots: Support pictures per class; or the fewest and the most.
        queries: Query pictures per class.
        source: `omniglot` or `glyphs` alone; None for both.
        data_root: Folder that holds `omniglot/`, as for `Omniglot`.
        download: Whether Omniglot may be downloaded.

    Raises:
        DataError: If sizes do not fit, or Omniglot cannot be found.
        MissingExtraError: If matplotlib or Pillow is not installed.

    References:
        Lake et al., Human-level concept learning, Science 350 (2015).
        Triantafillou et al., Meta-Dataset (ways and shots that vary), arXiv:1903.03096.
    """

    def __init__(
        self,
        ways: Sizes | list[int] = (2, 10),
        shots: Sizes | list[int] = (1, 5),
        queries: int = 8,
        *,
        source: str | None = None,
        data_root: str | Path | None = None,
        download: bool = True,
    ) -> None:
        self.ways, self.shots, self.queries = _range("ways", ways), _range("shots", shots), queries
        if source is not None and source not in _SOURCES:
            raise DataError(f"`source` is {source!r}, expected one of {list(_SOURCES)}, or none.")
        self.source = source
        most = EpisodeSize(self.ways[1], self.shots[1], queries)
        for ways_, shots_ in zip(self.ways, self.shots, strict=True):
            EpisodeSize(ways_, shots_, queries).check()
        self.shape = TaskShape((1, SIZE, SIZE), self.ways[1], "exchangeable-classes")
        sources = _SOURCES if source is None else {source: 1.0}
        self.shares = np.array(list(sources.values()))
        self.by_source: dict[str, dict[Split, ClassPool]] = {
            name: _pools(name, None if data_root is None else str(data_root), download)
            for name in sources
        }
        for name, pools in self.by_source.items():
            for split, pool in pools.items():
                check_pool(pool, most, f"The {split} split of {name}")

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split, all of as many classes and shots; only training pictures are changed."""
        check_split(split)
        ways, shots = (int(rng.integers(low, high + 1)) for low, high in (self.ways, self.shots))
        size = EpisodeSize(ways, shots, self.queries)
        names = list(self.by_source)
        chosen = rng.choice(len(names), tasks, p=self.shares / self.shares.sum())
        parts = [
            sample_episodes(self.by_source[name][split], rng, int((chosen == i).sum()), size)
            for i, name in enumerate(names)
            if (chosen == i).any()
        ]
        # Back to the order in which sources were drawn: a task's place says nothing of its source.
        order = torch.from_numpy(np.argsort(np.argsort(chosen, kind="stable"), kind="stable"))
        batch = _joined(parts).rows(order)
        return _redrawn(batch, rng) if split == "train" else batch

    def members(self, split: Split) -> tuple[str, ...]:
        """Names of the alphabets and scripts of a split, after the name of where they come from."""
        check_split(split)
        return tuple(
            sorted(
                {
                    f"{name}/{member.partition('/')[0]}"
                    for name, pools in self.by_source.items()
                    for member in pools[split].names
                }
            )
        )

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {
            "ways": list(self.ways),
            "shots": list(self.shots),
            "queries": self.queries,
            "source": self.source,
        }


def _range(name: str, given: Sizes | list[int]) -> tuple[int, int]:
    ends = (given, given) if isinstance(given, int) else tuple(given)
    if len(ends) != 2 or not all(isinstance(end, int) for end in ends) or ends[0] > ends[1]:
        raise DataError(
            f"`{name}` is {given!r}, expected a whole number, or the fewest and the most."
        )
    return ends[0], ends[1]


def _joined(parts: list[TaskBatch]) -> TaskBatch:
    """Tasks of one size, one batch after the other."""

    def join(sets: list[ExampleSet]) -> ExampleSet:
        x, y, mask = (
            torch.cat([getattr(each, name) for each in sets]) for name in ("x", "y", "mask")
        )
        return replace(sets[0], x=x, y=y, mask=mask)

    supports = [part.condition.examples for part in parts]
    support = join([each for each in supports if each is not None])
    return TaskBatch(Condition(examples=support), join([part.query for part in parts]))


def _redrawn(batch: TaskBatch, rng: np.random.Generator) -> TaskBatch:
    """Every class under a map drawn for it alone, every picture with a pen of its own."""
    batch = freshly_warped(batch, rng)
    assert batch.condition.examples is not None

    def pen(examples: ExampleSet) -> ExampleSet:
        return replace(examples, x=_with_pen(examples.x.flatten(0, 1), rng).view_as(examples.x))

    return TaskBatch(Condition(examples=pen(batch.condition.examples)), pen(batch.query))


def _with_pen(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Strokes of pictures [n, 1, H, W] up to a pixel thinner or thicker."""
    blurred = F.avg_pool2d(x, 3, 1, 1)
    darkest = blurred.amax(dim=(1, 2, 3), keepdim=True)
    threshold, slope = (
        torch.from_numpy(rng.uniform(low, high, (len(x), 1, 1, 1))).float()
        for low, high in ((0.27, 0.6), (2.0, 4.0))
    )
    return ((blurred / darkest.clamp(min=1e-6) - threshold) * slope + 0.5).clamp(0, 1)


@cache
def _pools(source: str, data_root: str | None, download: bool) -> dict[Split, ClassPool]:
    """The pictures of one source as a page leaves them, by split; training characters turned as well."""
    arrays = cached_arrays(
        f"drawings-{VERSION}-{source}-{GLYPHS_VERSION}",
        lambda: _prepared(_raw_pools(source, data_root, download)),
    )
    pools: dict[Split, ClassPool] = {
        split: ClassPool(
            torch.from_numpy(arrays[f"{split}_pictures"]),
            arrays[f"{split}_counts"],
            arrays[f"{split}_groups"],
            tuple(arrays[f"{split}_names"].tolist()),
        )
        for split in SPLITS
    }
    pools["train"] = pools["train"].with_rotations()
    return pools


def _raw_pools(source: str, data_root: str | None, download: bool) -> dict[Split, ClassPool]:
    if source == "glyphs":
        return Glyphs().pools
    return Omniglot(
        rotations=False, image_size=2 * SIZE, data_root=data_root, download=download
    ).pools


def _prepared(pools: Mapping[Split, ClassPool]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for split, pool in pools.items():
        pictures = [_as_drawn(part) for part in pool.images.split(1024)]
        arrays[f"{split}_pictures"] = np.concatenate(pictures)
        arrays[f"{split}_counts"], arrays[f"{split}_groups"] = pool.counts, pool.groups
        arrays[f"{split}_names"] = np.array(pool.names)
    return arrays


def _as_drawn(pictures: Tensor) -> np.ndarray:
    """Pictures uint8 [n, 1, H, W] as uint8 [n, 1, 28, 28]: cut to their ink, by a pen as a page has one."""
    large = [picture_of_ink(ink, size=2 * SIZE) for ink in pictures[:, 0].numpy()]
    x = torch.from_numpy(np.stack(large))[:, None]
    if pictures.shape[-1] == 2 * SIZE:
        # Omniglot's lines are thinner than half a pixel of the result: they would be faint.
        x = F.avg_pool2d(x, 5, 1, 2)
        x = ((x / x.amax(dim=(1, 2, 3), keepdim=True) - 0.35) * 6 + 0.5).clamp(0, 1)
    x = F.avg_pool2d(x, 2)
    return np.asarray((x * 255).round().to(torch.uint8).numpy())


__all__ = ["Drawings"]
