"""Modules as graphs of torch's operators, with a free number of rows."""

import contextlib
import copy
import io
import logging
import threading
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from netwright.errors import ExportError

ROWS = 4
_ALONE = threading.RLock()


def trace(network: nn.Module, input_shape: tuple[int, ...]) -> ExportedProgram:
    """The graph of a network in evaluation mode, for inputs [N, *input_shape] of float32.

    It holds a copy of the weights and no trace of where the module's code lies.

    Raises:
        ExportError: If its forward pass cannot be traced.
    """
    own = standing(network)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(
                own,
                (torch.zeros(ROWS, *input_shape),),
                dynamic_shapes=({0: Dim("rows")},),
                strict=False,
            )
    except Exception as error:
        said = (str(error).strip().splitlines() or [""])[0][:160]
        raise ExportError(
            f"{type(own).__name__} cannot be traced for inputs [N, {', '.join(map(str, input_shape))}]: "
            f"{type(error).__name__}: {said}. A file needs a forward pass that takes such inputs and does not "
            "branch on their values."
        ) from None
    for node in program.graph.nodes:
        # Names of files on the machine that exports.
        node.meta.pop("stack_trace", None)
    return program


def standing(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, on the CPU, in float32, without gradients."""
    own = copy.deepcopy(network).to("cpu", torch.float32).eval()
    return own.requires_grad_(False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters talk about their own progress on stdout, in logs and in warnings; a user asked for a file."""
    # stdout and filters of warnings belong to the process, and so does what torch keeps while it traces.
    with _ALONE:
        yield from _quiet()


def _quiet() -> Iterator[None]:
    for name in ("onnxscript", "torch.onnx", "torch.export"):
        logging.getLogger(name).setLevel(logging.ERROR)
    root = logging.getLogger()
    root.addFilter(_is_ours)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    # onnxruntime's quantisation logs to the root.
    return "onnxruntime" not in record.pathname


def sample_inputs(rows: int, input_shape: tuple[int, ...]) -> Tensor:
    """Inputs [rows, *] from 0 to 1, the same at each call."""
    rng = torch.Generator().manual_seed(rows)
    return torch.rand(rows, *input_shape, generator=rng)


__all__ = ["ROWS", "quiet", "sample_inputs", "standing", "trace"]
