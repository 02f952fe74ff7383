"""Who may call which route: one table, looked at before anything else is done. A route that is not in it cannot be made."""

from __future__ import annotations

from typing import Final, Literal

from mithaq.kernel.errors import Refused
from mithaq.kernel.officials import Official

Grant = Literal["full", "bare", "no"]
"""full: everything. bare: counts, places, proofs, and nothing of what was said. no: refused."""

ANYONE: Final = "anyone"
"""A caller without a token."""
LOOPBACK: Final = "loopback"
"""A caller without a token on this very machine, not through a proxy."""
CALLERS: Final = ("official", "lead", "custodian", "auditor", "administrator", ANYONE, LOOPBACK)

_RANK: Final[dict[Grant, int]] = {"no": 0, "bare": 1, "full": 2}


def _row(
    said_by: Grant, custodian: Grant, auditor: Grant, administrator: Grant, anyone: Grant = "no"
) -> dict[str, Grant]:
    values = (said_by, said_by, custodian, auditor, administrator, anyone, anyone)
    return dict(zip(CALLERS, values, strict=True))


ACCESS: Final[dict[str, dict[str, Grant]]] = {
    "POST /api/v1/say": _row("full", "no", "no", "no"),
    "GET /api/v1/statements/{party}": _row("full", "full", "bare", "no"),
    "GET /api/v1/statements/{party}/{n}": _row("full", "full", "bare", "no"),
    "GET /api/v1/statements/{party}/{n}/proof": _row("full", "full", "full", "no"),
    "GET /api/v1/statements/{party}/{n}/evidence": _row("full", "full", "no", "no"),
    "GET /api/v1/speakers/{n}": _row("no", "full", "full", "no"),
    "GET /api/v1/agreements": _row("full", "full", "bare", "no"),
    "GET /api/v1/agreements/{reference}": _row("full", "full", "bare", "no"),
    "GET /api/v1/clauses": _row("full", "full", "bare", "no"),
    "GET /api/v1/messages": _row("full", "full", "bare", "no"),
    "GET /api/v1/messages/{reference}": _row("full", "full", "bare", "no"),
    "GET /api/v1/waiting": _row("full", "full", "bare", "no"),
    "GET /api/v1/register/{question}": _row("full", "full", "bare", "no"),
    "GET /api/v1/desk": _row("full", "full", "full", "no"),  # each sees the own desk alone
    "POST /api/v1/desk": _row("full", "full", "full", "no"),
    "GET /api/v1/refusals": _row("full", "full", "full", "no"),
    "GET /api/v1/receipts": _row("full", "full", "full", "full"),
    "GET /api/v1/peers": _row("full", "full", "full", "full"),
    "POST /api/v1/enclosures": _row("full", "no", "no", "no"),
    "GET /api/v1/enclosures": _row("full", "full", "full", "no"),
    "GET /api/v1/enclosures/{digest}": _row("full", "no", "no", "no"),
    "GET /api/v1/openapi.json": _row("full", "full", "full", "full", anyone="full"),
    "GET /feed/{secret}.ics": _row("full", "full", "full", "full", anyone="full"),  # the address itself is the secret
    "GET /health": _row("full", "full", "full", "full", anyone="bare"),
    "ANY /api/{rest:path}": _row("no", "no", "no", "no"),  # nothing is there; answered as a problem, to anyone
    "GET /metrics": {**_row("no", "no", "full", "full"), LOOPBACK: "full"},
}


def grant(key: str, official: Official | None, *, loopback: bool) -> Grant:
    """What this caller gets of a route: the best that one of the roles gives. Refused when that is nothing."""
    row = ACCESS[key]
    callers = sorted(official.roles) if official else [LOOPBACK if loopback else ANYONE]
    best: Grant = max((row[each] for each in callers), key=lambda each: _RANK[each], default="no")
    if best != "no":
        return best
    if official is None:
        raise Refused("official.no_token", field="authorization")
    raise Refused("official.role_not_enough", value=", ".join(callers), field="authorization")
