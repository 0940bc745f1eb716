"""The hypernetworks that come with the package, read once."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from netwright.artifacts import read_artifact, tensors_from_bytes
from netwright.errors import RunError
from netwright.runs import Run
from netwright.tabular import TableWriter
from netwright.training import load_writer

KIND = "hypernetwork"
TABLES = "tables"


@lru_cache(maxsize=8)
def table_writer(checkpoint: str | Path | None = None, width: int = 192) -> TableWriter:
    """A trained hypernetwork for tables.

    Args:
        checkpoint: A run folder; None for the one in the package.
        width: Hidden units per branch of what it writes.

    Raises:
        RunError: If the run trained something else.
        ArtifactError: If the files are damaged or missing.
    """
    if checkpoint is None:
        with_record = read_artifact(Path(str(files("netwright") / "pretrained" / TABLES)), KIND)
        run = Run.from_json(with_record["run.json"], name="the run record of the package")
        options = {k: v for k, v in run.hypernetwork.items() if k != "writer"}
        writer = TableWriter(**options)
        weights = tensors_from_bytes(with_record["model.safetensors"])
        writer.load_state_dict({name: value.float() for name, value in weights.items()})
        writer.run_digest = run.digest
    else:
        found, _ = load_writer(checkpoint)
        if not isinstance(found, TableWriter):
            raise RunError(
                f"{checkpoint} is of {type(found).__name__}, expected a hypernetwork for tables."
            )
        writer = found
    return writer.of_width(width).eval()


__all__ = ["table_writer"]
