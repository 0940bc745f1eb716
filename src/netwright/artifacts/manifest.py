"""Folders of files with a manifest that names each file's size and sha256.

manifest.json: {"kind", "format", "files": {name: {"bytes", "sha256"}}, perhaps "provenance", "sha256" of all the rest}
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.artifacts.atomic import write_folder_in_turn
from netwright.artifacts.canonical import digest
from netwright.artifacts.plain import (
    LARGEST_MANIFEST,
    MANIFEST,
    SIGNATURE,
    damaged,
    read_plain,
    text_of,
    unreadable,
)
from netwright.artifacts.signed import parse_signature, read_signature
from netwright.errors import ArtifactError

FORMAT = 1


@dataclass(frozen=True)
class _Entry:
    """What a manifest says about one file."""

    name: str
    size: int
    sha256: str


Content = bytes | Callable[[], bytes]
"""What a file holds, or what makes it when its turn comes: a large folder is never whole in memory."""


def write_artifact(
    folder: Path,
    kind: str,
    files: Mapping[str, Content],
    *,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write files and their manifest as one folder, in one step.

    Args:
        folder: Where; a folder of the same kind that is there already is replaced, none other.
        kind: What it holds: `checkpoint`, `network`, `bank`.
        files: Contents by plain name.
        provenance: JSON-able: where they come from, if the manifest is to say it.

    Raises:
        ArtifactError: If the folder cannot be written, or holds something else.
    """
    _check_names(folder, files)
    if _is_occupied(folder) and _kind_of(folder) != kind:
        raise ArtifactError(
            f"{folder} is there already and is no {kind}, expected a new folder or a {kind} to replace. "
            "Choose another path; nothing was changed."
        )
    needed = sum(len(content) for content in files.values() if isinstance(content, bytes))
    write_folder_in_turn(folder, _with_manifest(kind, files, provenance), needed=needed)


