"""A client of `netwright serve`: networks written, run and taken away over HTTP. See docs/serving.md."""

from netwright.client.answers import Prediction, RemoteNetwork, ServerError
from netwright.client.client import Client

__all__ = ["Client", "Prediction", "RemoteNetwork", "ServerError"]
