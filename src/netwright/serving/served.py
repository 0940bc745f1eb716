"""Hypernetworks that a server writes networks with, and what it tells of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from netwright.architectures import Architecture, Cost, to_record
from netwright.conditioners import Context, Examples
from netwright.errors import RunError
from netwright.generated import weights_digest
from netwright.hypernetwork import Hypernetwork
from netwright.runs import Run
from netwright.serving.limits import ServerLimits
from netwright.training import load_hypernetwork

Kind = Literal["exchangeable-classes", "fixed-classes", "values"]
# Fields of a condition that are vectors of numbers.
VECTORS = ("context", "preference", "hyperparameters", "noise")
ACCEPTED = ("examples", "description", "architecture", *VECTORS)


@dataclass(frozen=True)
class Served:
    """A hypernetwork by name, ready to write.

    Args:
        name: By which requests ask for it.
        hypernetwork: In evaluation mode; not to be changed.
        run: What trained it, if that is known.
    """

    name: str
    hypernetwork: Hypernetwork
    run: Run | None = None

    @cached_property
    def digest(self) -> str:
        """Of the weights; taken once, for they do not change."""
        return weights_digest(self.hypernetwork)

    @cached_property
    def architecture(self) -> Architecture:
        """Of the child that it was trained with."""
        architecture = self.hypernetwork.child.architecture
        assert isinstance(architecture, Architecture)
        return architecture

    @cached_property
    def cost(self) -> Cost:
        """Of the child that it was trained with."""
        return self.architecture.cost

    @cached_property
    def reader(self) -> Examples | None:
        """What reads support sets, if anything does."""
        parts = self.hypernetwork.conditioner.modules()
        return next((part for part in parts if isinstance(part, Examples)), None)

    @cached_property
    def context_size(self) -> int | None:
        """How many numbers a context has, if one is read."""
        for part in self.hypernetwork.conditioner.modules():
            if isinstance(part, Context):
                return len(part.low)
        return None

    @cached_property
    def accepts(self) -> tuple[str, ...]:
        """Kinds of condition that can be sent."""
        return tuple(name for name in ACCEPTED if name in self.hypernetwork.conditioner.reads)

    @cached_property
    def kind(self) -> Kind:
        """What the outputs of its networks are."""
        if self.reader is not None:
            return self.reader.labels
        if self.architecture.class_head is not None:
            return "exchangeable-classes"
        objective = (self.run.objective or {}).get("name") if self.run else None
        return "fixed-classes" if self.labels or objective == "classification" else "values"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, where training had them."""
        found = (self.hypernetwork.preparation or {}).get("labels") or ()
        return tuple(map(str, found))

    @cached_property
    def outputs(self) -> int | None:
        """C, where it is the same for all networks."""
        if self.kind == "exchangeable-classes":
            return None
        record = to_record(self.architecture)
        return int(record.get("outputs") or record.get("classes") or 0) or None

    def describe(self, limits: ServerLimits) -> dict[str, Any]:
        """What `GET /v1/hypernetworks` says."""
        exchangeable = self.kind == "exchangeable-classes"
        family: Mapping[str, Any] = self.run.family if self.run else {}
        return {
            "name": self.name,
            "kind": self.kind,
            "input_shape": list(self.architecture.input_shape),
            "accepts": list(self.accepts),
            "classes": {"min": 2, "max": limits.classes} if exchangeable else None,
            "shots": _whole(family.get("shots")),
            "labels": list(self.labels),
            "parameters": self.architecture.parameters,
            "child": to_record(self.architecture),
            "digest": self.digest,
        }


def _whole(shots: Any) -> int | None:
    """Examples of a task, where all tasks have as many."""
    if isinstance(shots, (list, tuple)) and len(set(shots)) == 1:
        shots = shots[0]
    return shots if isinstance(shots, int) else None


def load_served(folders: Iterable[Path]) -> dict[str, Served]:
    """The hypernetworks of run folders, by the folders' names.

    Raises:
        ArtifactError: If a folder is none of a run.
        RunError: If two have one name, or one writes modules of the user's own, or cannot be asked by HTTP.
    """
    found: dict[str, Served] = {}
    for folder in folders:
        hypernetwork, run = load_hypernetwork(folder)
        add_served(found, Served(folder.resolve().name, hypernetwork, run))
    return found


def add_served(found: dict[str, Served], served: Served) -> None:
    """Put one more into a dict by name.

    Raises:
        RunError: If the name is taken, or no request could ask for its networks.
    """
    if served.name in found:
        raise RunError(
            f"Two runs are called {served.name!r}, expected different names of folders. Rename one."
        )
    if not isinstance(served.hypernetwork.child.architecture, Architecture):
        raise RunError(
            f"{served.name} writes a module of your own, expected an architecture of netwright: its networks "
            "could not be kept as files without code. Use `netwright.architectures`."
        )
    if not served.accepts:
        raise RunError(
            f"{served.name} reads {list(served.hypernetwork.conditioner.reads)}, expected at least one of "
            f"{list(ACCEPTED)}, which can be sent."
        )
    served.hypernetwork.eval()
    found[served.name] = served
