"""Files and folders that are either old or new, and never half of each.

Written aside, synced, renamed, and the folder synced: a kill at any moment leaves one whole version.
"""

import ctypes
import errno
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from netwright.errors import ArtifactError

_ASIDE = ".aside-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_file(path: Path, data: bytes) -> None:
    """Write one file in one step.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(aside, data)
        os.replace(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _refusal(path, error, len(data)) from None
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a whole folder in one step; a folder that stood there before is replaced.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        for name, data in files.items():
            _write_synced(aside / name, data)
        _sync_folder(aside)
        _put_in_place(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise _refusal(path, error, sum(map(len, files.values()))) from None
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def clean_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder that nobody else writes to."""
    for leftover in folder.glob(f"{_ASIDE}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _write_synced(path: Path, data: bytes) -> None:
    # 0666 less the umask, as any program would: the file is meant to be shared.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; a folder that is there is exchanged in one step, then removed."""
    if not path.exists():
        os.rename(aside, path)
        return
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file and not a folder", str(path))
    if not _exchange(aside, path):
        # Where the system cannot exchange two names: the old one stays until the new one is whole.
        old = path.with_name(f"{_ASIDE}{uuid.uuid4().hex}-old")
        os.rename(path, old)
        os.rename(aside, path)
        aside = old
    shutil.rmtree(aside)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step (Linux); False where that is not to be had."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)
    return bool(done == 0)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, error: OSError, needed: int) -> ArtifactError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(_existing(path)).free
        return ArtifactError(
            f"{path} could not be written: {reason.lower()} ({needed:,} bytes needed, {free:,} free). "
            "What stood there before is kept; make room or choose another folder."
        )
    return ArtifactError(
        f"{path} could not be written: {reason.lower()}. "
        "What stood there before is kept; check the path and its permissions."
    )


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())
