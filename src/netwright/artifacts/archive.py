"""The files of one folder as one piece of bytes that may stand beside others in a tar archive.

A piece has no end mark: pieces one after the other are an archive that `tar` unpacks, and every byte is of one of them.
"""

import tarfile
from collections.abc import Mapping

from netwright.errors import ArtifactError

_BLOCK = 512


def archive_of(files: Mapping[str, bytes], folder: str) -> bytes:
    """Files as one piece.

    Args:
        files: Contents by plain name.
        folder: Plain name of the folder that `tar` makes of them.
    """
    parts = []
    for name, data in files.items():
        info = tarfile.TarInfo(f"{folder}/{name}")
        info.size = len(data)
        # No time and no owner: equal files, equal bytes.
        parts += [info.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % _BLOCK)]
    return b"".join(parts)


def files_of_archive(piece: bytes, name: str) -> dict[str, bytes]:
    """The inverse of `archive_of`, contents by name.

    Args:
        piece: One piece, whole.
        name: Where it comes from, for messages.

    Raises:
        ArtifactError: If it is no such piece, or holds anything but plain files of one folder.
    """
    files: dict[str, bytes] = {}
    folders = set()
    at = 0
    while at < len(piece):
        try:
            info = tarfile.TarInfo.frombuf(piece[at : at + _BLOCK], "utf-8", "strict")
        except (tarfile.HeaderError, ValueError):
            raise _damaged(name, f"has no file at byte {at:,}") from None
        folder, _, plain = info.name.partition("/")
        folders.add(folder)
        first, last = at + _BLOCK, at + _BLOCK + info.size
        if info.type != tarfile.REGTYPE or not plain or "/" in plain or plain in files:
            raise _damaged(name, f"holds {info.name!r}")
        if info.size < 0 or last > len(piece) or len(folders) > 1:
            raise _damaged(name, f"is cut at {info.name!r}")
        files[plain] = piece[first:last]
        at = last + -info.size % _BLOCK
    return files


def _damaged(name: str, found: str) -> ArtifactError:
    return ArtifactError(
        f"{name} {found}, expected plain files of one folder: it was cut or changed after it was saved. "
        "Copy it again from where it was saved."
    )
