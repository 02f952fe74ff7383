"""What the API does with enclosures: a file sealed to offices, the list without bodies, and opening with a reason.

What is sealed or opened passes through in pieces: no plaintext is written to this machine's disk.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from mithaq.kernel import officials
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.statement import Enclosure
from mithaq.kernel.tables import enclosures
from mithaq.kernel.text import check_line
from mithaq.web.call import Call, as_json
from mithaq.web.passage import Broken, Passage
from mithaq.web.records import Standing

MOST_OFFICES: Final = 32
# A reader's own program must never take what was enclosed for a page of ours.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
}


def largest(call: Call) -> int:
    """The most that any clause known to us allows: beyond it nothing could be said anyway."""
    with call.node.database.read() as connection:
        clauses = Standing(call, connection).clauses.values()
    permits = (permit for clause in clauses for permit in clause.clause.permits)
    return max((permit.enclosures.max_bytes for permit in permits if permit.enclosures), default=0)


async def seal(request: Request, call: Call) -> Response:
    """`?to=OFFICE,OFFICE&media=TYPE&by=OFFICE`: the enclosure as a statement will name it; said within a day or erased."""
    offices = [each for each in call.query.get("to", "").split(",") if each]
    if not 0 < len(offices) <= MOST_OFFICES or len(set(offices)) != len(offices):
        raise Malformed("api.parameter", field="to")
    if call.official is None:
        raise Refused("official.no_token", field="authorization")
    officials.may_say(call.official, call.query.get("by", ""))
    limit = await run_in_threadpool(largest, call)
    passage, sealed = Passage(), Future[Enclosure]()
    threading.Thread(target=_seal, args=(call, passage, offices, sealed), daemon=True).start()
    try:
        await _pour(request, passage, limit)
    except Broken:
        pass  # the sealing ended first: its own reason is raised below
    return as_json(await run_in_threadpool(sealed.result), 201)


async def _pour(request: Request, passage: Passage, limit: int) -> None:
    """The body into the passage, no further than the limit; a body that breaks off is no file and is not sealed."""
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise Malformed("api.body_too_large", limit=limit)
            await run_in_threadpool(passage.write, part)
    except (Malformed, ClientDisconnect) as failure:
        await run_in_threadpool(passage.fail, failure)
        raise
    await run_in_threadpool(passage.end)


def _seal(call: Call, passage: Passage, offices: list[str], sealed: Future[Enclosure]) -> None:
    try:
        sealed.set_result(call.node.seal(passage, offices, call.query.get("media", "")))  # type: ignore[arg-type]  # all of a file that is used there
    except BaseException as failure:  # whatever it was belongs to the caller's thread
        sealed.set_exception(failure)
        passage.abandon()


def listing(call: Call) -> Response:
    """Every enclosure that is ours or for us: its statement's place, its size, whether it is here, until when."""
    first, limit = call.page()
    query = select(enclosures).order_by(enclosures.c.log, enclosures.c.n, enclosures.c.digest)
    with call.node.database.read() as connection:
        rows = connection.execute(query.offset(first).limit(limit)).mappings().all()
    return as_json({"enclosures": [dict(row) for row in rows], "next": first + len(rows) if rows else None})


def open_one(call: Call) -> Response:
    """`?office=OFFICE&reason=WHY`: the file, for an office that it is sealed to; the opening is written down first."""
    office = call.query.get("office", "")
    if call.official is None:
        raise Refused("official.no_token", field="authorization")
    officials.may_say(call.official, office)
    check_line(call.query.get("reason", ""))
    passage = Passage()
    threading.Thread(target=_open, args=(call, passage, office), daemon=True).start()
    pieces = passage.pieces()
    first = next(pieces, b"")  # a refusal comes here, while it can still be answered as a problem
    return StreamingResponse(_leaving(first, pieces, passage), 200, _HEADERS, "application/octet-stream")


def _open(call: Call, passage: Passage, office: str) -> None:
    try:
        call.node.open(call.digest(), office, passage, call.query.get("reason", ""))  # type: ignore[arg-type]  # all of a file that is used there
    except Broken:
        return  # the caller hung up
    except BaseException as failure:  # whatever it was belongs to the caller's thread
        passage.fail(failure)
        return
    passage.end()


def _leaving(first: bytes, pieces: Iterator[bytes], passage: Passage) -> Iterator[bytes]:
    try:
        yield from itertools.chain([first], pieces)
    finally:
        passage.abandon()
