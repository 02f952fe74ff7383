"""Messages and acknowledgements; threads, what waits and what is late are queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Row, Text, or_, select

from mithaq.kernel.records import Fact, record_table
from mithaq.kernel.statement import Statement, split_reference
from mithaq.services.channel import acts

VERSION: Final = 2

messages = record_table(
    "channel_messages",
    Column("reference", Text, nullable=False),
    Column("thread", Text, nullable=False),
    Column("thread_party", Text, nullable=False),
    Column("thread_n", BigInteger, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("acknowledge_by", Text, nullable=False),
    Column("enclosures", Text, nullable=False),
)
# Only replies: a thread's first message is found by its place, and an index costs each message more than its row does.
_is_reply = messages.c.thread != messages.c.reference
Index(
    "channel_replies",
    messages.c.thread_party,
    messages.c.thread_n,
    sqlite_where=_is_reply,
    postgresql_where=_is_reply,
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
    thread = (said.reference, said.party, said.n)
    return (_message(said, thread, act.subject, act.text, _json(act.to), act.urgent, deadline),)


def reply(act: acts.Reply, said: Statement[Any]) -> tuple[Fact, ...]:
    """A message within a thread."""
    thread = (act.thread, *split_reference(act.thread))
    return (_message(said, thread, "", act.text, "[]", urgent=False, deadline=""),)


def _message(
    said: Statement[Any], thread: tuple[str, str, int], subject: str, text: str, to: str, urgent: bool, deadline: str
) -> Fact:
    return Fact(
        messages,
        {
            "reference": said.reference,
            "thread": thread[0],
            "thread_party": thread[1],
            "thread_n": thread[2],
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
    party, n = split_reference(reference)
    place = (messages.c.party == party) & (messages.c.n == n) & (messages.c.reference == reference)
    return connection.execute(select(messages).where(place)).first()


def thread(connection: Connection, reference: str) -> Sequence[Row[Any]]:
    """The messages of a thread in the order of their claimed times."""
    party, n = split_reference(reference)
    first = select(messages).where(messages.c.party == party, messages.c.n == n, messages.c.reference == reference)
    replies = select(messages).where(messages.c.thread_party == party, messages.c.thread_n == n, _is_reply)
    both = first.union_all(replies.where(messages.c.thread == reference)).subquery()
    return connection.execute(select(both).order_by(both.c.at, both.c.party, both.c.n)).all()


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
        .join(first, (first.c.party == messages.c.thread_party) & (first.c.n == messages.c.thread_n))
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
