"""What comes in over HTTP: heads, bodies up to a limit, and clients that go away."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from netwright.serving.limits import ServerLimits
from netwright.serving.problems import invalid, late, malformed, too_large

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
T = TypeVar("T")


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


def header_of(scope: MutableMapping[str, Any], name: bytes) -> str:
    """A header's value, "" if it is not there.

    Raises:
        RequestError: 400 if it is empty, or comes twice: two readers could take different ones.
    """
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1 or (found and not found[0].strip()):
        raise malformed("A header that may come once, with a value, comes twice or without one.")
    return str(found[0].decode("latin-1").strip()) if found else ""


def media_type_of(scope: MutableMapping[str, Any]) -> str:
    """The content type without its parameters, in lower case."""
    return header_of(scope, b"content-type").partition(";")[0].strip().lower()


async def body_of(scope: MutableMapping[str, Any], receive: Receive, most: int) -> bytes:
    """The whole body.

    Raises:
        RequestError: 413 if it is longer than allowed, whether that is declared or found out.
        ClientGoneError: If the client goes before it has sent all.
    """
    declared = header_of(scope, b"content-length")
    if declared.isdigit() and int(declared[:20]) > most:
        raise too_large(f"The body is too long, expected at most {most:,} bytes.")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body = bytes(message.get("body", b""))
        if len(body) > most:
            raise too_large(f"The body is too long, expected at most {most:,} bytes.")
        return body
    parts, length = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        length += len(part)
        if length > most:
            raise too_large(f"The body is too long, expected at most {most:,} bytes.")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def seconds_of(scope: MutableMapping[str, Any], limits: ServerLimits) -> float:
    """Within how many seconds an answer is wanted: header `Deadline-Ms`, or the server's own bound.

    Raises:
        RequestError: 422 if the header is no whole number of milliseconds.
    """
    given = header_of(scope, b"deadline-ms")
    if not given:
        return limits.request_s
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) > 0):
        raise invalid("`Deadline-Ms` must be a whole number of milliseconds, at least 1.")
    return min(limits.request_s, int(given) / 1000)


async def while_wanted(work: Coroutine[Any, Any, T], receive: Receive, seconds: float) -> T:
    """The result of some work, which is given up when the client goes or time is over.

    Args:
        work: What is done.
        receive: Of the request; what is left of its body is not kept.
        seconds: How long it may take.

    Raises:
        ClientGoneError: If the client has gone.
        RequestError: 504 if time is over.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGoneError if gone.done() else late()
    finally:
        gone.cancel()
        task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
