"""Requests that are answered with an error: a status, a code for programs, a sentence for people.

A message says what was expected and never repeats what was sent: logs and pages that show errors would
otherwise show whatever a stranger wrote.
"""

import json
from collections.abc import Mapping

from netwright.errors import NetwrightError


class RequestError(NetwrightError):
    """A request that cannot be served, and why.

    Args:
        status: Of HTTP.
        code: One word for programs; it does not change between versions.
        message: One line for people.
        headers: Such as `Retry-After`.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """As JSON."""
        return json.dumps({"error": {"code": self.code, "message": self.message}}).encode()


def malformed(message: str) -> RequestError:
    """400: the body cannot be read at all."""
    return RequestError(400, "malformed", message)


def invalid(message: str) -> RequestError:
    """422: the body can be read, and asks for what there is not."""
    return RequestError(422, "invalid", message)


def too_large(message: str) -> RequestError:
    """413: more than this server takes."""
    return RequestError(413, "too_large", message)


def not_found(what: str) -> RequestError:
    """404: not there, or not this token's."""
    return RequestError(404, "not_found", f"There is no such {what}.")


def busy(retry_after_s: float) -> RequestError:
    """429: the queue is full."""
    seconds = str(max(1, round(retry_after_s)))
    return RequestError(
        429, "busy", "The server has too much to do. Try again later.", {"Retry-After": seconds}
    )


def unavailable(retry_after_s: float = 2) -> RequestError:
    """503: what networks are kept in cannot be reached, or the server is stopping."""
    return RequestError(
        503,
        "unavailable",
        "The store of networks cannot be reached. Try again later.",
        {"Retry-After": str(max(1, round(retry_after_s)))},
    )


def late() -> RequestError:
    """504: the deadline passed."""
    return RequestError(504, "deadline", "The request was not answered within its deadline.")
