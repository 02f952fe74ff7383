"""One obligation as a line of an answer: its three layers beside one another, with the statements that they come from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from mithaq.kernel.act import Texts
from mithaq.kernel.text import fold
from mithaq.register.asking import Asked
from mithaq.services.meetings.standing import Body
from mithaq.services.obligations.register import sort_key
from mithaq.services.obligations.standing import Occurrence, Standing

OWED: Final = frozenset({"conditional", "in_effect", "suspended", "violated"})
"""Words of what IS under which something is still to be done: in force, and neither ended nor fulfilled."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """An obligation, or one time of a recurring one (`occurrence`, from 1). `references`: the agreement, then statements."""

    obligation: str
    agreement: str
    clause: str
    what: Texts
    owed_by: str
    owed_to: tuple[str, ...]
    life: str
    because: str
    says: str
    level: int | None
    as_of: dt.date | None
    disputed: bool
    verification: tuple[str, ...]
    unanswered: tuple[str, ...]
    clock: str
    due: dt.date | None
    precision: str
    days: int | None
    late_by: int
    occurrence: int
    claim: str
    references: tuple[str, ...]


def parts(standing: Standing) -> Iterable[Occurrence]:
    """The times of a recurring obligation, or the one that it is."""
    return standing.occurrences or whole(standing)


def whole(standing: Standing) -> tuple[Occurrence]:
    """The obligation itself; of a recurring one the time that counts now."""
    return (Occurrence(standing.occurrence, standing.life, standing.says, standing.clock, standing.late_by),)


def line(standing: Standing, part: Occurrence | None = None) -> Line:
    """The line of an obligation, or of one of its times."""
    of = part or whole(standing)[0]
    named = (standing.agreement, *of.life.references, *of.says.references, *of.clock.references)
    return Line(
        standing.obligation,
        standing.agreement,
        standing.clause,
        standing.duty.what,
        standing.duty.owed_by,
        standing.duty.owed_to,
        of.life.word,
        of.life.because,
        of.says.word,
        of.says.level,
        of.says.as_of,
        of.says.disputed,
        of.says.verification,
        of.says.unanswered,
        of.clock.word,
        of.clock.due,
        of.clock.precision,
        of.clock.days,
        of.late_by,
        of.number,
        of.says.claim,
        tuple(dict.fromkeys(named)),
    )


def chosen(standings: Iterable[Standing], asked: Asked) -> Iterator[Standing]:
    """The obligations that the filters of side, clause and body leave."""
    for each in standings:
        if asked.side and each.duty.owed_by != asked.side:
            continue
        if asked.clause and asked.clause not in {each.clause, each.agreement}:
            continue
        if asked.body is not None and not follows(asked.body, each):
            continue
        yield each


def in_month(due: dt.date | None, asked: Asked) -> bool:
    """Whether something due on that day is asked for."""
    return not asked.month or (due is not None and due.isoformat().startswith(asked.month))


def follows(body: Body, standing: Standing) -> bool:
    """Whether a body follows an obligation up: the duty names it, or names none and is of the body's agreement."""
    named = standing.duty.body
    if not named:
        return standing.agreement == body.text.agreement
    return named == body.reference or fold(named) in {fold(each) for each in body.text.name.values()}


def ordered(lines: Iterable[Line]) -> tuple[Line, ...]:
    """By due day, what has none at the end; then by clause."""
    return tuple(sorted(lines, key=lambda each: (each.due or dt.date.max, sort_key(each.obligation), each.occurrence)))
