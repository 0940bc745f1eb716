"""Where artefacts lie: many networks to a file in a local folder, one to an object elsewhere.

A file is written once, synced, and only then told of; it is a tar archive, which `tar` unpacks without this library. Local
disks take milliseconds per file that must be durable, whatever its size: a batch of networks is one file.
"""

import os
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from netwright.artifacts import write_file
from netwright.errors import ArtifactError, MissingExtraError, RegistryUnavailableError

R = TypeVar("R")
Place = tuple[str, int, int]
"""A piece of a file: the file's name, first byte, number of bytes."""

IDENTITY = "registry.json"
_ENDING = ".tar"
_ZEROS = 1 << 20


class Packs(ABC):
    """Files that hold pieces, by name."""

    @abstractmethod
    def put(self, pieces: Sequence[bytes]) -> list[Place]:
        """Write pieces, durably; where they lie.

        Raises:
            RegistryUnavailableError: If there is no room, or no way to the place.
        """

    @abstractmethod
    def read(self, place: Place) -> bytes | None:
        """A piece; None if its file is not there.

        Raises:
            RegistryUnavailableError: If there is no way to the place.
        """

    @abstractmethod
    def drop(self, place: Place, *, last: bool) -> None:
        """Remove a piece for good; `last`: nothing else of its file is in use.

        Raises:
            RegistryUnavailableError: If it cannot be removed.
        """

    @abstractmethod
    def older_than(self, seconds: float) -> set[str]:
        """Names of the files that have been there for so long."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether a file is there."""

    @abstractmethod
    def identity(self, new: str | None = None) -> str | None:
        """What the place says whose it is; `new` is noted if it says nothing."""


class LocalPacks(Packs):
    """A folder on a local disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, pieces: Sequence[bytes]) -> list[Place]:
        name = f"{uuid.uuid4().hex}{_ENDING}"
        with self._reached():
            self._check_there()
            write_file(self.folder / name, b"".join(pieces))
        places, at = [], 0
        for piece in pieces:
            places.append((name, at, len(piece)))
            at += len(piece)
        return places

    def read(self, place: Place) -> bytes | None:
        name, first, length = place
        with self._reached():
            try:
                with (self.folder / name).open("rb") as file:
                    file.seek(first)
                    return file.read(length)
            except FileNotFoundError:
                self._check_there()
                return None

    def drop(self, place: Place, *, last: bool) -> None:
        name, first, length = place
        with self._reached():
            try:
                if last:
                    (self.folder / name).unlink(missing_ok=True)
                    return
                # What is removed is to be gone, and not to lie about until its neighbours go.
                with (self.folder / name).open("r+b") as file:
                    file.seek(first)
                    for at in range(0, length, _ZEROS):
                        file.write(bytes(min(_ZEROS, length - at)))
                    file.flush()
                    os.fsync(file.fileno())
            except FileNotFoundError:
                self._check_there()

    def older_than(self, seconds: float) -> set[str]:
        with self._reached():
            limit = time.time() - seconds
            paths = [*self.folder.glob(f"*{_ENDING}"), *self.folder.glob(".aside-*")]
            return {path.name for path in paths if path.stat().st_mtime < limit}

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def identity(self, new: str | None = None) -> str | None:
        path = self.folder / IDENTITY
        with self._reached():
            if new is not None and not path.exists():
                write_file(path, new.encode())
            return path.read_text() if path.exists() else None

    def _check_there(self) -> None:
        # A disk that is not mounted looks like a folder that lost everything.
        if not (self.folder / IDENTITY).exists():
            raise FileNotFoundError(2, f"it holds no {IDENTITY}", str(self.folder))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except ArtifactError as error:
            raise RegistryUnavailableError(str(error)) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise _unreachable(str(self.folder), reason) from None


class RemotePacks(Packs):
    """Any place that fsspec knows, one object per piece.

    Raises:
        MissingExtraError: If fsspec is not installed.
        RegistryUnavailableError: If the URL is of a kind that fsspec does not know.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise MissingExtraError("fsspec", "store", f"A registry at {url}") from None
        self.url = url
        self.files, self.root = self._reach(lambda: fsspec.core.url_to_fs(url))

    def put(self, pieces: Sequence[bytes]) -> list[Place]:
        places = []
        for piece in pieces:
            name = f"{uuid.uuid4().hex}{_ENDING}"
            self._reach(lambda n=name, p=piece: self._write(n, p))  # type: ignore[misc]
            places.append((name, 0, len(piece)))
        return places

    def read(self, place: Place) -> bytes | None:
        name, first, length = place

        def read() -> bytes | None:
            try:
                return bytes(self.files.cat_file(self._path(name), start=first, end=first + length))
            except FileNotFoundError:
                return None

        return self._reach(read)

    def drop(self, place: Place, *, last: bool) -> None:
        self._reach(lambda: self.has(place[0]) and self.files.rm_file(self._path(place[0])))

    def older_than(self, seconds: float) -> set[str]:
        def names() -> set[str]:
            found = self.files.ls(self.root, detail=True)
            limit = time.time() - seconds
            # A store that tells no time gives no reason to remove anything.
            return {
                str(facts["name"]).rpartition("/")[2]
                for facts in found
                if str(facts["name"]).endswith(_ENDING) and _time_of(facts) < limit
            }

        return self._reach(names)

    def has(self, name: str) -> bool:
        return self._reach(lambda: bool(self.files.exists(self._path(name))))

    def identity(self, new: str | None = None) -> str | None:
        def identity() -> str | None:
            is_there = self.files.exists(self._path(IDENTITY))
            if not is_there and new is None:
                return None
            if not is_there and new is not None:
                self._write(IDENTITY, new.encode())
            return bytes(self.files.cat_file(self._path(IDENTITY))).decode()

        return self._reach(identity)

    def _write(self, name: str, data: bytes) -> None:
        self.files.makedirs(self.root, exist_ok=True)
        self.files.pipe_file(self._path(name), data)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def _reach(self, work: Callable[[], R]) -> R:
        try:
            return work()
        # Each kind of store has errors of its own, of no common kind.
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise _unreachable(self.url, lines[0]) from None


def _time_of(facts: dict[str, Any]) -> float:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = facts.get(key)
        if value is not None:
            return float(value.timestamp() if hasattr(value, "timestamp") else value)
    return float("inf")


def packs_at(place: str | Path) -> Packs:
    """Where artefacts lie, by folder or fsspec URL."""
    text = str(place)
    if "://" not in text:
        return LocalPacks(Path(text))
    if text.startswith("file://"):
        return LocalPacks(Path(text.removeprefix("file://")))
    return RemotePacks(text)


def _unreachable(place: str, reason: str) -> RegistryUnavailableError:
    return RegistryUnavailableError(
        f"The artefacts at {place} cannot be reached ({reason}), expected a place to read and write. "
        "Nothing has changed; try again when it is there."
    )
