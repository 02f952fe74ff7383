"""People who act for an office, known to their own node alone: a login name, an office, roles, the digest of a token.

Nothing here reaches a log: what crosses says the office, never the person (law 6).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, update

from mithaq.kernel.act import OFFICE
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.force import covered
from mithaq.kernel.tables import officials

ROLES: Final = ("official", "lead", "custodian", "auditor", "administrator")
"""official and lead say acts for their office and those below it; a custodian reads; an auditor reads counts and proofs,
never bodies; an administrator keeps the node running and neither says nor reads."""

SPEAKING: Final = frozenset({"official", "lead"})
_TOKEN_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_ID: Final = re.compile(r"[a-z0-9.-]{1,40}")
_OFFICE: Final = re.compile(OFFICE)


OPERATOR: Final = "operator"
"""The login name of the command line on the node's own machine, whose token lies in the node's folder."""


@dataclass(frozen=True, slots=True)
class Official:
    """One person as the node knows them; `id` is a login name, not a personal name. `ended`: POSIX seconds or None."""

    id: str
    office: str
    roles: frozenset[str]
    ended: int | None = None


def enrol(connection: Connection, id_: str, office: str, roles: Iterable[str]) -> str:
    """Take an official in; returns the token, which is shown this once: only its digest is kept."""
    given = tuple(dict.fromkeys(roles))
    if not _ID.fullmatch(id_):
        raise Malformed("official.id", field="id")
    if len(office) > 220 or not _OFFICE.fullmatch(office):
        raise Malformed("official.office", field="office")
    if not given or not set(given) <= set(ROLES):
        raise Malformed("official.role", field="roles")
    if connection.execute(select(officials.c.id).where(officials.c.id == id_)).first():
        raise Refused("official.exists", value=id_, field="id")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    row = {"id": id_, "office": office, "roles": " ".join(sorted(given)), "token": _digest(token), "ended": None}
    connection.execute(insert(officials), row)
    return token


def renew(connection: Connection, id_: str) -> str:
    """A new token for an official, shown this once; the old one is worth nothing from here on."""
    if _known(connection, id_).ended is not None:
        raise Refused("official.ended", value=id_)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    connection.execute(update(officials).where(officials.c.id == id_).values(token=_digest(token)))
    return token


def operator_token(connection: Connection, party: str, known: str) -> str:
    """The token of the operator, who may say for every office of the party: `known` if it still opens, else a new one."""
    try:
        if authenticate(connection, known).id == OPERATOR:
            return known
    except Refused:
        pass  # lost or damaged: whoever can write the node's folder can have a new one anyway
    if connection.execute(select(officials.c.id).where(officials.c.id == OPERATOR)).first():
        return renew(connection, OPERATOR)
    return enrol(connection, OPERATOR, party, ("official", "lead", "custodian", "administrator"))


def authenticate(connection: Connection, token: str) -> Official:
    """Whose token this is. Refused `official.unknown_token`, `official.ended`.

    The index finds a digest of 256 random bits, whose prefix a guesser cannot steer; it is compared once more in
    constant time.
    """
    if not _TOKEN.fullmatch(token):
        raise Refused("official.unknown_token")
    digest = _digest(token)
    row = connection.execute(select(officials).where(officials.c.token == digest)).first()
    if row is None or not hmac.compare_digest(row.token, digest):
        raise Refused("official.unknown_token")
    if row.ended is not None:
        raise Refused("official.ended", value=row.id)
    return Official(row.id, row.office, frozenset(row.roles.split()))


def may_say(official: Official, office: str) -> None:
    """Refused unless this person may say an act for `office`: by role, and by the office or one below it."""
    if not official.roles & SPEAKING:
        raise Refused("official.role_does_not_say", office=office, field="by")
    if not _OFFICE.fullmatch(office) or not covered(office, [official.office]):
        raise Refused("official.another_office", office=office, limit=official.office, field="by")


def end(connection: Connection, id_: str, at: int) -> None:
    """From now on the token opens nothing. The row stays: a login name is never given to a second person."""
    if _known(connection, id_).ended is not None:
        raise Refused("official.ended", value=id_)
    connection.execute(update(officials).where(officials.c.id == id_).values(ended=at))


def everyone(connection: Connection) -> Sequence[Official]:
    """Every official that was ever taken in, by login name."""
    rows = connection.execute(select(officials).order_by(officials.c.id))
    return [Official(row.id, row.office, frozenset(row.roles.split()), row.ended) for row in rows]


def _known(connection: Connection, id_: str) -> Official:
    row = connection.execute(select(officials).where(officials.c.id == id_)).first()
    if row is None:
        raise Refused("official.unknown", value=id_[:40])
    return Official(row.id, row.office, frozenset(row.roles.split()), row.ended)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
