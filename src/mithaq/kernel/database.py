"""One database, SQLite or PostgreSQL: one connection a unit of work, one writer at a time, durable when it says so."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import StaticPool

from mithaq.kernel.errors import Refused, Unreachable
from mithaq.kernel.tables import KERNEL

_WRITER_LOCK: Final = 0x6D697468  # "mith": the advisory lock that a PostgreSQL node holds while it appends
_HOLDER_LOCK: Final = _WRITER_LOCK + 1  # held as long as a node runs
SCHEMA: Final = "0001"


class Database:
    """A node's store. `write()` is one durable transaction by the one writer; `read()` never waits for it."""

    def __init__(self, url: str) -> None:
        self.url: Final = make_url(url)
        self.is_sqlite: Final = self.url.get_backend_name() == "sqlite"
        self._in_memory: Final = self.is_sqlite and self.url.database in {None, "", ":memory:"}
        self.engine = self._engine()
        self._writing = threading.RLock()
        self._holding: Connection | None = None
        self._migrate()

    def _engine(self) -> Engine:
        if not self.is_sqlite:
            return create_engine(self.url.set(drivername="postgresql+psycopg"), pool_size=4, max_overflow=8)
        options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": 30}}
        if self._in_memory:
            options["poolclass"] = StaticPool
        engine = create_engine(self.url, **options)
        event.listen(engine, "connect", self._prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _prepare_sqlite(self, connection: Any, _record: object) -> None:
        """WAL with FULL, and the row that the pragma returns is looked at: an unread one hides a failed change of mode."""
        connection.isolation_level = None
        cursor = connection.cursor()
        mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        expected = "memory" if self._in_memory else "wal"
        if mode != expected:
            raise Unreachable("database.unwritable", value=str(self.url.database), limit=mode)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-16384")
        cursor.execute("PRAGMA secure_delete=FAST")
        cursor.execute("PRAGMA wal_autocheckpoint=8192")  # 32 MiB: fewer pages are copied back twice
        cursor.close()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction by the only writer of this process; committed durably at the end, rolled back on any error."""
        with (
            self._writing,
            self.engine.connect().execution_options(mithaq_writes=True) as connection,
            connection.begin(),
        ):
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A view of what was committed."""
        if self._in_memory:
            with self._writing, self.engine.connect() as connection:
                yield connection
            return
        with self.engine.connect() as connection:
            yield connection

    def _migrate(self) -> None:
        """Bring the kernel's tables to the newest schema; Alembic is loaded only when there is something to do."""
        try:
            with self.engine.connect() as connection:
                if self._schema(connection) == SCHEMA:
                    return
        except DatabaseError as failure:  # no such place, no answer, or a file that is no database
            raise Unreachable("database.unwritable", value=str(self.url.database or "")) from failure
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _schema(self, connection: Connection) -> str | None:
        if not self.engine.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def hold(self) -> None:
        """Keep this database for one node; refused `node.already_running` while another process holds it.

        A lock on the home folder says nothing to a copy of it on another machine, and what two nodes keep in memory of one
        log would part: one party, two stories. An SQLite file lies in the folder that is locked.
        """
        if self.is_sqlite or self._holding is not None:
            return
        connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _HOLDER_LOCK}).scalar():
            connection.close()
            raise Refused("node.already_running", value=str(self.url.database))
        self._holding = connection

    def close(self) -> None:
        """Give every connection back."""
        if self._holding is not None:
            with contextlib.suppress(DBAPIError):  # a lost session has lost its lock too
                self._holding.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _HOLDER_LOCK})
            self._holding.close()
            self._holding = None
        self.engine.dispose()


def _begin_sqlite(connection: Connection) -> None:
    """Writers take the write lock at once (no upgrade of a read lock that could fail half-way); readers do not."""
    writes = connection.get_execution_options().get("mithaq_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def table_names() -> list[str]:
    """The kernel's tables, for the check that a migration made them all."""
    return sorted(KERNEL.tables)
