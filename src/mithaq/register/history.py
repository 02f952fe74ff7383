"""What was said, statement by statement: the history of one clause, and what has changed since a moment or a visit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Table, and_, not_, or_, select

from mithaq.kernel.act import Texts
from mithaq.kernel.force import Mandates
from mithaq.kernel.judge import progress
from mithaq.kernel.mandate import Event
from mithaq.kernel.records import events, said_under
from mithaq.register.asking import Asked, agreement
from mithaq.register.lines import Line, chosen, line
from mithaq.services.agreements import records as agreements
from mithaq.services.channel import records as channel
from mithaq.services.meetings import records as meetings
from mithaq.services.obligations import records as obligations
from mithaq.services.obligations import states
from mithaq.services.obligations.said import Told
from mithaq.services.obligations.standing import Standing, fold

EVERYTHING: Final = 2**62
"""More entries than any log has."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One statement: `do` is its act; `about` the obligation, meeting, text or thread; `value` an answer, a day or a level."""

    at: str
    reference: str
    by: str
    do: str
    about: str
    value: str
    text: str


class ClauseHistory(msgspec.Struct, frozen=True):
    """One clause as it stands, its obligations, and every statement behind them in the order of claimed times."""

    clause: str
    agreement: str
    title: Texts
    marked: Texts
    text: Texts
    since: dt.date | None
    until: dt.date | None
    suspended_by: tuple[str, ...]
    obligations: tuple[Line, ...]
    entries: tuple[Entry, ...]
    references: tuple[str, ...]


class Change(msgspec.Struct, frozen=True):
    """An obligation whose standing differs. `before` is None where it was not there. `references`: what is new behind it."""

    before: Line | None
    after: Line
    references: tuple[str, ...]


class Changed(msgspec.Struct, frozen=True):
    """What was said since, and which standings differ, also by the passing of time alone.

    `upto`: how much of each log this tells of; with it the visit is remembered. `since` is None for a first visit.
    """

    since: str | None
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]
    upto: dict[str, int]


class Cut(msgspec.Struct, frozen=True):
    """A line between before and since: by claimed times, or by how much of each log had been heard at a visit."""

    at: dt.datetime
    heard: dict[str, int] | None = None

    def since(self, table: Table) -> ColumnElement[bool]:
        """The rows of a record table behind the line."""
        if self.heard is None:
            return table.c.at > self.at.isoformat()
        before = [and_(table.c.party == party, table.c.n < n) for party, n in self.heard.items()]
        return not_(or_(*before)) if before else table.c.n >= 0

    def was_told(self, told: Told) -> bool:
        """Whether it stands before the line."""
        if self.heard is None:
            return told.at <= self.at.isoformat()
        return told.n < self.heard.get(told.party, 0)


def heard(connection: Connection) -> dict[str, int]:
    """How much of each log is heard now."""
    return {row.party: row.n for row in connection.execute(select(progress.c.party, progress.c.n))}


# --- one clause ---------------------------------------------------------------------------------------------------------


def clause(connection: Connection, standings: Iterable[Standing], asked: Asked) -> ClauseHistory:
    """The history of `asked.clause`, a clause that is known (`asking.read` has looked)."""
    reference, _, number = asked.clause.partition("/")
    found = agreement(connection, reference, asked.on)
    assert found is not None  # asking.read has looked
    standing, text, amendments = found
    own = list(chosen(standings, asked))
    written = next((each for held in (text, standing.text) for each in held.clauses if each.number == number), None)
    entries = [
        *_of_agreement(connection, (reference, *amendments), number),
        *(
            _of_obligation(row, each.obligation)
            for each in own
            for row in obligations.facts_of(connection, each.obligation)
        ),
        *_of_meetings(connection, reference, asked.clause),
        *_under(connection, asked.clause, obliges=bool(own)),
    ]
    told = _ordered(entries)
    return ClauseHistory(
        asked.clause,
        reference,
        text.title,
        text.marked,
        written.text if written else {},
        standing.binds_from(),
        standing.binds_until(asked.asker.party, text),
        tuple(sorted({party for stopped, party in standing.suspended if stopped in {"", number}})),
        tuple(line(each) for each in own),
        told,
        tuple(dict.fromkeys((reference, *(each.reference for each in told)))),
    )


