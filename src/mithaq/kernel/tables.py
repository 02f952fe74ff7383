"""The kernel's own tables: the logs, the receipts, the enclosures. Only these have migrations (law 9)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

KERNEL: Final = MetaData()
"""Tables with migrations, one script a change in `kernel/migrations`."""

RECORDS: Final = MetaData()
"""Tables folded from the logs: dropped and rebuilt when a service's VERSION changes, never migrated."""

bundles = Table(
    "bundles",
    KERNEL,
    Column("log", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("entries", LargeBinary, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
)
"""Entries, uint16 length before each (C2SP tlog-tiles), and their leaf hashes: a full row a tile of 256, pieces at the edge."""

tile_roots = Table(
    "tile_roots",
    KERNEL,
    Column("log", Text, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
"""The hash of each full tile of the level below: what the tiles of level 1 and above are cut from."""

pending = Table(
    "pending",
    KERNEL,
    Column("log", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
)
"""Checkpoints of a peer that its log was proved consistent with, entries not all here yet (C2SP tlog-mirror)."""

mirrored = Table(
    "mirrored",
    KERNEL,
    Column("log", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
)
"""The newest checkpoint of a peer whose entries are all held here durably: what a receipt may be given for."""

receipts = Table(
    "receipts",
    KERNEL,
    Column("log", Text, primary_key=True),
    Column("peer", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""The newest receipt that each peer gave for our own log, with our checkpoint that it covers."""

conflicts = Table(
    "conflicts",
    KERNEL,
    Column("id", Text, primary_key=True),
    Column("log", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("conclusive", Integer, nullable=False),
    Column("kept", LargeBinary, nullable=False),
    Column("offered", LargeBinary, nullable=False),
)
"""Two checkpoints of one log that do not agree: both kept, as the evidence that two stories were told."""

enclosures = Table(
    "enclosures",
    KERNEL,
    Column("log", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)
"""Sealed files by the log that named them first, so that no party can name another's before it: wanted, held or erased. `held` bytes are here so far, `until` is POSIX seconds."""

openings = Table(
    "openings",
    KERNEL,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False),
    Column("office", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Who opened which enclosure, when, and why: for the overseer, without a body."""

officials = Table(
    "officials",
    KERNEL,
    Column("id", Text, primary_key=True),
    Column("office", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("token", Text, nullable=False, unique=True),
    Column("ended", BigInteger),
)
"""People who act for an office, with a token's SHA-256; the person is known to the own node alone."""

speakers = Table(
    "speakers",
    KERNEL,
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("official", Text, nullable=False),
)
"""Which official of ours said which entry of our log: for the own overseer; the other side learns the office alone."""

desk = Table(
    "desk",
    KERNEL,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("official", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
)
"""What an official of ours keeps for themselves: notes, drafts, up to where they have looked. Never in a log, never carried."""

state = Table(
    "state",
    KERNEL,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Small facts of the node itself: versions that the records were folded by, the pairing files as they were read."""
