"""The record of a signature: whether it is whole and of this manifest, not whether it is true."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.artifacts.canonical import digest
from netwright.artifacts.plain import (
    LARGEST_MANIFEST,
    MANIFEST,
    SIGNATURE,
    damaged,
    read_plain,
    text_of,
)

_LARGEST_SIGNATURE = 10_000


def read_signature(folder: Path) -> dict[str, Any] | None:
    """The signature of a folder's manifest; whole and of this manifest, but not whether it is true. None if there is none.

    Raises:
        ArtifactError: If it is damaged, or of another manifest.
    """
    path = folder / SIGNATURE
    if not path.exists() and not path.is_symlink():
        return None
    data = read_plain(path, most=_LARGEST_SIGNATURE)
    manifest = read_plain(folder / MANIFEST, most=LARGEST_MANIFEST)
    return parse_signature(path, data, manifest)


def signature_text(signature: Mapping[str, Any]) -> bytes:
    """A signature as it is written, with the sha256 of all of it."""
    return text_of({**signature, "sha256": digest(signature)})


def parse_signature(path: Path, data: bytes, manifest: bytes) -> dict[str, Any]:
    """As `read_signature`, from bytes.

    Args:
        path: Where they come from, for messages.
        data: Of the signature.
        manifest: Of the manifest.
    """
    try:
        signature: dict[str, Any] = json.loads(data)
        is_as_written = text_of(signature) == data
        is_whole = is_as_written and signature.pop("sha256") == digest(signature)
        is_of_this = is_whole and signature["manifest"] == hashlib.sha256(manifest).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged(path, "is not a signature", "what netwright wrote") from None
    if not is_whole:
        raise damaged(path, "has another sha256 than it says", "the same bytes")
    if not is_of_this:
        raise damaged(path, f"is of another {MANIFEST}", "that of this folder")
    return signature