def _ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Each statement once: what a service tells of it goes before that it was said under the clause."""
    once: dict[str, Entry] = {}
    for each in entries:
        once.setdefault(each.reference, each)
    return tuple(sorted(once.values(), key=lambda each: (each.at, each.reference)))


def _of_agreement(connection: Connection, references: Iterable[str], number: str) -> Iterator[Entry]:
    for reference in references:
        for row in agreements.history(connection, reference):
            if row.clause in {"", number} or not number:
                yield _agreement_entry(row)


def _agreement_entry(row: Row[Any]) -> Entry:
    return Entry(row.at, row.reference, row.by, f"agreements.{row.what}", row.agreement, row.clause, row.reason)


def _of_obligation(row: Row[Any], obligation: str) -> Entry:
    value = row.answer or (str(row.level) if row.level >= 0 else row.day)
    return Entry(row.at, row.reference, row.by, f"obligations.{row.what}", obligation or row.claim, value, row.text)


def _of_meetings(connection: Connection, reference: str, clause: str) -> Iterator[Entry]:
    """Meetings called under the clause, or that had one of its obligations on their agenda or in their minutes."""
    table = meetings.invitations_table
    called = connection.execute(select(table.c.reference).where(table.c.agreement == reference)).scalars()
    for each in called.all():
        meeting = meetings.meeting(connection, each)
        assert meeting is not None  # its row was just read
        written = meetings.minutes_of(connection, each)
        items = [item.obligation for text in written for item in text.text.items]
        named = [item.obligation for item in meeting.invitation.agenda] + items
        if meeting.invitation.clause == clause or any(name.startswith(f"{clause}:") for name in named):
            for about in (meetings.invitations_table, meetings.answers_table, meetings.minutes_table):
                column = about.c.reference if about is meetings.invitations_table else about.c.meeting
                for row in connection.execute(select(about).where(column == each)):
                    yield _meeting_entry(about, row)
            for text in written:
                for mark in text.signed.values():
                    yield Entry(mark.at, mark.reference, mark.by, "meetings.signed", text.reference, "", "")
                for dissent in (one for group in text.dissents.values() for one in group):
                    mark, value = dissent.mark, str(dissent.item)
                    yield Entry(
                        mark.at, mark.reference, mark.by, "meetings.dissented", text.reference, value, dissent.text
                    )


_MEETINGS: Final = (
    (meetings.bodies_table, "formed", "clause", "kind"),
    (meetings.joins_table, "joined", "body", ""),
    (meetings.sides_table, "side_set", "body", ""),
    (meetings.invitations_table, "invited", "body", "day"),
    (meetings.answers_table, "", "meeting", "day"),
    (meetings.minutes_table, "minuted", "meeting", "next"),
    (meetings.signatures_table, "signed", "minutes", ""),
    (meetings.dissents_table, "dissented", "minutes", "item"),
)
"""Table, what it tells (empty: in its column), which column says what it is about, which has the value."""


def _meeting_entry(table: Table, row: Row[Any]) -> Entry:
    _, what, about, value = next(each for each in _MEETINGS if each[0] is table)
    told = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for it
    shown = str(told[value]) if value else ""
    text = str(told.get("reason", "") or (told["text"] if table is meetings.dissents_table else ""))
    do = f"meetings.{what or told['what']}"
    return Entry(row.at, row.reference, row.by, do, str(told[about]), shown, text)


def _under(connection: Connection, clause: str, *, obliges: bool) -> Iterator[Entry]:
    """What was said under the clause itself: letters, and statements of other services."""
    table = channel.messages
    query = select(table).where(table.c.clause == clause)
    if obliges:  # by the index of what was said under clauses that oblige: letters alone have none by clause
        here = and_(said_under.c.party == table.c.party, said_under.c.n == table.c.n)
        query = select(table).join(said_under, here).where(said_under.c.clause == clause)
    for row in connection.execute(query):
        yield _letter(row)
    for each in obligations.carried(connection, clause):
        yield Entry(each.at, each.reference, each.reference.rsplit("-", 2)[0], each.do, each.clause, "", "")


def _letter(row: Row[Any]) -> Entry:
    do = "channel.say" if row.thread == row.reference else "channel.reply"
    return Entry(row.at, row.reference, row.by, do, row.thread, "", row.subject or row.text)


# --- since --------------------------------------------------------------------------------------------------------------


def changed(connection: Connection, standings: Iterable[Standing], cut: Cut, asked: Asked) -> Changed:
    """What came since the line; filters of side, clause and body hold for the standings."""
    now = {each.obligation: each for each in chosen(standings, asked)}
    before = snapshot(connection, cut, now)
    changes = []
    for name, each in now.items():
        then = before.get(name)
        if then is None or _words(then) != _words(each) or then.references != each.references:
            known = set(then.references) if then else set()
            behind = tuple(one for one in (each.agreement, *each.references) if one not in known)
            changes.append(Change(line(then) if then else None, line(each), behind))
    since = None if cut.heard == {} else cut.at.isoformat()
    return Changed(since, _ordered(_since(connection, cut)), tuple(changes), heard(connection))


def _words(standing: Standing) -> tuple[object, ...]:
    return standing.life.word, standing.says.word, standing.says.level, standing.clock.word, standing.clock.due


def snapshot(connection: Connection, cut: Cut, wanted: Iterable[str]) -> dict[str, Standing]:
    """The standing of these obligations as this node could tell it then."""
    mandates = Mandates(())
    for row in connection.execute(select(events).order_by(events.c.party, events.c.n)).mappings():
        mandates.add(Event(**row))
    day = cut.at.date()
    seen = None if cut.heard is None else mandates.standings("", EVERYTHING, cut.heard, day)
    told: dict[str, list[Told]] = {}
    claims: dict[str, str] = {}
    facts = [obligations.told(row) for row in obligations.all_facts(connection)]
    claims.update({each.reference: each.obligation for each in facts if each.what == "claimed"})
    for each in facts:
        if cut.was_told(each):
            told.setdefault(each.obligation or claims.get(each.claim, ""), []).append(each)
    every = set(wanted)
    duties = states.all_duties(mandates.on(day) if seen is None else seen, day)
    return {
        state.obligation: fold(duty, state, told.get(state.obligation, ()), day)
        for duty, state in duties
        if state.obligation in every
    }


def _since(connection: Connection, cut: Cut) -> Iterator[Entry]:
    def rows(table: Table) -> Iterable[Row[Any]]:
        return connection.execute(select(table).where(cut.since(table)))

    for row in rows(agreements.said_table):
        yield _agreement_entry(row)
    for row in rows(obligations.said_table):
        yield _of_obligation(row, row.obligation)
    for table, *_ in _MEETINGS:
        for row in rows(table):
            yield _meeting_entry(table, row)
    for row in rows(channel.messages):
        yield _letter(row)
    for row in rows(channel.acknowledgements):
        reference = f"{row.party}-{row.at[:4]}-{row.n:06d}"
        yield Entry(row.at, reference, row.by, "channel.acknowledge", row.message, "", "")
