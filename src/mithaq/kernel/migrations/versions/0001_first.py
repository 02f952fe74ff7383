"""The first schema of the kernel's tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Written out, not taken from `tables`: a migration says what was done on its day, for ever."""
    text, big, blob, small = sa.Text(), sa.BigInteger(), sa.LargeBinary(), sa.Integer()

    def key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
        return sa.Column(name, kind, primary_key=True, autoincrement=False)

    def must(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=False)

    op.create_table(
        "bundles",
        key("log", text),
        key("first", big),
        must("count", small),
        must("entries", blob),
        must("hashes", blob),
    )
    op.create_table("tile_roots", key("log", text), key("level", small), key("number", big), must("hash", blob))
    op.create_table("pending", key("log", text), key("size", big), must("root", blob), must("note", blob))
    op.create_table("mirrored", key("log", text), must("size", big), must("root", blob), must("note", blob))
    op.create_table(
        "receipts",
        key("log", text),
        key("peer", text),
        must("size", big),
        must("root", blob),
        must("note", blob),
        must("lines", blob),
        must("at", big),
    )
    op.create_table(
        "conflicts",
        key("id", text),
        must("log", text),
        must("at", big),
        must("conclusive", small),
        must("kept", blob),
        must("offered", blob),
    )
    op.create_table(
        "enclosures",
        key("log", text),
        key("digest", text),
        must("n", big),
        must("size", big),
        must("held", big),
        must("until", big),
        must("state", text),
    )
    op.create_table(
        "openings",
        sa.Column("id", small, primary_key=True, autoincrement=True),
        must("digest", text),
        must("office", text),
        must("at", big),
        must("reason", text),
    )
    op.create_table(
        "officials",
        key("id", text),
        must("office", text),
        must("roles", text),
        sa.Column("token", text, nullable=False, unique=True),
        sa.Column("ended", big),
    )
    op.create_table("speakers", key("n", big), must("official", text))
    op.create_table(
        "desk",
        sa.Column("id", small, primary_key=True, autoincrement=True),
        must("official", text),
        must("kind", text),
        must("about", text),
        must("content", text),
        must("created", big),
        must("changed", big),
    )
    op.create_table("state", key("key", text), must("value", text))
