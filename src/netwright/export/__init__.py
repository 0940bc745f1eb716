"""Networks in other runtimes.

A module is traced by torch (`tracing`) into a `Program`, a list of plain steps on arrays (`lowering`, `operators`), which three
printers write: ONNX, a module of NumPy, and C. `torch-export` keeps torch's own graph.
"""

from netwright.export.formats import FORMATS, export_network, files_of, format_of
from netwright.export.latency import Speed, compare_formats
from netwright.export.native import export_c, export_numpy, run_c, run_numpy
from netwright.export.onnx import export_onnx, run_onnx
from netwright.export.onnx_int8 import Int8Cost, export_onnx_int8, read_int8_cost
from netwright.export.onnx_weights import export_onnx_weights, run_onnx_weights
from netwright.export.table_arrays import export_npz
from netwright.export.torch_program import export_torch, run_torch

__all__ = [
    "FORMATS",
    "Int8Cost",
    "Speed",
    "compare_formats",
    "export_c",
    "export_network",
    "export_npz",
    "export_numpy",
    "export_onnx",
    "export_onnx_int8",
    "export_onnx_weights",
    "export_torch",
    "files_of",
    "format_of",
    "read_int8_cost",
    "run_c",
    "run_numpy",
    "run_onnx",
    "run_onnx_weights",
    "run_torch",
]
