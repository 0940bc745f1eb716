"""ONNX with int8 weights and activations, and what that costs on rows like those it will meet.

Scales are chosen by what values rows of calibration take (static quantisation, quantise-dequantise nodes).
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from netwright.artifacts import write_file
from netwright.conditions import ExampleSet
from netwright.errors import ExportError
from netwright.export.checking import check_answers
from netwright.export.onnx import _to_onnx, check_onnx_is_there, run_onnx, with_labels
from netwright.export.tracing import quiet, standing

# Where the numbers and the work are; everything else stays in float32, recurrent layers too.
_QUANTISED = ["Gemm", "MatMul", "Conv"]


@dataclass(frozen=True)
class Int8Cost:
    """What int8 costs, measured on the rows of calibration.

    Args:
        rows: How many there were.
        agreement: Share of rows whose largest output is the same one, 0 to 1.
        gap: Largest difference of an output, as a share of the largest output.
        metric: `accuracy` of classes, or `rmse` (root mean square error) of values; "" if rows have no labels.
        before: The metric of the network in float32.
        after: The metric in int8.
        bytes_before: Size of the ONNX file in float32.
        bytes_after: Size in int8.
    """

    rows: int
    agreement: float
    gap: float
    metric: str
    before: float | None
    after: float | None
    bytes_before: int
    bytes_after: int


def export_onnx_int8(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    calibration: ExampleSet | Tensor | None,
    opset: int = 18,
    tolerance: float = 1e-5,
    labels: Sequence[str] = (),
) -> Int8Cost:
    """Write a network as ONNX in int8; what it costs is returned, and stands in the file (`int8_cost`).

    Args:
        network: What is exported, in evaluation mode.
        input_shape: Shape of one input.
        path: The file.
        calibration: Rows that tell the ranges of activations: a support set, T = 1, or inputs [N, *].
        opset: ONNX operator set.
        tolerance: Of the float32 file that is quantised, relative to the largest answer; int8 itself has none.
        labels: Names of the outputs, which the file's metadata hold as JSON under `labels`.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
        ExportError: If there is no row to calibrate with, nothing that can be quantised, or no ONNX.
        ArtifactError: If the file cannot be written.
    """
    x, y = _rows_of(calibration, input_shape)
    model = _to_onnx(standing(network), input_shape, opset)
    plain = model.SerializeToString()
    check_answers(run_onnx(plain), network, input_shape, tolerance)
    data = _quantised(plain, x)
    expected, answer = run_onnx(plain)(x), run_onnx(data)(x)
    metric, before, after = _scores(expected, answer, y)
    flat = [each.reshape(len(x), -1) for each in (expected, answer)]
    cost = Int8Cost(
        rows=len(x),
        agreement=float((flat[0].argmax(axis=1) == flat[1].argmax(axis=1)).mean()),
        gap=float(np.abs(flat[0] - flat[1]).max() / max(1e-12, float(np.abs(flat[0]).max()))),
        metric=metric,
        before=before,
        after=after,
        bytes_before=len(plain),
        bytes_after=len(data),
    )
    import onnx

    labelled = with_labels(onnx.load_from_string(data), labels, int8_cost=json.dumps(asdict(cost)))
    write_file(path, labelled)
    return cost


def read_int8_cost(path: Path) -> Int8Cost:
    """What `export_onnx_int8` found when it wrote a file.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
        ExportError: If the file does not tell.
    """
    check_onnx_is_there()
    import onnx

    told = {each.key: each.value for each in onnx.load(path).metadata_props}
    if "int8_cost" not in told:
        raise ExportError(
            f"{path} does not tell what int8 costs, expected a file of format onnx-int8."
        )
    return Int8Cost(**json.loads(told["int8_cost"]))


def _rows_of(
    calibration: ExampleSet | Tensor | None, input_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs [N, *], and their classes [N] or values [N, C] where all are known."""
    if calibration is None:
        raise ExportError(
            "onnx-int8 needs rows to choose the ranges of activations by, expected a support set. "
            "Pass `calibration=support`, or --calibration."
        )
    y = None
    if isinstance(calibration, ExampleSet):
        if calibration.tasks != 1:
            raise ExportError(
                f"`calibration` is of {calibration.tasks} tasks, expected one: the one that the network is for."
            )
        real = calibration.mask[0]
        known = calibration.has_label[0][real]
        x = calibration.x[0][real]
        if bool(known.all()):
            y = calibration.y[0][real].detach().cpu().numpy()
    else:
        x = calibration
    if tuple(x.shape[1:]) != tuple(input_shape) or not len(x):
        raise ExportError(
            f"`calibration` has {len(x)} rows of {list(x.shape[1:])}, expected at least one of {list(input_shape)}."
        )
    return x.detach().cpu().to(torch.float32).numpy(), y


def _quantised(plain: bytes, x: np.ndarray) -> bytes:
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        """All rows at once."""

        def __init__(self) -> None:
            self._rest: Iterator[dict[str, np.ndarray]] = iter([{"x": x}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._rest, None)

    with tempfile.TemporaryDirectory(prefix="netwright-int8-") as folder, quiet():
        out = Path(folder) / "int8.onnx"
        quantize_static(
            onnx.load_from_string(plain),
            out,
            Rows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        data = out.read_bytes()
    if not any(
        node.op_type == "DequantizeLinear" for node in onnx.load_from_string(data).graph.node
    ):
        raise ExportError(
            "Nothing in the network can be quantised, expected linear layers or convolutions. Export it as onnx."
        )
    return data


def _scores(
    expected: np.ndarray, answer: np.ndarray, y: np.ndarray | None
) -> tuple[str, float | None, float | None]:
    if y is None:
        return "", None, None
    if y.ndim == 1 and expected.ndim == 2 and y.dtype.kind == "i":
        shares = [float((each.argmax(axis=1) == y).mean()) for each in (expected, answer)]
        return "accuracy", shares[0], shares[1]
    if y.shape != expected.shape:
        return "", None, None
    errors = [float(np.sqrt(np.square(each - y).mean())) for each in (expected, answer)]
    return "rmse", errors[0], errors[1]


__all__ = ["Int8Cost", "export_onnx_int8", "read_int8_cost"]
