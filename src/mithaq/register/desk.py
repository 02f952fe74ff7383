"""The private desk: an official's notes, drafts and last visit, in the own database alone until somebody says them.

No log, no carriage and no peer ever has a row of it: it is no record, and `rebuild` leaves it as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.tables import desk

LONGEST_NOTE: Final = 8000
LONGEST_DRAFT: Final = 1024 * 1024
"""Bytes, as of one statement that comes over the API."""
LONGEST_ABOUT: Final = 64
MOST: Final = 1000
"""Notes and drafts of one official."""

Kind = Literal["note", "draft"]


class Kept(msgspec.Struct, frozen=True):
    """A note or a draft. `content` is a note's text, or the JSON of a draft; times are POSIX seconds."""

    id: int
    kind: str
    about: str
    content: str
    created: int
    changed: int


class Visit(msgspec.Struct, frozen=True):
    """When an official last looked at what is new, and how much of each log had been heard then."""

    at: dt.datetime
    heard: dict[str, int]


def keep(connection: Connection, official: str, kind: Kind, content: str, *, about: str, now: int) -> int:
    """Lay a note or a draft on the desk; returns its number. Malformed `desk.empty`, `desk.too_long`, `desk.not_a_draft`."""
    _check(kind, content, about)
    rows = connection.execute(select(desk.c.id).where(desk.c.official == official, desk.c.kind != "visit"))
    if len(rows.all()) >= MOST:
        raise Refused("desk.full", limit=MOST)
    values = {"official": official, "kind": kind, "about": about, "content": content, "created": now, "changed": now}
    made = connection.execute(insert(desk).returning(desk.c.id), values).scalar_one()
    return int(made)


def kept(connection: Connection, official: str, kind: Kind | None = None) -> Sequence[Kept]:
    """The official's own notes and drafts, the oldest first; nobody else's."""
    wanted = [kind] if kind else ["note", "draft"]
    query = select(desk).where(desk.c.official == official, desk.c.kind.in_(wanted)).order_by(desk.c.id)
    return [_kept(row) for row in connection.execute(query)]


def find(connection: Connection, official: str, number: int, kind: Kind) -> Kept:
    """One of them. Refused `desk.unknown`, also for what is another official's."""
    own = (desk.c.id == number, desk.c.official == official, desk.c.kind == kind)
    row = connection.execute(select(desk).where(*own)).first()
    if row is None:
        raise Refused("desk.unknown", value=number, field="id")
    return _kept(row)


def drop(connection: Connection, official: str, number: int) -> None:
    """Take a note or a draft from the desk."""
    own = (desk.c.id == number, desk.c.official == official, desk.c.kind != "visit")
    if connection.execute(delete(desk).where(*own)).rowcount == 0:
        raise Refused("desk.unknown", value=number, field="id")


def last_visit(connection: Connection, official: str) -> Visit | None:
    """The visit that was remembered last; None before the first."""
    mine = (desk.c.official == official, desk.c.kind == "visit")
    row = connection.execute(select(desk).where(*mine)).first()
    if row is None:
        return None
    heard = msgspec.json.decode(row.content, type=dict[str, int])
    return Visit(dt.datetime.fromtimestamp(row.changed, dt.UTC), heard)


def remember_visit(connection: Connection, official: str, heard: dict[str, int], now: int) -> None:
    """Remember up to where an official has looked."""
    content = msgspec.json.encode(heard, order="sorted").decode()
    mine = (desk.c.official == official, desk.c.kind == "visit")
    done = connection.execute(update(desk).where(*mine).values(content=content, changed=now))
    if done.rowcount == 0:
        values = {
            "official": official,
            "kind": "visit",
            "about": "",
            "content": content,
            "created": now,
            "changed": now,
        }
        connection.execute(insert(desk), values)


def _kept(row: object) -> Kept:
    return Kept(*(getattr(row, name) for name in Kept.__struct_fields__))


def _check(kind: Kind, content: str, about: str) -> None:
    if not content.strip():
        raise Malformed("desk.empty", field="text")
    try:
        size = len(content.encode()) if kind == "draft" else len(content)
        about.encode()
        content.encode()
    except UnicodeEncodeError as failure:  # bytes of a terminal that were no UTF-8 (PEP 383)
        raise Malformed("text.not_utf8", at=failure.start, field="text") from failure
    limit = LONGEST_DRAFT if kind == "draft" else LONGEST_NOTE
    if size > limit or len(about) > LONGEST_ABOUT:
        raise Malformed("desk.too_long", field="text" if size > limit else "about", limit=limit)
    if kind == "draft":
        try:
            msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, RecursionError) as failure:
            raise Malformed("desk.not_a_draft", field="draft") from failure
