"""A party's statements, append-only, as a C2SP tiled log: entries in bundles of 256, a tile's hash for every full bundle.

The same class stores the own log and the copies of the peers' logs. Hashing is RFC 6962; `tile` and `bundle` give what
C2SP tlog-tiles serves. Full tiles are immutable; the edge is kept in memory so that a commit writes only what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from mithaq.kernel import merkle
from mithaq.kernel.errors import Malformed
from mithaq.kernel.tables import bundles, tile_roots

WIDTH: Final = 256
_PREFIX: Final = 2

_pieces = (
    select(bundles.c.first, bundles.c.count.label("length"), bundles.c.entries)
    .where(bundles.c.log == bindparam("log"), bundles.c.first >= bindparam("low"), bundles.c.first < bindparam("high"))
    .order_by(bundles.c.first)
)
_hashes = (
    select(bundles.c.first, bundles.c.hashes)
    .where(bundles.c.log == bindparam("log"), bundles.c.first >= bindparam("low"), bundles.c.first < bindparam("high"))
    .order_by(bundles.c.first)
)
_roots = (
    select(tile_roots.c.hash)
    .where(
        tile_roots.c.log == bindparam("log"),
        tile_roots.c.level == bindparam("level"),
        tile_roots.c.number >= bindparam("low"),
        tile_roots.c.number < bindparam("high"),
    )
    .order_by(tile_roots.c.number)
)
_insert_bundles, _insert_roots = insert(bundles), insert(tile_roots)


def join(entries: Sequence[bytes]) -> bytes:
    """Entries as a bundle: each after its length as a big-endian uint16."""
    return b"".join([part for entry in entries for part in (len(entry).to_bytes(_PREFIX, "big"), entry)])


def split(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Malformed `log.broken_bundle` when the lengths do not add up."""
    entries, position, end = [], 0, len(bundle)
    while position < end:
        start = position + _PREFIX
        position = start + int.from_bytes(bundle[position:start], "big")
        if position > end:
            raise Malformed("log.broken_bundle")
        entries.append(bundle[start:position])
    return entries


