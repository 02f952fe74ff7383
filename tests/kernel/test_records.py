"""Records through a view that is cut at what the speaker had seen; on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from mithaq.kernel.database import Database
from mithaq.kernel.force import Mandates
from mithaq.kernel.records import Fact, Records, View
from mithaq.kernel.statement import Statement
from mithaq.kernel.tables import RECORDS
from mithaq.node import CHARTER_ACTS
from mithaq.services.channel import acts
from mithaq.services.charter import records as charter
from tests.nodes import START

PARTIES = ("A-B", "AB", "XC")


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = Database(database_url)
    with database.write() as writing:
        RECORDS.create_all(writing)
        yield writing
    database.close()


def view(records: Records, connection: Connection, party: str, n: int, **seen: int) -> View:
    act = acts.Acknowledge("XC-2026-000000")
    named = {each.replace("_", "-"): count for each, count in seen.items()}
    said: Statement[Any] = Statement(act, START, party, "charter", "c.example", n, (), named)
    return View(records, connection, said)


@pytest.fixture
def records() -> Records:
    made = Records(PARTIES, Mandates(CHARTER_ACTS))
    for party, n in itertools.product(reversed(PARTIES), range(5)):
        made.add(party, n, [Fact(charter.erasures, {"statement": f"s{n % 2}", "digest": "d"})])
    return made


def places(rows: Any) -> list[tuple[str, int]]:
    return [(row.party, row.n) for row in rows]


def test_a_rule_reads_its_own_earlier_facts_and_those_it_had_seen(records: Records, connection: Connection) -> None:
    seen = view(records, connection, "XC", 2, A_B=1, AB=3)
    assert places(seen.rows(charter.erasures, digest="d")) == [
        ("A-B", 0),
        ("AB", 0),
        ("AB", 1),
        ("AB", 2),
        ("XC", 0),
        ("XC", 1),
    ]
    assert places(seen.rows(charter.erasures, statement="s1", digest="d")) == [("AB", 1), ("XC", 1)]
    assert places(seen.rows(charter.erasures, party="AB", n=2)) == [("AB", 2)]
    assert places(seen.rows(charter.erasures, party="AB", n=3)) == []
    assert seen.row(charter.erasures, digest="other") is None


def test_having_seen_nothing_it_reads_nothing(records: Records, connection: Connection) -> None:
    assert view(records, connection, "XC", 0).rows(charter.erasures, digest="d") == []


def test_having_seen_is_counted_in_entries(records: Records, connection: Connection) -> None:
    seen = view(records, connection, "XC", 2, AB=3)
    found = [(party, n) for party in PARTIES for n in range(5) if seen.has_seen(party, n)]
    assert found == [("AB", 0), ("AB", 1), ("AB", 2), ("XC", 0), ("XC", 1)]


def test_what_waits_is_written_before_anything_is_read_and_dropped_after_a_rollback(
    records: Records, connection: Connection
) -> None:
    everything = view(records, connection, "XC", 99, A_B=99, AB=99)
    assert len(everything.rows(charter.erasures)) == 15
    records.add("XC", 50, [Fact(charter.erasures, {"statement": "s", "digest": "d"})])
    records.forget()
    assert len(everything.rows(charter.erasures)) == 15
