"""What is asked of the register: filters as they were typed, read strictly; a misspelt one is refused and never ignored."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, or_, select

from mithaq.kernel import calendars
from mithaq.kernel.act import CLAUSE, REFERENCE
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.force import Mandates, Standing
from mithaq.kernel.mandate import Agreement, Event
from mithaq.kernel.records import events
from mithaq.services.meetings import records as meetings
from mithaq.services.meetings.standing import Body

FILTERS: Final = ("side", "clause", "body", "month", "on")
LAST: Final = "last"
"""In place of a moment: since the last visit."""
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_YEAR: Final = re.compile(r"[1-9][0-9]{3}")
_LONGEST: Final = 60


class Asker(NamedTuple):
    """On whose node it is asked: the own party, all parties of the commission, the day of the asking."""

    party: str
    parties: tuple[str, ...]
    today: dt.date


class Asked(msgspec.Struct, frozen=True):
    """The filters as read. `side` is the party that has to act; `clause` a clause or a whole agreement; `on` the day."""

    asker: Asker
    on: dt.date
    side: str = ""
    clause: str = ""
    body: Body | None = None
    month: str = ""


def read(connection: Connection, given: Mapping[str, str], asker: Asker) -> Asked:
    """Read the filters. Malformed `register.bad_filter`, Refused `register.unknown` with the filter's name as field."""
    side, clause, month = given.get("side", ""), given.get("clause", ""), given.get("month", "")
    on = _day(given["on"]) if given.get("on") else asker.today
    if side and side not in asker.parties:
        raise _unknown("side", side)
    if clause:
        _check_clause(connection, clause, on)
    if month and not _MONTH.fullmatch(month):
        raise _bad("month", month)
    return Asked(asker, on, side, clause, _body(connection, given.get("body", "")), month)


def year(given: Mapping[str, str]) -> int:
    """The year that a report is asked for."""
    value = given.get("year", "")
    if not _YEAR.fullmatch(value):
        raise _bad("year", value)
    return int(value)


def moment(given: Mapping[str, str]) -> dt.datetime | None:
    """The moment, or the day at its beginning in UTC; None for the last visit."""
    value = given.get("moment", LAST)
    if value == LAST:
        return None
    try:
        return calendars.moment(value if "T" in value else f"{value}T00:00:00Z")
    except Malformed as failure:
        raise _bad("moment", value) from failure


def needed(given: Mapping[str, str], name: str) -> str:
    """A filter without which the question has no meaning."""
    value = given.get(name, "")
    if not value:
        raise _bad(name, value)
    return value


def agreement(
    connection: Connection, reference: str, day: dt.date
) -> tuple[Standing, Agreement, tuple[str, ...]] | None:
    """(standing, the text that holds, its amendments) of one agreement on a day, by all that was heard of it."""
    named = or_(events.c.agreement == reference, events.c.amends == reference)
    amendments = connection.execute(select(events.c.agreement).where(events.c.amends == reference)).scalars().all()
    mandates = Mandates(())
    query = select(events).where(or_(named, events.c.agreement.in_(amendments)))
    for row in connection.execute(query.order_by(events.c.party, events.c.n)).mappings():
        mandates.add(Event(**row))
    found = mandates.on(day)
    standing = found.get(reference)
    if standing is None or standing.amends:
        return None
    text = found[standing.amended_by].text if standing.amended_by else standing.text
    return standing, text, tuple(amendments)


def _check_clause(connection: Connection, clause: str, day: dt.date) -> None:
    reference, _, number = clause.partition("/")
    if len(clause) > _LONGEST or not re.fullmatch(CLAUSE if number else REFERENCE, clause) or clause == "charter":
        raise _bad("clause", clause)
    found = agreement(connection, reference, day)
    numbers = {each.number for text in (found[0].text, found[1]) for each in text.clauses} if found else set()
    if not found or (number and number not in numbers):
        raise _unknown("clause", clause)


def _body(connection: Connection, reference: str) -> Body | None:
    if not reference:
        return None
    if len(reference) > _LONGEST or not re.fullmatch(REFERENCE, reference):
        raise _bad("body", reference)
    found = meetings.body(connection, reference)
    if found is None:
        raise _unknown("body", reference)
    return found


def _day(text: str) -> dt.date:
    try:
        return calendars.parse_day(text)
    except Malformed as failure:
        raise _bad("on", text) from failure


def _bad(field: str, value: str) -> Malformed:
    return Malformed("register.bad_filter", field=field, value=value[:_LONGEST])


def _unknown(field: str, value: str) -> Refused:
    return Refused("register.unknown", field=field, value=value[:_LONGEST])