class Log:
    """One log in the database. `append` belongs to the writer's transaction; after a rollback, `load` again."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.size = 0
        self._leaves: list[bytes] = []
        self._edge = bytearray()
        self._tops: list[list[bytes]] = []
        self._tile: tuple[int, list[bytes]] = (-1, [])

    def load(self, connection: Connection) -> None:
        """Read the edge: the unfinished tile of each level, O(256 log n), whatever the size of the log."""
        last = connection.execute(
            select(bundles.c.first, bundles.c.count)
            .where(bundles.c.log == self.name)
            .order_by(bundles.c.first.desc())
            .limit(1)
        ).first()
        self.size = last[0] + last[1] if last else 0
        tile = self.size // WIDTH * WIDTH
        edge = connection.execute(_pieces, {"log": self.name, "low": tile, "high": self.size}).all()
        self._edge = bytearray(b"".join(piece.entries for piece in edge))
        self._leaves = merkle.leaf_hashes(split(bytes(self._edge)))
        self._tops, self._tile = [], (-1, [])
        levels = (
            connection.execute(select(func.max(tile_roots.c.level)).where(tile_roots.c.log == self.name)).scalar() or 0
        )
        for level in range(1, levels + 1):
            count = self.size >> (8 * level)
            low = count // WIDTH * WIDTH
            rows = connection.execute(_roots, {"log": self.name, "level": level, "low": low, "high": count})
            self._tops.append([bytes(row.hash) for row in rows])

    def append(self, connection: Connection, entries: Sequence[bytes], hashes: Sequence[bytes] | None = None) -> int:
        """Store entries at the end and return the index of the first. Durable when the transaction is committed."""
        leaves = merkle.leaf_hashes(entries) if hashes is None else hashes
        first, position = self.size, 0
        rows: list[dict[str, object]] = []
        roots: list[dict[str, object]] = []
        while position < len(entries):
            room = WIDTH - len(self._leaves)
            part, part_leaves = entries[position : position + room], leaves[position : position + room]
            position += len(part)
            rows.append(self._extend(connection, join(part), part_leaves, len(part), roots))
        if rows:
            connection.execute(_insert_bundles, rows)
        if roots:
            connection.execute(_insert_roots, roots)
        return first

    def _extend(
        self, connection: Connection, blob: bytes, leaves: Sequence[bytes], count: int, roots: list[dict[str, object]]
    ) -> dict[str, object]:
        """One row for the bundles: a piece at the edge, or the whole tile that this piece completes."""
        first = self.size
        self.size += count
        self._leaves.extend(leaves)
        if len(self._leaves) < WIDTH:
            self._edge += blob
            return {"log": self.name, "first": first, "count": count, "entries": blob, "hashes": b"".join(leaves)}
        tile = self.size - WIDTH
        if first > tile:
            connection.execute(delete(bundles).where(bundles.c.log == self.name, bundles.c.first >= tile))
        row = {
            "log": self.name,
            "first": tile,
            "count": WIDTH,
            "entries": bytes(self._edge) + blob,
            "hashes": b"".join(self._leaves),
        }
        self._complete(1, merkle.root_of(self._leaves), roots)
        self._leaves = []
        self._edge = bytearray()
        return row

    def _complete(self, level: int, root: bytes, roots: list[dict[str, object]]) -> None:
        """A tile of the level below is full: its hash is a leaf of this level."""
        if len(self._tops) < level:
            self._tops.append([])
        top = self._tops[level - 1]
        roots.append({"log": self.name, "level": level, "number": (self.size >> (8 * level)) - 1, "hash": root})
        top.append(root)
        if len(top) == WIDTH:
            self._tops[level - 1] = []
            self._complete(level + 1, merkle.root_of(top), roots)

    def root(self) -> bytes:
        """The RFC 6962 root over all entries."""
        nodes: list[bytes] = list(self._leaves)
        carried = merkle.root_of(nodes) if nodes else None
        for top in self._tops:
            level = [*top, carried] if carried else top
            carried = merkle.root_of(level) if level else carried
        return carried or merkle.EMPTY_ROOT

    def edge_leaves(self) -> list[bytes]:
        """The leaf hashes of the unfinished tile."""
        return list(self._leaves)

    def entries(self, connection: Connection, start: int, stop: int) -> list[bytes]:
        """The entries [start, stop)."""
        low = start // WIDTH * WIDTH
        found: list[bytes] = []
        for piece in connection.execute(_pieces, {"log": self.name, "low": low, "high": stop}):
            if piece.first + piece.length > start:
                parts = split(bytes(piece.entries))
                found.extend(parts[max(0, start - piece.first) : stop - piece.first])
        return found

    def tile_entries(self, connection: Connection, start: int, stop: int) -> list[bytes]:
        """The entries [start, stop), as far as the tile of `start` goes: for the writer, which comes back to that tile."""
        low = start // WIDTH * WIDTH
        if self._tile[0] != low or len(self._tile[1]) < min(stop - low, WIDTH):
            self._tile = low, self.entries(connection, low, min(low + WIDTH, self.size))
        return self._tile[1][start - low : stop - low]

    def bundle(self, connection: Connection, start: int, stop: int) -> bytes:
        """The entries [start, stop) of one tile, each with its length: what a package and an entry bundle carry."""
        pieces = connection.execute(_pieces, {"log": self.name, "low": start // WIDTH * WIDTH, "high": stop}).all()
        if len(pieces) == 1 and pieces[0].first == start and pieces[0].length == stop - start:
            return bytes(pieces[0].entries)
        return join(self.entries(connection, start, stop))

    def tile(self, connection: Connection, level: int, number: int) -> bytes:
        """The hashes of a tile, as many as there are: 32 bytes each, 256 at most (C2SP tlog-tiles)."""
        low = number * WIDTH
        if level == 0:
            rows = connection.execute(_hashes, {"log": self.name, "low": low, "high": low + WIDTH})
            return b"".join([row.hashes for row in rows])
        parameters = {"log": self.name, "level": level, "low": low, "high": low + WIDTH}
        return b"".join(connection.execute(_roots, parameters).scalars().all())

    def reader(self, connection: Connection) -> merkle.Reader:
        """A source of subtree hashes for proofs."""
        return merkle.tile_reader(lambda level, number: self.tile(connection, level, number))

    def root_at(self, connection: Connection, size: int) -> bytes:
        """The root that the log had at a size, from what this connection can read; needs no state in memory."""
        return merkle.subtree_root(0, size, self.reader(connection)) if size else merkle.EMPTY_ROOT
