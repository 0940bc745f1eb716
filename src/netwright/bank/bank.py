"""Thousands of generated networks resident at once, and one call for rows of any of them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from netwright.bank.lock import ReadWriteLock
from netwright.bank.table import AtRest, Table
from netwright.child import Child
from netwright.emission import Full
from netwright.errors import BankError, ShapeError
from netwright.layers import TableWeight, Weight
from netwright.shapes import describe_shape

# Rows per network from which gathering weights and multiplying is faster than looking up.
_MOST_ROWS_TO_LOOK_UP = 16
_SMALLEST_CAPACITY = 16


class NetworkBank:
    """Networks of one child by id, kept as tables: one call runs rows of many of them.

    Children of linear layers are run by lookups that read weights where they lie; all others by gathering
    the weights of the networks that are asked for, and one batched call per number of rows.

    Safe to use from several threads: runs share the bank, changes are alone.

    Args:
        child: What all networks are of; what it shares between tasks is shared here too.
        at_rest: `float32`, `float16` or `int8`; see `Table` for what is lost.
        max_bytes: Most bytes of networks at rest. Beyond, those that were least recently run or
            added give way. None for no bound.

    >>> child = Child(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    >>> bank = NetworkBank(child)
    >>> gave_way = bank.add(["a", "b"], child.initial_params(2))
    >>> bank.run(["b", "a", "b"], torch.randn(3, 3)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, child: Child, *, at_rest: AtRest = "float32", max_bytes: int | None = None
    ) -> None:
        self.child, self.at_rest, self.max_bytes = child.eval(), at_rest, max_bytes
        linear = _linear_weights(child)
        self._tables = {
            spec.name: Table(spec, at_rest, is_turned=spec.name in linear)
            for spec in child.space.tensors
        }
        matrices = {spec.name for spec in child.space.tensors if len(spec.shape) > 1}
        # Only then does every weight that differs between networks have a lookup.
        self._can_look_up = matrices == linear
        self.bytes_of_one = sum(table.bytes_of_one for table in self._tables.values())
        if max_bytes is not None and max_bytes < self.bytes_of_one:
            raise BankError(
                f"`max_bytes` is {max_bytes:,}, expected at least {self.bytes_of_one:,}, the size of "
                "one network. Raise it, or keep networks at rest in fewer bytes."
            )
        self._most = None if max_bytes is None else max_bytes // self.bytes_of_one
        self._slots: dict[Hashable, int] = {}
        self._ids: list[Hashable | None] = []
        self._free: list[int] = []
        self._last_use = np.zeros(0, dtype=np.int64)
        self._clock = 0
        self._lock = ReadWriteLock()

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, network_id: Hashable) -> bool:
        return network_id in self._slots

    @property
    def ids(self) -> tuple[Hashable, ...]:
        """Ids in the order in which they came."""
        with self._lock.reading():
            return tuple(self._slots)

    @property
    def nbytes(self) -> int:
        """Bytes of the networks at rest."""
        return len(self._slots) * self.bytes_of_one

    @property
    def reserved_bytes(self) -> int:
        """Bytes that are taken for networks at rest, room for more of them included."""
        return len(self._ids) * self.bytes_of_one

    def compact(self) -> None:
        """Give back the room of networks that have gone; the next `add` takes new room."""
        with self._lock.writing():
            there = list(self._slots)
            kept = torch.from_numpy(self._slots_of(there))
            for table in self._tables.values():
                table.keep(kept)
            self._last_use = self._last_use[kept.numpy()]
            self._slots = {network_id: slot for slot, network_id in enumerate(there)}
            self._ids, self._free = list(there), []

    def add(self, ids: Iterable[Hashable], params: Mapping[str, Tensor]) -> list[Hashable]:
        """Put networks in; returns the ids that gave way to them.

        Args:
            ids: An id per network.
            params: What a hypernetwork wrote for the same child, each [T, *shape].

        Raises:
            BankError: If an id is there already or comes twice, or there are more networks than the
                byte budget holds.
            ParameterNameError: If names are missing or unknown.
            ShapeError: If a shape does not fit, or ids and networks are not as many.
        """
        return self._put(ids, params, replaces=False)

    def replace(self, ids: Iterable[Hashable], params: Mapping[str, Tensor]) -> None:
        """Put other networks in the place of those with these ids; see `add`.

        Raises:
            BankError: If an id is not there or comes twice.
        """
        self._put(ids, params, replaces=True)

    def remove(self, ids: Iterable[Hashable]) -> None:
        """Take networks out; all or, if an id is not there, none.

        Raises:
            BankError: If an id is not there.
        """
        with self._lock.writing():
            given = list(dict.fromkeys(ids))
            self._slots_of(given)
            for network_id in given:
                self._drop(network_id)

    def params(self, ids: Sequence[Hashable]) -> dict[str, Tensor]:
        """What was put in for these ids, up to the rounding of `at_rest`, each [T, *shape].

        Raises:
            BankError: If an id is not there.
        """
        with self._lock.reading():
            slots = torch.from_numpy(self._slots_of(ids))
            return {name: table.read(slots) for name, table in self._tables.items()}

    def network(self, network_id: Hashable) -> nn.Module:
        """One network as an ordinary module of its own.

        Raises:
            BankError: If the id is not there.
        """
        return self.child.materialise(self.params([network_id]))

    @torch.no_grad()
    def run(self, ids: Sequence[Hashable], x: Tensor) -> Tensor:
        """Row i through network ids[i], all in one call.

        Args:
            ids: An id per row.
            x: Inputs, [R, *].

        Returns:
            Outputs, [R, *]. An empty batch gives an empty one.

        Raises:
            BankError: If an id is not in the bank.
            ShapeError: If ids and rows are not as many.
        """
        if x.dim() < 2 or len(x) != len(ids):
            raise ShapeError(
                f"`x` is {describe_shape(x)} for {len(ids)} ids, expected [R={len(ids)}, *]. "
                "Give an id per row."
            )
        with self._lock.reading():
            if not len(ids):
                if not self._slots:
                    raise BankError("The bank is empty, expected networks. Add some first.")
                return self._run(
                    np.array([next(iter(self._slots.values()))]), x.new_zeros(1, *x.shape[1:])
                )[:0]
            slots = self._slots_of(ids)
            self._clock += 1
            self._last_use[slots] = self._clock
            return self._run(slots, x)

    def save(self, folder: str | Path, *, shard_bytes: int = 64_000_000) -> Path:
        """Write all networks to a folder of shards, each with its sha256.

        Args:
            folder: Where; a bank that is there is replaced.
            shard_bytes: Most bytes of networks per file.

        Raises:
            ArtifactError: If it cannot be written; what stood there before is kept.
        """
        from netwright.bank.files import write_bank

        return write_bank(self, Path(folder), shard_bytes)

    @classmethod
    def load(
        cls, folder: str | Path, *, child: Child | None = None, max_bytes: int | None = None
    ) -> "NetworkBank":
        """Read a bank that `save` or `netwright generate --many` wrote, every byte checked.

        Args:
            folder: A bank, or a folder with all shards of one.
            child: What the networks are of, for children that are modules of the user's own.
            max_bytes: As for a new bank.

        Raises:
            ArtifactError: If a file is missing, damaged, newer or of another child.
        """
        from netwright.bank.files import read_bank

        return read_bank(Path(folder), child, max_bytes)

    def _put(
        self, ids: Iterable[Hashable], params: Mapping[str, Tensor], *, replaces: bool
    ) -> list[Hashable]:
        given = list(ids)
        tasks = self.child.space.check(params, class_axes_may_differ=False)
        if tasks != len(given):
            raise ShapeError(f"There are {len(given)} ids and {tasks} networks, expected as many.")
        if len(set(given)) != len(given):
            twice = next(i for i in given if given.count(i) > 1)
            raise BankError(f"The id {twice!r} comes twice, expected one network per id.")
        with self._lock.writing():
            there = [network_id for network_id in given if network_id in self._slots]
            if replaces:
                slots = self._slots_of(given)
                gone: list[Hashable] = []
            else:
                if there:
                    raise BankError(
                        f"The id {there[0]!r} is in the bank already, expected new ones. "
                        "Use `replace`, or remove it first."
                    )
                gone = self._make_room(len(given))
                slots = np.array([self._free.pop() for _ in given], dtype=np.int64)
                for network_id, slot in zip(given, slots.tolist(), strict=True):
                    self._slots[network_id] = slot
                    self._ids[slot] = network_id
            self._clock += 1
            self._last_use[slots] = self._clock
            places = torch.from_numpy(slots)
            for name, table in self._tables.items():
                table.write(places, params[name])
            return gone

    def _make_room(self, count: int) -> list[Hashable]:
        """Free slots for `count` more networks; returns the ids that gave way."""
        if self._most is not None and count > self._most:
            raise BankError(
                f"There are {count} networks of {self.bytes_of_one:,} bytes to add, expected at most "
                f"{self._most}: `max_bytes` is {self.max_bytes:,}. Add fewer at a time or raise it."
            )
        wanted = len(self._slots) + count
        gone: list[Hashable] = []
        if self._most is not None and wanted > self._most:
            by_age = sorted(self._slots, key=lambda i: self._last_use[self._slots[i]])
            gone = by_age[: wanted - self._most]
            for network_id in gone:
                self._drop(network_id)
        capacity = len(self._ids)
        if len(self._free) < count:
            larger = max(_SMALLEST_CAPACITY, 2 * capacity, capacity + count)
            larger = larger if self._most is None else min(larger, max(self._most, capacity))
            for table in self._tables.values():
                table.resize(larger)
            self._ids += [None] * (larger - capacity)
            self._free += range(larger - 1, capacity - 1, -1)
            self._last_use = np.concatenate(
                [self._last_use, np.zeros(larger - capacity, dtype=np.int64)]
            )
        return gone

    def _drop(self, network_id: Hashable) -> None:
        slot = self._slots.pop(network_id)
        self._ids[slot] = None
        self._free.append(slot)

    def _slots_of(self, ids: Sequence[Hashable]) -> np.ndarray:
        try:
            return np.fromiter(map(self._slots.__getitem__, ids), dtype=np.int64, count=len(ids))
        except KeyError as error:
            raise BankError(
                f"The id {error.args[0]!r} is not in the bank of {len(self._slots)} networks, expected "
                "one that was added and has not given way since. Add it."
            ) from None

    def _run(self, slots: np.ndarray, x: Tensor) -> Tensor:
        # Rows of one network side by side: its weights are then read from memory once.
        order = slots.argsort(kind="stable")
        ordered = slots[order]
        networks = 1 + np.count_nonzero(ordered[1:] != ordered[:-1])
        places = torch.from_numpy(order)
        x = x.index_select(0, places)
        if self._can_look_up and len(slots) <= _MOST_ROWS_TO_LOOK_UP * networks:
            y = self._run_lookups(ordered, x)
        else:
            y = self._run_gathered(ordered, x)
        return torch.empty_like(y).index_copy_(0, places, y)

    def _run_lookups(self, ordered: np.ndarray, x: Tensor) -> Tensor:
        """Each row as a task of its own, whose weights are looked up where they lie."""
        slots = torch.from_numpy(ordered)
        lookups: dict[int, tuple[Tensor, Tensor]] = {}
        weights: dict[str, Weight] = {}
        if self.at_rest == "float32":
            distinct = places = slots
        else:
            # Only the networks that are asked for are brought to full precision.
            distinct, places = torch.unique_consecutive(slots, return_inverse=True)
        for name, table in self._tables.items():
            if not table.is_turned:
                weights[name] = table.read(slots)
            elif self.at_rest == "float32":
                weights[name] = TableWeight(table.values, slots, lookups)
            else:
                weights[name] = TableWeight(table.as_they_lie(distinct), places, lookups)
        return self.child.run_weights(weights, x.unsqueeze(1)).squeeze(1)

    def _run_gathered(self, ordered: np.ndarray, x: Tensor) -> Tensor:
        """Networks with as many rows together: no row is padding, whatever a child makes of rows."""
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        counts = np.diff(np.append(starts, len(ordered)))
        outputs: Tensor | None = None
        for count in np.unique(counts):
            own = starts[counts == count]
            rows = torch.from_numpy((own[:, None] + np.arange(count)).reshape(-1))
            slots = torch.from_numpy(ordered[own])
            params = {name: table.read(slots) for name, table in self._tables.items()}
            y = self.child(params, x.index_select(0, rows).unflatten(0, (len(own), int(count))))
            if outputs is None:
                outputs = y.new_empty(len(x), *y.shape[2:])
            outputs.index_copy_(0, rows, y.flatten(0, 1))
        assert outputs is not None
        return outputs


def _linear_weights(child: Child) -> set[str]:
    """Names of tensors that are weights of linear layers, written in full."""
    return {
        spec.name
        for spec in child.space.tensors
        if spec.name in child.emissions
        and isinstance(child.emissions[spec.name], Full)
        and type(child.template.get_submodule(spec.name.rpartition(".")[0])) is nn.Linear
        and spec.name.rpartition(".")[2] == "weight"
    }
