"""What a registry knows of a network without reading it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netwright.architectures import to_record
from netwright.generated import GeneratedNetwork

UNNAMED = "a module of the user's own"


@dataclass(frozen=True)
class Entry:
    """One network of a registry.

    Args:
        network_id: Its name, the owner's own.
        owner: Whose it is; "" where there are no owners.
        number: Grows with time: where a listing goes on.
        created: When it was added, seconds since 1970, UTC.
        parameters: How many numbers the network holds.
        size: Bytes of its files.
        sha256: Digest of its files.
        architecture: Record of what builds it; None for a module of the user's own.
        input_shape: Of one input.
        labels: Names of the outputs.
        provenance: What wrote it, and from what.
        about: What was said of it when it was added.
    """

    network_id: str
    owner: str
    number: int
    created: float
    parameters: int
    size: int
    sha256: str
    architecture: Mapping[str, Any] | None
    input_shape: tuple[int, ...]
    labels: tuple[str, ...]
    provenance: Mapping[str, Any]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Faults:
    """What `Registry.verify_all` found.

    Args:
        whole: How many networks are whole.
        damaged: What is wrong with the others, by owner and id.
    """

    whole: int = 0
    damaged: Mapping[tuple[str, str], str] = field(default_factory=dict)


def facts_of(network: GeneratedNetwork) -> dict[str, Any]:
    """What of a network stands in its row, JSON-able."""
    provenance = network.provenance
    return {
        "architecture": None if network.architecture is None else to_record(network.architecture),
        "input_shape": list(network.input_shape),
        "labels": list(network.labels),
        "provenance": {**vars(provenance), "versions": dict(provenance.versions)},
    }


def entry_of(row: Mapping[str, Any]) -> Entry:
    """An entry from its row."""
    facts = json.loads(row["facts"])
    return Entry(
        network_id=row["network_id"],
        owner=row["owner"],
        number=row["number"],
        created=row["created"],
        parameters=row["parameters"],
        size=row["length"],
        sha256=row["sha256"],
        architecture=facts["architecture"],
        input_shape=tuple(facts["input_shape"]),
        labels=tuple(facts["labels"]),
        provenance=facts["provenance"],
        about=json.loads(row["about"]),
    )
