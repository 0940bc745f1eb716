"""Headers that every answer has, and requests that come from the wrong place."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from netwright.serving.problems import RequestError
from netwright.serving.requests import header_of

# The page runs networks by WebAssembly, compiled from files of this server alone.
_CSP = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self' blob:",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
NO_STORE = (b"cache-control", b"no-store")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    return host in _LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdigit())


def check_place(scope: MutableMapping[str, Any], *, loopback_only: bool) -> None:
    """Refuse requests that a page of another site makes a browser send.

    Where there are no tokens, being on this machine is all that a caller has to show: a page whose name leads to
    this machine (DNS rebinding) is told from it by the name.

    Raises:
        RequestError: 403 if the request is one.
    """
    host = header_of(scope, b"host").lower()
    if loopback_only and not is_loopback(_name_of(host)):
        raise RequestError(403, "host", "Without tokens only names of this machine are answered.")
    origin = header_of(scope, b"origin").lower()
    if origin and origin not in (f"http://{host}", f"https://{host}"):
        raise RequestError(403, "origin", "Pages of other sites cannot use this server.")


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
