"""Files: safe, checked, crash-proof. Knows nothing of what they mean."""

from netwright.artifacts.atomic import (
    clean_abandoned,
    clean_leftovers,
    write_file,
    write_folder,
)
from netwright.artifacts.canonical import canonical_json, digest
from netwright.artifacts.manifest import read_artifact, read_files, write_artifact
from netwright.artifacts.tensors import tensors_from_bytes, tensors_to_bytes

__all__ = [
    "canonical_json",
    "clean_abandoned",
    "clean_leftovers",
    "digest",
    "read_artifact",
    "read_files",
    "tensors_from_bytes",
    "tensors_to_bytes",
    "write_artifact",
    "write_file",
    "write_folder",
]
