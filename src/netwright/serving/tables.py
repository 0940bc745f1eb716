"""Tables: a CSV comes, what a network for it is worth is said, and the network can be taken away.

The network is written, not trained, by the hypernetwork for tables of the package; no row is kept.
"""

import asyncio
import math
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from netwright.errors import MissingExtraError, NetwrightError
from netwright.serving.answers import json_answer
from netwright.serving.exports import FORMATS
from netwright.serving.problems import (
    RequestError,
    busy,
    invalid,
    malformed,
    not_found,
    too_large,
)
from netwright.serving.tokens import NOBODY
from netwright.serving.told import answers

MOST_BYTES, MOST_ROWS, MOST_COLUMNS = 5_000_000, 4_096, 200
# A header line or a number of lines beyond these is refused before anything is parsed.
_MOST_COMMAS, _MOST_LINES = 1_000, 50_000
_FOLDS = 5
# Tables that are worked on and wait; networks that are kept for whoever asked for them.
_MOST_WAITING, _MOST_KEPT = 3, 32
_FORMATS = ("onnx", "c", "numpy", "safetensors")
_EXPORT_S = 30.0
_FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file", "target"],
            "additionalProperties": False,
            "properties": {
                "file": {"type": "string", "format": "binary", "description": "CSV with a header."},
                "target": {"type": "string", "description": "The column with the classes."},
            },
        }
    }
}
_FORMAT = {
    "name": "format",
    "in": "query",
    "schema": {"type": "string", "enum": list(_FORMATS), "default": "onnx"},
}
T = TypeVar("T")


def tables_router() -> APIRouter:
    """`POST /tables`: multipart with `file` and `target`; `GET /tables/{id}/export?format=onnx|c|numpy|safetensors`."""
    router = APIRouter()
    desk = _Desk()

    @router.post(
        "/tables",
        summary="Write a classifier for a table, and score it on rows left out",
        status_code=201,
        response_class=Response,
        responses=answers(201, "What it is worth, and its id", 400, 413, 415, 422, 501),
        openapi_extra={"requestBody": {"required": True, "content": _FORM}},
    )
    async def write(request: Request) -> Response:
        target, content = await _form(request)
        result = await desk.do(partial(desk.written, content, target, _owner(request)))
        return json_answer(result, 201)

    @router.get(
        "/tables/{table_id}/export",
        summary="The network of a table as a file",
        response_class=Response,
        responses=answers(200, "The file", 404, 422, 501, media_type=FORMATS["onnx"].media_type),
        openapi_extra={"parameters": [_FORMAT]},
    )
    async def export(table_id: str, request: Request) -> Response:
        name = request.query_params.get("format", "onnx")
        if name not in _FORMATS:
            raise invalid(f"`format` must be one of {list(_FORMATS)}.")
        files = desk.kept.get((_owner(request), table_id))
        if files is None:
            raise not_found("table")
        content = await request.app.state.exporter.export(files, name, _EXPORT_S)
        chosen = FORMATS[name]
        headers = {"Content-Disposition": f'attachment; filename="table{chosen.ending}"'}
        return Response(content, 200, headers, chosen.media_type)

    return router


