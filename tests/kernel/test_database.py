"""The database: durable, one writer, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, select, text

from mithaq.kernel.database import Database, table_names
from mithaq.kernel.errors import Refused, Unreachable
from mithaq.kernel.tables import KERNEL, state
from tests.nodes import MakeDatabase


def put(database: Database, key: str) -> None:
    with database.write() as connection:
        connection.execute(insert(state), {"key": key, "value": "1"})


def keys(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(select(state.c.key)).scalars())


def test_the_migrations_make_every_table_of_the_kernel_as_it_is_described(database_url: str) -> None:
    database = Database(database_url)
    found = inspect(database.engine)
    assert set(table_names()) <= set(found.get_table_names())
    for table in KERNEL.tables.values():
        columns = {column["name"]: column for column in found.get_columns(table.name)}
        assert set(columns) == {column.name for column in table.columns}
        assert found.get_pk_constraint(table.name)["constrained_columns"] == [each.name for each in table.primary_key]
        for column in table.columns:
            assert type(columns[column.name]["type"])._type_affinity is type(column.type)._type_affinity, column
            if not column.primary_key:
                assert columns[column.name]["nullable"] == column.nullable, column
    database.close()


def test_opened_again_it_is_left_as_it_is(database_url: str) -> None:
    database = Database(database_url)
    put(database, "a")
    database.close()
    database = Database(database_url)
    assert keys(database) == ["a"]
    database.close()


def test_what_failed_half_way_left_nothing(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(insert(state), {"key": "a", "value": "1"})
        raise ZeroDivisionError
    put(database, "b")
    assert keys(database) == ["b"]
    database.close()


def test_a_reader_does_not_wait_for_the_writer_and_sees_what_was_committed(database_url: str) -> None:
    database = Database(database_url)
    put(database, "a")
    with database.write() as connection:
        connection.execute(insert(state), {"key": "b", "value": "1"})
        seen: list[list[str]] = []
        reader = threading.Thread(target=lambda: seen.append(keys(database)))
        reader.start()
        reader.join(timeout=20)
        assert seen == [["a"]]
    assert keys(database) == ["a", "b"]
    database.close()


def test_writers_of_many_threads_come_one_after_the_other(database_url: str) -> None:
    database = Database(database_url)
    put(database, "count")

    def add() -> None:
        for _ in range(5):
            with database.write() as connection:
                value = int(connection.execute(select(state.c.value)).scalar_one())
                connection.execute(state.update().values(value=str(value + 1)))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(select(state.c.value)).scalar_one() == "41"
    database.close()


def test_sqlite_is_in_wal_and_full(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA secure_delete")).scalar() in {1, 2}
    database.close()


@pytest.mark.postgres
def test_postgresql_waits_for_the_disk(postgresql: str) -> None:
    database = Database(postgresql)
    with database.read() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
        assert connection.execute(text("SHOW fsync")).scalar() == "on"
        assert connection.execute(text("SHOW server_encoding")).scalar() == "UTF8"
    database.close()


def test_in_memory_it_works_the_same() -> None:
    database = Database("sqlite://")
    put(database, "a")
    assert keys(database) == ["a"]
    database.close()


def test_a_place_that_cannot_be_written_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"database\.unwritable"):
        Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'a.db'}")


def test_a_file_that_is_no_database_is_unreachable_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_bytes(b"this is no database, and somebody may want to keep it" * 100)
    before = file.read_bytes()
    with pytest.raises(Unreachable, match=r"database\.unwritable"):
        Database(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"database\.unwritable"):
        Database("postgresql://nobody@127.0.0.1:9/nothing?connect_timeout=2")


@pytest.mark.postgres
def test_a_postgresql_database_is_held_by_one_node_at_a_time(make_database: MakeDatabase) -> None:
    """A folder's lock says nothing to another machine: two nodes on one log would tell two stories in one party's name."""
    one, other = Database(make_database("held")), Database(make_database("held"))
    if one.is_sqlite:
        pytest.skip("an SQLite file lies in the node's folder, which is locked")
    one.hold()
    with pytest.raises(Refused, match=r"node\.already_running"):
        other.hold()
    one.close()
    other.hold()
    other.close()
