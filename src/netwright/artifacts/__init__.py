"""Files: safe, checked, crash-proof. Knows nothing of what they mean."""

from netwright.artifacts.archive import archive_of, files_of_archive
from netwright.artifacts.atomic import (
    clean_abandoned,
    clean_leftovers,
    write_file,
    write_folder,
)
from netwright.artifacts.canonical import canonical_json, digest, understood
from netwright.artifacts.hub import hub_files
from netwright.artifacts.manifest import (
    check_files,
    read_artifact,
    read_files,
    with_manifest,
    write_artifact,
)
from netwright.artifacts.signature import Verified, new_key, sign_folder, verify_folder
from netwright.artifacts.tensors import tensors_from_bytes, tensors_to_bytes

__all__ = [
    "Verified",
    "archive_of",
    "canonical_json",
    "check_files",
    "clean_abandoned",
    "clean_leftovers",
    "digest",
    "files_of_archive",
    "hub_files",
    "new_key",
    "read_artifact",
    "read_files",
    "sign_folder",
    "tensors_from_bytes",
    "tensors_to_bytes",
    "understood",
    "verify_folder",
    "with_manifest",
    "write_artifact",
    "write_file",
    "write_folder",
]
