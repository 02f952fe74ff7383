"""Calendar feeds (RFC 5545, RFC 5546): meetings as VEVENT, obligations and actions as VTODO; titles and numbers, no text.

A feed has a secret address for each official: 256 random bits, of which the node keeps the digest alone. Whoever has the
address reads the titles, so it is made anew or closed like a token.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from mithaq.kernel import officials, words
from mithaq.kernel.errors import Refused
from mithaq.kernel.force import Mandates, Standing
from mithaq.kernel.mandate import Event
from mithaq.kernel.officials import Official
from mithaq.kernel.records import events
from mithaq.kernel.tables import state
from mithaq.register.pages import choose, label
from mithaq.services.meetings import records as meetings
from mithaq.services.meetings.standing import Meeting, ProposedObligation
from mithaq.services.obligations import standing as owed
from mithaq.services.obligations.register import Register

if TYPE_CHECKING:
    from icalendar import Component

MEDIA: Final = "text/calendar; charset=utf-8"
KEPT_DAYS: Final = 90
"""Days for which what has ended still stands in a feed, so that a calendar learns of its end."""

READERS: Final = frozenset({"official", "lead", "custodian"})
"""Roles that read what was said (the table of access); an auditor and an administrator have no feed."""

_SECRET_BYTES: Final = 32
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_KEY: Final = "feed:"
_MEETING: Final = {"invited": "TENTATIVE", "accepted": "CONFIRMED", "held": "CONFIRMED"}
_OVERDUE: Final = 1
_NO_PRIORITY: Final = 0


class Reader(NamedTuple):
    """Whose feed an address is, and in which language it speaks."""

    official: Official
    lang: str


# --- addresses ------------------------------------------------------------------------------------------------------


def open_feed(connection: Connection, id_: str, lang: str = words.DEFAULT) -> str:
    """A new secret for an official, shown this once; an older one opens nothing from here on.

    Refused official.unknown, official.ended, official.role_not_enough.
    """
    official = _official(connection, id_)
    if official.ended is not None:
        raise Refused("official.ended", value=official.id)
    if not official.roles & READERS:
        raise Refused("official.role_not_enough", value=", ".join(sorted(official.roles)), field="id")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    connection.execute(delete(state).where(state.c.key == _KEY + official.id))
    connection.execute(insert(state), {"key": _KEY + official.id, "value": f"{_digest(secret)} {lang}"})
    return secret


def close_feed(connection: Connection, id_: str) -> None:
    """The official's address opens nothing any more. Refused register.no_feed where there is none."""
    official = _official(connection, id_)
    if not connection.execute(delete(state).where(state.c.key == _KEY + official.id)).rowcount:
        raise Refused("register.no_feed", value=official.id)


def reader(connection: Connection, secret: str) -> Reader | None:
    """Whose address this is; None for one that is unknown, closed, or of an official who may not read any more.

    Every digest is compared in constant time, whether one was found already or not.
    """
    digest = _digest(secret) if _SECRET.fullmatch(secret) else ""
    found = ""
    lang = words.DEFAULT
    for row in connection.execute(select(state).where(state.c.key.like(f"{_KEY}%"))):
        kept, _, speaks = row.value.partition(" ")
        if hmac.compare_digest(kept, digest):
            found, lang = row.key.removeprefix(_KEY), speaks
    official = next((each for each in officials.everyone(connection) if each.id == found), None)
    if official is None or official.ended is not None or not official.roles & READERS:
        return None
    return Reader(official, lang)


def _official(connection: Connection, id_: str) -> Official:
    found = next((each for each in officials.everyone(connection) if each.id == id_), None)
    if found is None:
        raise Refused("official.unknown", value=id_[:40])
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# --- the calendar -----------------------------------------------------------------------------------------------------


