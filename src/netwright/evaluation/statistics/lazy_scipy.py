"""SciPy, when something asks for it: the package imports without."""

import importlib
from typing import Any

from netwright.errors import MissingExtraError


def scipy_module(name: str, purpose: str) -> Any:
    """The module `scipy.<name>`.

    Args:
        name: `stats`, `special`.
        purpose: What needs it; begins the error.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    try:
        return importlib.import_module(f"scipy.{name}")
    except ImportError:
        raise MissingExtraError("scipy", "stats", purpose) from None
