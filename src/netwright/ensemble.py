"""Several networks of one task, drawn from the distribution that a hypernetwork writes."""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import log
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from netwright.architectures import from_record, to_record
from netwright.artifacts import (
    read_artifact,
    tensors_from_bytes,
    tensors_to_bytes,
    understood,
    write_artifact,
)
from netwright.cards import ensemble_card
from netwright.conditions import ExampleSet
from netwright.errors import RunError, ShapeError
from netwright.generated import GeneratedNetwork, Provenance, module_with

KIND = "ensemble"

Averages = Literal["values", "probabilities"]
"""What is averaged: outputs as they are, or the class probabilities that they are the logits of."""


class GeneratedEnsemble(nn.Module):
    """S networks of one task, an `nn.Module` that answers with their mean.

    Of classes it answers with the logarithm of the mean probabilities, which are logits like those of a
    single network: their softmax is the mean of the members' probabilities.

    Args:
        members: Networks of one task, of one architecture.
        averages: `values` or `probabilities`.

    Raises:
        ShapeError: If there is no member.
        RunError: If `averages` is neither.
    """

    def __init__(self, members: Sequence[GeneratedNetwork], *, averages: Averages) -> None:
        super().__init__()
        if not members:
            raise ShapeError("The ensemble has no member, expected at least one.")
        if averages not in get_args(Averages):
            raise RunError(
                f"`averages` is {averages!r}, expected one of {list(get_args(Averages))}."
            )
        self.members = nn.ModuleList(members)
        self.averages = averages
        self.input_shape = members[0].input_shape
        self.architecture = members[0].architecture
        self.labels = members[0].labels
        self.preparation = members[0].preparation

    def forward(self, x: Tensor) -> Tensor:
        """The mean answer [N, C] for inputs [N, *]."""
        y = self.all(x)
        if self.averages == "values":
            return y.mean(dim=0)
        return y.log_softmax(dim=-1).logsumexp(dim=0) - log(self.samples)

    def all(self, x: Tensor) -> Tensor:
        """The answers of all members, [S, N, C], for inputs [N, *]."""
        return torch.stack([member(x) for member in self.members])

    @property
    def samples(self) -> int:
        """S, the number of members."""
        return len(self.members)

    @property
    def size(self) -> int:
        """How many numbers the members hold together."""
        return sum(member.size for member in self.networks())

    @property
    def provenance(self) -> tuple[Provenance, ...]:
        """Where each member comes from."""
        return tuple(member.provenance for member in self.networks())

    def save(self, folder: str | Path) -> Path:
        """Write the ensemble to a folder: config.json, model.safetensors, README.md, manifest.json.

        Raises:
            ArtifactError: If the folder cannot be written; what stood there before is kept.
        """
        config = {
            "architecture": None if self.architecture is None else to_record(self.architecture),
            "averages": self.averages,
            "input_shape": list(self.input_shape),
            "labels": list(self.labels),
            "preparation": self.preparation,
            "provenance": [asdict(provenance) for provenance in self.provenance],
        }
        states = [member.network.state_dict() for member in self.networks()]
        stacked = {n: torch.stack([state[n].detach() for state in states]) for n in states[0]}
        files = {
            "config.json": json.dumps(config, indent=2).encode(),
            "model.safetensors": tensors_to_bytes(stacked),
            "README.md": ensemble_card(self).encode(),
        }
        folder = Path(folder)
        write_artifact(folder, KIND, files, provenance={"members": config["provenance"]})
        return folder

    def export(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        calibration: ExampleSet | Tensor | None = None,
        opset: int | None = None,
        tolerance: float = 1e-5,
    ) -> Path:
        """Write the mean of the members as one file; see `GeneratedNetwork.export`.

        Raises:
            MissingExtraError: If it is to be ONNX and the `export` extra is not installed.
            ExportError: If the format cannot express the ensemble, or the file gives other answers.
            ArtifactError: If the file cannot be written.
        """
        from netwright.export import export_network

        return export_network(
            self,
            self.input_shape,
            path,
            format=format,
            labels=self.labels,
            tolerance=tolerance,
            opset=opset,
            calibration=calibration,
        )

    def networks(self) -> Iterator[GeneratedNetwork]:
        """The members, one by one."""
        return (member for member in self.members if isinstance(member, GeneratedNetwork))


def load_ensemble(folder: str | Path, *, module: nn.Module | None = None) -> GeneratedEnsemble:
    """Read an ensemble that `GeneratedEnsemble.save` wrote; every byte is checked against its digest.

    Args:
        folder: The folder that was saved.
        module: The template, for children that are modules of the user's own.

    Raises:
        ArtifactError: If a file is missing, damaged, newer than this netwright, or not an ensemble.
    """
    files = read_artifact(Path(folder), KIND)
    stacked = tensors_from_bytes(files.get("model.safetensors", b""), f"{folder}/model.safetensors")
    with understood(str(folder)):
        config: Mapping[str, Any] = json.loads(files["config.json"])
        record = config["architecture"]
        architecture = None if record is None else from_record(record)
        members = []
        for i, provenance in enumerate(config["provenance"]):
            state = {name: values[i] for name, values in stacked.items()}
            own = copy.deepcopy(module)
            network = module_with(state, architecture, own, Path(folder), loader="load_ensemble")
            members.append(
                GeneratedNetwork(
                    network,
                    provenance=Provenance(**provenance),
                    input_shape=tuple(config["input_shape"]),
                    architecture=architecture,
                    labels=tuple(config["labels"]),
                    preparation=config["preparation"],
                )
            )
        return GeneratedEnsemble(members, averages=config["averages"]).eval()


def state_digest(rng: torch.Generator) -> str:
    """Digest of a random generator's state: equal digests, equal draws from there on."""
    return hashlib.sha256(rng.get_state().numpy().tobytes()).hexdigest()[:16]


__all__ = ["Averages", "GeneratedEnsemble", "load_ensemble", "state_digest"]
