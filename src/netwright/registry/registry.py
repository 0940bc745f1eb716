"""Networks that were written, kept by name: nothing that was acknowledged is lost.

An artefact is written and synced first, its row is committed last; a row is removed first, its artefact after it. What a
kill leaves between the two is found and removed at the next start.
"""

import builtins
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from torch import nn

from netwright.errors import (
    NetwrightError,
    RegistryError,
    RegistryUnavailableError,
    UnknownNetworkError,
)
from netwright.generated import GeneratedNetwork
from netwright.registry.database import Database
from netwright.registry.entry import Entry, Faults, entry_of
from netwright.registry.new import NewNetwork
from netwright.registry.packs import Place, packs_at
from netwright.registry.reader import Reader, unknown

if TYPE_CHECKING:
    from netwright.registry.rows import Key, Row

# A writer that lives commits or gives up within seconds.
_SECONDS_ABANDONED = 3600.0
_SECONDS_TO_START = 5.0
# Each is lost to another who adds or removes the same name at that moment; a round is one question and one short write.
_ROUNDS = 10
_AT_ONCE = 500


class Registry:
    """Networks by owner and id; may be used by many threads, and by many processes at once.

    Nothing is opened before the first call: a registry whose database is down comes up when that does.

    Args:
        url: `sqlite:///folder/registry.db` or `postgresql://user:password@host/name`.
        artifacts: A folder, or any URL that fsspec writes to (`s3://bucket/networks`).
        clean: Whether what killed writers have left is removed at the first call.
        create: Whether a registry is made where there is none.

    Raises:
        MissingExtraError: If the `store` extra is not installed.
        RegistryError: If the URL is none of these.
    """

    def __init__(
        self, url: str, artifacts: str | Path, *, clean: bool = True, create: bool = True
    ) -> None:
        self._database = Database(url)
        # After the database, whose extra these need.
        from netwright.registry.rows import Rows

        self._packs = packs_at(artifacts)
        self._rows = Rows(self._database)
        self._reader = Reader(self._rows, self._packs)
        self._cleans, self._creates = clean, create
        self._lock = Lock()
        self._started = Event()
        # Files of which it is not known whether their rows were committed when the database went.
        self._unsure: set[str] = set()

    def add(
        self,
        network: GeneratedNetwork,
        *,
        owner: str = "",
        network_id: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Keep a network; when this returns it survives a kill and the loss of power.

        Args:
            network: What is kept.
            owner: Whose it is; ids are the owner's own.
            network_id: Its name; by default one that is new. Adding the same network under the same name again changes
                nothing.
            about: JSON-able: what else is to be known of it.

        Raises:
            RegistryError: If the name is another network's, or none.
            RegistryUnavailableError: If it cannot be kept now; nothing has changed.
            ArtifactError: If its numbers, or `about`, cannot be saved.
        """
        return self.add_many([network], owner=owner, network_ids=[network_id], about=[about])[0]

    def add_many(
        self,
        networks: Sequence[GeneratedNetwork],
        *,
        owner: str | Sequence[str] = "",
        network_ids: Sequence[str | None] | None = None,
        about: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> builtins.list[Entry]:
        """As `add`, all of them or none, at the cost of little more than one.

        Args:
            networks: What is kept.
            owner: Of all, or of each.
            network_ids: Of each.
            about: Of each.
        """
        count = len(networks)
        owners = [owner] * count if isinstance(owner, str) else list(owner)
        ids = [None] * count if network_ids is None else list(network_ids)
        notes = [None] * count if about is None else list(about)
        if not len(owners) == len(ids) == len(notes) == count:
            raise RegistryError(
                f"There are {count} networks, {len(owners)} owners, {len(ids)} ids and {len(notes)} notes, expected "
                "as many of each."
            )
        self._start()
        new: dict[Key, NewNetwork] = {}
        for given in zip(networks, owners, ids, notes, strict=True):
            made = NewNetwork(*given)
            if made.key in new:
                raise RegistryError(f"The id {made.key[1]!r} is given twice, expected each once.")
            new[made.key] = made
        named = [key for key, made in new.items() if made.is_named]
        for _ in range(_ROUNDS):
            there = self._rows.of(named)
            try:
                for key, row in there.items():
                    self._reader.check_same(new[key].network, row)
            except UnknownNetworkError:
                continue  # removed while it was read: the name may be free now
            written = self._write([made for key, made in new.items() if key not in there])
            if written is not None:
                known = [*map(entry_of, there.values()), *written]
                entries = {(entry.owner, entry.network_id): entry for entry in known}
                return [entries[key] for key in new]
        raise RegistryUnavailableError(
            f"The ids {[name for _, name in named]} are added and removed by others at the same time, expected one at "
            "a time. Try again."
        )

    def get(
        self, network_id: str, *, owner: str = "", module: nn.Module | None = None
    ) -> GeneratedNetwork:
        """A network, every byte checked.

        Args:
            network_id: Its name.
            owner: Whose it is.
            module: The template, for children that are modules of the user's own.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            ArtifactError: If it is damaged.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        return self._reader.network(self._row(network_id, owner), module)

    def get_many(
        self, network_ids: Sequence[str], *, owner: str | Sequence[str] = ""
    ) -> builtins.list[GeneratedNetwork]:
        """As `get`, by one question to the database."""
        owners = [owner] * len(network_ids) if isinstance(owner, str) else list(owner)
        keys = list(zip(owners, network_ids, strict=True))
        self._start()
        rows = self._rows.of(keys)
        for key in keys:
            if key not in rows:
                raise unknown(key[1])
        return [self._reader.network(rows[key]) for key in keys]

    def files(self, network_id: str, *, owner: str = "") -> dict[str, bytes]:
        """The files of a network, its manifest among them, as `GeneratedNetwork.save` writes them; checked.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            ArtifactError: If it is damaged.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        return self._reader.files(self._row(network_id, owner))

    def entry(self, network_id: str, *, owner: str = "") -> Entry:
        """What is known of a network; its files are not read.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        return entry_of(self._row(network_id, owner))

    def list(
        self, *, owner: str | None = "", limit: int = 100, after: int = 0
    ) -> builtins.list[Entry]:
        """Networks in the order in which they were added.

        Args:
            owner: Whose; None for everybody's.
            limit: At most so many.
            after: The `number` of the last one that is known already.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        self._start()
        return [entry_of(row) for row in self._rows.after(after, owner, limit)]

    def count(self, *, owner: str | None = None) -> int:
        """How many networks there are, of an owner or of all.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        self._start()
        return self._rows.count(owner)

    def remove(self, network_id: str, *, owner: str = "") -> None:
        """Forget a network; its bytes are removed, too.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            RegistryUnavailableError: If it cannot be removed now; nothing has changed.
        """
        self._start()
        left = self._rows.delete((owner, network_id))
        if left is None:
            raise unknown(network_id)
        try:
            self._rows.sweep([left], self._drop)
        except RegistryUnavailableError:
            return  # it is removed, and its bytes will be at the next start

    def verify(self, network_id: str, *, owner: str = "") -> Entry:
        """Read every byte of a network, check it and build the network; what is known of it.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            ArtifactError: If it is damaged.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        row = self._row(network_id, owner)
        self._reader.verify(row)
        return entry_of(row)

    def verify_all(self, *, owner: str | None = None) -> Faults:
        """`verify` every network, of an owner or of all; damage is counted, not raised.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        self._start()
        whole, after = 0, 0
        damaged: dict[tuple[str, str], str] = {}
        while rows := self._rows.after(after, owner, _AT_ONCE):
            for row in rows:
                try:
                    self._reader.verify(row)
                    whole += 1
                except UnknownNetworkError:
                    continue  # removed meanwhile
                except RegistryUnavailableError:
                    raise
                except NetwrightError as error:
                    damaged[row["owner"], row["network_id"]] = str(error)
            after = rows[-1]["number"]
        return Faults(whole, damaged)

    def check(self) -> None:
        """Whether the registry can be used now.

        Raises:
            RegistryUnavailableError: If not.
        """
        self._start()
        self._rows.identity()
        if self._packs.identity() is None:
            raise RegistryUnavailableError(
                "The registry's artefacts are not there, expected the place that it was started with. Try again when "
                "it is."
            )

    def clean(self) -> int:
        """Remove what killed writers have left; how much was found. Others may work meanwhile.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        self._start()
        left = self._rows.leftovers()
        self._rows.sweep(left, self._drop)
        unused = self._rows.drop_unused(
            lambda: self._packs.older_than(_SECONDS_ABANDONED), self._drop
        )
        return len(left) + unused

    def close(self) -> None:
        """Let all connections go; a later call opens new ones."""
        self._database.close()

    def _start(self) -> None:
        """At the first call: tables, whose artefacts these are, and what was left."""
        if self._started.is_set():
            return
        # Others wait while one asks a database that may be down: no longer than one question takes.
        if not self._lock.acquire(timeout=_SECONDS_TO_START):
            raise RegistryUnavailableError("The registry is still being started. Try again.")
        try:
            if self._started.is_set():
                return
            said = self._packs.identity()
            identity = self._rows.own(said, create=self._creates)
            if said is None:
                self._packs.identity(identity)
            self._started.set()
        finally:
            self._lock.release()
        if self._cleans:
            self.clean()

    def _write(self, new: Sequence[NewNetwork]) -> builtins.list[Entry] | None:
        """Write what is new; None if somebody else has taken one of the names meanwhile."""
        if not new:
            return []
        started = time.time()
        places = self._packs.put([made.piece for made in new])
        rows = [
            {**made.row, "pack": pack, "first": first, "length": length}
            for made, (pack, first, length) in zip(new, places, strict=True)
        ]
        packs = {pack for pack, _, _ in places}
        try:
            # Only after so long may somebody have taken the artefacts for leftovers.
            is_late = time.time() - started > _SECONDS_ABANDONED / 2
            written = self._rows.insert(rows, self._packs.has if is_late else None)
        except RegistryUnavailableError:
            self._unsure |= packs
            raise
        # The database is there: what was unsure can be asked, and of what was refused there is no row.
        unsure = self._unsure | (packs if written is None else set())
        if unsure:
            self._rows.drop_unused(lambda: unsure, self._drop)
            self._unsure -= unsure
        return None if written is None else [entry_of(row) for row in written]

    def _drop(self, place: Place, last: bool) -> None:
        self._packs.drop(place, last=last)

    def _row(self, network_id: str, owner: str) -> "Row":
        self._start()
        key = (owner, network_id)
        rows = self._rows.of([key])
        if key not in rows:
            raise unknown(network_id)
        return rows[key]
