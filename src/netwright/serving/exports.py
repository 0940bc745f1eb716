"""Networks as files to take away."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netwright.artifacts import tensors_to_bytes
from netwright.errors import ArtifactError
from netwright.generated import GeneratedNetwork
from netwright.serving.problems import Problem


@dataclass(frozen=True)
class FileFormat:
    """A kind of file.

    Args:
        ending: Of its name.
        media_type: Of HTTP.
        write: Its bytes.
    """

    ending: str
    media_type: str
    write: Callable[[GeneratedNetwork], bytes]


def exported(network: GeneratedNetwork, name: str) -> tuple[bytes, FileFormat]:
    """A network in a format by name.

    Raises:
        Problem: 422 if the network has no such form.
    """
    chosen = FORMATS[name]
    try:
        return chosen.write(network), chosen
    except ArtifactError:
        raise Problem(
            422, "no_such_form", "This network cannot be written in this format. Ask for another."
        ) from None


def _by_path(ending: str) -> Callable[[GeneratedNetwork], bytes]:
    def write(network: GeneratedNetwork) -> bytes:
        with tempfile.TemporaryDirectory(prefix="netwright-") as folder:
            return network.export(Path(folder) / f"network{ending}").read_bytes()

    return write


FORMATS = {
    "onnx": FileFormat(".onnx", "application/octet-stream", _by_path(".onnx")),
    "c": FileFormat(".c", "text/x-c; charset=utf-8", _by_path(".c")),
    "safetensors": FileFormat(
        ".safetensors",
        "application/vnd.safetensors",
        lambda network: tensors_to_bytes(network.network.state_dict()),
    ),
}
