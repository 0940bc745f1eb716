"""The log of a training: one JSON object per line, the same bytes for the same run."""

import json
import os
from pathlib import Path
from typing import Any

from netwright.errors import ArtifactError


class TrainingLog:
    """Appends lines to a file that a resumed training cuts back to where its checkpoint was.

    Args:
        path: The file; None for a log that is kept in memory only.
        length: Bytes to keep of what is there.
    """

    def __init__(self, path: Path | None, length: int = 0) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        self.length = length
        if path is None:
            return
        if path.exists() or length:
            kept = path.read_bytes()[:length] if path.exists() else b""
            if len(kept) < length:
                raise ArtifactError(
                    f"{path} has {len(kept)} bytes, expected at least {length} at this checkpoint. "
                    "It was cut; remove the run folder and train again."
                )
            os.truncate(path, length)
            self.lines = [json.loads(line) for line in kept.decode().splitlines()]
        else:
            path.touch()

    def append(self, line: dict[str, Any]) -> None:
        """Add one line."""
        self.lines.append(line)
        text = (json.dumps(line) + "\n").encode()
        self.length += len(text)
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(text)

    def sync(self) -> None:
        """Make sure that what was appended survives a power cut."""
        if self.path is None:
            return
        with self.path.open("ab") as file:
            os.fsync(file.fileno())


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a log; a last line that is cut is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
