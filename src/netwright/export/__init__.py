"""Networks in other runtimes."""

from netwright.export.onnx import export_onnx

__all__ = ["export_onnx"]
