"""Networks that were written, kept by name: nothing that was acknowledged is lost.

An artefact is written and synced first, its row is committed last; a row is removed first, its artefact after it. What a
kill leaves between the two is found and removed at the next start.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from torch import nn

from netwright.artifacts import archive_of, check_files, files_of_archive, with_manifest
from netwright.errors import (
    ArtifactError,
    NetwrightError,
    RegistryError,
    RegistryUnavailableError,
    UnknownNetworkError,
)
from netwright.generated import KIND, GeneratedNetwork, network_from_files
from netwright.registry.database import Database
from netwright.registry.entry import Entry, Faults, entry_of, facts_of
from netwright.registry.packs import packs_at
from netwright.registry.same import same_network

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_OWNER = 200
_LARGEST_ABOUT = 100_000
# A writer that lives commits or gives up within seconds.
_SECONDS_ABANDONED = 3600.0
_ROUNDS = 3
_AT_ONCE = 500


class Registry:
    """Networks by owner and id; may be used by many threads, and by many processes at once.

    Nothing is opened before the first call: a registry whose database is down comes up when that does.

    Args:
        url: `sqlite:///folder/registry.db` or `postgresql://user:password@host/name`.
        artifacts: A folder, or any URL that fsspec writes to (`s3://bucket/networks`).
        clean: Whether what killed writers have left is removed at the first call.

    Raises:
        MissingExtraError: If the `store` extra is not installed.
        RegistryError: If the URL is none of these.
    """

    def __init__(self, url: str, artifacts: str | Path, *, clean: bool = True) -> None:
        self._database = Database(url)
        self._packs = packs_at(artifacts)
        self._cleans = clean
        self._lock = Lock()
        self._is_started = False

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
    ) -> list[Entry]:
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
        new: dict[tuple[str, str], _New] = {}
        keys = []
        for network, name, network_id, note in zip(networks, owners, ids, notes, strict=True):
            made = _New(network, name, network_id, note)
            if made.key in new:
                raise RegistryError(f"The id {made.key[1]!r} is given twice, expected each once.")
            new[made.key] = made
            keys.append(made.key)
        named = [key for key, given in zip(keys, ids, strict=True) if given is not None]
        found: dict[tuple[str, str], Entry] = {}
        for _ in range(_ROUNDS):
            for key, entry in self._entries(named).items():
                self._check_same(new[key].network, entry)
                found[key] = entry
            missing = [made for key, made in new.items() if key not in found]
            written = self._write(missing)
            if written is not None:
                found.update(written)
                return [found[key] for key in keys]
        raise RegistryUnavailableError(
            f"The ids {[key[1] for key in named]} are added and removed by others at the same time, expected one at "
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
        files = self._files(self._row(network_id, owner))
        return network_from_files(files, Path(network_id), module=module)

    def get_many(
        self, network_ids: Sequence[str], *, owner: str | Sequence[str] = ""
    ) -> list[GeneratedNetwork]:
        """As `get`, by one question to the database."""
        owners = [owner] * len(network_ids) if isinstance(owner, str) else list(owner)
        keys = list(zip(owners, network_ids, strict=True))
        rows = self._rows(keys)
        for key in keys:
            if key not in rows:
                raise _unknown(key[1])
        return [network_from_files(self._files(rows[key]), Path(key[1])) for key in keys]

    def files(self, network_id: str, *, owner: str = "") -> dict[str, bytes]:
        """The files of a network, its manifest among them, as `GeneratedNetwork.save` writes them; checked.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            ArtifactError: If it is damaged.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        row = self._row(network_id, owner)
        self._files(row)
        return files_of_archive(self._piece(row), network_id)

    def entry(self, network_id: str, *, owner: str = "") -> Entry:
        """What is known of a network; its files are not read.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        return entry_of(self._row(network_id, owner))

    def list(self, *, owner: str | None = "", limit: int = 100, after: int = 0) -> list[Entry]:
        """Networks in the order in which they were added.

        Args:
            owner: Whose; None for everybody's.
            limit: At most so many.
            after: The `number` of the last one that is known already.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        from sqlalchemy import select

        from netwright.registry.tables import NETWORKS as N

        self._start()
        query = select(N).where(N.c.number > after).order_by(N.c.number).limit(limit)
        if owner is not None:
            query = query.where(N.c.owner == owner)
        with self._database.reading() as connection:
            return [entry_of(row) for row in connection.execute(query).mappings()]

    def count(self, *, owner: str | None = None) -> int:
        """How many networks there are, of an owner or of all.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        from sqlalchemy import func, select

        from netwright.registry.tables import NETWORKS as N

        self._start()
        query = select(func.count()).select_from(N)
        if owner is not None:
            query = query.where(N.c.owner == owner)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def remove(self, network_id: str, *, owner: str = "") -> None:
        """Forget a network; its bytes are removed, too.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            RegistryUnavailableError: If it cannot be removed now; nothing has changed.
        """
        from sqlalchemy import delete, insert, select

        from netwright.registry.tables import LEFTOVERS
        from netwright.registry.tables import NETWORKS as N

        self._start()
        is_it = (N.c.owner == owner) & (N.c.network_id == network_id)
        with self._database.writing() as connection:
            query = select(N.c.pack, N.c.first, N.c.length).where(is_it)
            place = connection.execute(query).mappings().first()
            if place is None:
                raise _unknown(network_id)
            connection.execute(delete(N).where(is_it))
            made = connection.execute(insert(LEFTOVERS).values(**place))
            number = made.inserted_primary_key[0]
        try:
            self._sweep([{"number": number, **place}])
        except RegistryUnavailableError:
            return  # it is removed; its bytes are at the next start

    def verify(self, network_id: str, *, owner: str = "") -> Entry:
        """Read every byte of a network, check it and build the network; what is known of it.

        Raises:
            UnknownNetworkError: If the owner has no such network.
            ArtifactError: If it is damaged.
            RegistryUnavailableError: If the registry cannot be reached.
        """
        row = self._row(network_id, owner)
        self._verify(row)
        return entry_of(row)

    def verify_all(self, *, owner: str | None = None) -> Faults:
        """`verify` every network, of an owner or of all; damage is counted, not raised.

        Raises:
            RegistryUnavailableError: If the registry cannot be reached.
        """
        whole, after = 0, 0
        damaged: dict[tuple[str, str], str] = {}
        while entries := self.list(owner=owner, limit=_AT_ONCE, after=after):
            for entry in entries:
                try:
                    self._verify(self._row(entry.network_id, entry.owner))
                    whole += 1
                except UnknownNetworkError:
                    continue  # removed meanwhile
                except RegistryUnavailableError:
                    raise
                except NetwrightError as error:
                    damaged[entry.owner, entry.network_id] = str(error)
            after = entries[-1].number
        return Faults(whole, damaged)

    def check(self) -> None:
        """Whether the registry can be used now.

        Raises:
            RegistryUnavailableError: If not.
        """
        self._start()
        self.count(owner="")
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
        self._start(cleaning=True)
        return self._clean()

    def close(self) -> None:
        """Let all connections go; a later call opens new ones."""
        self._database.close()

    def _start(self, *, cleaning: bool = False) -> None:
        """At the first call: tables, whose artefacts these are, and what was left."""
        with self._lock:
            if self._is_started:
                return
            said = self._packs.identity()
            if said is not None and self._database.file and not self._database.file.exists():
                raise RegistryUnavailableError(
                    f"The database {self._database.name} is not there and its artefacts are, expected both. Put it "
                    "back, or choose an empty place for new artefacts."
                )
            if said is None or not self._database.file:
                self._database.create()
            self._own(said)
            self._is_started = True
        if self._cleans and not cleaning:
            self._clean()

    def _own(self, said: str | None) -> None:
        """Note in the database and beside the artefacts that they belong together, or refuse."""
        from sqlalchemy import insert, select

        from netwright.registry.tables import FACTS

        with self._database.writing(alone=True) as connection:
            query = select(FACTS.c.value).where(FACTS.c.name == "identity")
            identity = connection.execute(query).scalar()
            if said is not None and said != identity:
                raise RegistryUnavailableError(
                    f"The artefacts belong to another registry than {self._database.name}, expected the database that "
                    "they were added with. Give that, or choose an empty place for new artefacts."
                )
            if identity is None:
                identity = json.dumps({"kind": "registry", "format": 1, "id": uuid.uuid4().hex})
                connection.execute(insert(FACTS).values(name="identity", value=identity))
        if said is None:
            self._packs.identity(identity)

    def _write(self, new: Sequence["_New"]) -> dict[tuple[str, str], Entry] | None:
        """Write what is new; None if somebody else has taken one of the names meanwhile."""
        from sqlalchemy import insert, select
        from sqlalchemy.exc import IntegrityError

        from netwright.registry.tables import NETWORKS as N

        if not new:
            return {}
        places = self._packs.put([made.piece for made in new])
        names = {pack for pack, _, _ in places}
        rows = [made.row | _place(place) for made, place in zip(new, places, strict=True)]
        try:
            with self._database.writing() as connection:
                connection.execute(insert(N), rows)
                query = select(N).where(N.c.pack.in_(names))
                entries = [entry_of(row) for row in connection.execute(query).mappings()]
                # Who cleans is not at work now, and might have been before, had this process slept for an hour.
                if not all(self._packs.has(name) for name in names):
                    raise RegistryUnavailableError("The artefacts were removed meanwhile. Add them again.")  # fmt: skip
        except IntegrityError:
            self._discard(places)
            return None
        return {(entry.owner, entry.network_id): entry for entry in entries}

    def _discard(self, places: Iterable[tuple[str, int, int]]) -> None:
        for place in {place[0]: place for place in places}.values():
            self._packs.drop(place, last=True)

    def _clean(self) -> int:
        from sqlalchemy import select

        from netwright.registry.tables import LEFTOVERS
        from netwright.registry.tables import NETWORKS as N

        with self._database.reading() as connection:
            left = [dict(row) for row in connection.execute(select(LEFTOVERS)).mappings()]
        self._sweep(left)
        with self._database.writing(alone=True) as connection:
            used = set(connection.execute(select(N.c.pack).distinct()).scalars())
            abandoned = self._packs.older_than(_SECONDS_ABANDONED) - used
            for name in abandoned:
                self._packs.drop((name, 0, 0), last=True)
        return len(left) + len(abandoned)

    def _sweep(self, leftovers: Sequence[Mapping[str, Any]]) -> None:
        """Remove the bytes of what has been removed, and the note that they are there."""
        from sqlalchemy import delete, func, select

        from netwright.registry.tables import LEFTOVERS
        from netwright.registry.tables import NETWORKS as N

        for left in leftovers:
            with self._database.reading() as connection:
                query = select(func.count()).select_from(N).where(N.c.pack == left["pack"])
                others = connection.execute(query).scalar_one()
            self._packs.drop((left["pack"], left["first"], left["length"]), last=not others)
            with self._database.writing() as connection:
                connection.execute(delete(LEFTOVERS).where(LEFTOVERS.c.number == left["number"]))

    def _row(self, network_id: str, owner: str) -> Mapping[str, Any]:
        key = (owner, network_id)
        rows = self._rows([key])
        if key not in rows:
            raise _unknown(network_id)
        return rows[key]

    def _rows(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Mapping[str, Any]]:
        from sqlalchemy import select, tuple_

        from netwright.registry.tables import NETWORKS as N

        self._start()
        rows: dict[tuple[str, str], Mapping[str, Any]] = {}
        for first in range(0, len(keys), _AT_ONCE):
            part = keys[first : first + _AT_ONCE]
            query = select(N).where(tuple_(N.c.owner, N.c.network_id).in_(part))
            with self._database.reading() as connection:
                for row in connection.execute(query).mappings():
                    rows[row["owner"], row["network_id"]] = dict(row)
        return rows

    def _entries(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
        return {key: entry_of(row) for key, row in self._rows(keys).items()} if keys else {}

    def _check_same(self, network: GeneratedNetwork, entry: Entry) -> None:
        there = self.files(entry.network_id, owner=entry.owner)
        if not same_network(network, there):
            raise RegistryError(
                f"The id {entry.network_id!r} is another network's already, expected the same network or a new id. "
                "Choose another id, or remove what is there."
            )

    def _piece(self, row: Mapping[str, Any]) -> bytes:
        piece = self._packs.read((row["pack"], row["first"], row["length"]))
        if piece is not None and hashlib.sha256(piece).hexdigest() == row["sha256"]:
            return piece
        # It may have been removed while it was read.
        if self._rows([(row["owner"], row["network_id"])]).values() != [row]:
            self._row(row["network_id"], row["owner"])
        found = "is not there" if piece is None else "has another sha256 than the registry says"
        raise ArtifactError(
            f"The network {row['network_id']!r} {found}, expected the same bytes: it was cut or changed after it was "
            "added. Add it again."
        )

    def _files(self, row: Mapping[str, Any]) -> dict[str, bytes]:
        name = str(row["network_id"])
        return check_files(files_of_archive(self._piece(row), name), KIND, name)

    def _verify(self, row: Mapping[str, Any]) -> None:
        files = self._files(row)
        if json.loads(row["facts"])["architecture"] is not None:
            network_from_files(files, Path(str(row["network_id"])))


class _New:
    """A network that is to be added: its key, its row and its bytes."""

    def __init__(
        self,
        network: GeneratedNetwork,
        owner: str,
        network_id: str | None,
        about: Mapping[str, Any] | None,
    ) -> None:
        if network_id is None:
            network_id = uuid.uuid4().hex
        if not _ID.fullmatch(network_id):
            raise RegistryError(
                f"The id {network_id[:80]!r} is none, expected 1 to 64 letters, digits, dots, dashes and underscores "
                "of ASCII, a letter or digit first."
            )
        if len(owner) > _LONGEST_OWNER or not owner.isprintable():
            raise RegistryError(
                f"The owner {owner[:80]!r} is none, expected up to {_LONGEST_OWNER} printable characters."
            )
        note = json.dumps(dict(about or {}), allow_nan=False)
        if len(note) > _LARGEST_ABOUT:
            raise RegistryError(
                f"`about` has {len(note):,} characters, expected up to {_LARGEST_ABOUT:,}. Keep it elsewhere."
            )
        self.network = network
        self.key = (owner, network_id)
        files = with_manifest(KIND, network.files(), provenance=asdict(network.provenance))
        whose = hashlib.sha256(owner.encode()).hexdigest()[:8]
        self.piece = archive_of(files, f"{whose}-{network_id}")
        self.row = {
            "owner": owner,
            "network_id": network_id,
            "created": time.time(),
            "parameters": network.size,
            "sha256": hashlib.sha256(self.piece).hexdigest(),
            "facts": json.dumps(facts_of(network)),
            "about": note,
        }


def _place(place: tuple[str, int, int]) -> dict[str, Any]:
    return dict(zip(("pack", "first", "length"), place, strict=True))


def _unknown(network_id: str) -> UnknownNetworkError:
    return UnknownNetworkError(
        f"There is no network {network_id[:80]!r}, expected the id of one of yours. List them: netwright networks list"
    )
