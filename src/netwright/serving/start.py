"""From run folders to a server that runs."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from netwright.errors import MissingExtraError, RunError
from netwright.registry import Registry
from netwright.serving.limits import ServerLimits
from netwright.serving.served import Served, add_served, load_served
from netwright.serving.tokens import TokenFile

if TYPE_CHECKING:
    from netwright.serving.gate import App
    from netwright.serving.service import Service

REGISTRY, ARTIFACTS = "sqlite:///networks/registry.db", "networks/artifacts"


def serve(
    runs: Iterable[Path] | dict[str, Served],
    *,
    registry: str = REGISTRY,
    artifacts: str = ARTIFACTS,
    token_file: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: ServerLimits | None = None,
    started: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve hypernetworks until SIGTERM or SIGINT.

    Args:
        runs: Run folders, served by their names; or what is served. Comparisons among them are only shown. None at all
            serves the hypernetwork for drawings that comes with the package, as `drawings`.
        registry: Where rows of networks are kept.
        artifacts: Where their files are kept.
        token_file: Of `netwright token new`; without one only this machine is served.
        host: To bind.
        port: To bind; 0 for one of the system's choosing.
        limits: What is too much.
        started: Called with the port as soon as connections are taken.

    Raises:
        MissingExtraError: If the `serve` or `store` extra is not installed.
        RunError: If another host than this machine is to be bound without tokens, or a run cannot be served.
        DataError: If the token file cannot be read.
    """
    _check_installed()
    from netwright.serving.security import is_loopback

    if token_file is None and not is_loopback(host):
        raise RunError(
            f"`--host` is {host} and there is no token file, expected one: whoever reaches the server could use it. "
            "Make a token: netwright token new --file tokens.json --name me"
        )
    app, service = application(
        runs, registry=registry, artifacts=artifacts, token_file=token_file, limits=limits
    )
    from netwright.serving.run import run_app

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    run_app(app, service, host=host, port=port, started=started)


def application(
    runs: Iterable[Path] | dict[str, Served],
    *,
    registry: str = REGISTRY,
    artifacts: str = ARTIFACTS,
    token_file: Path | None = None,
    limits: ServerLimits | None = None,
) -> tuple["App", "Service"]:
    """The ASGI application that `serve` runs, for servers of your own, and the service behind it.

    What `serve` adds are deadlines for slow clients and an end without loss on SIGTERM: a server of your own has to see to both. Without a token
    file, requests for names of this machine alone are answered.

    Args:
        runs: As for `serve`, like the others.
        registry: Where rows of networks are kept.
        artifacts: Where their files are kept.
        token_file: Of `netwright token new`.
        limits: What is too much.

    Raises:
        MissingExtraError: If the `serve` or `store` extra is not installed.
        RunError: If a run cannot be served.
        DataError: If the token file cannot be read.
    """
    _check_installed()
    from netwright.serving.app import build_app
    from netwright.serving.drawings import DRAWINGS_FOLDER, drawings_served
    from netwright.serving.run_folders import is_comparison, named
    from netwright.serving.runs_routes import runs_router
    from netwright.serving.service import Service
    from netwright.serving.tables import tables_router

    tokens = None if token_file is None else TokenFile(token_file)
    folders = [] if isinstance(runs, dict) else [Path(run) for run in runs]
    hypernetworks = [folder for folder in folders if not is_comparison(folder)]
    served = runs if isinstance(runs, dict) else load_served(hypernetworks)
    if not served:
        add_served(served, drawings_served())
        folders.append(DRAWINGS_FOLDER)
    service = Service(served, Registry(registry, artifacts), limits)
    routers = [runs_router(named(folders)), tables_router()]
    return build_app(service, tokens=tokens, routers=routers), service


def _check_installed() -> None:
    try:
        import fastapi  # noqa: F401 - imported to say which package is missing
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "serve", "A server") from None


__all__ = ["application", "serve"]
