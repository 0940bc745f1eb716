"""What a server answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.errors import NetwrightError


class ServerError(NetwrightError, RuntimeError):
    """A server that refuses a request, or cannot be reached.

    Args:
        message: What it says.
        status: Of HTTP; 0 if there was no answer.
        code: The server's word for it.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class RemoteNetwork:
    """A network that a server keeps.

    Args:
        id: Its name.
        hypernetwork: What wrote it.
        kind: What its outputs are: `exchangeable-classes`, `fixed-classes` or `values`.
        parameters: How many numbers it holds.
        bytes: Of its files.
        milliseconds: In which its batch was written.
        labels: Names of the outputs.
        input_shape: Of one input.
        created: When, in UTC.
    """

    id: str
    hypernetwork: str
    kind: str
    parameters: int
    bytes: int
    milliseconds: float
    labels: tuple[str, ...]
    input_shape: tuple[int, ...]
    created: str


@dataclass(frozen=True)
class Prediction:
    """What a network says of rows.

    Args:
        outputs: [N, C].
        predicted: A label per row, or its values.
        labels: Names of the outputs.
        milliseconds: In which its batch was run.
    """

    outputs: np.ndarray
    predicted: tuple[Any, ...]
    labels: tuple[str, ...]
    milliseconds: float


def network_of(record: Mapping[str, Any]) -> RemoteNetwork:
    """From JSON."""
    known = {name: record[name] for name in RemoteNetwork.__dataclass_fields__}
    return RemoteNetwork(
        **{
            **known,
            "labels": tuple(known["labels"]),
            "input_shape": tuple(known["input_shape"]),
        }
    )


def prediction_of(record: Mapping[str, Any]) -> Prediction:
    """From JSON."""
    outputs = np.asarray(record["outputs"], dtype=np.float32)
    labels = tuple(record.get("labels", ()))
    return Prediction(outputs, tuple(record["predicted"]), labels, record["milliseconds"])


def error_of(response: Any) -> ServerError:
    """Of an HTTP response that is no success."""
    try:
        told = response.json()["error"]
        message, code = str(told["message"]), str(told["code"])
    except (ValueError, KeyError, TypeError):
        message, code = "The server answered something else than expected.", ""
    return ServerError(message, status=response.status_code, code=code)
