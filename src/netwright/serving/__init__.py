"""The server: networks written, kept and run for requests over HTTP. See docs/serving.md."""

from netwright.serving.limits import ServerLimits
from netwright.serving.start import application, serve

__all__ = ["ServerLimits", "application", "serve"]
