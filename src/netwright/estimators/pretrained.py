"""The hypernetworks that come with the package, read once."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.saved import KIND
from netwright.tabular import TableWriter
from netwright.training import load_writer

TABLES = "tables"
DRAWINGS = "drawings"


@lru_cache(maxsize=8)
def table_writer(checkpoint: str | Path | None = None, width: int = 192) -> TableWriter:
    """A trained hypernetwork for tables.

    Args:
        checkpoint: A run folder, or what `save_pretrained` made of one; None for the one in the package.
        width: Hidden units per branch of what it writes.

    Raises:
        RunError: If the run trained something else.
        ArtifactError: If the files are damaged or missing.
    """
    if checkpoint is None:
        writer = TableWriter.from_pretrained(shipped_folder(TABLES))
    else:
        found, _ = load_writer(checkpoint)
        if not isinstance(found, TableWriter):
            raise RunError(
                f"{checkpoint} is of {type(found).__name__}, expected a hypernetwork for tables."
            )
        writer = found
    return writer.of_width(width).eval()


@lru_cache(maxsize=1)
def pretrained_drawings() -> Hypernetwork:
    """The hypernetwork for drawings of the package: 1 to 5 pictures [1, 28, 28] for each of 2 to 10 classes.

    Pictures are those of `netwright.tasks.ink`. How it was trained, and on what: `benchmarks/studio_hypernetwork.py`.

    Raises:
        ArtifactError: If the files are damaged or missing.
    """
    return Hypernetwork.from_pretrained(shipped_folder(DRAWINGS))


def shipped_folder(name: str) -> Path:
    """Where the package holds a hypernetwork."""
    return Path(str(files("netwright") / "pretrained" / name))


__all__ = [
    "DRAWINGS",
    "KIND",
    "TABLES",
    "pretrained_drawings",
    "shipped_folder",
    "table_writer",
]
