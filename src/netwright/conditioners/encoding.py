"""How numbers of known ranges enter a conditioner."""

from math import pi
from typing import Literal, get_args

import torch
from torch import Tensor

from netwright.errors import RunError

Encoding = Literal["linear", "invariant"]
"""`linear`: each number from -1 to 1. `invariant`: as the cosine and sine of a quarter turn.

With `invariant` the length of what is read does not depend on the numbers, and so neither does the size of what
is written: see Ortiz et al., Magnitude Invariant Parametrizations, arXiv:2304.07645.
"""


def check_encoding(encoding: str) -> None:
    """Refuse an unknown encoding.

    Raises:
        RunError: If it is.
    """
    if encoding not in get_args(Encoding):
        raise RunError(f"`encoding` is {encoding!r}, expected one of {list(get_args(Encoding))}.")


def encoded_width(numbers: int, encoding: Encoding) -> int:
    """How many numbers are read for so many."""
    return numbers if encoding == "linear" else 2 * numbers


def encoded(share: Tensor, encoding: Encoding) -> Tensor:
    """What is read for shares [T, D] of the way from the low to the high end of a range."""
    if encoding == "linear":
        return 2 * share - 1
    angle = share * (pi / 2)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def options_of(encoding: Encoding) -> dict[str, str]:
    """For records: left out where it is the default, as in records of earlier versions."""
    return {} if encoding == "linear" else {"encoding": encoding}
