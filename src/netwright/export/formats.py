"""What networks can be exported as, and the way in: `export_network`."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from netwright.conditions import ExampleSet
from netwright.errors import ExportError
from netwright.export.native import export_c, export_numpy
from netwright.export.numpy_source import weights_beside
from netwright.export.onnx import export_onnx
from netwright.export.onnx_int8 import export_onnx_int8
from netwright.export.onnx_weights import export_onnx_weights
from netwright.export.torch_program import export_torch


@dataclass(frozen=True)
class Format:
    """One way to write a network.

    Args:
        about: What it is, in a few words.
        endings: What its files end in; the first one is the usual one.
        write: Writes it.
        options: Names of the options that it takes beside those that all formats take.
    """

    about: str
    endings: tuple[str, ...]
    write: Callable[..., Any]
    options: tuple[str, ...] = ()


# Of formats with one ending the first is meant where none is named.
FORMATS: dict[str, Format] = {
    "onnx": Format("ONNX", (".onnx",), export_onnx, ("opset",)),
    "onnx-weights": Format(
        "ONNX with weights as inputs",
        (".onnx",),
        export_onnx_weights,
        ("opset", "class_head", "free"),
    ),
    "onnx-int8": Format("ONNX in int8", (".onnx",), export_onnx_int8, ("opset", "calibration")),
    "torch-export": Format("torch.export", (".pt2",), export_torch),
    "numpy": Format("a module of NumPy", (".py",), export_numpy),
    "c": Format("C99", (".c", ".h"), export_c),
}


def format_of(path: Path, format: str | None = None) -> str:
    """The format of a path: as named, or as its ending says.

    Raises:
        ExportError: If the format is not known, or the ending is that of none, or of another one.
    """
    endings = sorted({ending for each in FORMATS.values() for ending in each.endings})
    if format is None:
        for name, each in FORMATS.items():
            if path.suffix.lower() in each.endings:
                return name
        raise ExportError(
            f"{path} ends in {path.suffix!r}, expected one of {', '.join(endings)}. Name the file so, or save a folder."
        )
    if format not in FORMATS:
        raise ExportError(f"Format {format!r} is not known, expected one of {', '.join(FORMATS)}.")
    if path.suffix.lower() not in FORMATS[format].endings:
        expected = " or ".join(FORMATS[format].endings)
        raise ExportError(
            f"{path} ends in {path.suffix!r}, expected {expected} for format {format}. Name the file so."
        )
    return format


def export_network(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: str | Path,
    *,
    format: str | None = None,
    labels: Sequence[str] = (),
    tolerance: float = 1e-5,
    opset: int | None = None,
    calibration: ExampleSet | Tensor | None = None,
    class_head: str | None = None,
    free: Collection[str] | None = None,
) -> Path:
    """Write a network as a file that needs none of this library.

    Args:
        network: Any module that maps [N, *] to [N, *], in evaluation mode.
        input_shape: Shape of one input.
        path: The file; its ending says the format unless one is named.
        format: Name in `FORMATS`.
        labels: Names of the outputs.
        tolerance: Largest difference between the file's answers and the network's, relative to the largest answer.
        opset: ONNX operator set, 18 if not given.
        calibration: For `onnx-int8`: a support set, or inputs [N, *].
        class_head: For `onnx-weights`: path of the layer whose outputs may be more or fewer.
        free: For `onnx-weights`: names of the parameters that are inputs, all if not given; the others stand in the file.

    Raises:
        MissingExtraError: If it is to be ONNX and the `export` extra is not installed.
        ExportError: If the format cannot express the network, answers differ, or an option is not one of the format's.
        ArtifactError: If the file cannot be written.
    """
    path = Path(path)
    name = format_of(path, format)
    if not input_shape:
        raise ExportError(
            f"The shape of one input of {type(network).__name__} is not known, expected such as (3,). "
            "Pass `input_shape=`."
        )
    given = {"opset": opset, "calibration": calibration}
    options: dict[str, Any] = {k: value for k, value in given.items() if value is not None}
    for key in options:
        if key not in FORMATS[name].options:
            able = ", ".join(n for n, each in FORMATS.items() if key in each.options)
            raise ExportError(
                f"Format {name} takes no `{key}`, expected one of {able} for it. Leave it out."
            )
    if "calibration" in FORMATS[name].options:
        options["calibration"] = calibration
    if class_head is not None and "class_head" in FORMATS[name].options:
        options["class_head"] = class_head
    if free is not None and "free" in FORMATS[name].options:
        options["free"] = frozenset(free).__contains__
    FORMATS[name].write(network, input_shape, path, tolerance=tolerance, labels=labels, **options)
    return path


def files_of(path: Path, format: str) -> list[Path]:
    """The files that an export has made: one, or a module and its weights."""
    beside = weights_beside(path) if format == "numpy" else None
    return [path] if beside is None else [path, beside]


__all__ = ["FORMATS", "Format", "export_network", "files_of", "format_of"]
