"""The rows of a registry: what its tables are asked."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from netwright.errors import RegistryUnavailableError
from netwright.registry.database import Database
from netwright.registry.packs import Place
from netwright.registry.tables import FACTS, LEFTOVERS, METADATA
from netwright.registry.tables import NETWORKS as N

Key = tuple[str, str]
"""Owner and id."""
Row = Mapping[str, Any]
_AT_ONCE = 500


class Rows:
    """Rows in a database, each call a transaction; a database that cannot be used raises RegistryUnavailableError."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def own(self, said: str | None, *, create: bool) -> str:
        """The registry's identity, made where there is none, and the tables with it.

        Args:
            said: What stands beside the artefacts: it has to be the same.
            create: Whether a registry may be made.

        Raises:
            RegistryUnavailableError: If it is another, or the database is gone and its artefacts are there.
        """
        file = self.database.file
        if said is not None and file is not None and not file.exists():
            raise RegistryUnavailableError(
                f"The database {self.database.name} is not there and its artefacts are, expected both. Put it back, "
                "or choose an empty place for new artefacts."
            )
        if said is None and not create:
            raise RegistryUnavailableError(
                f"There is no registry at {self.database.name} with these artefacts, expected one. Check --registry and "
                "--artifacts."
            )
        with self.database.writing(alone=True, creates=said is None) as connection:
            METADATA.create_all(connection)
            query = select(FACTS.c.value).where(FACTS.c.name == "identity")
            identity = connection.execute(query).scalar()
            if said is not None and said != identity:
                raise RegistryUnavailableError(
                    f"The artefacts belong to another registry than {self.database.name}, expected the database that "
                    "they were added with. Give that, or choose an empty place for new artefacts."
                )
            if identity is None:
                identity = json.dumps({"kind": "registry", "format": 1, "id": uuid.uuid4().hex})
                connection.execute(insert(FACTS).values(name="identity", value=identity))
        return str(identity)

    def of(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """Rows by key; those that are not there are left out."""
        rows: dict[Key, Row] = {}
        for first in range(0, len(keys), _AT_ONCE):
            is_it = tuple_(N.c.owner, N.c.network_id).in_(keys[first : first + _AT_ONCE])
            with self.database.reading() as connection:
                for row in connection.execute(select(N).where(is_it)).mappings():
                    rows[row["owner"], row["network_id"]] = dict(row)
        return rows

    def after(self, number: int, owner: str | None, limit: int) -> list[Row]:
        """Rows of an owner, or of all, from a number on."""
        query = select(N).where(N.c.number > number).order_by(N.c.number).limit(limit)
        if owner is not None:
            query = query.where(N.c.owner == owner)
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def count(self, owner: str | None) -> int:
        """How many rows there are, of an owner or of all."""
        query = select(func.count()).select_from(N)
        if owner is not None:
            query = query.where(N.c.owner == owner)
        with self.database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def insert(
        self, rows: Sequence[dict[str, Any]], has: Callable[[str], bool]
    ) -> list[Row] | None:
        """Insert rows, all or none; None if a key is taken.

        Args:
            rows: Without their numbers.
            has: Whether an artefact is there.
        """
        packs = {row["pack"] for row in rows}
        try:
            with self.database.writing() as connection:
                connection.execute(insert(N), rows)
                query = select(N).where(N.c.pack.in_(packs))
                made: list[Row] = [dict(row) for row in connection.execute(query).mappings()]
                # Who cleans is not at work now, and may have been, had this process slept for an hour.
                if not all(has(pack) for pack in packs):
                    raise RegistryUnavailableError("The artefacts were removed. Add them again.")
                return made
        except IntegrityError:
            return None

    def delete(self, key: Key) -> Row | None:
        """Delete a row and note that its bytes are left; that note. None if there is no such row."""
        is_it = (N.c.owner == key[0]) & (N.c.network_id == key[1])
        with self.database.writing() as connection:
            query = select(N.c.pack, N.c.first, N.c.length).where(is_it)
            place = connection.execute(query).mappings().first()
            if place is None:
                return None
            connection.execute(delete(N).where(is_it))
            made = insert(LEFTOVERS).values(**place).returning(LEFTOVERS)
            return dict(connection.execute(made).mappings().one())

    def leftovers(self) -> list[Row]:
        """Notes of bytes that are to be removed."""
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(select(LEFTOVERS)).mappings()]

    def sweep(self, leftovers: Iterable[Row], drop: Callable[[Place, bool], None]) -> None:
        """Have bytes removed, and forget the notes of them.

        Args:
            leftovers: Notes.
            drop: Removes a piece; its second argument says whether nothing else of the file is in use.
        """
        for left in leftovers:
            query = select(func.count()).select_from(N).where(N.c.pack == left["pack"])
            with self.database.reading() as connection:
                others = connection.execute(query).scalar_one()
            drop((left["pack"], left["first"], left["length"]), not others)
            with self.database.writing() as connection:
                connection.execute(delete(LEFTOVERS).where(LEFTOVERS.c.number == left["number"]))

    def drop_unused(
        self, packs: Callable[[], Iterable[str]], drop: Callable[[Place, bool], None]
    ) -> int:
        """Have those of some files removed that no row tells of, while nobody adds; how many.

        Args:
            packs: Names of files.
            drop: Removes a piece.
        """
        with self.database.writing(alone=True) as connection:
            names = sorted(packs())
            used: set[str] = set()
            for first in range(0, len(names), _AT_ONCE):
                is_one = N.c.pack.in_(names[first : first + _AT_ONCE])
                used |= set(connection.execute(select(N.c.pack).where(is_one)).scalars())
            unused = [name for name in names if name not in used]
            for pack in unused:
                drop((pack, 0, 0), True)
        return len(unused)
