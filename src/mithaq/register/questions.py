"""What is owed, overdue, disputed, unanswered, and what the next meeting of a body has before it: pure, over standings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Row

from mithaq.register.asking import Asked
from mithaq.register.lines import OWED, Line, chosen, in_month, line, ordered, parts, whole
from mithaq.services.meetings.records import Arising
from mithaq.services.meetings.standing import Body, Meeting
from mithaq.services.obligations import clock
from mithaq.services.obligations.standing import Occurrence, Standing


class Owed(msgspec.Struct, frozen=True):
    """What is owed on a day: by the own side, to it, and among others."""

    on: dt.date
    by_us: tuple[Line, ...]
    to_us: tuple[Line, ...]
    others: tuple[Line, ...]


class Lines(msgspec.Struct, frozen=True):
    """Obligations on a day."""

    on: dt.date
    obligations: tuple[Line, ...]


class UnansweredClaim(msgspec.Struct, frozen=True):
    """A claim to which the sides in `by` have said nothing, and for how many days."""

    line: Line
    by: tuple[str, ...]
    since: str
    days: int


class Letter(msgspec.Struct, frozen=True):
    """A message that no office of the side in `by` has acknowledged, and for how many days."""

    reference: str
    subject: str
    sender: str
    by: str
    clause: str
    since: str
    days: int
    urgent: bool
    acknowledge_by: str
    late: bool
    references: tuple[str, ...]


class Unanswered(msgspec.Struct, frozen=True):
    """Claims and letters without an answer, the oldest first."""

    on: dt.date
    claims: tuple[UnansweredClaim, ...]
    letters: tuple[Letter, ...]


class Matter(msgspec.Struct, frozen=True):
    """An obligation on the agenda with why it is there: overdue, due, disputed, unanswered, open."""

    line: Line
    why: tuple[str, ...]


class Open(msgspec.Struct, frozen=True):
    """Minutes that wait for signatures, an action of agreed minutes, or a dissent: what earlier meetings left."""

    what: str
    reference: str
    by: tuple[str, ...]
    text: Mapping[str, str]
    due: dt.date | None
    references: tuple[str, ...]


class Agenda(msgspec.Struct, frozen=True):
    """What the next meeting of a body has before it. `meeting` is empty where none was called; `day_from` says whence the
    day is known: invitation, minutes, cadence, or empty.
    """

    body: str
    meeting: str
    day: dt.date | None
    day_from: str
    matters: tuple[Matter, ...]
    left: tuple[Open, ...]
    references: tuple[str, ...]


class Earlier(NamedTuple):
    """Of a body's earlier meetings: their days, the days that agreed minutes name for the next one, what is still open."""

    held: tuple[dt.date, ...]
    agreed_next: tuple[dt.date, ...]
    left: Arising


def owed(standings: Iterable[Standing], asked: Asked) -> Owed:
    """What is still to be done, by whom and to whom; what waits for its condition or is suspended is shown as such."""
    found = _lines(standings, asked, lambda part: part.life.word in OWED, once=True)
    party = asked.asker.party
    return Owed(
        asked.on,
        tuple(each for each in found if each.owed_by == party),
        tuple(each for each in found if party in each.owed_to),
        tuple(each for each in found if party not in {each.owed_by, *each.owed_to}),
    )


def overdue(standings: Iterable[Standing], asked: Asked) -> Lines:
    """What is past its due day and not fulfilled, released, suspended or ended: each time of a recurring one."""
    return Lines(asked.on, _lines(standings, asked, lambda part: part.life.word == "violated"))


def disputed(standings: Iterable[Standing], asked: Asked) -> Lines:
    """Where a side that is owed disputes a claim in whole or in part, or asks for joint verification."""

    def holds(part: Occurrence) -> bool:
        return part.life.word in OWED and (part.says.disputed or bool(part.says.verification))

    return Lines(asked.on, _lines(standings, asked, holds))


def claims(standings: Iterable[Standing], asked: Asked) -> list[Line]:
    """Claims to which a side that is owed has said nothing; `side` is the silent one."""
    every = msgspec.structs.replace(asked, side="", month="")
    found = _lines(standings, every, lambda part: part.life.word in OWED and bool(part.says.unanswered))
    return [each for each in found if not asked.side or asked.side in each.unanswered]


