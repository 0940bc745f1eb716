"""Closed-form class heads. `ANCHORS` turns the names in run records into classes."""

from netwright.anchors.base import Anchor
from netwright.anchors.mahalanobis import Mahalanobis
from netwright.anchors.prototype import Prototype

ANCHORS: dict[str, type[Anchor]] = {"mahalanobis": Mahalanobis, "prototype": Prototype}

__all__ = ["ANCHORS", "Anchor", "Mahalanobis", "Prototype"]
