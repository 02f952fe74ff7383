"""Messages and acknowledgements; threads, what waits and what is late are queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Boolean, Column, Connection, Row, Text, or_, select

from mithaq.kernel.records import Fact, record_table
from mithaq.kernel.statement import Statement
from mithaq.services.channel import acts

VERSION: Final = 1

messages = record_table(
    "channel_messages",
    Column("reference", Text, nullable=False),
    Column("thread", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("acknowledge_by", Text, nullable=False),
    Column("enclosures", Text, nullable=False),
    find_by=("thread", "reference"),
)
acknowledgements = record_table(
    "channel_acknowledgements",
    Column("message", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Text, nullable=False),
    find_by=("message",),
)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def say(act: acts.Say, said: Statement[Any]) -> tuple[Fact, ...]:
    """A message that begins a thread."""
    deadline = act.acknowledge_by.isoformat() if act.acknowledge_by else ""
    return (_message(said, said.reference, act.subject, act.text, _json(act.to), act.urgent, deadline),)


def reply(act: acts.Reply, said: Statement[Any]) -> tuple[Fact, ...]:
    """A message within a thread."""
    return (_message(said, act.thread, "", act.text, "[]", urgent=False, deadline=""),)


def _message(said: Statement[Any], thread: str, subject: str, text: str, to: str, urgent: bool, deadline: str) -> Fact:
    return Fact(
        messages,
        {
            "reference": said.reference,
            "thread": thread,
            "at": said.at.isoformat(),
            "by": said.by,
            "to": to,
            "clause": said.clause,
            "subject": subject,
            "text": text,
            "urgent": urgent,
            "acknowledge_by": deadline,
            "enclosures": _json(said.enclosures) if said.enclosures else "[]",
        },
    )


def acknowledge(act: acts.Acknowledge, said: Statement[Any]) -> Iterator[Fact]:
    """Which office has read which message, and when it says so."""
    yield Fact(acknowledgements, {"message": act.message, "by": said.by, "at": said.at.isoformat()})


def message(connection: Connection, reference: str) -> Row[Any] | None:
    """One message."""
    return connection.execute(select(messages).where(messages.c.reference == reference)).first()


def thread(connection: Connection, reference: str) -> Sequence[Row[Any]]:
    """The messages of a thread in the order of their claimed times."""
    query = select(messages).where(messages.c.thread == reference)
    return connection.execute(query.order_by(messages.c.at, messages.c.party, messages.c.n)).all()


def acknowledged(connection: Connection, reference: str) -> Sequence[Row[Any]]:
    """Who has read a message."""
    query = select(acknowledgements).where(acknowledgements.c.message == reference)
    return connection.execute(query.order_by(acknowledgements.c.party, acknowledgements.c.n)).all()


def unacknowledged(connection: Connection, party: str) -> Sequence[Row[Any]]:
    """Messages for `party`'s offices, from others, that none of its offices has acknowledged; urgent and earliest first.

    A reply is for all who take part in its thread: for the party whose office began it, and for those written to.
    """
    answered = select(acknowledgements.c.message).where(acknowledgements.c.party == party)
    first = messages.alias("first")
    query = (
        select(messages)
        .join(first, first.c.reference == messages.c.thread)
        .where(
            messages.c.party != party,
            or_(
                first.c.party == party,
                first.c.to.contains(f'"{party}"', autoescape=True),
                first.c.to.contains(f'"{party}/', autoescape=True),
            ),
            messages.c.reference.not_in(answered),
        )
    )
    order = (messages.c.urgent.desc(), messages.c.acknowledge_by, messages.c.at, messages.c.party, messages.c.n)
    return connection.execute(query.order_by(*order)).all()
