"""What was said about agreements. The state of each is a query over it, never a stored status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Row, Text, select

from mithaq.kernel.mandate import Agreement, Event
from mithaq.kernel.records import Fact, event_fact, record_table
from mithaq.kernel.statement import Statement
from mithaq.services.agreements import acts

VERSION: Final = 1

said_table = record_table(
    "agreements_said",
    Column("what", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("under", Text, nullable=False),
    Column("reason", Text, nullable=False),
    find_by=("agreement",),
)


def _facts(
    said: Statement[Any],
    what: str,
    agreement: str,
    *,
    day: str = "",
    clause: str = "",
    amends: str = "",
    text: Agreement | None = None,
    reason: str = "",
) -> Iterator[Fact]:
    written = msgspec.json.encode(text, order="sorted").decode() if text else ""
    day = day or said.at.date().isoformat()
    yield event_fact(Event(said.party, said.n, what, agreement, day, clause, amends, written))
    values = {"what": what, "agreement": amends or agreement, "reference": said.reference, "at": said.at.isoformat()}
    yield Fact(said_table, {**values, "by": said.by, "clause": clause, "under": said.clause, "reason": reason})


def propose(act: acts.Propose, said: Statement[Any]) -> Iterator[Fact]:
    """The text, under its statement's own number."""
    return _facts(said, "proposed", said.reference, text=act.text)


def sign(act: acts.Sign, said: Statement[Any]) -> Iterator[Fact]:
    """One party's signature."""
    return _facts(said, "signed", act.agreement)


def decline(act: acts.Decline, said: Statement[Any]) -> Iterator[Fact]:
    """One party's no, with its reason."""
    return _facts(said, "declined", act.agreement, reason=act.reason)


def bring_into_force(act: acts.BringIntoForce, said: Statement[Any]) -> Iterator[Fact]:
    """One party's notification."""
    return _facts(said, "notified", act.agreement, day=act.day.isoformat())


def amend(act: acts.Amend, said: Statement[Any]) -> Iterator[Fact]:
    """The new text, under its own number, with the agreement that it amends."""
    return _facts(said, "amended", said.reference, amends=act.agreement, text=act.text)


def suspend(act: acts.Suspend, said: Statement[Any]) -> Iterator[Fact]:
    """One party's suspension."""
    return _facts(said, "suspended", act.agreement, clause=act.clause, reason=act.reason)


def resume(act: acts.Resume, said: Statement[Any]) -> Iterator[Fact]:
    """One party's lifting of its suspension."""
    return _facts(said, "resumed", act.agreement, clause=act.clause)


def terminate(act: acts.Terminate, said: Statement[Any]) -> Iterator[Fact]:
    """One party's leaving, after a day."""
    return _facts(said, "terminated", act.agreement, day=act.day.isoformat(), reason=act.reason)


def history(connection: Connection, agreement: str) -> Sequence[Row[Any]]:
    """Everything that was said about an agreement, in the order of what was claimed, then of party."""
    query = select(said_table).where(said_table.c.agreement == agreement)
    return connection.execute(query.order_by(said_table.c.at, said_table.c.party, said_table.c.n)).all()
