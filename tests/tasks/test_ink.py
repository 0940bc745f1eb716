"""What a hand drew, as a picture: where it is drawn and how large changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.errors import DataError
from netwright.tasks.ink import INK, SIZE, picture_of_ink, picture_of_strokes

HOOK = np.array([[0, 0], [10, 2], [12, 20], [3, 24]], float)
DOT = np.array([[20.0, 5.0]])


@given(scale=st.floats(0.01, 100), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_where_and_how_large_it_was_drawn_changes_nothing(scale, x, y):
    moved = [stroke * scale + [x, y] for stroke in (HOOK, DOT)]
    np.testing.assert_allclose(
        picture_of_strokes(moved), picture_of_strokes([HOOK, DOT]), atol=1e-5
    )


def test_ink_is_what_is_nearer_to_a_stroke_than_half_a_pen():
    # A level line from edge to edge: rows 13 and 14 lie half a pixel from it, 12 and 15 one and a half.
    picture = picture_of_strokes([np.array([[0.0, 0.0], [1.0, 0.0]])])
    assert picture[[13, 14], 10:18].min() == 1
    assert picture[[12, 15], 10:18].max() == 0
    assert picture.sum() == pytest.approx(INK * 2, abs=1)


def test_the_longer_side_is_of_one_length_and_in_the_middle():
    rows, columns = np.nonzero(picture_of_strokes([HOOK]) > 0.5)
    assert rows.max() - rows.min() + 1 == pytest.approx(INK, abs=1)
    assert rows.min() + rows.max() == SIZE - 1
    assert columns.min() + columns.max() == pytest.approx(SIZE - 1, abs=1)


def test_a_single_tap_is_a_dot_in_the_middle():
    picture = picture_of_strokes([DOT])
    assert 2 < picture.sum() < 5
    assert picture[13:15, 13:15].min() > 0.5


@pytest.mark.parametrize(("height", "width"), [(40, 60), (200, 31), (28, 28)])
def test_ink_of_a_picture_is_cut_centred_and_averaged(height, width):
    ink = np.zeros((height, width))
    ink[3:19, 5:13] = 200.0
    picture = picture_of_ink(ink)
    # 16 x 8 pixels become 20 x 10, and no ink is lost or made.
    assert picture.shape == (SIZE, SIZE)
    assert picture.sum() == pytest.approx(INK * INK / 2, rel=1e-5)
    assert picture[4:24, 9:19].min() == pytest.approx(1, abs=1e-6)
    assert picture[:, :9].max() == picture[:4].max() == 0


def test_faint_paper_is_no_ink():
    ink = np.full((50, 50), 0.1)
    ink[10:20, 10:20] = 1.0
    assert picture_of_ink(ink)[4:24, 4:24].min() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: picture_of_strokes([]), "no stroke, expected at least one"),
        (lambda: picture_of_strokes([np.zeros((0, 2))]), "no stroke"),
        (lambda: picture_of_strokes([np.array([[np.nan, 1.0]])]), "not finite"),
        (lambda: picture_of_ink(np.zeros((5, 5))), "no ink, expected dark on light"),
        (lambda: picture_of_ink(np.full((5, 5), np.inf)), "no ink, expected"),
    ],
)
def test_nothing_drawn_is_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()
