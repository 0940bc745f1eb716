"""A network that a hypernetwork wrote: an ordinary module that knows where it comes from."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright._version import __version__
from netwright.architectures import Architecture, from_record, to_record
from netwright.artifacts import (
    read_artifact,
    tensors_from_bytes,
    tensors_to_bytes,
    understood,
    write_artifact,
)
from netwright.cards import network_card
from netwright.conditions import ExampleSet
from netwright.digests import condition_digest, weights_digest
from netwright.errors import ArtifactError

KIND = "network"


@dataclass(frozen=True)
class Provenance:
    """Where a generated network comes from; equal provenance, equal network up to rounding.

    A network is identified by what wrote it and from what, not by its floats: the number of tasks
    written at once changes their last bits.

    Args:
        hypernetwork: Digest of the hypernetwork's weights.
        condition: Digest of the condition that it was written from.
        space: Digest of the child's parameter space.
        run: Digest of the run record that trained the hypernetwork, or "" if there is none.
        versions: Versions of netwright, torch and Python that wrote it.
        sample: Which sample of what was written it is: digest of the random generator's state that samples
            were drawn from, and a number; "" for a network that was not drawn.
    """

    hypernetwork: str
    condition: str
    space: str
    run: str = ""
    versions: Mapping[str, str] = field(default_factory=lambda: current_versions())
    sample: str = ""


class GeneratedNetwork(nn.Module):
    """A child network for one task: standalone, exportable, an `nn.Module` like any other.

    Args:
        network: The materialised child.
        provenance: Where it comes from.
        input_shape: Shape of one input, without the example axis.
        architecture: What rebuilds the module from a file; None for modules of the user's own.
        labels: Names of the outputs, where there are any.
        preparation: JSON-able record of how raw inputs become rows, where there is one.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        provenance: Provenance,
        input_shape: tuple[int, ...],
        architecture: Architecture | None = None,
        labels: tuple[str, ...] = (),
        preparation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.provenance = provenance
        self.input_shape = tuple(input_shape)
        self.architecture = architecture
        self.labels = tuple(labels)
        self.preparation = preparation

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [N, C] for inputs [N, *]."""
        y: Tensor = self.network(x)
        return y

    @property
    def size(self) -> int:
        """How many numbers the network holds."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def labelled(self, labels: tuple[str, ...]) -> "GeneratedNetwork":
        """The same network with names for its outputs."""
        return GeneratedNetwork(
            self.network,
            provenance=self.provenance,
            input_shape=self.input_shape,
            architecture=self.architecture,
            labels=labels,
            preparation=self.preparation,
        )

    def save(self, folder: str | Path) -> Path:
        """Write the network to a folder: config.json, model.safetensors, README.md, manifest.json.

        Raises:
            ArtifactError: If the folder cannot be written; what stood there before is kept.
        """
        folder = Path(folder)
        write_artifact(folder, KIND, self.files(), provenance=asdict(self.provenance))
        return folder

    def files(self) -> dict[str, bytes]:
        """What `save` writes beside the manifest, as contents by name.

        Raises:
            ArtifactError: If a tensor cannot be saved.
        """
        config = {
            "architecture": None if self.architecture is None else to_record(self.architecture),
            "input_shape": list(self.input_shape),
            "labels": list(self.labels),
            "preparation": self.preparation,
            "provenance": asdict(self.provenance),
        }
        # A line per key, and not `indent`, for which Python writes JSON many times slower: servers write thousands.
        lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in config.items())
        return {
            "config.json": f"{{\n{lines}\n}}\n".encode(),
            "model.safetensors": tensors_to_bytes(dict(_state_of(self.network))),
            "README.md": network_card(self).encode(),
        }

    def export(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        calibration: ExampleSet | Tensor | None = None,
        input_shape: tuple[int, ...] | None = None,
        opset: int | None = None,
        tolerance: float = 1e-5,
    ) -> Path:
        """Write the network as a file that needs none of this library: its answers are compared before it is written.

        Args:
            path: Its ending says the format where none is named: `.onnx`, `.pt2`, `.py` (with an .npz beside it), `.c`, `.h`.
            format: `onnx`, `onnx-weights` (one graph for every child of the space), `onnx-int8`, `torch-export`, `numpy` or `c`.
            calibration: For `onnx-int8`: the support set, or inputs [N, *]. What int8 costs on them stands in the file:
                `netwright.export.read_int8_cost`.
            input_shape: Shape of one input, for modules of the user's own, and where another one than usual is meant.
            opset: Of ONNX, 18 if not given.
            tolerance: By how much answers of the file may differ, relative to the largest answer.

        Raises:
            MissingExtraError: If it is to be ONNX and the `export` extra is not installed.
            ExportError: If the format cannot express the network, or the file gives other answers.
            ArtifactError: If the file cannot be written.
        """
        from netwright.export import export_network

        return export_network(
            self.network,
            self.input_shape if input_shape is None else tuple(input_shape),
            path,
            format=format,
            labels=self.labels,
            tolerance=tolerance,
            opset=opset,
            calibration=calibration,
            class_head=None if self.architecture is None else self.architecture.class_head,
        )


