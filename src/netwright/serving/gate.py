"""The door that every request comes through: who asks, from where, how much, and how it was answered."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import Response

from netwright.errors import MissingExtraError
from netwright.serving.answers import problem_answer
from netwright.serving.problems import RequestError, too_large
from netwright.serving.quotas import Quotas
from netwright.serving.requests import ClientGoneError, Receive, header_of
from netwright.serving.routes import Call, Routes
from netwright.serving.security import HEADERS, NO_STORE, check_place
from netwright.serving.tokens import NOBODY, Token, TokenFile

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Call], Awaitable[Response]]

_log = logging.getLogger("netwright.serving")
_PREDICT = re.compile(r"/v1/networks/([^/]+)/predict")
# The route that a request belongs to is noted here by whoever finds it.
ROUTE = "netwright.route"
_CLIENT_GONE = 499


async def answer_of(handler: Handler, call: Call) -> Response:
    """What a handler answers; every error is an answer, and only a bug of ours leaves a traceback in the log."""
    try:
        return await handler(call)
    except RequestError as problem:
        return problem_answer(problem)
    except ClientGoneError:
        return Response(status_code=_CLIENT_GONE)
    except (TimeoutError, MissingExtraError) as error:
        if isinstance(error, TimeoutError):
            return problem_answer(RequestError(504, "deadline", "The answer took too long."))
        _log.error("%s", error)
        return problem_answer(RequestError(501, "not_installed", "This server cannot do that."))
    except Exception:
        _log.exception("a request failed")
        return problem_answer(RequestError(500, "internal", "The server failed."))


class Gate:
    """ASGI application around another.

    Requests that are many (writing and running networks) are answered here; all others go through to the
    application, which knows them, too, so that its description is whole.

    Args:
        app: The application.
        routes: What answers.
        quotas: What tokens have used.
        tokens: Who may ask; None for anybody on this machine.
    """

    def __init__(self, app: App, routes: Routes, quotas: Quotas, tokens: TokenFile | None) -> None:
        self.app, self.routes, self.quotas, self.tokens = app, routes, quotas, tokens
        self.metrics = routes.service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        path: str = scope["path"]
        is_private = path.startswith("/v1/") or path == "/metrics"

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS, *([NO_STORE] * is_private)]
            await send(message)

        scope[ROUTE] = "other"
        try:
            check_place(scope, loopback_only=self.tokens is None)
            token = self._caller(scope) if is_private else NOBODY
            scope["netwright.token"] = token
            found = self._often(scope["method"], path)
            if found is None:
                await self.app(scope, self._bounded(receive), send_with_headers)
            else:
                scope[ROUTE], handler, named = found
                call = Call(scope, receive, token, named)
                response = await answer_of(handler, call)
                await response(scope, receive, send_with_headers)
        except RequestError as problem:
            await problem_answer(problem)(scope, receive, send_with_headers)
        self.metrics.answered(scope[ROUTE], status, time.perf_counter() - started)

    def _caller(self, scope: Scope) -> Token:
        """Whose request it is.

        Raises:
            RequestError: 401 if nobody's, 429 if there were too many.
        """
        if self.tokens is None:
            return NOBODY
        kind, _, presented = header_of(scope, b"authorization").partition(" ")
        token = self.tokens.find(presented.strip()) if kind.lower() == "bearer" else None
        if token is None:
            raise RequestError(
                401,
                "token",
                "A token of this server is needed: Authorization: Bearer ...",
                {"WWW-Authenticate": "Bearer"},
            )
        self.quotas.request(token)
        return token

    def _often(self, method: str, path: str) -> tuple[str, Handler, dict[str, str]] | None:
        if method != "POST":
            return None
        if path == "/v1/networks":
            return path, self.routes.create, {}
        if path == "/v1/predict":
            return path, self.routes.predict_once, {}
        match = _PREDICT.fullmatch(path)
        if match is None:
            return None
        return "/v1/networks/{network_id}/predict", self.routes.predict, {"network_id": match[1]}

    def _bounded(self, receive: Receive) -> Receive:
        """A body that is no longer than allowed, for whoever reads it."""
        length, most = 0, self.routes.limits.body_bytes

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > most:
                raise too_large(f"The body is too long, expected at most {most:,} bytes.")
            return message

        return bounded
