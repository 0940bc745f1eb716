"""What goes out over HTTP."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from starlette.responses import Response
from torch import Tensor

from netwright.registry import Entry
from netwright.serving.problems import RequestError
from netwright.serving.resident import Facts
from netwright.serving.strict import array_bytes

JSON, NPY = "application/json", "application/x-npy"


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, headers, JSON)


def problem_answer(problem: RequestError) -> Response:
    """An error as JSON."""
    return Response(problem.body(), problem.status, problem.headers, JSON)


def network_record(entry: Entry) -> dict[str, Any]:
    """What the server says of a network."""
    created = datetime.fromtimestamp(entry.created, UTC).isoformat(timespec="milliseconds")
    return {
        "id": entry.network_id,
        "hypernetwork": str(entry.about.get("hypernetwork", "")),
        "kind": str(entry.about.get("kind", "")),
        "parameters": entry.parameters,
        "bytes": entry.size,
        "milliseconds": float(entry.about.get("milliseconds", 0.0)),
        "labels": list(entry.labels),
        "input_shape": list(entry.input_shape),
        "created": created.replace("+00:00", "Z"),
    }


def outputs_answer(
    outputs: Tensor, labels: tuple[str, ...], preparation: Any, milliseconds: float, *, binary: bool
) -> Response:
    """Outputs [N, C] as JSON with what they say, or as a `.npy` file."""
    values = outputs.numpy()
    if binary:
        headers = {"Netwright-Milliseconds": f"{milliseconds:.3f}"}
        return Response(array_bytes(values), 200, headers, NPY)
    record: dict[str, Any] = {"outputs": values.tolist()}
    if labels:
        record["labels"] = labels
    record["predicted"] = predicted_of(values, labels, preparation)
    record["milliseconds"] = round(milliseconds, 3)
    return json_answer(record)


def predicted_of(values: np.ndarray, labels: tuple[str, ...], preparation: Any) -> list[Any]:
    """A label per row; where outputs are values, these, in the units of the table that was trained on, if it was one."""
    if labels:
        return [labels[c] for c in values.argmax(axis=1).tolist()]
    told = preparation or {}
    scaled = values * float(told.get("std", 1.0)) + float(told.get("mean", 0.0))
    found: list[Any] = (scaled[:, 0] if scaled.shape[1] == 1 else scaled).tolist()
    return found


def labels_of(facts: Facts) -> tuple[str, ...]:
    """Names of the outputs; networks whose outputs are values have none."""
    return facts.labels
