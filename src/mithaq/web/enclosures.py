"""What the API does with enclosures: a file sealed to offices, the list without bodies, and opening with a reason."""

from __future__ import annotations

import tempfile
from typing import BinaryIO, Final

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from mithaq.kernel import officials
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.tables import enclosures
from mithaq.node import Node
from mithaq.web.call import Call, as_json

IN_MEMORY: Final = 1024 * 1024
MOST_OFFICES: Final = 32


def largest(node: Node) -> int:
    """The most that any clause in force for us allows: beyond it nothing could be said anyway."""
    seen = {party: each.heard for party, each in node.judge.progress.items() if party != node.party}
    clauses = node.judge.mandates.in_force(node.party, node.log.size, seen).values()
    permits = (permit for clause in clauses for permit in clause.clause.permits)
    return max((permit.enclosures.max_bytes for permit in permits if permit.enclosures), default=0)


async def receive(request: Request, node: Node) -> BinaryIO:
    """The file that is being sent, on disk beyond a mebibyte, and no further than any clause allows."""
    limit, size = largest(node), 0
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # closed by who seals it
    async for part in request.stream():
        size += len(part)
        if size > limit:
            file.close()
            raise Malformed("api.body_too_large", limit=limit)
        file.write(part)
    file.seek(0)
    return file  # type: ignore[return-value]  # a SpooledTemporaryFile reads as a binary file does


def seal(call: Call) -> Response:
    """`?to=OFFICE,OFFICE&media=TYPE&by=OFFICE`: the enclosure as a statement will name it; said within a day or erased."""
    offices = [each for each in call.query.get("to", "").split(",") if each]
    media, by = call.query.get("media", ""), call.query.get("by", "")
    if not 0 < len(offices) <= MOST_OFFICES or len(set(offices)) != len(offices):
        raise Malformed("api.parameter", field="to")
    if call.official is None or call.file is None:
        raise Refused("official.no_token", field="authorization")
    officials.may_say(call.official, by)
    with call.file:
        return as_json(call.node.seal(call.file, offices, media), 201)


def listing(call: Call) -> Response:
    """Every enclosure that is ours or for us: its statement's place, its size, whether it is here, until when."""
    first, limit = call.page()
    query = select(enclosures).order_by(enclosures.c.log, enclosures.c.n, enclosures.c.digest)
    with call.node.database.read() as connection:
        rows = connection.execute(query.offset(first).limit(limit)).mappings().all()
    return as_json({"enclosures": [dict(row) for row in rows], "next": first + len(rows) if rows else None})


def open_one(call: Call) -> Response:
    """`?office=OFFICE&reason=WHY`: the file, for an office that it is sealed to; the opening is written down first."""
    office, reason = call.query.get("office", ""), call.query.get("reason", "")
    if call.official is None:
        raise Refused("official.no_token", field="authorization")
    officials.may_say(call.official, office)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as sink:
        call.node.open(call.path["digest"], office, sink, reason)  # type: ignore[arg-type]  # as in `receive`
        sink.seek(0)
        # A reader's own program must never take it for a page of ours.
        headers = {"Cache-Control": "no-store", "Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(sink.read(), 200, headers, "application/octet-stream")
