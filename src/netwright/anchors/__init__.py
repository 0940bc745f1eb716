"""Closed-form class heads. `ANCHORS` turns the names in run records into classes."""

from netwright.anchors.base import Anchor
from netwright.anchors.prototype import Prototype

ANCHORS: dict[str, type[Anchor]] = {"prototype": Prototype}

__all__ = ["ANCHORS", "Anchor", "Prototype"]
