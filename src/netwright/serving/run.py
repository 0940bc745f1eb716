"""A server process: sockets, signals, an end without loss."""

import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

from netwright.serving.gate import App
from netwright.serving.protocol import protocol_with
from netwright.serving.service import Service

# While torch's thread computes in Python, the event loop waits at most so long for its turn.
_SWITCH_S = 0.0005


def run_app(
    app: App,
    service: Service,
    *,
    host: str,
    port: int,
    started: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Args:
        app: Of `build_app`.
        service: What it serves.
        host: To bind.
        port: To bind; 0 for one of the system's choosing.
        started: Called with the port as soon as connections are taken.
    """
    sys.setswitchinterval(_SWITCH_S)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = make_server(app, service, host=host, port=port, started=started)
    # What was loaded stays: collecting garbage need not look at it again.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


def make_server(
    app: App,
    service: Service,
    *,
    host: str,
    port: int,
    started: Callable[[int], None],
) -> uvicorn.Server:
    """uvicorn's server, which says when it takes connections and when it begins to stop; see `run_app`."""
    limits = service.limits
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_with(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=max(1, round(limits.idle_s)),
        timeout_graceful_shutdown=max(1, round(limits.drain_s)),
        backlog=1024,
        proxy_headers=False,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                started(self.servers[0].sockets[0].getsockname()[1])

        def handle_exit(self, sig: int, frame: Any) -> None:
            service.draining = True
            # Not uvicorn's own, which raises the signal again at the end: what was asked to stop has not failed.
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    return Server(config)
