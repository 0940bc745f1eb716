"""What writes children from conditions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from torch import Tensor, nn

from netwright.child import Child
from netwright.conditions import Condition
from netwright.errors import RunError
from netwright.runs import Run

B = TypeVar("B")


class Writer(nn.Module, ABC):
    """A hypernetwork, or a rival that is trained in the same loop: weights of T children from T conditions.

    `child` is what is written. `run_digest` and `preparation` are set when a run has trained it; the networks
    that it writes carry both. `run` is the record of that run, and `run_folder` where it lies, if it was saved.
    """

    child: Child

    def __init__(self) -> None:
        super().__init__()
        self.run_digest = ""
        self.run_folder = ""
        self.run: Run | None = None
        self.preparation: Mapping[str, Any] | None = None

    def save_pretrained(
        self, folder: str | Path, *, evaluations: Sequence[Mapping[str, Any]] | None = None
    ) -> Path:
        """Write a folder that holds all of it: config.json, model.safetensors, run.json, manifest.json, README.md.

        Args:
            folder: Where; what is there already is replaced if it is a hypernetwork, too.
            evaluations: Reports of `netwright evaluate` for the card; by default those in the run's folder that are
                of these weights.

        Raises:
            ArtifactError: If the folder cannot be written; what stood there before is kept.
        """
        from netwright.saved import save_pretrained

        return save_pretrained(self, folder, evaluations=evaluations)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, revision: str | None = None, child: Child | None = None
    ) -> Self:
        """The inverse of `save_pretrained`, from a folder or a repository on the Hugging Face Hub; no code is run.

        Args:
            source: A folder, or `owner/name` where there is no such folder.
            revision: A branch, tag or commit of the repository.
            child: What it writes, for children that are modules of the user's own.

        Raises:
            ArtifactError: If anything is missing, damaged, newer, or of another kind.
            RunError: If it holds another kind of writer, or its record cannot be used.
            MissingExtraError: If it is a repository and the `hub` extra is not installed.
        """
        from netwright.saved import build, read_pretrained

        writer = build(cls, read_pretrained(source, revision=revision), child)
        assert isinstance(writer, cls)
        return writer

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, child: Child | None = None) -> "Writer":
        """An untrained one as `record` describes it.

        Raises:
            RunError: If it is none of this kind.
        """
        raise RunError(
            f"{cls.__name__} is not built from a record by itself. Use `netwright.training.load_writer`."
        )

    def _shares_child_of(self, writer: "Writer") -> None:
        """Have the child of a writer that this one wraps, without holding its weights a second time."""
        self.__dict__["child"] = writer.child

    def tries(self, batch: B, *, seed: int = 0) -> B:
        """The same tasks, with what the writer found out in them by itself in their conditions; by default there is nothing of that.

        Whoever is to write for tasks that can be acted in calls it first: training, evaluation, comparison.

        Args:
            batch: A `TaskBatch` of T tasks.
            seed: Of all randomness in finding out.
        """
        return batch

    @abstractmethod
    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write params, each [T, *shape], from the conditions of T tasks.

        Raises:
            ConditionError: If the condition lacks what is read.
            ShapeError: If it is of another shape than in training.
        """

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """The JSON-able description that it can be built from again, untrained."""
