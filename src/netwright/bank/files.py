"""Banks of networks as folders: shards of tensors, their ids, and what is needed to run them.

config.json                  the child, how networks are kept, how many there are, which shard it is
00000-ids.json               ids of the first file's networks, in order
00000-networks.safetensors   their tensors, each [k, *shape]
shared.safetensors           what all networks share, where they share anything
"""

import copy
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from netwright.architectures import Architecture, from_record, to_record
from netwright.artifacts import (
    read_files,
    tensors_from_bytes,
    tensors_to_bytes,
    understood,
    write_artifact,
)
from netwright.artifacts.manifest import Content
from netwright.artifacts.plain import MANIFEST
from netwright.bank.table import AtRest
from netwright.child import Child
from netwright.emission import Full
from netwright.errors import ArtifactError

if TYPE_CHECKING:
    from netwright.bank.bank import NetworkBank

KIND = "bank"


@dataclass(frozen=True)
class Block:
    """Some networks of one child, as they stand in one file."""

    ids: Sequence[Hashable]
    params: Mapping[str, Tensor]


@dataclass(frozen=True)
class BankConfig:
    """What a bank folder says of itself.

    Args:
        child: Record of the architecture; None for modules of the user's own.
        emissions: How tensors that are not written in full come about.
        space: Digest of the parameter space.
        at_rest: How networks are kept in memory.
        count: Networks in the folder.
        shard: Which of how many shards, from 0; (0, 1) for a whole bank.
        provenance: What wrote the networks, and from what.
    """

    child: dict[str, Any] | None
    emissions: dict[str, Any]
    space: str
    at_rest: AtRest
    count: int
    shard: tuple[int, int] = (0, 1)
    provenance: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, child: Child, at_rest: AtRest, count: int, **more: Any) -> "BankConfig":
        """For networks of a child."""
        architecture = child.architecture
        record = to_record(architecture) if isinstance(architecture, Architecture) else None
        return cls(record, child.emission_records(), child.space.digest, at_rest, count, **more)


def write_blocks(
    folder: Path, config: BankConfig, child: Child, blocks: Sequence[Callable[[], Block]]
) -> None:
    """Write a bank folder, its blocks made one by one.

    Raises:
        ArtifactError: If it cannot be written; what stood there before is kept.
    """
    files: dict[str, Content] = {}
    for i, make in enumerate(blocks):
        pending: list[Block] = []

        def ids(make: Callable[[], Block] = make, pending: list[Block] = pending) -> bytes:
            pending.append(make())
            return _ids_to_bytes(pending[0].ids)

        def networks(pending: list[Block] = pending) -> bytes:
            # Made with its ids, which are written first; let go as soon as it is written.
            return tensors_to_bytes(pending.pop().params)

        files[f"{i:05d}-ids.json"] = ids
        files[f"{i:05d}-networks.safetensors"] = networks
    shared = shared_tensors(child)
    if shared:
        files["shared.safetensors"] = tensors_to_bytes(shared)
    files["config.json"] = json.dumps(vars(config), indent=2).encode()
    write_artifact(folder, KIND, files)


