"""C and NumPy: programs written as source, and run."""

import ctypes
import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
from torch import nn

from netwright.artifacts import write_file
from netwright.errors import ExportError
from netwright.export.c_source import c_source
from netwright.export.checking import Runner, check_answers
from netwright.export.lowering import program_of
from netwright.export.numpy_source import load_numpy, numpy_module, write_numpy
from netwright.export.program import Program

_COMPILER_OPTIONS = ("-std=c99", "-O3", "-shared", "-fPIC")


def export_numpy(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    tolerance: float = 1e-5,
    labels: Sequence[str] = (),
) -> Path:
    """Write a network as a module of Python that needs NumPy alone: `run(x)`, x [n, *].

    Beside `net.py` lies `net-<digest>.npz` with its weights. Its answers are compared before it is written.

    Args:
        network: What is exported, in evaluation mode.
        input_shape: Shape of one input.
        path: The module, which ends in .py.
        tolerance: Largest difference between its answers and the network's, relative to the largest answer.
        labels: Names of the outputs, `LABELS` of the module.

    Raises:
        ExportError: If the network does what there is no step for, or answers differ by more.
        ArtifactError: If a file cannot be written.
    """
    text, weights = numpy_module(_checked(network, input_shape, tolerance), labels)
    write_numpy(text, weights, path)
    return path


def export_c(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    tolerance: float = 1e-5,
    labels: Sequence[str] = (),
) -> Path:
    """Write a network as C99 that needs `math.h` alone: `void netwright_outputs(const float *x, float *y)`.

    There may be no compiler where it is written: what is compared before is the same program, run by NumPy.

    Args:
        network: What is exported, in evaluation mode.
        input_shape: Shape of one input.
        path: A .c file, or a .h file to be included.
        tolerance: Largest difference between the program's answers and the network's, relative to the largest answer.
        labels: Names of the outputs, for `const char *netwright_label(int output)`.

    Raises:
        ExportError: If the network does what there is no step for, or answers differ by more.
        ArtifactError: If the file cannot be written.
    """
    program = _checked(network, input_shape, tolerance)
    write_file(path, c_source(program, labels, header=path.suffix == ".h").encode())
    return path


def run_numpy(path: Path) -> Runner:
    """`run` of an exported module.

    Raises:
        ExportError: If there is no module.
    """
    spec = importlib.util.spec_from_file_location("netwright_exported", path)
    if spec is None or spec.loader is None:
        raise ExportError(f"{path} is no module of Python, expected one that `export` has written.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Runner = module.run
    return run


def run_c(path: Path, output_shape: Sequence[int]) -> Runner:
    """Answers of an exported .c file, compiled for this machine; rows one after the other.

    Args:
        path: The file.
        output_shape: Shape of one output.

    Raises:
        ExportError: If there is no compiler, or it refuses the file.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise ExportError("There is no C compiler here (cc, gcc or clang). Install one to run C.")
    with tempfile.TemporaryDirectory(prefix="netwright-c-") as folder:
        library = Path(folder) / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}.so"
        done = subprocess.run(
            [compiler, *_COMPILER_OPTIONS, str(path.absolute()), "-o", str(library), "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            raise ExportError(f"{compiler} refuses {path}: {said}")
        # Once it is loaded the file may go.
        function = ctypes.CDLL(str(library)).netwright_outputs
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_void_p), None
    outputs = prod(output_shape)

    def run(x: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(x, dtype=np.float32)
        y = np.empty((len(x), *output_shape), dtype=np.float32)
        step, made, source, into = 4 * x[0].size, 4 * outputs, x.ctypes.data, y.ctypes.data
        for row in range(len(x)):
            function(source + row * step, into + row * made)
        return y

    return run


def _checked(network: nn.Module, input_shape: tuple[int, ...], tolerance: float) -> Program:
    program = program_of(network, input_shape)
    check_answers(load_numpy(*numpy_module(program)), network, input_shape, tolerance)
    return program


__all__ = ["export_c", "export_numpy", "run_c", "run_numpy"]
