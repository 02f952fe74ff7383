"""Every obligation's standing, kept in memory: what is asked again is folded again only where something new was said.

Nothing here is a record. The register reads the facts of each log beyond the place up to which it had read, and forgets
everything when a log was folded anew (law 9) to a shorter length.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, select

from mithaq.kernel.force import Mandates
from mithaq.kernel.judge import progress
from mithaq.kernel.mandate import Duty, Event
from mithaq.kernel.records import events
from mithaq.services.obligations import records, standing, states
from mithaq.services.obligations.said import Told
from mithaq.services.obligations.standing import Standing, State


class Register:
    """All obligations of a commission as one database holds them. Thread-safe; one for a process, or a new one each time."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._heard: dict[str, int] = {}
        self._mandates = Mandates(())
        self._told: dict[str, list[Told]] = {}
        self._claims: dict[str, str] = {}
        self._changed: set[str] = set()
        self._day: dt.date | None = None
        self._duties: dict[str, tuple[Duty, State]] = {}
        self._standings: dict[str, Standing] = {}

    def obligations(self, connection: Connection, today: dt.date) -> list[Standing]:
        """The standing of every obligation on that day, by obligation; those of texts not yet in force are "created"."""
        with self._lock:
            self._refresh(connection, today)
            return list(self._standings.values())

    def obligation(self, connection: Connection, obligation: str, today: dt.date) -> Standing | None:
        """The standing of one obligation on that day."""
        with self._lock:
            self._refresh(connection, today)
            return self._standings.get(obligation)

    def on(self, connection: Connection, obligation: str, day: dt.date) -> Standing | None:
        """One obligation as it stood on another day, by what was said up to then; the register stays at its own day."""
        with self._lock:
            self._load(connection)
            found = states.find(self._mandates.on(day), obligation, day)
            return standing.fold(*found, self._told.get(obligation, ()), day) if found else None

    def obligation_of(self, connection: Connection, claim: str) -> str:
        """The obligation that a claim is about; empty when there is no such claim."""
        with self._lock:
            self._load(connection)
            return self._claims.get(claim, "")

    def _refresh(self, connection: Connection, today: dt.date) -> None:
        agreements_changed = self._load(connection)
        if agreements_changed or today != self._day:
            found = {
                state.obligation: (duty, state) for duty, state in states.all_duties(self._mandates.on(today), today)
            }
            stale = found if today != self._day else [each for each in found if found[each] != self._duties.get(each)]
            self._changed.update(stale)
            self._duties = dict(sorted(found.items(), key=lambda item: sort_key(item[0])))
            self._day = today
        for each in self._changed & self._duties.keys():
            self._standings[each] = standing.fold(*self._duties[each], self._told.get(each, ()), today)
        self._changed.clear()
        if agreements_changed or len(self._standings) != len(self._duties):
            self._standings = {each: self._standings[each] for each in self._duties}

    def _load(self, connection: Connection) -> bool:
        """Read what is new; whether something about the agreements was among it."""
        heard = {row.party: row.n for row in connection.execute(select(progress.c.party, progress.c.n))}
        if any(heard.get(party, 0) < n for party, n in self._heard.items()):
            self._forget()
        if heard == self._heard:
            return False
        happened = [Event(**row._mapping) for row in self._new(connection, events, heard)]  # noqa: SLF001
        for event in happened:
            self._mandates.add(event)
        told = [Told(*row) for row in self._new(connection, records.said_table, heard, *records.TOLD)]
        self._claims.update({each.reference: each.obligation for each in told if each.what == "claimed"})
        for each in told:
            obligation = each.obligation or self._claims[each.claim]
            self._told.setdefault(obligation, []).append(each)
            self._changed.add(obligation)
        self._heard = heard
        return bool(happened)

    def _new(self, connection: Connection, table: Table, heard: dict[str, int], *columns: Column[Any]) -> Iterator[Any]:
        for party, end in heard.items():
            start = self._heard.get(party, 0)
            if start < end:
                query = select(*columns or (table,)).where(table.c.party == party, table.c.n >= start, table.c.n < end)
                for rows in connection.execute(query.order_by(table.c.n)).partitions(2000):
                    yield from rows


def sort_key(obligation: str) -> tuple[str, tuple[int, ...], int]:
    """Agreement, clause number as numbers, place in the clause: 10 comes after 2."""
    clause, _, place = obligation.rpartition(":")
    agreement, _, number = clause.partition("/")
    return agreement, tuple(int(each) for each in number.split(".")), int(place)


def obligations(connection: Connection, today: dt.date) -> list[Standing]:
    """The standing of every obligation on that day, in one pass over the facts and without a memory of earlier ones."""
    return Register().obligations(connection, today)