def unanswered(
    found: Iterable[Line], said_at: Mapping[str, str], letters: Mapping[str, Sequence[Row[Any]]], asked: Asked
) -> Unanswered:
    """`said_at`: when each claim was said; `letters`: by party, the messages that it has not acknowledged."""
    waiting = [
        UnansweredClaim(each, each.unanswered, said_at[each.claim], _age(said_at[each.claim], asked))
        for each in found
        if said_at.get(each.claim, "").startswith(asked.month)
    ]
    mail = [_letter(row, party, asked) for party, rows in letters.items() for row in rows if _asked(row, party, asked)]
    return Unanswered(
        asked.on,
        tuple(sorted(waiting, key=lambda each: (each.since, each.line.claim))),
        tuple(sorted(mail, key=lambda each: (each.since, each.reference, each.by))),
    )


def agenda(standings: Iterable[Standing], body: Body, called: Meeting | None, before: Earlier, asked: Asked) -> Agenda:
    """One list of what is open, each with why it is there; then what earlier meetings left open."""
    day, day_from = _next(body, called, before, asked.on)
    until = day or asked.on
    matters = [
        Matter(line(each, part), _why(part, until, asked.on))
        for each in chosen(standings, msgspec.structs.replace(asked, body=body))
        for part in parts(each)
        if part.life.word in OWED
    ]
    matters.sort(key=lambda each: (_RANK[each.why[0]], each.line.due or dt.date.max, each.line.obligation))
    named = (body.reference, *(mark.reference for mark in body.joined.values()))
    return Agenda(
        body.reference,
        called.reference if called else "",
        day,
        day_from,
        tuple(matters),
        tuple(_left(before.left)),
        tuple(dict.fromkeys((*named, *((called.reference,) if called else ())))),
    )


_RANK: Final = {"overdue": 0, "due": 1, "disputed": 2, "unanswered": 3, "open": 4}


def _why(part: Occurrence, until: dt.date, today: dt.date) -> tuple[str, ...]:
    due = part.clock.due
    found = []
    if part.life.word == "violated":
        found.append("overdue")
    elif due is not None and today <= due <= until:
        found.append("due")
    if part.says.disputed or part.says.verification:
        found.append("disputed")
    if part.says.unanswered:
        found.append("unanswered")
    return tuple(found) or ("open",)


def _next(body: Body, called: Meeting | None, before: Earlier, today: dt.date) -> tuple[dt.date | None, str]:
    if called is not None:
        return called.invitation.last_day, "invitation"
    named = [day for day in before.agreed_next if day >= today]
    if named:
        return min(named), "minutes"
    if body.text.cadence and before.held:
        return clock.add(max(before.held), body.text.cadence), "cadence"
    return None, ""


def _left(left: Arising) -> Iterable[Open]:
    for each in left.unsigned:
        signed = tuple(mark.reference for mark in each.signed.values())
        yield Open("minutes", each.reference, each.missing, {}, None, (each.reference, *signed))
    for action in left.actions:
        by = (action.owed_by,)
        signed = tuple(mark.reference for mark in action.signed.values())
        yield Open("action", action.reference, by, action.text, action.due_day, (action.minutes, *signed))
    for dissent in left.dissents:
        marks = (dissent.minutes, dissent.mark.reference)
        yield Open("dissent", f"{dissent.minutes}:{dissent.item}", (dissent.mark.party,), {}, None, marks)


def _lines(
    standings: Iterable[Standing], asked: Asked, holds: Callable[[Occurrence], bool], *, once: bool = False
) -> tuple[Line, ...]:
    """`once`: of a recurring obligation the time that counts now, and not each."""
    return ordered(
        line(each, part)
        for each in chosen(standings, asked)
        for part in (whole(each) if once else parts(each))
        if holds(part) and in_month(part.clock.due, asked)
    )


def _asked(row: Row[Any], party: str, asked: Asked) -> bool:
    return (
        row.at[:10] <= asked.on.isoformat()
        and row.at.startswith(asked.month)
        and asked.side in {"", party}
        and asked.clause in {"", row.clause, row.clause.partition("/")[0]}
        and (asked.body is None or row.clause == asked.body.text.clause)
    )


def _letter(row: Row[Any], party: str, asked: Asked) -> Letter:
    until = row.acknowledge_by[:10]
    return Letter(
        row.reference,
        row.subject,
        row.by,
        party,
        row.clause,
        row.at,
        _age(row.at, asked),
        bool(row.urgent),
        row.acknowledge_by,
        bool(until) and until < asked.on.isoformat(),
        tuple(dict.fromkeys((row.thread, row.reference))),
    )


def _age(at: str, asked: Asked) -> int:
    return (asked.on - dt.date.fromisoformat(at[:10])).days
