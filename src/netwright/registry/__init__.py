"""A registry of written networks: rows in SQLite or PostgreSQL, artefacts in a folder or any fsspec URL."""

from netwright.registry.entry import Entry, Faults
from netwright.registry.registry import Registry

__all__ = ["Entry", "Faults", "Registry"]