def feed(
    connection: Connection,
    party: str,
    commission: str,
    now: dt.datetime,
    lang: str = words.DEFAULT,
    register: Register | None = None,
) -> bytes:
    """The calendar of a party: its meetings, and what it owes or is owed. `now` in UTC; `register`: one that remembers."""
    from icalendar import Calendar  # here: only a feed needs it

    book = _Book(party, commission, now, lang)
    made = Calendar()
    made.add("prodid", "-//Mithaq//Register//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("name", label("register_of", lang, party=party))
    made.add("x-wr-calname", label("register_of", lang, party=party))
    counts = _counts(connection)
    for each in meetings.meetings(connection, party=party):
        made.add_component(book.meeting(each, counts.get(each.reference, 0)))
    standings, changed = _agreements(connection, now.date())
    for one in (register or Register()).obligations(connection, now.date()):
        agreement = standings.get(one.agreement)
        if agreement is not None and party in {one.duty.owed_by, *one.duty.owed_to} and one.life.word != "created":
            sequence = changed.get(one.agreement, 0) + len(one.references)
            for component in book.obligation(one, agreement, sequence):
                made.add_component(component)
    for action in meetings.action_items(connection, party=party):
        made.add_component(book.action(action))
    return bytes(made.to_ical())


def _counts(connection: Connection) -> dict[str, int]:
    """How many answers each meeting has had: they are only ever added, so the number serves as SEQUENCE."""
    table = meetings.answers_table
    rows = connection.execute(select(table.c.meeting, func.count()).group_by(table.c.meeting))
    return {row[0]: row[1] for row in rows}


def _agreements(connection: Connection, today: dt.date) -> tuple[dict[str, Standing], dict[str, int]]:
    mandates = Mandates(())
    changed: dict[str, int] = {}
    for row in connection.execute(select(events)):
        event = Event(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
        mandates.add(event)
        of = event.amends or event.agreement
        changed[of] = changed.get(of, 0) + 1
    return mandates.on(today), changed


class _Book:
    """Makes the components of one feed."""

    def __init__(self, party: str, commission: str, now: dt.datetime, lang: str) -> None:
        self._party, self._commission, self._now, self._lang = party, commission, now.replace(microsecond=0), lang

    def _start(self, component: Component, uid: str, sequence: int, by: str, summary: str) -> None:
        """What RFC 5546 sections 3.2.1 and 3.4.1 ask of everything that is published."""
        component.add("uid", f"{uid}@{self._commission}")
        component.add("dtstamp", self._now)
        component.add("sequence", sequence)
        component.add("organizer", f"urn:mithaq:{by}")
        component.add("summary", summary)

    def meeting(self, one: Meeting, sequence: int) -> Component:
        """A meeting as an event of its day or of its month, which blocks nobody's day."""
        from icalendar import Event as VEvent

        made = VEvent()
        called = one.invitation
        title = choose(called.title, self._lang)
        self._start(made, one.reference, sequence, called.mark.by, f"{_line(title.text)} ({one.reference})")
        first = called.day.replace(day=1) if called.day_precision == "month" else called.day
        last = called.last_day
        if one.held_on:
            first = last = one.held_on
        made.add("dtstart", first)
        if last < dt.date.max:
            made.add("dtend", last + dt.timedelta(days=1))
        made.add("status", _MEETING.get(one.state, "CANCELLED"))
        made.add("transp", "TRANSPARENT")
        return made

    def obligation(self, one: owed.Standing, agreement: Standing, sequence: int) -> Iterator[Component]:
        """An obligation as a task; of a recurring one each time that is not long past, on its own plain day."""
        summary = f"{_line(choose(agreement.text.title, self._lang).text)} ({one.obligation})"
        since = agreement.binds_from()
        for each in one.occurrences or (one,):
            if self._is_old(each):
                continue
            numbered = isinstance(each, owed.Occurrence)
            uid = f"{one.obligation}#{each.number}" if isinstance(each, owed.Occurrence) else one.obligation
            named = f"{summary} #{uid.rpartition('#')[2]}" if numbered else summary
            yield self._task(uid, sequence, one.duty.owed_by, named, since, each)

    def _is_old(self, each: owed.Standing | owed.Occurrence) -> bool:
        ended = each.life.word in owed.ENDED or each.life.word == "terminated"
        stopped = each.clock.stopped or each.clock.due
        return ended and stopped is not None and (self._now.date() - stopped).days > KEPT_DAYS

    def _task(
        self,
        uid: str,
        sequence: int,
        by: str,
        summary: str,
        since: dt.date | None,
        each: owed.Standing | owed.Occurrence,
    ) -> Component:
        from icalendar import Todo

        made = Todo()
        self._start(made, uid, sequence, by, summary)
        due, life, says = each.clock.due, each.life.word, each.says
        if since and (due is None or since < due):
            made.add("dtstart", since)
        if due:
            made.add("due", due)
        made.add("priority", _OVERDUE if life == "violated" else _NO_PRIORITY)
        status = "IN-PROCESS" if says.level else "NEEDS-ACTION"
        if life == "fulfilled":
            status = "COMPLETED"
        elif life in {"discharged", "closed", "terminated"}:
            status = "CANCELLED"
        made.add("status", status)
        if life == "fulfilled" and says.as_of:
            made.add("completed", dt.datetime.combine(says.as_of, dt.time(), dt.UTC))
        made.add("comment", self._comment(each))
        return made

    def _comment(self, each: owed.Standing | owed.Occurrence) -> str:
        """The three layers in words; the level as "k of 3" and never as a percentage, which nobody has said."""
        layers = [f"life_{each.life.word}", f"says_{each.says.word}", f"clock_{each.clock.word}"]
        said = [label(layer, self._lang) for layer in layers]
        if each.says.level is not None:
            said.append(label("level_of", self._lang, level=each.says.level))
        return " · ".join(said)

    def action(self, one: ProposedObligation) -> Component:
        """An action of agreed minutes: a task that is proposed."""
        from icalendar import Todo

        made = Todo()
        summary = f"{label('kind_action', self._lang)} ({one.reference})"
        self._start(made, one.reference, len(one.signed), one.office or one.owed_by, summary)
        if one.due_day:
            made.add("due", one.due_day)
        made.add("priority", _NO_PRIORITY)
        made.add("status", "NEEDS-ACTION")
        made.add("comment", label("state_proposed", self._lang))
        return made


def _line(text: str) -> str:
    return " ".join(text.split())
