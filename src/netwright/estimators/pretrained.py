"""The hypernetworks that come with the package, read once."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from torch import Tensor

from netwright.artifacts import read_artifact, tensors_from_bytes
from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.runs import Run
from netwright.tabular import TableWriter
from netwright.training import load_writer

KIND = "hypernetwork"
TABLES = "tables"
DRAWINGS = "drawings"


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
        run, weights = _shipped(TABLES)
        options = {k: v for k, v in run.hypernetwork.items() if k != "writer"}
        writer = TableWriter(**options)
        writer.load_state_dict(weights)
        writer.run_digest = run.digest
    else:
        found, _ = load_writer(checkpoint)
        if not isinstance(found, TableWriter):
            raise RunError(
                f"{checkpoint} is of {type(found).__name__}, expected a hypernetwork for tables."
            )
        writer = found
    return writer.of_width(width).eval()


def shipped_folder(name: str) -> Path:
    """Where the package holds a hypernetwork."""
    return Path(str(files("netwright") / "pretrained" / name))


def shipped_run(name: str) -> Run:
    """The record of the run that trained what the package holds under a name.

    Raises:
        ArtifactError: If the files are damaged or missing.
    """
    return _shipped(name)[0]


@lru_cache(maxsize=1)
def pretrained_drawings() -> Hypernetwork:
    """The hypernetwork for drawings of the package: 1 to 5 pictures [1, 28, 28] for each of 2 to 10 classes.

    Pictures are those of `netwright.tasks.ink`. How it was trained, and on what: `benchmarks/studio_hypernetwork.py`.

    Raises:
        ArtifactError: If the files are damaged or missing.
    """
    run, weights = _shipped(DRAWINGS)
    hypernetwork = Hypernetwork.from_record(run.hypernetwork)
    hypernetwork.load_state_dict(weights)
    hypernetwork.run_digest = run.digest
    return hypernetwork.eval()


def _shipped(name: str) -> tuple[Run, dict[str, Tensor]]:
    """The run record and the weights, in single precision, of what the package holds under a name."""
    with_record = read_artifact(shipped_folder(name), KIND)
    run = Run.from_json(with_record["run.json"], name="the run record of the package")
    weights = tensors_from_bytes(with_record["model.safetensors"])
    return run, {key: value.float() for key, value in weights.items()}


__all__ = ["pretrained_drawings", "shipped_folder", "shipped_run", "table_writer"]
