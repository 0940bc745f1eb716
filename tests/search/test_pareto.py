"""The front of a cloud of points."""

from hypothesis import given
from hypothesis import strategies as st

from netwright.search import front_of

# Few values, so that points are equal along some axes and altogether.
points = st.integers(1, 4).flatmap(
    lambda axes: st.lists(st.tuples(*[st.integers(0, 3)] * axes), max_size=25)
)


def dominates(a, b) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


@given(points)
def test_the_front_is_what_no_other_point_dominates(values):
    free = [i for i, v in enumerate(values) if not any(dominates(other, v) for other in values)]
    first = [i for i in free if values[i] not in values[:i]]
    assert front_of(values) == first


def test_of_nothing_there_is_no_front():
    assert front_of([]) == []
