"""What the API tells of the log and of the exchange: statements, proofs, evidence, refusals, receipts, peers."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select
from starlette.responses import Response

from mithaq.kernel import merkle
from mithaq.kernel.errors import Malformed, MithaqError
from mithaq.kernel.evidence import evidence
from mithaq.kernel.records import verdicts
from mithaq.kernel.statement import Statement
from mithaq.kernel.tables import conflicts, receipts, speakers
from mithaq.services.charter import records as charter
from mithaq.web.call import Call, as_json

LARGEST_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of entries in one answer, about: `next` tells where to go on."""


def statements(call: Call) -> Response:
    """Entries of a log from a place on, each with its verdict where it had no effect."""
    log, (first, limit) = call.log(), call.page()
    found: list[dict[str, Any]] = []
    total = 0
    with call.node.database.read() as connection:
        entries = log.entries(connection, first, first + limit)
        void = _verdicts(connection, log.name, first, first + len(entries))
        for n, entry in enumerate(entries, first):
            total += len(entry)
            if found and total > LARGEST_ANSWER:
                break
            found.append(_entry(call, log.name, n, entry, void.get(n)))
    following = first + len(found) if found else None
    return as_json({"party": log.name, "size": log.size, "entries": found, "next": following})


def statement(call: Call) -> Response:
    """One entry of a log."""
    party, n = call.party(), call.n()
    entry = call.node.entry(party, n)
    with call.node.database.read() as connection:
        void = _verdicts(connection, party, n, n + 1)
    return as_json(_entry(call, party, n, entry, void.get(n)))


def speaker(call: Call) -> Response:
    """Which of our officials said an entry of our own log: a login name, for the overseer; null when nobody is noted."""
    with call.node.database.read() as connection:
        found = connection.execute(select(speakers.c.official).where(speakers.c.n == call.n())).scalar()
    return as_json({"n": call.n(), "official": found})


def proof(call: Call) -> Response:
    """The C2SP tlog-proof of one entry, with the receipts as cosignatures of its checkpoint."""
    made = evidence(call.node, call.party(), call.n())
    return Response(made.proof, 200, {"Cache-Control": "no-store"}, "text/plain; charset=utf-8")


def evidence_file(call: Call) -> Response:
    """One file with the statement, its proof and the keys: `mithaq verify FILE` checks it without a network."""
    party, n = call.party(), call.n()
    name = f"{party}-{n}.evidence.json"
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(evidence(call.node, party, n).encode(), 200, headers, "application/json")


def refusals(call: Call) -> Response:
    """Every refusal that a party said: which entry, which rule, which clause, which field."""
    first, limit = call.page()
    table = charter.refusals
    query = select(table).order_by(table.c.party, table.c.n).offset(first).limit(limit)
    with call.node.database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return as_json({"refusals": [dict(row) for row in rows], "next": first + len(rows) if rows else None})


def receipts_list(call: Call) -> Response:
    """The newest receipt that each peer gave us, and what we hold durably of each peer's log."""
    with call.node.database.read() as connection:
        rows = connection.execute(select(receipts).order_by(receipts.c.log, receipts.c.peer)).all()
    received = [{"log": r.log, "by": r.peer, "size": r.size, "root": bytes(r.root).hex(), "at": r.at} for r in rows]
    given = [
        {"log": party, "by": call.node.party, "size": mirror.size, "root": mirror.root.hex()}
        for party, mirror in sorted(call.node.post.mirrors.items())
    ]
    return as_json({"received": received, "given": given})


def peers(call: Call) -> Response:
    """How the exchange with each peer stands: what remains to be carried, what was heard, whether two stories were told."""
    node = call.node
    with node.database.read() as connection:
        told = select(conflicts.c.log, conflicts.c.at, conflicts.c.conclusive).order_by(conflicts.c.at)
        torn = connection.execute(told).all()
    found = [
        {
            "party": party,
            "names": node.peers[party].names,
            "address": node.peers[party].address,
            "backlog": call.watch.backlog(party),
            "receipted": node.post.uploads[party].receipted,
            "held": mirror.log.size,
            "heard": node.judge.progress[party].heard,
            "last_contact_seconds": call.watch.last_contact(party),
            "conflict": mirror.conflicting,
            "conflicts": [{"at": row.at, "conclusive": bool(row.conclusive)} for row in torn if row.log == party],
        }
        for party, mirror in sorted(node.post.mirrors.items())
    ]
    return as_json({"peers": found})


def _verdicts(connection: Connection, party: str, start: int, stop: int) -> dict[int, dict[str, Any]]:
    query = select(verdicts).where(verdicts.c.party == party, verdicts.c.n >= start, verdicts.c.n < stop)
    return {row.n: {"code": row.code, "facts": msgspec.Raw(row.facts.encode())} for row in connection.execute(query)}


def _entry(call: Call, party: str, n: int, entry: bytes, verdict: dict[str, Any] | None) -> dict[str, Any]:
    """One entry as JSON. `digest` is the RFC 6962 leaf hash: with it a proof can be checked without the body."""
    found: dict[str, Any] = {"party": party, "n": n, "digest": merkle.leaf_hash(entry).hex()}
    said = _decoded(call, entry)
    if said is not None:
        found |= {"reference": said.reference, "do": said.do, "by": said.by, "at": said.at, "clause": said.clause}
    if verdict is not None:
        # The facts of a verdict may quote what was refused: they are a body like any other.
        found["verdict"] = {"code": verdict["code"]} if call.bare else verdict
    if call.bare:
        return found
    if said is None:  # not canonical, not JSON, not UTF-8: stored whatever it says (law 5), shown as bytes
        return {**found, "bytes": b64encode(entry).decode()}
    return {**found, "statement": msgspec.Raw(entry)}


def _decoded(call: Call, entry: bytes) -> Statement[Any] | None:
    try:
        return call.node.judge.codec.decode(entry)
    except MithaqError as failure:
        if isinstance(failure, Malformed):
            return None
        raise
