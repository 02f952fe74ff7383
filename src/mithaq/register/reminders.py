"""When a secretary is reminded: 14 and 3 days before the due day, on the day, and then every week while it is owed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

import msgspec

from mithaq.kernel.act import Texts
from mithaq.register.asking import Asked
from mithaq.register.lines import Line, chosen, in_month, line, ordered, parts
from mithaq.services.meetings.standing import Meeting
from mithaq.services.obligations.standing import Standing

BEFORE: Final = (14, 3, 0)
"""Days before the due day on which a reminder falls."""
AGAIN: Final = 7
"""Days from one reminder to the next once the due day is past."""
_RUNNING: Final = frozenset({"in_effect", "violated"})


class Coming(msgspec.Struct, frozen=True):
    """A meeting that is to come, and by how many days."""

    meeting: str
    title: Texts
    day: dt.date
    days: int
    references: tuple[str, ...]


class Reminders(msgspec.Struct, frozen=True):
    """What falls on the day."""

    on: dt.date
    obligations: tuple[Line, ...]
    meetings: tuple[Coming, ...]


def falls(days: int | None) -> bool:
    """Whether a reminder falls on a day with so many days left; negative when the due day is past."""
    return days is not None and (days in BEFORE or (days < 0 and days % AGAIN == 0))


def reminders(standings: Iterable[Standing], meetings: Iterable[Meeting], asked: Asked) -> Reminders:
    """What is to be remembered on the day. What is suspended or waits for its condition reminds of nothing."""
    found = [
        line(each, part)
        for each in chosen(standings, asked)
        for part in parts(each)
        if part.life.word in _RUNNING and falls(part.clock.days) and in_month(part.clock.due, asked)
    ]
    coming = []
    for meeting in meetings:
        called = meeting.invitation
        days = (called.last_day - asked.on).days
        if days in BEFORE and _concerns(meeting, asked) and in_month(called.last_day, asked):
            named = (meeting.reference, *(each.mark.reference for each in meeting.accepted.values()))
            coming.append(Coming(meeting.reference, called.title, called.last_day, days, named))
    return Reminders(asked.on, ordered(found), tuple(coming))


def _concerns(meeting: Meeting, asked: Asked) -> bool:
    called = meeting.invitation
    return (
        (not asked.side or asked.side in meeting.sides)
        and (not asked.clause or asked.clause in {called.clause, called.agreement})
        and (asked.body is None or called.body == asked.body.reference)
    )
