"""Connections that have to get on: uvicorn's protocols with deadlines for what a client sends and reads.

uvicorn bounds the time between requests and nothing else: a client that sends a byte now and then would keep its
connection for ever.
"""

import asyncio
from typing import Any

from netwright.serving.limits import ServerLimits

# httptools bounds it by nothing.
_HEAD_BYTES = 65_536
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 2\r\n"
    b"connection: close\r\ncontent-length: 61\r\n\r\n"
    b'{"error":{"code":"busy","message":"Too many connections."}}  '
)
_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: 66\r\n\r\n"
    b'{"error":{"code":"slow","message":"The request came too slowly."}}'
)


def protocol_with(limits: ServerLimits) -> type[asyncio.Protocol]:
    """uvicorn's protocol (httptools where it is installed, else h11) with deadlines."""
    try:
        import httptools  # noqa: F401
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
    except ImportError:
        from uvicorn.protocols.http.h11_impl import H11Protocol as Base  # type: ignore[assignment]

    class DeadlineProtocol(Base):
        """A request's head must have come within `head_s`, its body within `body_s` or at a fair rate, and
        answers must be read; what does not get on is closed."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._phase = ""
            self._timer: asyncio.TimerHandle | None = None
            self._since, self._bytes = 0.0, 0
            self._write_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(_BUSY)
                transport.close()
                return
            self._enter("head")

        def connection_lost(self, exc: Exception | None) -> None:
            self._enter("")
            self._stop_write_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._bytes += len(data)
            super().data_received(data)
            self._look()
            if self._phase == "head" and self._bytes > _HEAD_BYTES:
                self.transport.close()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._write_timer is None:
                self._write_timer = self.loop.call_later(limits.write_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop_write_timer()

        def _stop_write_timer(self) -> None:
            if self._write_timer is not None:
                self._write_timer.cancel()
                self._write_timer = None

        def _look(self) -> None:
            """Which part of a request is waited for now."""
            if self.transport.is_closing():
                self._enter("")
                return
            cycle = self.cycle
            if cycle is not None and not cycle.response_complete:
                self._enter("body" if cycle.more_body else "")
            elif self.timeout_keep_alive_task is None:
                # No request and no timer of uvicorn's between requests: a head has begun.
                self._enter("head")
            else:
                self._enter("")

        def _enter(self, phase: str) -> None:
            if phase == self._phase:
                return
            self._phase = phase
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if phase:
                seconds = limits.head_s if phase == "head" else limits.body_s
                self._since, self._bytes = self.loop.time(), 0
                self._timer = self.loop.call_later(seconds, self._too_slow)

        def _too_slow(self) -> None:
            if self._phase == "body":
                allowed = limits.body_s + self._bytes / limits.least_bytes_per_s
                left = self._since + allowed - self.loop.time()
                if left > 0.05:
                    self._timer = self.loop.call_later(left, self._too_slow)
                    return
            self._timer = None
            cycle = self.cycle
            is_silent = cycle is None or cycle.response_complete or not cycle.response_started
            if is_silent:
                self.transport.write(_SLOW)
            self.transport.close()

    return DeadlineProtocol
