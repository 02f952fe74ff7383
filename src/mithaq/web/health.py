"""Whether the node is well, told as it is: what is checked is done, not assumed."""

from __future__ import annotations

import shutil
import threading
import time
from typing import Any, Final

from sqlalchemy import Connection, select

from mithaq.kernel.tables import bundles, conflicts, receipts, state
from mithaq.web.call import Call

LEAST_DISK: Final = 64 * 1024 * 1024
"""Bytes that must be free, or the node says that it is not well."""
_KEPT: Final = 5.0
"""Seconds for which a finding of "the database can be written" holds: anyone may ask, and each check is a commit."""
_KEY: Final = "health"


class Writable:
    """Whether the database takes a durable write, tried at most once in some seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found = False
        self._until = 0.0

    def __call__(self, call: Call) -> bool:
        with self._lock:
            if time.monotonic() >= self._until:
                self._found = _write(call)
                self._until = time.monotonic() + _KEPT
            return self._found


def _write(call: Call) -> bool:
    def beat(connection: Connection) -> None:
        connection.execute(state.delete().where(state.c.key == _KEY))
        connection.execute(state.insert(), {"key": _KEY, "value": str(int(call.node.clock()))})

    try:
        call.node.writer.do(beat)
    except Exception:  # whatever stands in the way, the answer is no: this is the question
        return False
    return True


def health(call: Call, writable: Writable) -> dict[str, Any]:
    """The whole finding; `ok` is what anyone is told."""
    node = call.node
    can_write = writable(call)
    free = _free(call)
    torn = _conflicts(call) if can_write else sorted(p for p, m in node.post.mirrors.items() if m.conflicting)
    rolled_back = node.rolled_back is not None
    found: dict[str, Any] = {
        "ok": can_write and not rolled_back and not torn and free is not None and free >= LEAST_DISK,
        "party": node.party,
        "log": _head(call),
        "database_writable": can_write,
        "disk_free_bytes": free,
        "rolled_back": rolled_back,
        "conflicts": torn,
        "peers": _peers(call),
    }
    return found


def _head(call: Call) -> dict[str, Any]:
    """Size and root together, from one view of what was committed."""
    try:
        with call.node.database.read() as connection:
            last = select(bundles).where(bundles.c.log == call.node.party).order_by(bundles.c.first.desc()).limit(1)
            row = connection.execute(last).first()
            size = row.first + row.count if row else 0
            return {"size": size, "root": call.node.log.root_at(connection, size).hex()}
    except Exception:  # a database that cannot be read is a finding, not a failure of the question
        return {"size": None, "root": None}


def _free(call: Call) -> int | None:
    try:
        return shutil.disk_usage(call.home.path).free
    except OSError:
        return None


def _conflicts(call: Call) -> list[str]:
    query = select(conflicts.c.log).where(conflicts.c.conclusive == 1).distinct().order_by(conflicts.c.log)
    with call.node.database.read() as connection:
        return list(connection.execute(query).scalars())


def _peers(call: Call) -> dict[str, Any]:
    node, now = call.node, call.node.clock()
    try:
        with node.database.read() as connection:
            rows = connection.execute(select(receipts).where(receipts.c.log == node.party)).all()
    except Exception:  # as above
        rows = []
    found: dict[str, Any] = {}
    for party, mirror in node.post.mirrors.items():
        receipt = next((row for row in rows if row.peer == party), None)
        found[party] = {
            "receipt": None if receipt is None else {"size": receipt.size, "age_seconds": int(now - receipt.at)},
            "backlog": call.watch.backlog(party),
            "clock_skew_seconds": None if receipt is None else _skew(call, party, receipt.size, receipt.at, now),
            "held": mirror.log.size,
            "heard": node.judge.progress[party].heard,
            "last_contact_seconds": call.watch.last_contact(party),
            "conflict": mirror.conflicting,
        }
    return found


def _skew(call: Call, party: str, size: int, at: int, now: float) -> int | None:
    """How far the peer's clock is ahead of ours, by its newest receipt; unknown for a receipt from before the start.

    A receipt from our future is known to be at least that far ahead whenever it came.
    """
    received = call.watch.received_at(party, size)
    if received is not None:
        return round(at - received)
    return round(at - now) if at > now else None
