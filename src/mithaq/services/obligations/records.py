"""What was said about obligations: one table of facts. Standing, lists and histories are queries over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, Row, Text, func, select

from mithaq.kernel.records import Fact, record_table, said_under
from mithaq.kernel.statement import Statement
from mithaq.services.obligations import acts
from mithaq.services.obligations.said import Told

VERSION: Final = 1

said_table = record_table(
    "obligations_said",
    Column("reference", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("obligation", Text, nullable=False),
    Column("claim", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("occurrence", BigInteger, nullable=False),
    Column("level", Integer, nullable=False),
    Column("day", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("enclosures", Text, nullable=False),
    Column("seen", Text, nullable=False),
    find_by=("obligation", "claim"),
    kept=True,
)
"""An answer and a withdrawal name a claim and no obligation; `seen` is kept where it tells what was answered or cancelled."""


class Carried(msgspec.Struct, frozen=True):
    """A statement of another service under a clause that obliges: evidence by doing."""

    reference: str
    do: str
    at: str
    clause: str


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _fact(said: Statement[Any], what: str, **more: Any) -> Iterator[Fact]:
    values = {
        "reference": said.reference,
        "what": what,
        "obligation": "",
        "claim": "",
        "at": said.at.isoformat(),
        "by": said.by,
        "clause": said.clause,
        "occurrence": 0,
        "level": -1,
        "day": "",
        "answer": "",
        "text": "",
        "evidence": "[]",
        "enclosures": _json(said.enclosures) if said.enclosures else "[]",
        "seen": "",
        **more,
    }
    yield Fact(said_table, values)


def claim(act: acts.Claim, said: Statement[Any]) -> Iterator[Fact]:
    """The debtor's claim, with what it cites."""
    return _fact(
        said,
        "claimed",
        obligation=act.obligation,
        level=act.level,
        day=act.as_of.isoformat(),
        text=act.text,
        evidence=_json(act.evidence),
        occurrence=act.occurrence,
    )


def withdraw(act: acts.Withdraw, said: Statement[Any]) -> Iterator[Fact]:
    """The claim counts no more."""
    return _fact(said, "withdrawn", claim=act.claim, text=act.reason)


def answer(act: acts.Answer, said: Statement[Any]) -> Iterator[Fact]:
    """One creditor's answer to a claim."""
    level = -1 if act.level is None else act.level
    return _fact(said, "answered", claim=act.claim, answer=act.answer, level=level, text=act.text)


def find(act: acts.Find, said: Statement[Any]) -> Iterator[Fact]:
    """One side's finding."""
    return _fact(
        said,
        "found",
        obligation=act.obligation,
        level=act.level,
        day=act.as_of.isoformat(),
        text=act.text,
        occurrence=act.occurrence,
    )


def assess(act: acts.Assess, said: Statement[Any]) -> Iterator[Fact]:
    """One creditor's assessment."""
    return _fact(said, "assessed", obligation=act.obligation, level=act.level, day=act.as_of.isoformat(), text=act.text)


def set_due(act: acts.SetDue, said: Statement[Any]) -> Iterator[Fact]:
    """The due day or month that one side names."""
    return _fact(
        said,
        "due_set",
        obligation=act.obligation,
        day=act.due,
        text=act.reason,
        occurrence=act.occurrence,
        seen=_json(said.seen),
    )


def note_event(act: acts.NoteEvent, said: Statement[Any]) -> Iterator[Fact]:
    """The day of the event, as one side says."""
    return _fact(said, "event_noted", obligation=act.obligation, day=act.day.isoformat(), seen=_json(said.seen))


def discharge(act: acts.Discharge, said: Statement[Any]) -> Iterator[Fact]:
    """One creditor's release."""
    return _fact(said, "discharged", obligation=act.obligation, text=act.reason)


def close(act: acts.Close, said: Statement[Any]) -> Iterator[Fact]:
    """One side's will to close."""
    return _fact(said, "closed", obligation=act.obligation, text=act.reason)


def reopen(act: acts.Reopen, said: Statement[Any]) -> Iterator[Fact]:
    """The obligation goes on; what its speaker had seen of the ending counts no more."""
    return _fact(
        said,
        "reopened",
        obligation=act.obligation,
        text=act.reason,
        occurrence=act.occurrence,
        seen=_json(said.seen),
    )


TOLD: Final = tuple(said_table.c[name] for name in Told.__struct_fields__)
"""The columns that the fold reads, in its order."""


_as_told: Final = attrgetter(*Told.__struct_fields__)


def told(row: Any) -> Told:
    """The row as the fold takes it."""
    return Told(*_as_told(row))


def all_facts(connection: Connection) -> Sequence[Row[Any]]:
    """Everything that was said about obligations, by party and position."""
    return connection.execute(select(said_table).order_by(said_table.c.party, said_table.c.n)).all()


def facts_of(connection: Connection, obligation: str) -> Sequence[Row[Any]]:
    """Everything that was said about one obligation, in the order of claimed times: its history."""
    claims = select(said_table.c.reference).where(said_table.c.obligation == obligation, said_table.c.what == "claimed")
    about = select(said_table).where(said_table.c.obligation == obligation)
    both = about.union_all(select(said_table).where(said_table.c.claim.in_(claims))).subquery()
    return connection.execute(select(both).order_by(both.c.at, both.c.party, both.c.n)).all()


_OWN: Final = ("obligations.%", "agreements.%", "meetings.%")
"""What is said about duties and texts carries nothing out."""


def carried(connection: Connection, clause: str) -> list[Carried]:
    """What other services recorded under a clause that obliges, in the order of claimed times."""
    query = select(said_under).where(said_under.c.clause == clause, *_by_doing())
    rows = connection.execute(query.order_by(said_under.c.at, said_under.c.party, said_under.c.n)).all()
    return [Carried(f"{row.party}-{row.at[:4]}-{row.n:06d}", row.do, row.at, row.clause) for row in rows]


def carried_counts(connection: Connection, year: int | None = None) -> dict[str, dict[str, int]]:
    """Clause -> act -> how many statements of other services carried it out, in all or in one year."""
    query = select(said_under.c.clause, said_under.c.do, func.count()).where(*_by_doing())
    if year is not None:
        query = query.where(said_under.c.at >= f"{year:04d}-", said_under.c.at < f"{year + 1:04d}-")
    found: dict[str, dict[str, int]] = {}
    for clause, do, count in connection.execute(query.group_by(said_under.c.clause, said_under.c.do)):
        found.setdefault(clause, {})[do] = count
    return found


def _by_doing() -> list[Any]:
    return [said_under.c.do.not_like(each) for each in _OWN]
