"""A client of `netwright serve`: networks written, run and taken away over HTTP."""

import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from netwright.client.answers import (
    Prediction,
    RemoteNetwork,
    ServerError,
    error_of,
    network_of,
    prediction_of,
)
from netwright.errors import MissingExtraError

Numbers = Sequence[Any] | np.ndarray | Tensor
# Answers after which the same request may be sent again: it was not begun, or may not have been.
_TRY_AGAIN = (429, 503)
_LONGEST_REST_S = 10.0


class Client:
    """Speaks to one server; may be used by several threads.

    A request that the server had no time for, or that was lost on the way, is sent again, with growing rests. Writing a network
    carries a key, so that one that is sent twice is written once.

    Args:
        base_url: Such as `http://127.0.0.1:8000`.
        token: Of `netwright token new`; None where the server needs none.
        timeout_s: Of one request.
        tries: How often a request is sent at most.

    Raises:
        MissingExtraError: If the `client` extra is not installed.
    """

    def __init__(
        self, base_url: str, token: str | None = None, *, timeout_s: float = 60.0, tries: int = 5
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtraError("httpx", "client", "A client") from None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=base_url, headers=headers, timeout=timeout_s, follow_redirects=False
        )
        self._lost = (httpx.TransportError,)
        self.tries = tries

    def hypernetworks(self) -> list[dict[str, Any]]:
        """What can write networks, and what each accepts.

        Raises:
            ServerError: If the server refuses or cannot be reached, as for all methods.
        """
        found: list[dict[str, Any]] = self._json("GET", "/v1/hypernetworks")
        return found

    def create(
        self,
        hypernetwork: str,
        *,
        examples: tuple[Numbers, Sequence[Any] | np.ndarray | Tensor] | None = None,
        context: Numbers | None = None,
        description: str | None = None,
        architecture: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> RemoteNetwork:
        """Have a network written and kept.

        Args:
            hypernetwork: By name.
            examples: Inputs [S, *], and classes or values [S] or [S, C].
            context: Numbers that describe the task, [D].
            description: A text that does.
            architecture: What the network is to look like.
            labels: Names of its outputs.
            idempotency_key: By default one of this call's own.
        """
        body = _asked(hypernetwork, examples, context, description, architecture, labels)
        key = uuid.uuid4().hex if idempotency_key is None else idempotency_key
        return network_of(self._json("POST", "/v1/networks", body, {"Idempotency-Key": key}))

    def predict(self, network: RemoteNetwork | str, x: Numbers) -> Prediction:
        """What a network says of rows.

        Args:
            network: Itself, or its id.
            x: Inputs, [N, *].
        """
        path = f"/v1/networks/{_id_of(network)}/predict"
        return prediction_of(self._json("POST", path, {"x": _listed(x)}))

    def predict_once(
        self,
        hypernetwork: str,
        x: Numbers,
        *,
        examples: tuple[Numbers, Sequence[Any] | np.ndarray | Tensor] | None = None,
        context: Numbers | None = None,
        description: str | None = None,
        architecture: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> Prediction:
        """Have a network written, run on rows, and kept nowhere; see `create` and `predict`."""
        body = _asked(hypernetwork, examples, context, description, architecture, labels)
        return prediction_of(self._json("POST", "/v1/predict", {**body, "x": _listed(x)}))

    def get(self, network_id: str) -> RemoteNetwork:
        """What is known of a network."""
        return network_of(self._json("GET", f"/v1/networks/{_id_of(network_id)}"))

    def list(self) -> Iterator[RemoteNetwork]:
        """All networks of this token, oldest first, page by page."""
        after: int | None = 0
        while after is not None:
            page = self._json("GET", f"/v1/networks?limit=500&after={after}")
            yield from map(network_of, page["networks"])
            after = page["next"]

    def export(self, network: RemoteNetwork | str, format: str = "onnx") -> bytes:
        """A network as a file.

        Args:
            network: Itself, or its id.
            format: Such as `onnx`, `safetensors` or `c`.
        """
        path = f"/v1/networks/{_id_of(network)}/export"
        return bytes(self._answer("GET", path, params={"format": format}).content)

    def delete(self, network: RemoteNetwork | str) -> None:
        """Have a network forgotten; one that is not there is forgotten already."""
        try:
            self._answer("DELETE", f"/v1/networks/{_id_of(network)}")
        except ServerError as error:
            if error.status != 404:
                raise

    def close(self) -> None:
        """Let connections go."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _json(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        more: dict[str, Any] = {}
        if body is not None:
            more["content"] = json.dumps(body, allow_nan=False)
            headers = {"Content-Type": "application/json", **(headers or {})}
        return self._answer(method, path, headers=headers, **more).json()

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        rest = 0.1
        for left in range(self.tries - 1, -1, -1):
            asked = 0.0
            try:
                response = self._http.request(method, path, **more)
            except self._lost as error:
                problem = ServerError(
                    f"{self._http.base_url} cannot be reached ({type(error).__name__}), expected a server there. "
                    "Is it running? netwright serve RUN"
                )
            else:
                if response.is_success:
                    return response
                problem = error_of(response)
                if response.status_code not in _TRY_AGAIN:
                    raise problem
                after = response.headers.get("Retry-After", "")
                asked = float(after) if after.isdigit() else 0.0
            if not left or asked > _LONGEST_REST_S:
                raise problem
            # Not all at once again: clients that were refused together would come back together.
            time.sleep(max(asked, rest * random.uniform(0.5, 1.5)))
            rest = min(2 * rest, _LONGEST_REST_S)
        raise AssertionError("unreachable: the last try returns or raises")


def _asked(
    hypernetwork: str,
    examples: tuple[Any, Any] | None,
    context: Any,
    description: str | None,
    architecture: Mapping[str, Any] | None,
    labels: Sequence[str] | None,
) -> dict[str, Any]:
    given = {
        "examples": None
        if examples is None
        else {"x": _listed(examples[0]), "y": _listed(examples[1])},
        "context": None if context is None else _listed(context),
        "description": description,
        "architecture": None if architecture is None else dict(architecture),
    }
    condition = {name: value for name, value in given.items() if value is not None}
    body: dict[str, Any] = {"hypernetwork": hypernetwork, "condition": condition}
    return body if labels is None else {**body, "labels": list(labels)}


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, Tensor)) else value


def _id_of(network: RemoteNetwork | str) -> str:
    network_id = network.id if isinstance(network, RemoteNetwork) else network
    if not (network_id.isascii() and network_id.isalnum()):
        raise ServerError(f"{network_id!r} is no id of a network, expected letters and digits.")
    return network_id
