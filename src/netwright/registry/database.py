"""The database of a registry: its tables, and connections that fail soon and mend themselves."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.errors import MissingExtraError, RegistryError, RegistryUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_BUSY_MS = 5_000
_POSTGRES: dict[str, Any] = {
    "connect_timeout": 3,
    "options": "-c statement_timeout=10000 -c lock_timeout=5000",
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# Held shared by who adds and alone by who cleans; any number that nobody else uses.
_CLEANING = 7_283_411


class Database:
    """Connections to SQLite, or PostgreSQL by URL.

    Args:
        url: As SQLAlchemy has it: `sqlite:///folder/registry.db`, `postgresql://user:password@host/name`.

    Raises:
        MissingExtraError: If SQLAlchemy, or the driver, is not installed.
        RegistryError: If it is no URL of these.
    """

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy
        except ImportError:
            raise MissingExtraError("sqlalchemy", "store", "A registry of networks") from None
        try:
            parsed = sqlalchemy.make_url(url)
        except sqlalchemy.exc.ArgumentError:
            raise RegistryError(
                "The registry's URL cannot be read, expected sqlite:///FILE or postgresql://USER@HOST/NAME."
            ) from None
        kind = parsed.get_backend_name()
        if kind not in ("sqlite", "postgresql") or (kind == "sqlite" and not parsed.database):
            raise RegistryError(
                f"The registry's URL is of {kind!r} without a place, expected sqlite:///FILE or "
                "postgresql://USER@HOST/NAME."
            )
        if kind == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        self.name = parsed.render_as_string(hide_password=True)
        self.file = Path(parsed.database or "").absolute() if kind == "sqlite" else None
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._process = -1

    @contextmanager
    def reading(self) -> Iterator["Connection"]:
        """A connection to read with.

        Raises:
            RegistryUnavailableError: If the database cannot be reached.
        """
        with self._reached(), self.engine().connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False, creates: bool = False) -> Iterator["Connection"]:
        """A transaction, committed at the end.

        Args:
            alone: Whether it waits for all others, and they for it.
            creates: Whether a file of SQLite may be made.

        Raises:
            RegistryUnavailableError: If the database cannot be reached or written, or is locked for long.
        """
        from sqlalchemy import text

        if creates:
            self._create_file()
        with self._reached(), self.engine().connect() as connection:
            writer = connection.execution_options(netwright_writes=True)
            with writer.begin():
                if self.file is None:
                    shared = "" if alone else "_shared"
                    writer.execute(text(f"SELECT pg_advisory_xact_lock{shared}({_CLEANING})"))
                yield writer

    def close(self) -> None:
        """Let all connections go."""
        with self._lock:
            if self._engine is not None and self._process == os.getpid():
                self._engine.dispose()
            self._engine = None

    def engine(self) -> "Engine":
        """The engine of this process: connections are not shared with one that was forked."""
        with self._lock:
            if self._engine is None or self._process != os.getpid():
                if self._engine is not None:
                    self._engine.dispose(close=False)
                self._engine = self._connect()
                self._process = os.getpid()
            return self._engine

    def _connect(self) -> "Engine":
        from sqlalchemy import create_engine, event

        if self.file is None:
            try:
                return create_engine(
                    self.url, connect_args=_POSTGRES, pool_pre_ping=True, pool_timeout=5, max_overflow=20
                )  # fmt: skip
            except ImportError:
                raise MissingExtraError("psycopg", "store", f"A registry at {self.name}") from None
        engine = create_engine(self.url, creator=self._open, pool_timeout=5, max_overflow=20)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "checkout", self._check_file)
        return engine

    def _create_file(self) -> None:
        if self.file is not None:
            with self._reached():
                self.file.parent.mkdir(parents=True, exist_ok=True)
                # To SQLite an empty file is a new database.
                self.file.touch()

    def _open(self) -> sqlite3.Connection:
        assert self.file is not None
        # No file is made here: a database that is gone is not one that is empty.
        connection = sqlite3.connect(
            f"{self.file.as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
        _use_wal(connection)
        # Full: what is committed survives the loss of power.
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _check_file(self, connection: Any, record: Any, _proxy: Any) -> None:
        """Refuse a connection to a file that has been removed or replaced; the pool opens another."""
        from sqlalchemy.exc import DisconnectionError

        assert self.file is not None
        there = self.file.stat().st_ino if self.file.exists() else None
        if record.info.setdefault("file", there) != there or there is None:
            raise DisconnectionError(f"{self.file} is not there any more")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        from sqlalchemy.exc import IntegrityError, SQLAlchemyError

        try:
            yield
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            if isinstance(error, RegistryError):
                raise
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            raise RegistryUnavailableError(
                f"The database {self.name} cannot be used now ({reason[0] if reason else type(error).__name__}), "
                "expected one to read and write. Nothing has changed; try again when it is there."
            ) from None


def _use_wal(connection: sqlite3.Connection) -> None:
    # For this one lock SQLite does not wait, though it is told to.
    give_up = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def _begin(connection: "Connection") -> None:
    # A writer locks at once: one that reads first and then finds the lock taken could only give up.
    writes = connection.get_execution_options().get("netwright_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
