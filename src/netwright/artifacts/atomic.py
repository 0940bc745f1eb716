"""Files and folders that are either old or new, and never half of each.

Written aside, synced, renamed, and the folder synced: a kill at any moment leaves one whole version.
"""

import ctypes
import errno
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from netwright.errors import ArtifactError

if sys.platform != "win32":
    import fcntl

_ASIDE = ".aside-"
_BEFORE = ".before-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# Between making a folder and locking it a writer needs microseconds.
_SECONDS_UNLOCKED = 60.0


def write_file(path: Path, data: bytes) -> None:
    """Write one file in one step.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    with _aside(path, needed=len(data)) as aside:
        _write_synced(aside, data)
        os.replace(aside, path)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a whole folder in one step; a folder that stood there before is replaced.

    Args:
        path: Where.
        files: Contents by name; names are plain, without folders.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    write_folder_in_turn(path, files.items(), needed=sum(map(len, files.values())))


def write_folder_in_turn(
    path: Path, files: Iterable[tuple[str, bytes]], *, needed: int = 0
) -> None:
    """As `write_folder`, with contents that are made one by one: they are never all in memory.

    Args:
        path: Where.
        files: Names and contents, taken one by one; names are plain, without folders.
        needed: Bytes of all of them, as far as known, to say if there is no room.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    with _aside(path, needed=needed) as aside:
        aside.mkdir()
        with _locked(aside):
            for name, data in files:
                _write_synced(aside / name, data)
            _sync_folder(aside)
            _put_in_place(aside, path)


def add_file(folder: Path, name: str, data: bytes) -> None:
    """Write one file into a folder in one step; at no time is there another name in it.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    with _aside(folder, needed=len(data)) as aside:
        _write_synced(aside, data)
        os.replace(aside, folder / name)
        _sync_folder(folder)


def clean_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder that nobody else writes to.

    A folder that such a writer had moved out of the way, and not yet replaced, is put back.

    Raises:
        ArtifactError: If such a folder cannot be put back.
    """
    for before in folder.glob(f"{_BEFORE}*"):
        path = folder / before.name.removeprefix(_BEFORE)
        if not path.exists():
            try:
                os.rename(before, path)
            except OSError as error:
                raise _refusal(path, error, 0) from None
        _remove(before)
    for leftover in folder.glob(f"{_ASIDE}*"):
        _remove(leftover)


def clean_abandoned(folder: Path) -> None:
    """Remove folders half written by writers that are no more; others may write here meanwhile.

    A writer holds a lock on its folder, which ends with it. Where there are no locks, nothing is
    removed.
    """
    for leftover in folder.glob(f"{_ASIDE}*"):
        # Gone meanwhile, or held by its writer: either way not ours.
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _SECONDS_UNLOCKED:
                descriptor = _lock(leftover)
                _remove(leftover)
                os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock that tells `clean_abandoned` that the writer lives."""
    descriptor = -1
    with suppress(OSError):  # a file system without locks
        descriptor = _lock(folder)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _lock(folder: Path) -> int:
    """Lock a folder, until the descriptor is closed or the process ends.

    Raises:
        OSError: If another process holds it, or there are no locks here.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOTSUP, "no locks on folders")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _aside(path: Path, *, needed: int) -> Iterator[Path]:
    """A name beside `path` to write to; whatever bears it at the end is removed."""
    if path.name in ("", ".."):
        raise ArtifactError(
            f"{path} cannot be written: it names no file or folder of its own. "
            f"Give it a name, such as {path / 'network'}."
        )
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex}")
    try:
        _make_folder(path.parent)
        yield aside
        _sync_folder(path.parent)
    except OSError as error:
        raise _refusal(path, error, needed) from None
    finally:
        _remove(aside)


def _write_synced(path: Path, data: bytes) -> None:
    # 0666 less the umask, as any program would: the file is meant to be shared.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; a folder that is there is exchanged in one step."""
    if not path.exists():
        os.rename(aside, path)
        return
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file and not a folder", str(path))
    if not _exchange(aside, path):
        _replace_by_two_renames(aside, path)


def _replace_by_two_renames(aside: Path, path: Path) -> None:
    """For systems that cannot exchange two names; `clean_leftovers` mends a kill in between."""
    before = path.with_name(f"{_BEFORE}{path.name}")
    _remove(before)
    os.rename(path, before)
    try:
        os.rename(aside, path)
    except OSError:
        os.rename(before, path)
        raise
    _remove(before)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step (Linux); False where that is not to be had."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)
    return bool(done == 0)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name synced: a power cut loses none of them."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(
        FileExistsError
    ):  # another writer was first, or a file, which the next step meets
        folder.mkdir()
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove what may be there; what cannot be removed is litter beside a whole version."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


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
