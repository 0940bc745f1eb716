"""Files of a repository on the Hugging Face Hub: those that its manifest lists, and none other."""

import re
from pathlib import Path
from typing import Any

from netwright.artifacts.manifest import check_files, listed_files
from netwright.artifacts.plain import MANIFEST
from netwright.errors import ArtifactError, MissingExtraError

_REPOSITORY = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)


def hub_files(repository: str, kind: str, *, revision: str | None = None) -> dict[str, bytes]:
    """The files of an artifact on the hub, by name; every byte is checked against the manifest.

    Nothing is downloaded that the manifest does not list, and nothing is run.

    Args:
        repository: `owner/name`.
        kind: What it must hold.
        revision: A branch, tag or commit; by default the newest.

    Raises:
        MissingExtraError: If the `hub` extra is not installed.
        ArtifactError: If it is not there, cannot be reached, is damaged or of another kind.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise ArtifactError(
            f"{repository} is not there, expected the folder of a {kind}, or owner/name of a repository on the hub. "
            "Check the path."
        )
    try:
        import huggingface_hub
    except ImportError:
        purpose = f"{repository} is no folder here; to look for it on the hub"
        raise MissingExtraError("huggingface_hub", "hub", purpose) from None
    manifest = _download(huggingface_hub, repository, MANIFEST, revision)
    # The commit that the manifest is of: the other files are to be of the same.
    commit = manifest.parent.name
    data = _content(manifest, 1_000_000)
    files = {MANIFEST: data}
    for name, size in listed_files(repository, data, kind).items():
        files[name] = _content(_download(huggingface_hub, repository, name, commit), size)
    return check_files(files, kind, repository)


def _content(path: Path, most: int) -> bytes:
    if path.stat().st_size > most:
        raise ArtifactError(
            f"{path.name} on the hub has {path.stat().st_size:,} bytes, expected at most {most:,}: it is not what its "
            "manifest says. Ask whoever published it."
        )
    return path.read_bytes()


def _download(hub: Any, repository: str, name: str, revision: str | None) -> Path:
    try:
        return Path(hub.hf_hub_download(repository, name, revision=revision))
    # The client's errors, and those of what carries it, have no common kind.
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        raise ArtifactError(
            f"{repository} is no folder here, and {name} of it could not be had from the hub ({reason}). Check the "
            "path, or the name and the connection."
        ) from None
