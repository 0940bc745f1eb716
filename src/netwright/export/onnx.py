"""ONNX: written, run by onnxruntime, and compared before it counts as done."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ArtifactError, MissingExtraError
from netwright.export.onnx_layers import is_stack, stack_to_onnx

_ROWS = 4
_LEAST_OPSET_OF_STACKS = 18


def export_onnx(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    opset: int = 18,
    tolerance: float = 1e-5,
) -> Path:
    """Write a network as one ONNX file with a free number of rows: input `x`, output `y`.

    Args:
        network: What is exported, in evaluation mode.
        input_shape: Shape of one input.
        path: The file.
        opset: ONNX operator set.
        tolerance: Largest difference between its answers and the network's, relative to the
            largest answer.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
        ArtifactError: If answers differ by more, or the file cannot be written.
    """
    data = _to_onnx(network, input_shape, opset)
    check_onnx(data, network, input_shape, tolerance)
    write_file(path, data)
    return path


def check_onnx(
    data: bytes, network: nn.Module, input_shape: tuple[int, ...], tolerance: float
) -> None:
    """Compare an ONNX file's answers with a network's, for one row and for several.

    Raises:
        ArtifactError: If they differ by more than the tolerance.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    for rows in (1, _ROWS + 3):
        x = torch.rand(rows, *input_shape, generator=torch.Generator().manual_seed(rows))
        with torch.no_grad():
            expected = network(x)
        (answer,) = session.run(None, {"x": x.numpy()})
        gap = float((torch.from_numpy(answer) - expected).abs().max())
        if not gap <= tolerance * max(1.0, float(expected.abs().max())):
            raise ArtifactError(
                f"The exported network's answers differ by {gap:.2g}, expected at most {tolerance:.2g}. "
                "Nothing was written; export it in another format."
            )


def _to_onnx(network: nn.Module, input_shape: tuple[int, ...], opset: int) -> bytes:
    network = network.eval()
    try:
        import onnx  # noqa: F401 - imported to say which package is missing
        import onnxruntime  # noqa: F401

        if is_stack(network) and opset >= _LEAST_OPSET_OF_STACKS:
            return stack_to_onnx(network, input_shape, opset)
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "export", "Exporting to ONNX") from None
    example = torch.zeros(_ROWS, *input_shape)
    rows = torch.export.Dim("rows")
    # The exporter talks about its own progress on stdout and in logs; a user asked for a file.
    for name in ("onnxscript", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=["x"],
            output_names=["y"],
            dynamic_shapes=({0: rows},),
            verbose=False,
        )
    assert program is not None
    return program.model_proto.SerializeToString()  # type: ignore[no-any-return]
