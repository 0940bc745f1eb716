"""What stands in a request beside its body: queries and keys."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

from netwright.serving.problems import invalid, malformed
from netwright.serving.requests import header_of


def query_of(scope: MutableMapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    """A query's values by name, each at most once.

    Raises:
        RequestError: 400 if it cannot be read, 422 if it has other names.
    """
    try:
        query = scope["query_string"].decode("ascii")
        found = parse_qs(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=10
        )
    except ValueError:
        raise malformed("The query cannot be read.") from None
    if not found.keys() <= set(known) or any(len(values) > 1 for values in found.values()):
        raise invalid(f"The query may have each of {list(known)} once, and nothing else.")
    return {name: values[0] for name, values in found.items()}


def whole_of(query: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number of a query.

    Raises:
        RequestError: 422 if it is none within these bounds.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise invalid(f"`{name}` must be a whole number from {least} to {most}.")
    return int(text)


def idempotency_key_of(scope: MutableMapping[str, Any]) -> str:
    """What tells a request that is sent again, "" if nothing does.

    Raises:
        RequestError: 422 if it is too long, or not printable.
    """
    key = header_of(scope, b"idempotency-key")
    if key and not (key.isascii() and key.isprintable() and len(key) <= 200):
        raise invalid("`Idempotency-Key` must be at most 200 printable ASCII characters.")
    return key
