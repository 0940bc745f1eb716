"""`torch.export`: a graph that torch runs without the code of the module, in a file without pickles."""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ArtifactError
from netwright.export.checking import Runner, check_answers
from netwright.export.tracing import quiet, trace


def export_torch(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    tolerance: float = 1e-5,
    labels: Sequence[str] = (),
) -> Path:
    """Write a network for `torch.export.load(path).module()`, with a free number of rows.

    A .pt2 file is a zip of a graph in JSON and of tensors as plain bytes. torch would add the inputs that the graph was
    traced with as a pickle; they are left out.

    Args:
        network: What is exported, in evaluation mode.
        input_shape: Shape of one input.
        path: The file.
        tolerance: Largest difference between its answers and the network's, relative to the largest answer.
        labels: Names of the outputs, which stand in the archive as `extra/labels.json`.

    Raises:
        ExportError: If the network cannot be traced, or answers differ by more.
        ArtifactError: If the file cannot be written.
    """
    program = trace(network, input_shape)
    program.example_inputs = None
    file = io.BytesIO()
    extra = {"labels.json": json.dumps(list(labels))} if labels else None
    with quiet():
        torch.export.save(program, file, extra_files=extra)
    data = file.getvalue()
    check_answers(run_torch(data), network, input_shape, tolerance)
    write_file(path, data)
    return path


def run_torch(data: bytes | Path) -> Runner:
    """Answers of a .pt2 file, which is refused if anything in it is a pickle.

    Raises:
        ArtifactError: If it cannot be read, or holds what could run code when it is read.
    """
    if isinstance(data, Path):
        data = data.read_bytes()
    _check_without_pickles(data)
    with quiet():
        module = torch.export.load(io.BytesIO(data)).module()

    def run(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            answer: np.ndarray = module(torch.from_numpy(x)).numpy()
        return answer

    return run


def _check_without_pickles(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                content = archive.read(entry)
                name = entry.filename
                if name.endswith("_config.json") and "/data/" in f"/{name}":
                    told = json.loads(content)["config"].values()
                    is_pickle = any(each.get("use_pickle") for each in told)
                else:
                    is_pickle = bool(content) and not _is_plain(name)
                if is_pickle:
                    raise ArtifactError(
                        f"{name} in the .pt2 file is a pickle, which could run code, expected plain tensors and JSON. "
                        "Read only files that `export` has written."
                    )
    except (zipfile.BadZipFile, KeyError, ValueError, AttributeError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(
            f"The .pt2 file cannot be read ({error}), expected an archive of `torch.export`."
        ) from None


def _is_plain(name: str) -> bool:
    """Whether torch reads an entry of an archive as text or as plain bytes of a tensor."""
    _, _, inside = name.partition("/")
    if inside.startswith(("data/weights/weight_", "data/constants/tensor_")):
        return True
    plain = (
        "archive_format",
        "archive_version",
        "byteorder",
        ".data/version",
        ".data/serialization_id",
        "version",
    )
    return (
        inside in plain
        or inside.startswith("extra/")
        or (inside.startswith("models/") and inside.endswith(".json"))
    )


__all__ = ["export_torch", "run_torch"]
