"""Scores as they enter: float64, of the expected axes, finite."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from netwright.errors import ShapeError, StatisticsError

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
"""Takes samples, [B, *axes of one sample], and returns one number each, [B]."""


def finite_array(name: str, values: npt.ArrayLike, axes: str, *, least: int = 1) -> FloatArray:
    """`values` as float64, once it is sure that they can be computed with.

    Args:
        name: What the user calls them.
        values: Numbers.
        axes: Names of the axes separated by spaces; a leading `*` stands for any further axes.
        least: How many the last axis must hold.

    Raises:
        ShapeError: If there are other axes, or an empty one.
        StatisticsError: If a number is not finite, or the last axis holds too few.
    """
    array = np.asarray(values, dtype=np.float64)
    names = axes.removeprefix("* ").split()
    is_open = axes.startswith("*")
    fits = array.ndim >= len(names) if is_open else array.ndim == len(names)
    if not fits or 0 in array.shape:
        raise ShapeError(
            f"`{name}` is {list(array.shape)}, expected [{', '.join(axes.split())}], none of them empty."
        )
    if array.shape[-1] < least:
        raise StatisticsError(
            f"`{name}` holds {array.shape[-1]} along {names[-1]}, expected at least {least}. Score more."
        )
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = ", ".join(map(str, index))
        raise StatisticsError(
            f"`{name}` is {array[index]} at [{place}], expected finite numbers. Find out why that "
            "score failed; leaving it out for one learner only would break the pairing."
        )
    return array


def check_share(name: str, value: float) -> None:
    """Refuse what is not strictly between 0 and 1.

    Raises:
        StatisticsError: If it is not.
    """
    if not 0 < value < 1:
        raise StatisticsError(
            f"`{name}` is {value}, expected a share strictly between 0 and 1, such as 0.95."
        )


def check_count(name: str, value: int, least: int = 1) -> None:
    """Refuse a number of things below `least`.

    Raises:
        StatisticsError: If it is.
    """
    if value < least:
        raise StatisticsError(f"`{name}` is {value}, expected {least} or more.")
