"""Files: safe, checked, crash-proof. Knows nothing of what they mean."""

from netwright.artifacts.atomic import clean_leftovers, write_file, write_folder
from netwright.artifacts.manifest import read_artifact, write_artifact
from netwright.artifacts.tensors import tensors_from_bytes, tensors_to_bytes

__all__ = [
    "clean_leftovers",
    "read_artifact",
    "tensors_from_bytes",
    "tensors_to_bytes",
    "write_artifact",
    "write_file",
    "write_folder",
]
