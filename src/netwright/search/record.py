"""What a search has tried, kept in a folder line by line, so that it can be gone on with."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.artifacts import write_file
from netwright.errors import ArtifactError, NetwrightError, RunError
from netwright.search.tried import Tried

_WHAT, _LINES = "design.json", "tried.jsonl"


class SearchRecord:
    """`design.json`, what is sought, and `tried.jsonl`, a line per candidate, in a folder.

    A line counts when it is whole: whatever a kill left of the last one is cut off.

    Args:
        folder: Where.
        what: Everything that decides what is tried, JSON-able.
        resume: Whether a search is there to go on with.

    Raises:
        RunError: If the folder holds a search and is to hold none, or the other way, or another search.
        ArtifactError: If a file is damaged or cannot be written.
    """

    def __init__(self, folder: str | Path, what: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = Path(folder)
        self.path = self.folder / _LINES
        place = self.folder / _WHAT
        self.there: list[Tried] = []
        if resume:
            self._check_same(place, what)
            self.there = self._read()
            return
        if place.exists():
            raise RunError(
                f"{folder} holds a search already, expected a new folder. Go on with it (`resume=True`, --resume "
                f"{folder}), or choose another."
            )
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{folder} is a file, expected a folder. Choose another.")
        write_file(self.path, b"")
        write_file(place, (json.dumps(what, indent=2) + "\n").encode())

    def add(self, tried: Tried) -> None:
        """Keep one more; it is on disk before the next is tried.

        Raises:
            ArtifactError: If it cannot be written.
        """
        line = (json.dumps(tried.to_json()) + "\n").encode()
        try:
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ArtifactError(
                f"{self.path} cannot be written: {error}. What was tried so far is kept."
            ) from None

    def _check_same(self, place: Path, what: Mapping[str, Any]) -> None:
        if not place.exists():
            raise RunError(
                f"{self.folder} holds no search, expected a folder that `netwright design` made. Start it without "
                "`resume` (--resume)."
            )
        try:
            before = json.loads(place.read_bytes())
        except ValueError:
            raise ArtifactError(
                f"{place} is damaged, expected JSON. Start the search in a new folder."
            ) from None
        # As it is read back: tuples are lists there.
        now = json.loads(json.dumps(what))
        for name, value in now.items():
            if before.get(name) != value:
                raise RunError(
                    f"{self.folder} holds another search: its {name} is {json.dumps(before.get(name))}, here it is "
                    f"{json.dumps(value)}. Go on with it as it was started, or choose another folder."
                )

    def _read(self) -> list[Tried]:
        raw = self.path.read_bytes() if self.path.exists() else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        if whole != raw:
            write_file(self.path, whole)
        found = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                found.append(Tried.from_json(json.loads(line)))
            except (ValueError, TypeError, KeyError, NetwrightError):
                raise ArtifactError(
                    f"{self.path} is damaged in line {number}, expected what `netwright design` wrote. Start the "
                    "search in a new folder."
                ) from None
        return found


__all__ = ["SearchRecord"]
