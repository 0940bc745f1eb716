"""ONNX: written, run by onnxruntime, and compared before it counts as done."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ExportError, MissingExtraError
from netwright.export.checking import Runner, check_answers
from netwright.export.lowering import program_of
from netwright.export.onnx_source import OPSETS, onnx_model
from netwright.export.tracing import ROWS, quiet, standing, trace


def export_onnx(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    opset: int = 18,
    tolerance: float = 1e-5,
    labels: Sequence[str] = (),
) -> Path:
    """Write a network as one ONNX file with a free number of rows: input `x`, output `y`.

    Args:
        network: What is exported, in evaluation mode.
        input_shape: Shape of one input.
        path: The file.
        opset: ONNX operator set, 18 to 23.
        tolerance: Largest difference between its answers and the network's, relative to the
            largest answer.
        labels: Names of the outputs, which the file's metadata hold as JSON under `labels`.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
        ExportError: If the network cannot be traced, or answers differ by more.
        ArtifactError: If the file cannot be written.
    """
    model = _to_onnx(standing(network), input_shape, opset)
    data = with_labels(model, labels)
    check_answers(run_onnx(data), network, input_shape, tolerance)
    write_file(path, data)
    return path


def run_onnx(data: bytes | str) -> Runner:
    """Answers of a model of one input, by onnxruntime with one thread.

    Args:
        data: The model, or where it lies.
    """
    session = open_onnx(data)
    return lambda x: session.run(None, {"x": x})[0]


def open_onnx(data: bytes | str) -> Any:
    """An `onnxruntime.InferenceSession` with one thread.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
    """
    check_onnx_is_there()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def check_onnx_is_there() -> None:
    """Refuse to go on without the packages of ONNX.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
    """
    try:
        import onnx  # noqa: F401 - imported to say which package is missing
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "export", "Exporting to ONNX") from None


def check_opset(opset: int) -> None:
    """Refuse operator sets that nothing here writes.

    Raises:
        ExportError: If it is not one of `OPSETS`.
    """
    if opset not in OPSETS:
        raise ExportError(f"`opset` is {opset}, expected {OPSETS[0]} to {OPSETS[-1]}.")


def with_labels(model: Any, labels: Sequence[str], **more: str) -> bytes:
    """A model as bytes, with what its metadata tell."""
    from onnx import helper

    told = {**({"labels": json.dumps(list(labels))} if labels else {}), **more}
    if told:
        helper.set_model_props(model, told)
    return model.SerializeToString()  # type: ignore[no-any-return]


def _to_onnx(network: nn.Module, input_shape: tuple[int, ...], opset: int) -> Any:
    """Our own graph, of few and plain operators; torch's exporter where we have no step for something."""
    check_onnx_is_there()
    check_opset(opset)
    with contextlib.suppress(ExportError):
        return onnx_model(program_of(network, input_shape), opset=opset)
    exported = trace(network, input_shape)
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                exported,
                (torch.zeros(ROWS, *input_shape),),
                dynamo=True,
                opset_version=opset,
                input_names=["x"],
                output_names=["y"],
                verbose=False,
            )
    except Exception as error:
        said = (str(error).strip().splitlines() or [""])[0][:160]
        raise ExportError(
            f"{type(network).__name__} has no ONNX: {said}. Export it as torch-export."
        ) from None
    assert program is not None
    model = program.model_proto
    for node in (*model.graph.node, *(node for own in model.functions for node in own.node)):
        # Names of modules and files on the machine that exports.
        del node.metadata_props[:]
    return model


__all__ = [
    "check_onnx_is_there",
    "check_opset",
    "export_onnx",
    "open_onnx",
    "run_onnx",
    "with_labels",
]