def load_network(folder: str | Path, *, module: nn.Module | None = None) -> GeneratedNetwork:
    """Read a network that `GeneratedNetwork.save` wrote; every byte is checked against its digest.

    Args:
        folder: The folder that was saved.
        module: The template, for children that are modules of the user's own.

    Raises:
        ArtifactError: If a file is missing, damaged, newer than this netwright, or not a network.
    """
    return network_from_files(read_artifact(Path(folder), KIND), Path(folder), module=module)


def network_from_files(
    files: Mapping[str, bytes], name: Path, *, module: nn.Module | None = None
) -> GeneratedNetwork:
    """The inverse of `GeneratedNetwork.files`, for files that have been checked.

    Args:
        files: Contents by name.
        name: Where they come from, for messages.
        module: The template, for children that are modules of the user's own.

    Raises:
        ArtifactError: If a module of the user's own is needed, or the weights do not fit.
    """
    weights = tensors_from_bytes(files.get("model.safetensors", b""), f"{name}/model.safetensors")
    with understood(str(name)):
        config = json.loads(files["config.json"])
        record = config["architecture"]
        architecture = None if record is None else from_record(record)
        return GeneratedNetwork(
            module_with(weights, architecture, module, name),
            provenance=Provenance(**config["provenance"]),
            input_shape=tuple(config["input_shape"]),
            architecture=architecture,
            labels=tuple(config["labels"]),
            preparation=config["preparation"],
        )


def module_with(
    weights: Mapping[str, Tensor],
    architecture: Architecture | None,
    module: nn.Module | None,
    folder: Path,
    *,
    loader: str = "load_network",
) -> nn.Module:
    """A module with weights that were read from a folder.

    Args:
        weights: By name.
        architecture: What builds the module; None for one of the user's own.
        module: That module.
        folder: Where the weights come from, for messages.
        loader: What loads it, for messages.

    Raises:
        ArtifactError: If a module of the user's own is needed, or the weights do not fit.
    """
    if architecture is None and module is None:
        raise ArtifactError(
            f"{folder} holds weights of a module of your own, expected that module to load them into. "
            f"Pass it: `{loader}(folder, module=MyModule())`."
        )
    if architecture is None:
        assert module is not None
        network = module
    else:
        said, held = architecture.parameters, sum(value.numel() for value in weights.values())
        # Before the module is built: what is said may be a hundred times what is there.
        if said > held:
            raise ArtifactError(
                f"{folder} says that its network has {said:,} parameters and holds {held:,}, expected as many. Save it "
                "again."
            )
        network = architecture.build()
    own = network.state_dict()
    for tensor, value in weights.items():
        if tensor in own and own[tensor].is_floating_point() != value.is_floating_point():
            raise ArtifactError(
                f"{tensor!r} in {folder} is {value.dtype}, expected {own[tensor].dtype}. Save it again."
            )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ArtifactError(
            f"The weights in {folder} do not fit {type(network).__name__}: {reason}. "
            "Pass the module that the network was written for."
        ) from None
    return network.eval()


def current_versions() -> dict[str, str]:
    """Versions that decide results."""
    return {
        "netwright": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


__all__ = [
    "GeneratedNetwork",
    "Provenance",
    "condition_digest",
    "load_network",
    "module_with",
    "network_from_files",
    "weights_digest",
]
