"""The application: its routes, and its description for other programs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.staticfiles import StaticFiles

from netwright._version import __version__
from netwright.serving.answers import json_answer, problem_answer
from netwright.serving.gate import ROUTE, App, Gate, Handler, answer_of
from netwright.serving.metrics import CONTENT_TYPE
from netwright.serving.openapi import DESCRIPTION, described, with_tokens
from netwright.serving.problems import RequestError, unavailable
from netwright.serving.quotas import Quotas
from netwright.serving.routes import Call, Routes
from netwright.serving.service import Service
from netwright.serving.tokens import NOBODY, TokenFile

STATIC = Path(__file__).parent / "static"


def build_app(
    service: Service,
    *,
    tokens: TokenFile | None = None,
    routers: Sequence[APIRouter] = (),
    static: Path | None = None,
) -> App:
    """The ASGI application of a service.

    Args:
        service: What does the work; it is closed when the application stops.
        tokens: Who may ask; None for anybody on this machine.
        routers: Further routes, below /v1; `request.app.state.service` is the service.
        static: Files that are served at /; by default those of the page that comes with the package, if they are there.
    """
    quotas = Quotas()
    routes = Routes(service, quotas)

    static = STATIC if static is None else static
    if static.is_dir():
        # The page takes each network away as soon as it is written.
        routes.exporter.warm()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        routes.close()
        service.close()

    app = FastAPI(
        title="Netwright", version=__version__, description=DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, swagger_ui_oauth2_redirect_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.service, app.state.exporter = service, routes.exporter
    app.add_exception_handler(RequestError, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    handlers: dict[tuple[str, str], Handler] = {
        ("GET", "/v1/hypernetworks"): routes.hypernetworks,
        ("POST", "/v1/networks"): routes.create,
        ("GET", "/v1/networks"): routes.networks,
        ("GET", "/v1/networks/{network_id}"): routes.network,
        ("DELETE", "/v1/networks/{network_id}"): routes.remove,
        ("GET", "/v1/networks/{network_id}/export"): routes.export,
        ("POST", "/v1/networks/{network_id}/predict"): routes.predict,
        ("POST", "/v1/predict"): routes.predict_once,
        ("GET", "/healthz"): _alive,
        ("GET", "/readyz"): lambda call: _ready(service),
        ("GET", "/metrics"): lambda call: _metrics(service),
    }
    for (method, path), handler in handlers.items():
        about = described(method, path, service, has_tokens=tokens is not None)
        app.add_api_route(path, _endpoint(handler, path), methods=[method], **about)
    if tokens is not None:
        plain = app.openapi
        app.openapi = lambda: with_tokens(plain())  # type: ignore[method-assign]
    for router in routers:
        app.include_router(router, prefix="/v1")
    if static.is_dir():
        _add_page(app, static)
    return Gate(app, routes, quotas, tokens)


def _add_page(app: FastAPI, static: Path) -> None:
    """A route for each file: mounted at the root, all of them together would stand before what is not there and what may not be done."""
    files = StaticFiles(directory=static)

    def route(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def file(request: Request) -> Response:
            return await files.get_response(name, request.scope)

        return file

    for each in sorted(path for path in static.rglob("*") if path.is_file()):
        name = each.relative_to(static).as_posix()
        for path in [f"/{name}"] + ["/"] * (name == "index.html"):
            app.add_route(path, route(name), methods=["GET"], include_in_schema=False)


def _endpoint(handler: Handler, path: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        request.scope[ROUTE] = path
        token = request.scope.get("netwright.token", NOBODY)
        call = Call(request.scope, request.receive, token, dict(request.path_params))
        return await answer_of(handler, call)

    endpoint.__name__ = getattr(handler, "__name__", "endpoint").strip("_")
    return endpoint


async def _alive(call: Call) -> Response:
    return json_answer({"status": "alive"})


async def _ready(service: Service) -> Response:
    if not await service.is_ready():
        raise unavailable()
    return json_answer({"status": "ready"})


async def _metrics(service: Service) -> Response:
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


async def _problem(request: Request, error: Any) -> Response:
    return problem_answer(error)


async def _http_problem(request: Request, error: Any) -> Response:
    """What the framework refuses by itself, in this server's words."""
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # The framework names those of the first route alone.
        routes = [r for r in request.app.routes if r.matches(request.scope)[0] is not Match.NONE]
        methods = {m for route in routes for m in getattr(route, "methods", None) or ()}
        headers["Allow"] = ", ".join(sorted(methods))
    told = {404: "There is no such page.", 405: "This method is not known here."}
    message = told.get(error.status_code, "The request cannot be served.")
    code = {404: "not_found", 405: "method"}.get(error.status_code, "request")
    return problem_answer(RequestError(error.status_code, code, message, headers))
