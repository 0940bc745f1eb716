"""Networks for very many conditions, as shards that any scheduler can run and run again."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from netwright.artifacts import clean_abandoned
from netwright.bank.files import (
    BankConfig,
    Block,
    read_config,
    shard_name,
    write_blocks,
)
from netwright.bank.table import AtRest
from netwright.conditions import Condition
from netwright.errors import ArtifactError, ConditionError, RunError
from netwright.generated import condition_digest, weights_digest
from netwright.hypernetwork import Hypernetwork

# Networks written by one forward pass, and the most bytes of them in one file.
TASKS_AT_ONCE = 2_048
FILE_BYTES = 64_000_000


@dataclass(frozen=True)
class Shard:
    """What became of a shard.

    Args:
        folder: Where it lies.
        networks: How many networks it holds.
        was_there: Whether it was there already, whole, from the same hypernetwork and conditions.
        mended: What was wrong with what stood there and was written anew; empty if nothing was.
    """

    folder: Path
    networks: int
    was_there: bool = False
    mended: str = ""


def write_shard(
    hypernetwork: Hypernetwork,
    condition: Condition,
    ids: Sequence[Hashable],
    folder: str | Path,
    *,
    shard: tuple[int, int] = (0, 1),
    at_rest: AtRest = "float32",
    tasks_at_once: int = TASKS_AT_ONCE,
) -> Shard:
    """Write the networks of one shard of many conditions, or find that they are there.

    A shard is written aside, with the sha256 of each file, and renamed when it is whole; one that was
    written from the same hypernetwork and conditions before is left as it is, one that is damaged is
    written anew. `NetworkBank.load` reads all shards of a folder as one bank.

    Args:
        hypernetwork: What writes.
        condition: Of all T tasks, of which this shard takes its part.
        ids: An id per task.
        folder: Where shards lie side by side.
        shard: Which of how many, from 0.
        at_rest: How networks are kept in a bank that reads the shard; `float16` also halves the files.
        tasks_at_once: Tasks per forward pass.

    Raises:
        RunError: If the shard is none of so many.
        ConditionError: If ids and tasks are not as many, an id comes twice, or a condition cannot be
            read.
        ArtifactError: If the shard cannot be written, or another one stands in its place.
    """
    index, of = shard
    if of < 1 or not 0 <= index < of:
        raise RunError(f"The shard is {index + 1} of {of}, expected 1 to {of} of at least 1.")
    tasks = condition.tasks
    if len(ids) != tasks or len(set(ids)) != tasks:
        raise ConditionError(
            f"There are {len(ids)} ids, {len(set(ids))} of them distinct, for {tasks} tasks, expected "
            "one of its own for each."
        )
    first, last = index * tasks // of, (index + 1) * tasks // of
    own = condition.rows(slice(first, last))
    if last > first:
        own.check()
    path = Path(folder) / shard_name(index, of)
    provenance = {
        "hypernetwork": weights_digest(hypernetwork),
        "condition": condition_digest(own),
        "run": hypernetwork.run_digest,
    }
    config = BankConfig.of(
        hypernetwork.child, at_rest, last - first, shard=shard, provenance=provenance
    )
    clean_abandoned(path.parent)
    mended = ""
    if path.exists():
        try:
            if _is_whole(path, config):
                return Shard(path, last - first, was_there=True)
        except ArtifactError as error:
            mended = str(error)
    bytes_of_one = 4 * hypernetwork.child.space.size
    each = max(1, min(tasks_at_once, FILE_BYTES // max(bytes_of_one, 1)))
    blocks = [
        _block(hypernetwork, own, ids[first:last], slice(start, start + each), at_rest)
        for start in range(0, last - first, each)
    ]
    was_training = hypernetwork.training
    hypernetwork.eval()
    try:
        write_blocks(path, config, hypernetwork.child, blocks)
    finally:
        hypernetwork.train(was_training)
    return Shard(path, last - first, mended=mended)


def _block(
    hypernetwork: Hypernetwork,
    condition: Condition,
    ids: Sequence[Hashable],
    rows: slice,
    at_rest: AtRest,
) -> Callable[[], Block]:
    @torch.no_grad()
    def make() -> Block:
        params = hypernetwork(condition.rows(rows))
        if at_rest == "float16":
            params = {name: value.half() for name, value in params.items()}
        return Block(ids[rows], params)

    return make


def _is_whole(path: Path, config: BankConfig) -> bool:
    """Whether a shard is the one that is wanted, every byte checked; False if it is another one.

    Raises:
        ArtifactError: If it is damaged.
    """
    found, rest = read_config(path)
    for _ in rest:
        pass
    return replace(found, provenance=dict(found.provenance)) == config
