"""Further classes out of those that there are: each under an affine map of its own.

All pictures of a class share one random rotation, shear, scale and mirroring, and each has a small one of its
own. A hypernetwork that could learn its training classes by heart meets too many to do so.

References:
    Ni et al., Data Augmentation for Meta-Learning, arXiv:2010.07092.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import Condition, ExampleSet
from netwright.rng import stream
from netwright.tasks.base import TaskBatch
from netwright.tasks.episodes import ClassPool

# Spread of the maps that make further classes: wide enough that a turned, sheared or mirrored
# character is another one, narrow enough that it stays in the picture.
_ANGLE, _SHEAR, _LOG_SCALE = 0.35, 0.25, 0.12
# Spread within a class, on top: as between two hands that draw the same character.
_OWN_ANGLE, _OWN_SHEAR, _OWN_LOG_SCALE, _OWN_SHIFT = 0.08, 0.08, 0.06, 0.06


def warped_pool(pool: ClassPool, copies: int) -> ClassPool:
    """`copies` times more classes, the same ones every time; each in its group."""
    rng = stream(0, "warps")
    warped = [_warped(pool, rng) for _ in range(copies)]
    names = [f"{name} warp{i}" for i in range(1, copies + 1) for name in pool.names]
    return ClassPool(
        torch.cat([pool.images, *warped]),
        np.tile(pool.counts, copies + 1),
        np.tile(pool.groups, copies + 1),
        (*pool.names, *names),
    )


def freshly_warped(batch: TaskBatch, rng: np.random.Generator) -> TaskBatch:
    """Every class of every task under a map drawn for it alone: no class comes twice."""
    support, query = batch.condition.examples, batch.query
    assert support is not None
    classes = support.classes or 0
    shared = _class_maps(rng, batch.tasks * classes).reshape(batch.tasks, classes, 2, 3)

    def warp(examples: ExampleSet) -> ExampleSet:
        tasks, count = examples.x.shape[:2]
        own = shared[np.arange(tasks)[:, None], examples.y.numpy()].reshape(-1, 2, 3)
        maps = _composed(own, _own_maps(rng, tasks * count))
        x = apply_maps(examples.x.flatten(0, 1), maps).unflatten(0, (tasks, count))
        return replace(examples, x=x)

    return TaskBatch(Condition(examples=warp(support)), warp(query))


def affine_maps(
    angle: np.ndarray, shear: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Maps [n, 2, 3] from angles and shears [n], scales and shifts [2, n]."""
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [
        [scale[0] * cos, scale[0] * (shear * cos - sin), shift[0]],
        [scale[1] * sin, scale[1] * (shear * sin + cos), shift[1]],
    ]
    return np.array(rows).transpose(2, 0, 1)


def apply_maps(pictures: Tensor, maps: np.ndarray) -> Tensor:
    """Pictures float [n, C, H, W], each seen through its map [2, 3]; zeros come in from outside."""
    count, _, height, width = pictures.shape
    across, down = ((torch.arange(side) * 2 + 1) / side - 1 for side in (width, height))
    m = torch.from_numpy(maps).float().unsqueeze(-1)
    # As `F.affine_grid`, whose product of three numbers at a time takes three times as long.
    grid = torch.empty(count, height, width, 2)
    for axis in range(2):
        along = m[:, axis, 1] * down + m[:, axis, 2]
        torch.add(along.unsqueeze(2), (m[:, axis, 0] * across).unsqueeze(1), out=grid[..., axis])
    return F.grid_sample(pictures, grid, align_corners=False)


def _warped(pool: ClassPool, rng: np.random.Generator) -> Tensor:
    shared = np.repeat(_class_maps(rng, len(pool.counts)), pool.counts, axis=0)
    maps = _composed(shared, _own_maps(rng, len(pool.images)))
    # In parts: floats of all pictures at once take four times the memory of the pool.
    parts = [
        apply_maps(part.float(), own).round().to(torch.uint8)
        for part, own in zip(
            pool.images.split(4096), np.split(maps, range(4096, len(maps), 4096)), strict=True
        )
    ]
    return torch.cat(parts)


def _class_maps(rng: np.random.Generator, count: int) -> np.ndarray:
    scale = np.exp(rng.normal(0, _LOG_SCALE, (2, count)))
    scale[0] *= rng.choice([-1, 1], count)
    angle, shear = rng.normal(0, _ANGLE, count), rng.normal(0, _SHEAR, count)
    return affine_maps(angle, shear, scale, np.zeros((2, count)))


def _own_maps(rng: np.random.Generator, count: int) -> np.ndarray:
    return affine_maps(
        rng.normal(0, _OWN_ANGLE, count),
        rng.normal(0, _OWN_SHEAR, count),
        np.exp(rng.normal(0, _OWN_LOG_SCALE, (2, count))),
        rng.normal(0, _OWN_SHIFT, (2, count)),
    )


def _composed(shared: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The shared maps after the own ones, but for shifts, which are the own ones'."""
    return np.concatenate([shared[:, :, :2] @ own[:, :, :2], own[:, :, 2:]], axis=2)
