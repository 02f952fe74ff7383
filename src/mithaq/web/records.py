"""What the API tells of the records: agreements and clauses as they stand, messages, what waits for an answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, func, select
from starlette.responses import Response

from mithaq.kernel import force
from mithaq.kernel.errors import Refused
from mithaq.kernel.force import InForce, Mandates
from mithaq.kernel.mandate import Event
from mithaq.kernel.records import events
from mithaq.node import CATALOGUE
from mithaq.services.agreements import records as agreements_records
from mithaq.services.channel import records as channel
from mithaq.web.call import Call, as_json

_ALL: Final = 2**53


class Standing:
    """Agreements and clauses as our party sees them now, folded from what was committed: never from memory in motion."""

    def __init__(self, call: Call, connection: Connection) -> None:
        mandates = Mandates(CATALOGUE.charter)
        for row in connection.execute(select(events)).mappings():
            mandates.add(Event(**row))
        seen = dict.fromkeys(call.node.peers, _ALL)
        self.agreements: Mapping[str, force.Standing] = mandates.standings(call.node.party, _ALL, seen)
        self.clauses: Mapping[str, InForce] = mandates.in_force(call.node.party, _ALL, seen)
        self.today = dt.datetime.fromtimestamp(int(call.node.clock()), dt.UTC).date()


def agreements(call: Call) -> Response:
    """The standing of each agreement and amendment: who has signed, from when and until when it binds, its clauses."""
    with call.node.database.read() as connection:
        standing = Standing(call, connection)
    return as_json({"agreements": [_agreement(call, standing, each) for each in sorted(standing.agreements)]})


def agreement(call: Call) -> Response:
    """One agreement with its text and with everything that was said about it."""
    reference = call.reference()
    with call.node.database.read() as connection:
        standing = Standing(call, connection)
        history = agreements_records.history(connection, reference)
    if reference not in standing.agreements:
        raise Refused("api.not_found", value=reference, field="reference")
    found = _agreement(call, standing, reference)
    left_out = {"reason"} if call.bare else set()
    found["history"] = [{k: v for k, v in row._mapping.items() if k not in left_out} for row in history]  # noqa: SLF001  # SQLAlchemy's public name for it
    if not call.bare:
        found["text"] = standing.agreements[reference].text
    return as_json(found)


def clauses(call: Call) -> Response:
    """Every clause that our party knows, and whether something can be said under it today."""
    with call.node.database.read() as connection:
        standing = Standing(call, connection)
    found = []
    for reference, clause in sorted(standing.clauses.items()):
        told = _clause(reference, clause, standing.today)
        told |= {"agreement": clause.agreement, "parties": sorted(clause.parties), "permits": clause.clause.permits}
        if not call.bare:
            told["text"] = clause.clause.text
        found.append(told)
    return as_json({"clauses": found})


def messages(call: Call) -> Response:
    """Threads, the one with the newest message first."""
    first, limit = call.page()
    table = channel.messages
    newest = (
        select(table.c.thread_party, table.c.thread_n, func.count().label("count"), func.max(table.c.at).label("last"))
        .group_by(table.c.thread_party, table.c.thread_n)
        .subquery()
    )
    query = (
        select(table, newest.c.count, newest.c.last)
        .join(newest, (table.c.party == newest.c.thread_party) & (table.c.n == newest.c.thread_n))
        .order_by(newest.c.last.desc(), table.c.party, table.c.n)
        .offset(first)
        .limit(limit)
    )
    with call.node.database.read() as connection:
        rows = connection.execute(query).all()
    found = [{**_message(call, row), "messages": row[-2], "last": row[-1]} for row in rows]
    return as_json({"threads": found, "next": first + len(rows) if rows else None})


def message(call: Call) -> Response:
    """A message with the whole thread that it stands in, and who has read what."""
    reference = call.reference()
    with call.node.database.read() as connection:
        one = channel.message(connection, reference)
        if one is None:
            raise Refused("api.not_found", value=reference, field="reference")
        rows = channel.thread(connection, one.thread)
        read = {row.reference: channel.acknowledged(connection, row.reference) for row in rows}
    found = []
    for row in rows:
        acknowledged = [{"by": each.by, "at": each.at} for each in read[row.reference]]
        found.append({**_message(call, row), "acknowledged": acknowledged})
    return as_json({"thread": one.thread, "messages": found})


def waiting(call: Call) -> Response:
    """Messages to our offices that none of them has acknowledged: urgent and earliest first."""
    with call.node.database.read() as connection:
        rows = channel.unacknowledged(connection, call.node.party)
    return as_json({"waiting": [_message(call, row) for row in rows]})


def _agreement(call: Call, all_: Standing, reference: str) -> dict[str, Any]:
    standing = all_.agreements[reference]
    text = standing.text
    found: dict[str, Any] = {
        "reference": reference,
        "hash": text.hash(),
        "parties": text.parties,
        "proposed_by": standing.proposer,
        "entry": text.entry,
        **standing.days,
        "binds_from": standing.binds_from(),
        "binds_until": {party: standing.binds_until(party) for party in text.parties},
        "amended_by": standing.amended_by or None,
        "suspended": [{"clause": clause or None, "by": party} for clause, party in sorted(standing.suspended)],
        "clauses": [
            _clause(each, clause, all_.today)
            for each, clause in sorted(all_.clauses.items())
            if clause.agreement == reference
        ],
    }
    if not call.bare:
        found |= {"title": text.title, "marked": text.marked, "concluded": text.concluded}
    return found


def _clause(reference: str, clause: InForce, today: dt.date) -> dict[str, Any]:
    started = clause.since is not None and clause.since <= today
    open_ = clause.bound and started and (clause.until is None or today <= clause.until)
    return {
        "reference": reference,
        "in_force": open_ and not clause.suspended_by,
        "since": clause.since,
        "until": clause.until,
        "suspended_by": clause.suspended_by,
    }


def _message(call: Call, row: Row[Any]) -> dict[str, Any]:
    found = {
        "reference": row.reference,
        "thread": row.thread,
        "at": row.at,
        "by": row.by,
        "to": msgspec.Raw(row.to.encode()),
        "clause": row.clause,
        "urgent": bool(row.urgent),
        "acknowledge_by": row.acknowledge_by or None,
    }
    if not call.bare:
        found |= {"subject": row.subject, "text": row.text, "enclosures": msgspec.Raw(row.enclosures.encode())}
    return found
