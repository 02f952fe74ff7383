"""The time at which a duty is due and what the clock says about it: computed when read, never stored.

A day is a day; a month is due at its end; a period counts from an event, or from entry into force where no event is named;
a recurrence counts from entry into force.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Final, Literal

import msgspec

SOON: Final = 14
"""Days before the due day from which it is due soon."""
MOST: Final = 1200
"""Occurrences of one recurring duty that are looked at: a hundred years of months; the latest, where there are more."""

_PERIOD: Final = re.compile(r"(R/)?P([0-9]{1,4})([DWMY])")

ClockWord = Literal["no_date", "start_unknown", "not_due", "due_soon", "due", "overdue"]
Precision = Literal["", "day", "month", "period", "recurrence"]


class Clock(msgspec.Struct, frozen=True, gc=False):
    """What the clock says. `days` are left until `due`, negative when it is past; None where no day is known.

    `stopped` is the day on which an ended duty's clock was stopped: `word` and `days` are as of that day.
    """

    word: ClockWord
    days: int | None = None
    due: dt.date | None = None
    precision: Precision = ""
    start: dt.date | None = None
    stopped: dt.date | None = None
    references: tuple[str, ...] = ()


class Due(msgspec.Struct, frozen=True, gc=False):
    """When a duty is due. `day` is None when no time was agreed (`precision` empty) or the start is not known."""

    day: dt.date | None = None
    precision: Precision = ""
    start: dt.date | None = None
    references: tuple[str, ...] = ()


def last_day(text: str) -> dt.date | None:
    """The day that `2023-09-19` or `2023-09` means, of a month its last; None where there is no such day."""
    try:
        if len(text) == 7:
            year, month = int(text[:4]), int(text[5:])
            return dt.date(year, month, calendar.monthrange(year, month)[1])
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def recurs(due: str) -> bool:
    """Whether a duty's `due` is a recurrence."""
    return due.startswith("R/")


def is_possible(due: str) -> bool:
    """Whether a duty's `due` can ever come: no 31 February, no recurrence every zero months."""
    period = _PERIOD.fullmatch(due)
    if period:
        return int(period[2]) > 0 or not period[1]
    return not due or last_day(due) is not None


def add(start: dt.date, period: str, times: int = 1) -> dt.date:
    """The day `times` periods after `start`; 31 January and one month is the last of February. At most the year 9999."""
    found = _PERIOD.fullmatch(period)
    assert found is not None  # the shape of a duty's `due`
    count, unit = int(found[2]) * times, found[3]
    try:
        if unit in "DW":
            return start + dt.timedelta(days=count * (7 if unit == "W" else 1))
        month = start.month - 1 + count * (12 if unit == "Y" else 1)
        year, month = start.year + month // 12, month % 12 + 1
        return dt.date(year, month, min(start.day, calendar.monthrange(year, month)[1]))
    except (OverflowError, ValueError):
        return dt.date.max


def first_due(due: str, since: dt.date | None, event: dt.date | None, *, from_event: bool) -> Due:
    """When a duty that does not recur is due by its text. `from_event`: the period waits for the event's day."""
    if not due or not is_possible(due):
        return Due()
    if _PERIOD.fullmatch(due):
        start = event if from_event else since
        return Due(add(start, due) if start else None, "period", start)
    return Due(last_day(due), "month" if len(due) == 7 else "day")


def occurrences(period: str, since: dt.date | None, until: dt.date) -> list[tuple[int, dt.date]]:
    """(number, due day) of a recurring duty up to the first that is due on `until` or after it, at most `MOST`."""
    if since is None or not is_possible(period):
        return []
    found = [(1, add(since, period))]
    while found[-1][1] < until:
        number = found[-1][0] + 1
        found.append((number, add(since, period, number)))
        if len(found) > 2 * MOST:
            del found[:MOST]
    return found[-MOST:]


def read(due: Due, today: dt.date, stopped: dt.date | None) -> Clock:
    """What the clock says today, or what it said on the day when it was stopped."""
    if due.day is None:
        word: ClockWord = "start_unknown" if due.precision else "no_date"
        return Clock(word, None, None, due.precision, due.start, stopped, due.references)
    days = (due.day - (stopped or today)).days
    word = "overdue" if days < 0 else "due" if days == 0 else "due_soon" if days <= SOON else "not_due"
    return Clock(word, days, due.day, due.precision, due.start, stopped, due.references)
