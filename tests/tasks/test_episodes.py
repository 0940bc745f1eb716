"""Vectorised N-way K-shot sampling."""

from itertools import product

import numpy as np
import pytest
import torch

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks.episodes import (
    ClassPool,
    EpisodeSize,
    _floyd,
    check_pool,
    choose_examples,
    draw_shifts,
    sample_episodes,
    shift_pictures,
)


def pool_of(counts, groups=None):
    """Pictures that carry class and number in their pixels."""
    images = [
        np.stack([np.full((1, 2, 2), 10 * c + i, np.uint8) for i in range(n)])
        for c, n in enumerate(counts)
    ]
    return ClassPool.of(images, groups or [0] * len(counts), [f"c{c}" for c in range(len(counts))])


def decode(x):
    """Class and number of each picture."""
    value = (x[..., 0, 0, 0] * 255).round().long()
    return value // 10, value % 10


def test_labels_number_the_classes_of_a_task_and_pictures_are_of_their_class():
    batch = sample_episodes(pool_of([9] * 6), stream(0), 20, EpisodeSize(3, 2, 4))
    support, query = batch.condition.examples, batch.query
    assert support.x.shape == (20, 6, 1, 2, 2)
    assert query.x.shape == (20, 12, 1, 2, 2)
    for t in range(20):
        own = {}
        for part in (support, query):
            for y, c in zip(part.y[t].tolist(), decode(part.x[t])[0].tolist(), strict=True):
                assert own.setdefault(y, c) == c
        assert len(set(own.values())) == 3


def test_classes_and_pictures_are_drawn_evenly():
    batch = sample_episodes(pool_of([5] * 4), stream(0), 3000, EpisodeSize(2, 1, 1))
    classes, numbers = decode(batch.condition.examples.x)
    for label in (0, 1):
        counts = torch.bincount(classes[:, label], minlength=4)
        assert (counts - 750).abs().max() < 120  # five standard deviations
    assert (torch.bincount(numbers.flatten(), minlength=5) - 1200).abs().max() < 160


def test_small_classes_give_fewer_queries_and_the_rest_is_masked():
    batch = sample_episodes(pool_of([3, 3, 9]), stream(0), 50, EpisodeSize(3, 2, 5))
    assert batch.condition.examples.mask.all()
    real = batch.query.mask.reshape(50, 3, 5).sum(dim=2)
    assert sorted(real[0].tolist()) == [1, 1, 5]
    classes, numbers = decode(batch.query.x)
    for t in range(50):
        pairs = list(
            zip(
                classes[t][batch.query.mask[t]].tolist(),
                numbers[t][batch.query.mask[t]].tolist(),
                strict=True,
            )
        )
        assert len(pairs) == len(set(pairs)) == 7


def test_within_groups_all_classes_of_a_task_come_from_one():
    batch = sample_episodes(
        pool_of([3] * 6, [0, 0, 0, 1, 1, 2]),
        stream(0),
        60,
        EpisodeSize(2, 1, 1),
        within_groups=True,
    )
    found = {tuple(sorted(row)) for row in decode(batch.condition.examples.x)[0].tolist()}
    assert found <= {(0, 1), (0, 2), (1, 2), (3, 4)}
    assert (3, 4) in found


def test_floyds_sampling_draws_distinct_numbers_evenly():
    counts = np.full((4000, 1), 6)
    drawn = _floyd(counts, stream(0), 3)
    assert all(len(set(row)) == 3 for row in drawn[:, 0].tolist())
    assert np.abs(np.bincount(drawn[:, 0, 0], minlength=6) - 4000 / 6).max() < 130
    large = choose_examples(np.array([[5000, 2000]]), stream(0), 4)
    assert large.shape == (1, 2, 4)
    assert large[0, 1].max() < 2000


def test_a_shift_moves_each_picture_by_its_own_whole_pixels():
    pictures = torch.randint(1, 255, (200, 3, 7, 6), dtype=torch.uint8)
    shifts = draw_shifts(stream(0), (200,), 2)
    shifted = shift_pictures(pictures, shifts, 2)
    assert {tuple(pair) for pair in shifts.T.tolist()} == set(product(range(5), repeat=2))
    for picture, moved, (down, right) in zip(pictures, shifted, shifts.T.tolist(), strict=True):
        expected = torch.nn.functional.pad(picture, (2, 2, 2, 2))
        assert torch.equal(moved, expected[:, down : down + 7, right : right + 6])


def test_rotations_are_further_classes_in_the_same_group():
    pool = pool_of([2, 3], [4, 5])
    pool.images[:, 0, 0, 0] = 200
    turned = pool.with_rotations()
    assert turned.counts.tolist() == [2, 3] * 4
    assert turned.groups.tolist() == [4, 5] * 4
    assert turned.images[5, 0, 1, 0] == 200  # a quarter turn to the left takes the corner down
    assert turned.names[2] == "c0 rot90"


def test_pools_that_cannot_serve_and_impossible_sizes_are_refused():
    with pytest.raises(DataError, match="has 2 classes, expected at least ways=3"):
        check_pool(pool_of([5, 5]), EpisodeSize(3, 1, 1), "It")
    with pytest.raises(
        DataError, match="has 2 pictures of class 'c1', expected at least 3: shots=2"
    ):
        check_pool(pool_of([5, 2]), EpisodeSize(2, 2, 1), "It")
    for size, message in (
        (EpisodeSize(1, 1, 1), "`ways` is 1, expected a whole number of at least 2"),
        (EpisodeSize(2, 0, 1), "`shots` is 0"),
        (EpisodeSize(2, 1, 0), "`queries` is 0"),
    ):
        with pytest.raises(DataError, match=message):
            size.check()


def test_classes_of_large_pools_are_drawn_evenly_and_distinct():
    pool = pool_of([2] * 25)
    large = ClassPool(
        pool.images.repeat(60, 1, 1, 1),
        np.tile(pool.counts, 60),
        np.tile(pool.groups, 60),
        pool.names * 60,
    )
    batch = sample_episodes(large, stream(0), 4000, EpisodeSize(3, 1, 1))
    classes = decode(batch.condition.examples.x)[0]
    counts = torch.bincount(classes.flatten(), minlength=25)
    assert (counts - 480).abs().max() < 120
