"""Networks in other runtimes."""

from netwright.export.c_source import export_c, export_npz
from netwright.export.onnx import export_onnx

__all__ = ["export_c", "export_npz", "export_onnx"]