def with_manifest(
    kind: str, files: Mapping[str, Content], *, provenance: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """What `write_artifact` would write, as contents by name.

    Raises:
        ArtifactError: If a name is not plain.
    """
    _check_names(Path(kind), files)
    return dict(_with_manifest(kind, files, provenance))


def _check_names(folder: Path, names: Iterable[str]) -> None:
    if (wrong := _not_plain(names)) is not None:
        raise ArtifactError(
            f"{folder} cannot hold a file named {wrong!r}, expected plain names other than {MANIFEST} and {SIGNATURE}. "
            "Rename it; nothing was changed."
        )


def _with_manifest(
    kind: str, files: Mapping[str, Content], provenance: Mapping[str, Any] | None
) -> Iterator[tuple[str, bytes]]:
    """Names and contents one by one, the manifest that tells of them last."""
    listed = {}
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content()
        listed[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        yield name, data
    manifest: dict[str, Any] = {"kind": kind, "format": FORMAT, "files": listed}
    if provenance is not None:
        manifest["provenance"] = dict(provenance)
    manifest["sha256"] = digest(manifest)
    yield MANIFEST, text_of(manifest)


def read_artifact(folder: Path, kind: str) -> dict[str, bytes]:
    """Read a folder that `write_artifact` wrote, every byte checked; contents by name.

    Raises:
        ArtifactError: If anything is missing, added, damaged, newer, or of another kind.
    """
    return dict(read_files(folder, kind))


def read_files(
    folder: Path, kind: str, *, first: Sequence[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """As `read_artifact`, one file at a time, sorted by name; all names are checked before the first.

    Args:
        folder: Where.
        kind: What it must hold.
        first: Names that come before all others, if they are there.

    Raises:
        ArtifactError: If anything is missing, added, damaged, newer, or of another kind.
    """
    try:
        entries = _read_manifest(folder, kind)
        _check_complete(folder, {path.name for path in folder.iterdir()}, entries)
        read_signature(folder)
        ranks = {name: rank for rank, name in enumerate(first)}
        for entry in sorted(entries, key=lambda e: (ranks.get(e.name, len(first)), e.name)):
            yield entry.name, _read_entry(folder / entry.name, entry)
    except OSError as error:
        raise unreadable(folder, error) from None


def kind_of(folder: Path) -> str:
    """What a folder says that it holds; its manifest is checked, its files are not.

    Raises:
        ArtifactError: If it has no whole manifest.
    """
    try:
        _check_is_there(folder, "a saved artifact")
        path = folder / MANIFEST
        return _parse_manifest(path, read_plain(path, most=LARGEST_MANIFEST))[0]
    except OSError as error:
        raise unreadable(folder, error) from None


def check_files(files: Mapping[str, bytes], kind: str, name: str) -> dict[str, bytes]:
    """As `read_artifact`, for contents that were read by other means, the manifest among them.

    Args:
        files: Contents by name.
        kind: What they must be.
        name: Where they come from, for messages.

    Raises:
        ArtifactError: If anything is missing, added, damaged, newer, or of another kind.
    """
    folder = Path(name)
    data = files.get(MANIFEST)
    if data is None or len(data) > LARGEST_MANIFEST:
        raise damaged(folder, f"lacks {MANIFEST}" if data is None else "is too large", "one")
    found_kind, entries = _parse_manifest(folder / MANIFEST, data)
    _check_kind(folder, found_kind, kind)
    _check_complete(folder, set(files), entries)
    if SIGNATURE in files:
        parse_signature(folder / SIGNATURE, files[SIGNATURE], data)
    return {e.name: _check_entry(folder / e.name, files[e.name], e) for e in entries}


def listed_files(name: str, manifest: bytes, kind: str) -> dict[str, int]:
    """Names and sizes of the files that a manifest lists.

    Raises:
        ArtifactError: If it is damaged, newer, of another kind, or lists a name that leads elsewhere.
    """
    folder = Path(name)
    found_kind, entries = _parse_manifest(folder / MANIFEST, manifest)
    _check_kind(folder, found_kind, kind)
    return {entry.name: entry.size for entry in entries}


def _check_complete(folder: Path, there: set[str], entries: Sequence[_Entry]) -> None:
    there, listed = there - {MANIFEST, SIGNATURE}, {entry.name for entry in entries}
    if there != listed:
        missing, added = sorted(listed - there), sorted(there - listed)
        found = f"lacks {missing} and has unlisted {added}"
        raise damaged(folder, found, "the files of its manifest")


def _check_kind(folder: Path, found: str, kind: str) -> None:
    if found != kind:
        raise ArtifactError(
            f"{folder} holds a {found}, expected a {kind}. Give the path of a {kind}."
        )


def _read_manifest(folder: Path, kind: str) -> list[_Entry]:
    _check_is_there(folder, f"a {kind}")
    path = folder / MANIFEST
    found_kind, entries = _parse_manifest(path, read_plain(path, most=LARGEST_MANIFEST))
    _check_kind(folder, found_kind, kind)
    return entries


def _check_is_there(folder: Path, expected: str) -> None:
    if not folder.is_dir():
        there = "is a file" if folder.exists() else "is not there"
        raise ArtifactError(f"{folder} {there}, expected the folder of {expected}. Check the path.")
    if not (folder / MANIFEST).is_file():
        is_run = (folder / "checkpoints").is_dir()
        found = "a run folder" if is_run else f"a folder without {MANIFEST}"
        hint = f"Give {expected} inside it." if is_run else "Check the path."
        raise ArtifactError(f"{folder} is {found}, expected the folder of {expected}. {hint}")


def _parse_manifest(path: Path, data: bytes) -> tuple[str, list[_Entry]]:
    """Kind and files of a manifest that is whole and of a format that this version reads."""
    try:
        manifest = json.loads(data)
        is_as_written = text_of(manifest) == data
        kind, form, said = manifest["kind"], manifest["format"], manifest.pop("sha256", None)
        is_newer = isinstance(form, int) and form > FORMAT
        is_whole = form == FORMAT and is_as_written and said == digest(manifest)
        entries = _entries_of(manifest) if is_whole else []
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged(path, "is not a manifest", "what netwright wrote") from None
    if is_newer:
        raise ArtifactError(
            f"{path.parent} has format {form}, expected at most {FORMAT}: it was written by a "
            "newer netwright. Upgrade: pip install -U netwright"
        )
    if not is_whole:
        raise damaged(path, "has another sha256 than it says", "the same bytes")
    if (wrong := _not_plain(entry.name for entry in entries)) is not None:
        raise damaged(path, f"lists {wrong!r}", "plain file names inside the folder")
    return str(kind), entries


def _entries_of(manifest: Mapping[str, Any]) -> list[_Entry]:
    files = manifest["files"].items()
    return [_Entry(name, int(facts["bytes"]), str(facts["sha256"])) for name, facts in files]


def _not_plain(names: Iterable[str]) -> str | None:
    """The first name that could lead out of the folder or hide the manifest, if any."""
    for name in names:
        is_plain = Path(name).name == name and not set(name) & set("/\\:\0")
        if not is_plain or name in ("", ".", "..", MANIFEST, SIGNATURE):
            return name
    return None


def _is_occupied(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from None


def _kind_of(folder: Path) -> str | None:
    """Kind of an artifact, damaged or not; None for a folder that is none."""
    try:
        kind = json.loads(read_plain(folder / MANIFEST, most=LARGEST_MANIFEST))["kind"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(kind)


def _read_entry(path: Path, entry: _Entry) -> bytes:
    return _check_entry(path, read_plain(path, most=entry.size), entry)


def _check_entry(path: Path, data: bytes, entry: _Entry) -> bytes:
    if len(data) != entry.size:
        raise damaged(path, f"has {len(data):,} bytes", f"{entry.size:,}")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise damaged(path, "has another sha256 than its manifest says", "the same bytes")
    return data
