"""The hypernetworks that come with the package, read once."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from netwright.errors import RunError
from netwright.saved import KIND
from netwright.tabular import TableWriter
from netwright.training import load_writer

TABLES = "tables"


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
        writer = TableWriter.from_pretrained(Path(str(files("netwright") / "pretrained" / TABLES)))
    else:
        found, _ = load_writer(checkpoint)
        if not isinstance(found, TableWriter):
            raise RunError(
                f"{checkpoint} is of {type(found).__name__}, expected a hypernetwork for tables."
            )
        writer = found
    return writer.of_width(width).eval()


__all__ = ["KIND", "TABLES", "table_writer"]
