"""Further classes by affine maps."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import Omniglot
from netwright.tasks.episodes import ClassPool, EpisodeSize, sample_episodes
from netwright.tasks.warps import affine_maps, apply_maps, freshly_warped, warped_pool


def picture_pool(classes=30, count=6):
    """An off-centre blob per class, the same in all of its pictures."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(classes):
        row, column = rng.integers(8, 20, 2)
        picture = np.zeros((1, 28, 28), np.uint8)
        picture[0, row - 2 : row + 2, column - 2 : column + 2] = 255
        images.append(np.stack([picture] * count))
    return ClassPool.of(images, list(range(classes)), [f"c{c}" for c in range(classes)])


def centres(images):
    """Centre of ink per picture, as (row, column) from the middle."""
    ink = images[:, 0].double()
    axis = torch.arange(28).double() - 13.5
    total = ink.sum((1, 2))
    return torch.stack([(ink.sum(2) @ axis) / total, (ink.sum(1) @ axis) / total], dim=1)


def test_warps_are_further_classes_that_keep_the_first_ones_as_they_are():
    pool = picture_pool()
    more = warped_pool(pool, 2)
    assert len(more.counts) == 90
    assert torch.equal(more.images[: len(pool.images)], pool.images)
    assert more.groups.tolist() == list(range(30)) * 3
    assert more.names[30] == "c0 warp1"
    assert len(set(more.names)) == 90
    assert torch.equal(more.images, warped_pool(pool, 2).images)


def test_a_warp_moves_all_pictures_of_a_class_alike_and_classes_differently():
    pool = picture_pool(classes=60, count=8)
    before = centres(pool.images).view(60, 8, 2)
    after = centres(warped_pool(pool, 1).images[480:]).view(60, 8, 2)
    moved = after - before
    assert (
        moved.mean(1).norm(dim=1).median()
        > 1.5 * (moved - moved.mean(1, keepdim=True)).norm(dim=2).median()
    )
    # An affine map about the middle changes the distance from it a little, not wildly.
    ratio = after.mean(1).norm(dim=1) / before.mean(1).norm(dim=1).clamp(min=1)
    assert ratio.median() == pytest.approx(1, abs=0.25)
    # Half of the classes are mirrored: their columns change sign.
    far = before[:, 0, 1].abs() > 3
    mirrored = (before[far, 0, 1] * after.mean(1)[far, 1] < 0).double().mean()
    assert 0.25 < float(mirrored) < 0.75


def test_maps_are_applied_as_torch_applies_them():
    rng = np.random.default_rng(0)
    maps = affine_maps(
        *rng.normal(0, 0.3, (2, 9)), np.exp(rng.normal(0, 0.2, (2, 9))), np.ones((2, 9))
    )
    pictures = torch.rand(9, 2, 12, 10)
    grid = F.affine_grid(torch.from_numpy(maps).float(), list(pictures.shape), align_corners=False)
    expected = F.grid_sample(pictures, grid, align_corners=False)
    torch.testing.assert_close(apply_maps(pictures, maps), expected, rtol=1e-4, atol=1e-5)


def test_fresh_warps_give_support_and_query_of_a_class_the_same_map_and_every_task_another():
    pool = picture_pool(classes=2, count=40)
    batch = sample_episodes(pool, stream(0), 60, EpisodeSize(2, 10, 20))
    warped = freshly_warped(batch, stream(1))
    assert torch.equal(warped.query.y, batch.query.y)
    support = centres(warped.condition.examples.x.flatten(0, 1)).view(60, 2, 10, 2).mean(2)
    query = centres(warped.query.x.flatten(0, 1)).view(60, 2, 20, 2).mean(2)
    before = centres(batch.query.x.flatten(0, 1)).view(60, 2, 20, 2)[:, :, 0]
    within = (support - query).norm(dim=-1)
    between = (query - before).norm(dim=-1)
    assert within.median() < 0.4 * between.median()
    # The same class in another task goes elsewhere.
    first = query[before[..., 0] == before[0, 0, 0]]
    assert first.std(dim=0).min() > 0.5
    again = freshly_warped(batch, stream(1))
    assert torch.equal(again.query.x, warped.query.x)


def test_only_training_tasks_are_warped_and_wrong_numbers_are_refused(shared_data):
    plain = Omniglot(data_root=shared_data)
    fresh = Omniglot(data_root=shared_data, warps="fresh")
    for split, is_same in (("train", False), ("validation", True), ("test", True)):
        a, b = (family.sample(stream(0), 2, split).query.x for family in (plain, fresh))
        assert torch.equal(a, b) == is_same
    assert fresh.record()["warps"] == "fresh"
    for wrong in (-1, "often"):
        with pytest.raises(DataError, match=f"`warps` is {wrong!r}, expected a number of times"):
            Omniglot(data_root=shared_data, warps=wrong)
