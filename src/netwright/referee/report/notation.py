"""How numbers are written: as many digits as their interval gives them."""

import json
import math
from collections.abc import Callable, Iterable, Mapping

from netwright.evaluation.statistics import Interval

NOTHING = "–"


def decimals_of(half_width: float) -> int:
    """Decimals that show two digits of half an interval.

    >>> decimals_of(0.0123), decimals_of(4.5), decimals_of(120.0)
    (3, 1, 0)
    """
    if not (math.isfinite(half_width) and half_width > 0):
        return 3
    return max(1 - math.floor(math.log10(half_width)), 0)


def interval_text(interval: Interval | None) -> str:
    """Value and ends, with one number of decimals.

    >>> interval_text(Interval(0.12345, 0.1, 0.147, 0.95, "t"))
    '0.123 [0.100, 0.147]'
    """
    if interval is None:
        return NOTHING
    low, high = interval.low, interval.high
    decimals = decimals_of((high - low) / 2)
    if low == high:
        decimals = decimals_of(abs(interval.value) / 10)
    value, low_text, high_text = (_fixed(x, decimals) for x in (interval.value, low, high))
    return f"{value} [{low_text}, {high_text}]"


def number_text(value: float | None, digits: int = 3) -> str:
    """About `digits` significant digits, thousands apart.

    >>> number_text(1234.5), number_text(0.01234), number_text(7.0), number_text(None)
    ('1,234', '0.0123', '7', '–')
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if decimals > 8:
        return f"{value:.{digits - 1}e}"
    text = f"{value:,.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def column_text(values: Iterable[float | None]) -> Callable[[float | None], str]:
    """Writes numbers with one number of decimals: three digits of the largest, two of the least.

    >>> write = column_text([0.5, 0.875])
    >>> write(0.5), write(None)
    ('0.500', '–')
    """
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0] or [1.0]
    decimals = max(2 - math.floor(math.log10(max(sizes))), 1 - math.floor(math.log10(min(sizes))))

    def write(value: float | None) -> str:
        return number_text(value) if value is None else _fixed(value, max(decimals, 0))

    return write


def p_text(p: float | None) -> str:
    """A p-value; below a thousandth only that it is.

    >>> p_text(0.0002), p_text(0.25)
    ('< 0.001', '0.250')
    """
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def bytes_text(count: float | None) -> str:
    """Bytes in decimal units.

    >>> bytes_text(9838), bytes_text(3_000_000), bytes_text(512)
    ('9.84 kB', '3 MB', '512 B')
    """
    if count is None:
        return NOTHING
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{number_text(count / size)} {unit}"
    return f"{number_text(count)} B"


def options_text(options: Mapping[str, object]) -> str:
    """Options that are given, in words.

    >>> options_text({"name": "sine", "hidden": [40, 40], "warps": None})
    'name sine, hidden [40, 40]'
    """
    shown = (
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in options.items()
        if value is not None
    )
    return ", ".join(shown) or NOTHING


def share_text(share: float) -> str:
    """A share in per cent.

    >>> share_text(0.95)
    '95 %'
    """
    return f"{number_text(100 * share)} %"


def _fixed(value: float, decimals: int) -> str:
    if decimals > 8:
        return f"{value:.2e}"
    text = f"{value:,.{decimals}f}"
    # A mean that rounds to nothing has no sign.
    return text.removeprefix("-") if not text.strip("-0.,") else text
