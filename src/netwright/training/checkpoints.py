"""Checkpoints of a run folder: each whole and checked, the last ones and the best one kept.

runs/<name>/checkpoints/step-00000500/{run.json, progress.json, *.safetensors, manifest.json}
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from netwright.artifacts import clean_leftovers, read_artifact, write_artifact
from netwright.errors import ArtifactError

KIND = "checkpoint"
_PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read and verified."""

    step: int
    path: Path
    files: dict[str, bytes]

    @property
    def best_step(self) -> int:
        """Step of the best validation up to here, -1 if there was none."""
        return int(json.loads(self.files["progress.json"])["best_step"])


class Checkpoints:
    """The checkpoints of one run folder.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkpoints"

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, in order; whether they are whole is not read."""
        names = [path.name for path in self.folder.glob(f"{_PREFIX}*") if path.is_dir()]
        numbers = [name.removeprefix(_PREFIX) for name in names]
        return sorted(int(number) for number in numbers if number.isdigit())

    def write(self, step: int, files: dict[str, bytes], *, keep: set[int]) -> None:
        """Write a checkpoint; afterwards drop all but it, the one before it and those in `keep`.

        Raises:
            ArtifactError: If it cannot be written, for want of space for instance; the ones that
                were there are kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        clean_leftovers(self.folder)
        write_artifact(self.path(step), KIND, files)
        steps = self.steps()
        for old in set(steps) - set(steps[-2:]) - keep - {step}:
            # Renamed first: a folder that is half removed must not look like a checkpoint.
            doomed = self.path(old).rename(self.folder / f".{old}.removed")
            shutil.rmtree(doomed)
        for doomed in self.folder.glob(".*.removed"):
            shutil.rmtree(doomed)

    def read(self, step: int) -> Checkpoint:
        """Read and verify one checkpoint.

        Raises:
            ArtifactError: If it is missing or damaged.
        """
        return Checkpoint(step, self.path(step), read_artifact(self.path(step), KIND))

    def newest(self) -> Checkpoint:
        """Read and verify the newest checkpoint.

        Raises:
            ArtifactError: If there is none, or it is damaged; the message names the one before.
        """
        steps = self.steps()
        if not steps:
            raise ArtifactError(
                f"{self.folder.parent} holds no checkpoint, expected a run folder that `netwright train` "
                "made. Give its path, such as runs/glyphs-1."
            )
        try:
            return self.read(steps[-1])
        except ArtifactError as error:
            if len(steps) == 1:
                raise
            raise ArtifactError(
                f"{error} Remove {self.path(steps[-1])} to go on from the checkpoint before it, "
                f"step {steps[-2]}."
            ) from None

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is or would be."""
        return self.folder / f"{_PREFIX}{step:08d}"