class _Desk:
    """Works on one table at a time, in a thread of its own, and keeps the newest networks in memory."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[str, str], dict[str, bytes]] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, "netwright-tables")
        self._waiting = 0
        self._lock = threading.Lock()

    async def do(self, work: Callable[[], T]) -> T:
        """The result of some work, after what came before; what the library refuses becomes an answer.

        Raises:
            RequestError: If too much waits, or the work cannot be done.
        """
        if self._waiting >= _MOST_WAITING:
            raise busy(10)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except RequestError:
            raise
        except MissingExtraError:
            raise RequestError(501, "not_installed", "This server cannot read tables.") from None
        except NetwrightError as error:
            raise invalid(str(error)) from None
        finally:
            self._waiting -= 1

    def written(self, content: bytes, target: str, owner: str) -> dict[str, Any]:
        """Read, score on rows left out, write from all rows."""
        import numpy as np

        from netwright.estimators import NetwrightClassifier
        from netwright.estimators.held_out import OWN, held_out, reliability
        from netwright.estimators.labelled import read_labelled

        _check_size(content)
        with tempfile.TemporaryDirectory(prefix="netwright-") as folder:
            path = Path(folder) / "table.csv"
            path.write_bytes(content)
            try:
                columns, y = read_labelled(path, target)
            except NetwrightError as error:
                # Unlike elsewhere what was sent is named: columns are how a person finds the mistake.
                raise invalid(str(error).replace(str(path), "The table")[:600]) from None
        if len(y) > MOST_ROWS or len(columns) > MOST_COLUMNS:
            raise too_large(
                f"The table has {len(y):,} rows and {len(columns)} columns, expected at most {MOST_ROWS:,} and "
                f"{MOST_COLUMNS}. `netwright classify` takes more."
            )
        found = held_out(columns, y, folds=_FOLDS)
        started = time.perf_counter()
        classifier = NetwrightClassifier().fit_columns(columns, y, target=target)
        milliseconds = 1000 * (time.perf_counter() - started)
        own = next(each for each in found if each.learner == OWN)
        codes = np.unique(y, return_inverse=True)[1]
        network = classifier.to_network()
        table_id = self._keep(owner, network.files())
        return {
            "id": table_id,
            "rows": len(y),
            "columns": len(columns),
            "target": target,
            "classes": [str(name) for name in classifier.classes_],
            "folds": _FOLDS,
            "scores": {
                each.learner: {
                    metric: [_finite(value) for value in values]
                    for metric, values in each.scores.items()
                }
                for each in found
            },
            "calibration": [
                {"sure": sure, "right": right, "rows": rows}
                for sure, right, rows in reliability(own.answers, codes)
            ],
            "parameters": network.size,
            "bytes": 4 * network.size,
            "milliseconds": round(milliseconds, 3),
            "formats": list(_FORMATS),
        }

    def _keep(self, owner: str, files: dict[str, bytes]) -> str:
        table_id = secrets.token_hex(12)
        with self._lock:
            self.kept[owner, table_id] = files
            while len(self.kept) > _MOST_KEPT:
                self.kept.popitem(last=False)
        return table_id


async def _form(request: Request) -> tuple[str, bytes]:
    """The target's name and the file.

    Raises:
        RequestError: If one is missing, or the file is too large.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > MOST_BYTES + 10_000:
        raise _too_long()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RequestError(415, "media_type", "The content type must be multipart/form-data.")
    try:
        form = await request.form(max_files=1, max_fields=1)
    except RequestError:
        raise
    # What the parser makes of boundaries and encodings that are none.
    except (MultiPartException, Exception):
        raise malformed("The form cannot be read, expected `file` and `target`.") from None
    try:
        file, target = form.get("file"), form.get("target")
        if not isinstance(file, UploadFile) or not isinstance(target, str) or not target:
            raise invalid("The form must have `file`, a CSV, and `target`, the name of a column.")
        content = await file.read(MOST_BYTES + 1)
    finally:
        await form.close()
    if len(content) > MOST_BYTES:
        raise _too_long()
    return target, content


def _check_size(content: bytes) -> None:
    """Refuse what would take long, or much memory, only to be read."""
    if content[: content.find(b"\n")].count(b",") > _MOST_COMMAS:
        raise too_large(f"The table has too many columns, expected at most {MOST_COLUMNS}.")
    if content.count(b"\n") > _MOST_LINES:
        raise too_large(f"The table has too many rows, expected at most {MOST_ROWS:,}.")


def _owner(request: Request) -> str:
    return str(request.scope.get("netwright.token", NOBODY).name)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _too_long() -> RequestError:
    return too_large(f"The file is too long, expected at most {MOST_BYTES:,} bytes.")


__all__ = ["tables_router"]