def write_bank(bank: "NetworkBank", folder: Path, shard_bytes: int) -> Path:
    """See `NetworkBank.save`."""
    ids = bank.ids
    each = max(1, shard_bytes // bank.bytes_of_one)
    parts = [ids[first : first + each] for first in range(0, len(ids), each)]
    config = BankConfig.of(bank.child, bank.at_rest, len(ids))
    blocks = [lambda part=part: Block(part, bank.params(part)) for part in parts]
    write_blocks(folder, config, bank.child, blocks)
    return folder


def read_bank(folder: Path, child: Child | None, max_bytes: int | None) -> "NetworkBank":
    """See `NetworkBank.load`."""
    bank: NetworkBank | None = None
    for part in shard_folders(folder):
        with understood(str(part)):
            bank = _read_shard(part, bank, child, max_bytes)
    assert bank is not None
    return bank


def _read_shard(
    part: Path, bank: "NetworkBank | None", child: Child | None, max_bytes: int | None
) -> "NetworkBank":
    from netwright.bank.bank import NetworkBank

    config, rest = read_config(part)
    if bank is None:
        own = _child_of(part, config, child, rest)
        bank = NetworkBank(own, at_rest=config.at_rest, max_bytes=max_bytes)
    elif config.space != bank.child.space.digest:
        raise ArtifactError(
            f"{part} holds networks of another child than the shards before it, expected one for "
            "all. Put banks of different children into folders of their own."
        )
    for block in _blocks_of(part, rest):
        bank.add(block.ids, block.params)
    return bank


def shard_folders(folder: Path) -> list[Path]:
    """The folder itself if it is a bank, else all shards of the bank in it.

    Raises:
        ArtifactError: If it is none, or a shard is missing.
    """
    if (folder / MANIFEST).exists() or not folder.is_dir():
        return [folder]
    shards = sorted(path for path in folder.glob("shard-*-of-*") if path.is_dir())
    if not shards:
        raise ArtifactError(
            f"{folder} holds no bank of networks and no shards of one, expected what "
            "`NetworkBank.save` or `netwright generate --many` wrote. Check the path."
        )
    count = int(shards[0].name.rpartition("-")[2])
    expected = [shard_name(i, count) for i in range(count)]
    there = [path.name for path in shards]
    if missing := sorted(set(expected) - set(there)):
        raise ArtifactError(
            f"{folder} lacks {missing[0]}, expected all {count} shards. Run the missing ones: "
            f"netwright generate --many ... --shard {expected.index(missing[0]) + 1}/{count}"
        )
    if added := sorted(set(there) - set(expected)):
        raise ArtifactError(
            f"{folder} holds {added[0]} beside shards of {count}, expected one set. Remove the others."
        )
    return shards


def shard_name(index: int, of: int) -> str:
    """Folder of shard `index` (from 0) of `of`; names count from 1, as `--shard` does."""
    return f"shard-{index + 1:05d}-of-{of:05d}"


def shared_tensors(child: Child) -> dict[str, Tensor]:
    """What all networks of a child share: tensors that are not written in full, and buffers."""
    template = child.template
    shared = {
        name: template.get_parameter(name).detach()
        for name, emission in child.emissions.items()
        if not isinstance(emission, Full)
    }
    return shared | {name: buffer.detach() for name, buffer in template.named_buffers()}


def read_config(folder: Path) -> tuple[BankConfig, Iterator[tuple[str, bytes]]]:
    """A bank folder's config, and its other files one by one, every byte checked.

    Raises:
        ArtifactError: If it is damaged, newer, or no bank.
    """
    files = read_files(folder, KIND, first=("config.json", "shared.safetensors"))
    name, data = next(files, ("", b""))
    if name != "config.json":
        raise ArtifactError(f"{folder} is no whole bank: it lacks config.json. Copy it again.")
    with understood(str(folder)):
        record = json.loads(data)
        config = BankConfig(**{**record, "shard": tuple(record["shard"])})
    return config, files


def _blocks_of(folder: Path, files: Iterator[tuple[str, bytes]]) -> Iterator[Block]:
    ids: list[Hashable] = []
    for name, data in files:
        if name.endswith("-ids.json"):
            ids = json.loads(data)
        elif name.endswith("-networks.safetensors"):
            yield Block(ids, tensors_from_bytes(data, str(folder / name)))


def _child_of(
    folder: Path, config: BankConfig, child: Child | None, files: Iterator[tuple[str, bytes]]
) -> Child:
    if child is None:
        if config.child is None:
            raise ArtifactError(
                f"{folder} holds networks of a module of your own, expected that module. "
                "Pass the `Child` that they were written for."
            )
        child = Child(from_record(config.child), emissions=list(config.emissions.items()))
    if child.space.digest != config.space:
        raise ArtifactError(
            f"{folder} holds networks of space {config.space}, expected {child.space.digest}, that of "
            "the child. Pass the child that they were written for."
        )
    shared = shared_tensors(child)
    if not shared:
        return child
    name, data = next(files, ("", b""))
    if name != "shared.safetensors":
        raise ArtifactError(f"{folder} lacks shared.safetensors, expected what its networks share.")
    # A copy: the child that was passed belongs to the user.
    child = copy.deepcopy(child)
    own = shared_tensors(child)
    for tensor_name, value in tensors_from_bytes(data, str(folder / name)).items():
        with torch.no_grad():
            own[tensor_name].copy_(value)
    return child


def _ids_to_bytes(ids: Sequence[Hashable]) -> bytes:
    wrong = [i for i in ids if not isinstance(i, (str, int))]
    if wrong:
        raise ArtifactError(
            f"The id {wrong[0]!r} is {type(wrong[0]).__name__}, expected text or a whole number: only "
            "such ids can be saved."
        )
    return json.dumps(list(ids)).encode()
