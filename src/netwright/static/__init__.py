"""Static hypernetworks: one network whose weights are written from learned embeddings, so as to have few numbers."""

from netwright.static.hypernetwork import StaticHypernetwork

__all__ = ["StaticHypernetwork"]
