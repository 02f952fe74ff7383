"""A log's rows, tiles and bundles, against a model that keeps a list of entries; on SQLite and PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from mithaq.kernel import merkle
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Malformed
from mithaq.kernel.log import WIDTH, Log, join, split
from mithaq.kernel.tables import bundles, tile_roots


def tile_of(entries: list[bytes], level: int, number: int) -> bytes:
    """What C2SP tlog-tiles says stands in a tile: roots of the complete subtrees below, full ones only."""
    leaves = merkle.leaf_hashes(entries)
    span = WIDTH**level
    hashes = []
    for index in range(number * WIDTH, (number + 1) * WIDTH):
        part = leaves[index * span : (index + 1) * span]
        if len(part) < span:
            break
        hashes.append(merkle.root_of(part))
    return b"".join(hashes)


def check(log: Log, database: Database, entries: list[bytes]) -> None:
    assert log.size == len(entries)
    assert log.root() == merkle.root_of(merkle.leaf_hashes(entries))
    with database.read() as connection:
        fresh = Log(log.name)
        fresh.load(connection)
        assert (fresh.size, fresh.root(), fresh.edge_leaves()) == (log.size, log.root(), log.edge_leaves())
        assert log.entries(connection, 0, len(entries)) == entries
        for number in range(len(entries) // WIDTH + 1):
            there = entries[number * WIDTH : (number + 1) * WIDTH]
            assert log.tile(connection, 0, number) == b"".join(merkle.leaf_hashes(there))
            low = number * WIDTH
            assert log.bundle(connection, low, low + len(there)) == join(there)
        assert log.tile(connection, 1, 0) == tile_of(entries, 1, 0)
        assert log.root_at(connection, len(entries)) == log.root()
        rows = connection.execute(select(bundles.c.first, bundles.c.count).order_by(bundles.c.first)).all()
    position = 0
    for first, count in rows:  # no gap, nothing twice, and nothing but full tiles before the edge
        assert first == position
        assert count == WIDTH or first >= len(entries) // WIDTH * WIDTH
        position += count
    assert position == len(entries)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=6), st.integers(0, 5))
def test_entries_appended_in_any_batches_give_the_same_log(batches: list[int], restart: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'log.db'}")
        log, entries = Log("XA"), list[bytes]()
        for turn, count in enumerate(batches):
            batch = [b"%d/%d" % (turn, each) for each in range(count)]
            with database.write() as connection:
                assert log.append(connection, batch) == len(entries)
            entries += batch
            if turn == restart:
                log = Log("XA")
                with database.read() as connection:
                    log.load(connection)
        check(log, database, entries)
        database.close()


def test_the_same_on_either_database(database_url: str) -> None:
    database = Database(database_url)
    log, entries = Log("XA"), list[bytes]()
    for count in (0, 1, 254, 1, 1, 255, 256, 257, 512, 3):
        batch = [b"%d-%d" % (len(entries), each) for each in range(count)]
        with database.write() as connection:
            log.append(connection, batch)
        entries += batch
        check(log, database, entries)
    other = Log("XB")
    with database.write() as connection:
        other.append(connection, [b"another log"])
    assert other.root() == merkle.root_of(merkle.leaf_hashes([b"another log"]))
    assert log.root() == merkle.root_of(merkle.leaf_hashes(entries))
    database.close()


def test_any_range_of_entries_is_read_back(database_url: str) -> None:
    database = Database(database_url)
    log, entries = Log("XA"), [b"" if n % 7 == 0 else b"x" * (n % 300) for n in range(700)]
    with database.write() as connection:
        log.append(connection, entries[:300])
    with database.write() as connection:
        log.append(connection, entries[300:650])
        log.append(connection, entries[650:])
    with database.read() as connection:
        for start in (0, 1, 255, 256, 257, 511, 650, 699, 700, 5000):
            for stop in (0, 1, 255, 256, 300, 512, 651, 700, 900):
                expected = entries[start:stop] if start < stop else []
                assert log.entries(connection, start, stop) == expected, (start, stop)
    database.close()


def test_after_a_rollback_loading_again_brings_the_log_back_to_the_disk(database_url: str) -> None:
    database = Database(database_url)
    log = Log("XA")
    with database.write() as connection:
        log.append(connection, [b"a"] * 300)
    root = log.root()

    class Stop(Exception):  # no error of the program
        pass

    with pytest.raises(Stop), database.write() as connection:
        log.append(connection, [b"b"] * 300)
        raise Stop
    with database.read() as connection:
        log.load(connection)
    assert (log.size, log.root()) == (300, root)
    with database.write() as connection:
        log.append(connection, [b"c"] * 300)
    check(log, database, [b"a"] * 300 + [b"c"] * 300)
    database.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, Log, list[bytes]]:
    """70,000 entries: a full tile of level 1, and one hash in level 2."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('log') / 'large.db'}")
    log, entries = Log("XA"), [b"%d" % n for n in range(70_000)]
    for start in range(0, len(entries), 30_011):
        with database.write() as connection:
            log.append(connection, entries[start : start + 30_011])
    return database, log, entries


def test_seventy_thousand_entries_reach_the_second_level_of_tiles(large: tuple[Database, Log, list[bytes]]) -> None:
    database, log, entries = large
    leaves = merkle.leaf_hashes(entries)
    with database.read() as connection:
        assert log.tile(connection, 2, 0) == merkle.root_of(leaves[:65_536])
        assert log.tile(connection, 1, 0) == tile_of(entries, 1, 0)
        assert log.tile(connection, 1, 1) == tile_of(entries, 1, 1)
        assert log.tile(connection, 1, 2) == b""
        assert log.tile(connection, 0, 273) == tile_of(entries, 0, 273)
        fresh = Log("XA")
        fresh.load(connection)
        levels = connection.execute(select(tile_roots.c.level, func.count()).group_by(tile_roots.c.level)).all()
    assert fresh.root() == log.root() == merkle.root_of(leaves)
    assert sorted(tuple(row) for row in levels) == [(1, 273), (2, 1)]


def test_proofs_from_the_tiles_hold(large: tuple[Database, Log, list[bytes]]) -> None:
    database, log, entries = large
    size, root = log.size, log.root()
    with database.read() as connection:
        reader = log.reader(connection)
        for index in (0, 255, 256, 65_535, 65_536, 69_999):
            proof = merkle.inclusion_proof(index, size, reader)
            merkle.verify_inclusion(merkle.leaf_hash(entries[index]), index, size, proof, root)
        for old in (1, 256, 65_535, 65_536, 65_537, 69_999, 70_000):
            old_root = log.root_at(connection, old)
            assert old_root == merkle.root_of(merkle.leaf_hashes(entries[:old]))
            merkle.verify_consistency(old, old_root, size, root, merkle.consistency_proof(old, size, reader))
        proof = merkle.subtree_consistency_proof(69_888, 70_000, size, reader)
        part = merkle.root_of(merkle.leaf_hashes(entries[69_888:]))
        merkle.verify_subtree_consistency(69_888, 70_000, part, size, root, proof)
    database.close()


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_a_bundle_is_split_into_the_entries_that_were_joined(entries: list[bytes]) -> None:
    assert split(join(entries)) == entries


@given(st.binary(max_size=60))
def test_any_bytes_are_a_bundle_or_refused(raw: bytes) -> None:
    try:
        entries = split(raw)
    except Malformed as reason:
        assert reason.code == "log.broken_bundle"  # noqa: PT017  # either way is right; this one has a code
    else:
        assert join(entries) == raw
