"""The yearly report, clause by clause: counts of so many of so many with their day, never a percentage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from mithaq.register.asking import Asked
from mithaq.register.lines import chosen, parts
from mithaq.services.obligations.register import sort_key
from mithaq.services.obligations.standing import Occurrence, Standing


class Count(msgspec.Struct, frozen=True):
    """`k` of `n`, with what is counted: obligations, a time of a recurring one as `REF/3:1#2`."""

    k: int
    n: int
    are: tuple[str, ...]
    are_not: tuple[str, ...]


class Done(msgspec.Struct, frozen=True):
    """How many statements of one kind were said under the clause in the year."""

    act: str
    count: int


class ClauseYear(msgspec.Struct, frozen=True):
    """One clause in one year, as it stood on the report's day.

    `fulfilled`: of what was due in the year; `in_time`: of what was fulfilled; `overdue`, `disputed`: of what was due;
    `undated`: fulfilled in what has no due day. `references`: the statements that it comes from.
    """

    clause: str
    agreement: str
    fulfilled: Count
    in_time: Count
    overdue: Count
    disputed: Count
    undated: Count
    done: tuple[Done, ...]
    references: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """The report of a year as of `on`: its last day, or the day of asking in a year that is not over."""

    year: int
    on: dt.date
    clauses: tuple[ClauseYear, ...]


def day_of(year: int, today: dt.date) -> dt.date:
    """The day whose standing the report tells."""
    return min(dt.date(year, 12, 31), today)


def report(standings: Iterable[Standing], done: Mapping[str, Mapping[str, int]], year: int, asked: Asked) -> Report:
    """Counts for every clause that had something due, fulfilled or said in the year; the standings are of `asked.on`."""
    by_clause: dict[str, list[Standing]] = {}
    for each in chosen(standings, asked):
        if each.life.word != "created":
            by_clause.setdefault(each.clause, []).append(each)
    ordered = sorted(by_clause, key=lambda clause: sort_key(f"{clause}:1"))
    found = [_clause(each, by_clause[each], done.get(each, {}), year) for each in ordered]
    return Report(year, asked.on, tuple(each for each in found if each is not None))


def _clause(clause: str, standings: Iterable[Standing], done: Mapping[str, int], year: int) -> ClauseYear | None:
    due: list[tuple[str, Occurrence]] = []
    undated: list[tuple[str, Occurrence]] = []
    named: dict[str, None] = {}
    for each in standings:
        for part in parts(each):
            name = f"{each.obligation}#{part.number}" if part.number else each.obligation
            if part.clock.due is None:
                undated.append((name, part))
            elif part.clock.due.year == year:
                due.append((name, part))
            else:
                continue
            named |= dict.fromkeys((each.agreement, *part.life.references, *part.says.references))
    if not due and not undated and not done:
        return None
    fulfilled = [(name, part) for name, part in due if part.life.word == "fulfilled"]
    return ClauseYear(
        clause,
        clause.partition("/")[0],
        _count(due, [name for name, _ in fulfilled]),
        _count(fulfilled, [name for name, part in fulfilled if not part.late_by]),
        _count(due, [name for name, part in due if part.life.word == "violated"]),
        _count(due, [name for name, part in due if part.says.disputed or part.says.verification]),
        _count(undated, [name for name, part in undated if part.life.word == "fulfilled"]),
        tuple(Done(act, count) for act, count in sorted(done.items())),
        tuple(named),
    )


def _count(of: Iterable[tuple[str, Occurrence]], are: Iterable[str]) -> Count:
    counted, every = tuple(are), tuple(name for name, _ in of)
    return Count(len(counted), len(every), counted, tuple(name for name in every if name not in set(counted)))
