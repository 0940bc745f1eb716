"""Hypernetworks as folders: to build them again anywhere, and a card that says what they are.

config.json         the record of the hypernetwork, and how raw rows become inputs
model.safetensors   its weights
run.json            the record of the run that trained it, where there was one
README.md           the card
manifest.json       sizes, digests, where it comes from
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netwright.artifacts import (
    hub_files,
    read_artifact,
    tensors_from_bytes,
    tensors_to_bytes,
    understood,
    write_artifact,
)
from netwright.cards import hypernetwork_card
from netwright.errors import ArtifactError
from netwright.generated import current_versions, weights_digest
from netwright.runs import Run
from netwright.writer import Writer

KIND = "hypernetwork"


@dataclass(frozen=True)
class SavedHypernetwork:
    """What a folder says, checked, before anything is built.

    Args:
        name: Where it was.
        record: See `Writer.record`.
        weights: By name.
        preparation: How raw rows become inputs, where there is such a thing.
        run: What trained it, where that is known.
    """

    name: str
    record: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    preparation: Mapping[str, Any] | None
    run: Run | None

    def fill(self, writer: Writer) -> None:
        """Give the weights and what is known beside them to a writer that was built from the record.

        Raises:
            ArtifactError: If the weights are another's.
        """
        own = writer.state_dict()
        if own.keys() != self.weights.keys() or any(
            own[name].shape != value.shape
            or own[name].is_floating_point() != value.is_floating_point()
            for name, value in self.weights.items()
        ):
            raise ArtifactError(
                f"The weights in {self.name} are of another hypernetwork than its record says, expected {len(own)} "
                "tensors of the same names, shapes and kinds. Save it again."
            )
        writer.load_state_dict({name: value.to(own[name]) for name, value in self.weights.items()})
        writer.preparation, writer.run = self.preparation, self.run
        writer.run_digest = "" if self.run is None else self.run.digest
        writer.run_folder = self.name if Path(self.name).is_dir() else ""
        writer.eval()


def save_pretrained(
    writer: Writer, folder: str | Path, *, evaluations: Sequence[Mapping[str, Any]] | None = None
) -> Path:
    """See `Writer.save_pretrained`."""
    if evaluations is None:
        evaluations = evaluations_of(writer)
    weights = weights_digest(writer)
    config = {"hypernetwork": writer.record(), "preparation": writer.preparation}
    files = {
        "config.json": json.dumps(config, indent=2).encode(),
        "model.safetensors": tensors_to_bytes(writer.state_dict()),
        "README.md": hypernetwork_card(writer, weights, evaluations).encode(),
    }
    if writer.run is not None:
        files["run.json"] = writer.run.to_json()
    provenance = {"weights": weights, "run": writer.run_digest, "versions": current_versions()}
    write_artifact(Path(folder), KIND, files, provenance=provenance)
    return Path(folder)


def read_pretrained(source: str | Path, *, revision: str | None = None) -> SavedHypernetwork:
    """What a folder, or a repository of the hub, holds; every byte is checked, nothing is built.

    Args:
        source: A folder, or `owner/name` of a repository, if there is no such folder.
        revision: A branch, tag or commit of the repository.

    Raises:
        ArtifactError: If anything is missing, damaged, newer, or of another kind.
        MissingExtraError: If it is a repository and the `hub` extra is not installed.
    """
    if revision is None and (isinstance(source, Path) or Path(source).exists()):
        files = read_artifact(Path(source), KIND)
    else:
        files = hub_files(str(source), KIND, revision=revision)
    name = str(source)
    run = Run.from_json(files["run.json"], name=f"run record in {name}") if "run.json" in files else None  # fmt: skip
    with understood(name):
        # Folders of the first form had the record in their run.
        first: dict[str, Any] = (
            {} if run is None else {"hypernetwork": run.hypernetwork, "preparation": None}
        )
        config = json.loads(files["config.json"]) if "config.json" in files else first
        weights = tensors_from_bytes(files["model.safetensors"], f"{name}/model.safetensors")
        return SavedHypernetwork(
            name, dict(config["hypernetwork"]), weights, config["preparation"], run
        )


def is_saved(folder: Path) -> bool:
    """Whether a folder is sealed by a manifest, and no run that goes on."""
    return (folder / "manifest.json").exists() and not (folder / "checkpoints").exists()


def evaluations_of(writer: Writer) -> list[dict[str, Any]]:
    """What `netwright evaluate` left in the folder of a writer's run, of these weights."""
    found = []
    digest = weights_digest(writer)
    for path in sorted(Path(writer.run_folder or ".").glob("evaluation-*.json")):
        if not writer.run_folder:
            break
        with understood(str(path)):
            report = json.loads(path.read_bytes())
            if report["run"] == writer.run_digest and report.get("digest") == digest:
                found.append(report)
    return found


@torch.no_grad()
def build(kind: type[Writer], saved: SavedHypernetwork, child: Any = None) -> Writer:
    """A writer of a kind from what was saved; the global random state is left alone.

    Raises:
        RunError: If the record is of another kind, or needs a module of the user's own.
        ArtifactError: If the weights are another's.
    """
    with torch.random.fork_rng(devices=[]), understood(saved.name):
        writer = kind.from_record(saved.record, child=child)
        saved.fill(writer)
    return writer


__all__ = [
    "KIND", "SavedHypernetwork", "build", "evaluations_of", "is_saved", "read_pretrained", "save_pretrained",
]  # fmt: skip
