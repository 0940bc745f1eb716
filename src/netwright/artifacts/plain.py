"""Reading plain files, and what is said of those that are not as they were written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.errors import ArtifactError

MANIFEST = "manifest.json"
# Stands beside the manifest, which does not list it: signing changes nothing that is signed.
SIGNATURE = "signature.json"
LARGEST_MANIFEST = 1_000_000


def read_plain(path: Path, *, most: int) -> bytes:
    """All bytes of a plain file, unless there are more than `most`: then none are read."""
    if path.is_symlink() or not path.is_file():
        raise damaged(path, "is no plain file", "one")
    size = path.stat().st_size
    if size > most:
        raise damaged(path, f"has {size:,} bytes", f"at most {most:,}")
    return path.read_bytes()


def text_of(manifest: Mapping[str, Any]) -> bytes:
    """A record as it is written."""
    return json.dumps(manifest, indent=2).encode()


def unreadable(path: Path, error: OSError) -> ArtifactError:
    """A file that cannot be read."""
    reason = (error.strerror or str(error)).lower()
    return ArtifactError(
        f"{error.filename or path} cannot be read: {reason}. Check its permissions."
    )


def damaged(path: Path, found: str, expected: str) -> ArtifactError:
    """A file that is another than was written."""
    return ArtifactError(
        f"{path} {found}, expected {expected}: it was cut or changed after it was saved. "
        "Copy it again from where it was saved, or use another one."
    )
