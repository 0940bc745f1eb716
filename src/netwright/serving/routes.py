"""The routes of the server: a request is checked, the service asked, an answer made."""

import asyncio
import hashlib
import time
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from starlette.responses import Response

from netwright.generated import condition_digest
from netwright.serving.answers import (
    NPY,
    json_answer,
    labels_of,
    network_record,
    outputs_answer,
)
from netwright.serving.conditions import Asked, asked_of, inputs_of
from netwright.serving.exports import FORMATS, Exporter
from netwright.serving.forms import form_of
from netwright.serving.pictures import support_of_pictures
from netwright.serving.problems import RequestError, invalid, not_found
from netwright.serving.queries import idempotency_key_of, query_of, whole_of
from netwright.serving.quotas import Quotas
from netwright.serving.requested import check_activations
from netwright.serving.requests import (
    Receive,
    body_of,
    header_of,
    media_type_of,
    seconds_of,
    while_wanted,
)
from netwright.serving.service import Service
from netwright.serving.strict import array_of, only_keys, parse_object
from netwright.serving.tensors import condition_of_tensors
from netwright.serving.tokens import Token

T = TypeVar("T")
# Longer bodies are read in a thread, so that others are not kept waiting.
_LONG = 50_000
_MOST_LISTED = 1_000
SAFETENSORS = "application/vnd.safetensors"


@dataclass
class Call:
    """One request, whose caller is known.

    Args:
        scope: Of ASGI.
        receive: Of ASGI.
        token: Whose it is.
        path: What the route's path names.
    """

    scope: MutableMapping[str, Any]
    receive: Receive
    token: Token
    path: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """Whose networks it sees."""
        return self.token.name


