"""Closed-form class heads. `ANCHORS` turns the names in run records into classes."""

from netwright.anchors.base import Anchor
from netwright.anchors.mahalanobis import Mahalanobis
from netwright.anchors.prototype import Prototype
from netwright.anchors.relative import RelativePrototype
from netwright.anchors.ridge import Ridge

ANCHORS: dict[str, type[Anchor]] = {
    "mahalanobis": Mahalanobis,
    "prototype": Prototype,
    "relative-prototype": RelativePrototype,
    "ridge": Ridge,
}

__all__ = ["ANCHORS", "Anchor", "Mahalanobis", "Prototype", "RelativePrototype", "Ridge"]
