"""The calendar feed of an official under its secret address: who has the address needs no token, as calendars have none."""

from __future__ import annotations

import datetime as dt
from typing import Final
from weakref import WeakKeyDictionary

from starlette.responses import Response

from mithaq.kernel.errors import Refused
from mithaq.node import Node
from mithaq.register import feeds
from mithaq.services.obligations.register import Register
from mithaq.web.call import Call

_registers: Final[WeakKeyDictionary[Node, Register]] = WeakKeyDictionary()
"""Calendars ask every few hours each: what was folded for one is kept for the next."""


def calendar(call: Call) -> Response:
    """The calendar, or the same `api.not_found` for an address that is unknown, closed or no address at all."""
    with call.node.database.read() as connection:
        reader = feeds.reader(connection, call.path["secret"])
        if reader is None:
            raise Refused("api.not_found", value=None)
        now = dt.datetime.fromtimestamp(int(call.node.clock()), dt.UTC)
        register = _registers.setdefault(call.node, Register())
        made = feeds.feed(connection, call.node.party, call.node.commission, now, reader.lang, register)
    headers = {"Cache-Control": "private, no-store", "Content-Language": reader.lang, "Referrer-Policy": "no-referrer"}
    return Response(made, 200, {**headers, "Content-Type": feeds.MEDIA})
