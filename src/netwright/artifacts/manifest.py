"""Folders of files with a manifest that names each file's size and sha256.

manifest.json: {"kind", "format", "files": {name: {"bytes", "sha256"}}, "sha256" of all the rest}
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.artifacts.atomic import write_folder
from netwright.errors import ArtifactError

MANIFEST = "manifest.json"
FORMAT = 1
_LARGEST_MANIFEST = 1_000_000


def write_artifact(folder: Path, kind: str, files: Mapping[str, bytes]) -> None:
    """Write files and their manifest as one folder, in one step.

    Args:
        folder: Where; a folder of the same kind that is there already is replaced, none other.
        kind: What it holds: `checkpoint`, `network`.
        files: Contents by name.

    Raises:
        ArtifactError: If the folder cannot be written, or holds something else.
    """
    if folder.is_dir() and any(folder.iterdir()) and _kind_of(folder) != kind:
        raise ArtifactError(
            f"{folder} is there already and is no {kind}, expected a new folder or a {kind} to replace. "
            "Choose another path; nothing was changed."
        )
    listed = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    manifest: dict[str, Any] = {"kind": kind, "format": FORMAT, "files": listed}
    manifest["sha256"] = _digest(manifest)
    write_folder(folder, {**files, MANIFEST: json.dumps(manifest, indent=2).encode()})


def read_artifact(folder: Path, kind: str) -> dict[str, bytes]:
    """Read a folder that `write_artifact` wrote, every byte checked; contents by name.

    Raises:
        ArtifactError: If anything is missing, added, damaged, newer, or of another kind.
    """
    manifest = _read_manifest(folder, kind)
    if manifest.get("kind") != kind:
        raise ArtifactError(
            f"{folder} holds a {manifest.get('kind')}, expected a {kind}. Give the path of a {kind}."
        )
    listed = manifest["files"]
    there = {path.name for path in folder.iterdir()} - {MANIFEST}
    if there != set(listed):
        missing, added = sorted(set(listed) - there), sorted(there - set(listed))
        raise _damaged(
            folder, f"lacks {missing} and has unlisted {added}", "the files of its manifest"
        )
    files = {}
    for name, facts in listed.items():
        data = _read(folder / name)
        if len(data) != facts["bytes"]:
            raise _damaged(folder / name, f"has {len(data):,} bytes", f"{facts['bytes']:,}")
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise _damaged(
                folder / name, "has another sha256 than its manifest says", "the same bytes"
            )
        files[name] = data
    return files


def _read_manifest(folder: Path, kind: str) -> dict[str, Any]:
    if not folder.is_dir():
        there = "is a file" if folder.exists() else "is not there"
        raise ArtifactError(f"{folder} {there}, expected the folder of a {kind}. Check the path.")
    path = folder / MANIFEST
    if not path.is_file():
        hint = " Give a folder inside it." if (folder / "checkpoints").is_dir() else ""
        what = (
            "a run folder"
            if (folder / "checkpoints").is_dir()
            else "a folder without manifest.json"
        )
        raise ArtifactError(f"{folder} is {what}, expected the folder of a {kind}.{hint}")
    data = _read(path, most=_LARGEST_MANIFEST)
    try:
        manifest = json.loads(data)
        is_canonical = json.dumps(manifest, indent=2).encode() == data
        newer = isinstance(manifest["format"], int) and manifest["format"] > FORMAT
        digest = manifest.pop("sha256")
        names = list(manifest["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged(path, "is not a manifest", "what netwright wrote") from None
    if newer:
        raise ArtifactError(
            f"{folder} has format {manifest['format']}, expected at most {FORMAT}: it was written by a "
            "newer netwright. Upgrade: pip install -U netwright"
        )
    if digest != _digest(manifest) or not is_canonical:
        raise _damaged(path, "has another sha256 than it says", "the same bytes")
    for name in names:
        if Path(name).name != name or name in (".", "..", MANIFEST) or "\\" in name:
            raise _damaged(path, f"lists {name!r}", "plain file names inside the folder")
    return dict(manifest)


def _kind_of(folder: Path) -> str | None:
    try:
        kind = json.loads(_read(folder / MANIFEST, most=_LARGEST_MANIFEST))["kind"]
    except (ArtifactError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(kind)


def _read(path: Path, most: int | None = None) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise _damaged(path, "is no plain file", "one")
        if most is not None and path.stat().st_size > most:
            raise _damaged(path, f"has {path.stat().st_size:,} bytes", f"at most {most:,}")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}. Check its permissions."
        ) from None


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, found: str, expected: str) -> ArtifactError:
    return ArtifactError(
        f"{path} {found}, expected {expected}: it was cut or changed after it was saved. "
        "Copy it again from where it was saved, or use another checkpoint."
    )