class Routes:
    """What the server answers, one method per route.

    Args:
        service: What does the work.
        quotas: What tokens have used.
    """

    def __init__(self, service: Service, quotas: Quotas) -> None:
        self.service, self.quotas = service, quotas
        self.limits = service.limits
        self._reading = ThreadPoolExecutor(1, "netwright-read")
        self.exporter = Exporter()

    def close(self) -> None:
        """Let threads and processes go."""
        self._reading.shutdown()
        self.exporter.close()

    async def hypernetworks(self, call: Call) -> Response:
        """GET /v1/hypernetworks."""
        served = self.service.served.values()
        return json_answer([each.describe(self.limits) for each in served])

    async def create(self, call: Call) -> Response:
        """POST /v1/networks."""
        seconds = seconds_of(call.scope, self.limits)
        deadline = time.monotonic() + seconds
        key = idempotency_key_of(call.scope)
        body = await self._body(call)
        asked = await self._asked(call, body)
        with self._paid(call.token, asked.cost.parameters):
            digest = _digest_of(asked) if key else ""
            work = self.service.create(asked, call.owner, deadline, digest, key)
            entry, was_there = await while_wanted(work, call.receive, seconds)
        headers = {"Location": f"/v1/networks/{entry.network_id}"}
        if was_there:
            self.quotas.give_back(call.token, asked.cost.parameters)
            headers["Idempotent-Replayed"] = "true"
        return json_answer(network_record(entry), 201, headers)

    async def predict(self, call: Call) -> Response:
        """POST /v1/networks/{id}/predict."""
        seconds = seconds_of(call.scope, self.limits)
        deadline = time.monotonic() + seconds
        body = await self._body(call)
        media_type = media_type_of(call.scope)
        if media_type == NPY:
            x: Any = array_of(body, "x")
        elif media_type == "application/json":
            record = await self._parsed(body)
            x = only_keys(record, ("x",), "The body").get("x")
        else:
            raise _wrong_media_type("application/json", NPY)
        network_id = _id_of(call)
        return await while_wanted(
            self._predict(call, network_id, x, deadline), call.receive, seconds
        )

    async def predict_once(self, call: Call) -> Response:
        """POST /v1/predict."""
        seconds = seconds_of(call.scope, self.limits)
        deadline = time.monotonic() + seconds
        if media_type_of(call.scope) != "application/json":
            raise _wrong_media_type("application/json")
        record = await self._parsed(await self._body(call))
        only_keys(record, ("hypernetwork", "condition", "labels", "x"), "The body")
        served = self.service.hypernetwork(record.get("hypernetwork"))

        def read() -> tuple[Asked, Any]:
            asked = asked_of(served, record.get("condition"), record.get("labels"), self.limits)
            return asked, inputs_of(record.get("x"), asked.architecture.input_shape, self.limits)

        asked, x = await self._read(read)
        check_activations(asked.cost, len(x), self.limits)
        with self._paid(call.token, asked.cost.parameters):
            work = self.service.predict_once(asked, x, call.owner, deadline)
            written = await while_wanted(work, call.receive, seconds)
        assert written.outputs is not None
        preparation = served.hypernetwork.preparation
        return outputs_answer(
            written.outputs,
            asked.labels,
            preparation,
            written.milliseconds,
            binary=_wants_npy(call),
        )

    async def networks(self, call: Call) -> Response:
        """GET /v1/networks."""
        query = query_of(call.scope, ("limit", "after"))
        limit = whole_of(query, "limit", 100, 1, _MOST_LISTED)
        after = whole_of(query, "after", 0, 0, 2**62)
        entries = await self.service.store.ask(
            lambda r: r.list(owner=call.owner, limit=limit, after=after)
        )
        following = entries[-1].number if len(entries) == limit else None
        return json_answer({"networks": [network_record(e) for e in entries], "next": following})

    async def network(self, call: Call) -> Response:
        """GET /v1/networks/{id}."""
        network_id = _id_of(call)
        entry = await self.service.store.ask(lambda r: r.entry(network_id, owner=call.owner))
        return json_answer(network_record(entry))

    async def export(self, call: Call) -> Response:
        """GET /v1/networks/{id}/export."""
        query = query_of(call.scope, ("format",))
        name = query.get("format", "onnx")
        if name not in FORMATS:
            raise invalid(f"`format` must be one of {sorted(FORMATS)}.")
        network_id = _id_of(call)
        seconds = seconds_of(call.scope, self.limits)
        files = await self.service.store.ask(lambda r: r.files(network_id, owner=call.owner))
        work = self.exporter.export(files, name, seconds)
        data = await while_wanted(work, call.receive, seconds)
        chosen = FORMATS[name]
        # The id is one of the registry's: nothing of it could end the header.
        headers = {"Content-Disposition": f'attachment; filename="{network_id}{chosen.ending}"'}
        return Response(data, 200, headers, chosen.media_type)

    async def remove(self, call: Call) -> Response:
        """DELETE /v1/networks/{id}."""
        await self.service.remove((call.owner, _id_of(call)))
        return Response(status_code=204)

    async def _predict(self, call: Call, network_id: str, x: Any, deadline: float) -> Response:
        facts = await self.service.facts((call.owner, network_id), deadline)
        if isinstance(x, list) and len(x) > 1_000:
            rows = await self._read(lambda: inputs_of(x, facts.input_shape, self.limits))
        else:
            rows = inputs_of(x, facts.input_shape, self.limits)
        check_activations(facts.cost, len(rows), self.limits)
        predicted = await self.service.predict(facts, rows, deadline)
        return outputs_answer(
            predicted.outputs, labels_of(facts), facts.preparation, predicted.milliseconds,
            binary=_wants_npy(call),
        )  # fmt: skip

    async def _body(self, call: Call) -> bytes:
        body = await body_of(call.scope, call.receive, self.limits.body_bytes)
        self.quotas.bytes(call.token, len(body))
        return body

    async def _asked(self, call: Call, body: bytes) -> Asked:
        """The condition of a request, however it is sent."""
        media_type = media_type_of(call.scope)
        if media_type == "application/json":
            record = await self._parsed(body)
            only_keys(record, ("hypernetwork", "condition", "labels"), "The body")
            condition, labels = record.get("condition"), record.get("labels")
            served = self.service.hypernetwork(record.get("hypernetwork"))
        elif media_type == SAFETENSORS:
            query = query_of(call.scope, ("hypernetwork",))
            condition, labels = await self._read(partial(condition_of_tensors, body)), None
            served = self.service.hypernetwork(query.get("hypernetwork"))
        elif media_type == "multipart/form-data":
            name, classes = await form_of(call.scope, body, self.limits.pictures)
            served = self.service.hypernetwork(name)
            shape = served.reader.x if served.reader is not None else ()
            x, y = await self._read(partial(support_of_pictures, classes, shape, self.limits))
            condition, labels = {"examples": {"x": x, "y": y}}, None
        else:
            raise _wrong_media_type("application/json", SAFETENSORS, "multipart/form-data")
        ask = partial(asked_of, served, condition, labels, self.limits)
        return await self._read(ask) if len(body) > _LONG else ask()

    async def _parsed(self, body: bytes) -> dict[str, Any]:
        if len(body) <= _LONG:
            return parse_object(body)
        return await self._read(partial(parse_object, body))

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def _paid(self, token: Token, parameters: int) -> "_Paid":
        return _Paid(self.quotas, token, parameters)


class _Paid:
    """Parameters that count against a quota unless what they were for fails."""

    def __init__(self, quotas: Quotas, token: Token, parameters: int) -> None:
        self.quotas, self.token, self.count = quotas, token, parameters

    def __enter__(self) -> None:
        self.quotas.parameters(self.token, self.count)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self.quotas.give_back(self.token, self.count)


def _id_of(call: Call) -> str:
    network_id = call.path["network_id"]
    if not (network_id.isascii() and network_id.isalnum() and len(network_id) <= 64):
        raise not_found("network")
    return network_id


def _wants_npy(call: Call) -> bool:
    return header_of(call.scope, b"accept") == NPY


def _wrong_media_type(*expected: str) -> RequestError:
    return RequestError(
        415, "media_type", f"The content type must be one of: {', '.join(expected)}."
    )


def _digest_of(asked: Asked) -> str:
    """Of all that decides what a request makes, in whatever form it was sent."""
    parts = [asked.served.name, *asked.labels, repr(asked.architecture)]
    parts.append(condition_digest(asked.condition))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
