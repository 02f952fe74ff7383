"""The Merkle tree of a log: hashes, a growing frontier, proofs made from stored hashes.

Hashing is RFC 6962 / RFC 9162 section 2.1 with SHA-256. Subtrees are those of draft-ietf-plants-merkle-tree-certs,
section 4: `[start, end)` where start is a multiple of the smallest power of two >= end - start.
Indices and sizes count leaves; every hash is 32 bytes. The other half, checking proofs, is `merkle_verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.merkle_verify import (
    EMPTY_ROOT,
    HASH_SIZE,
    MAX_PROOF,
    MAX_SIZE,
    node_hash,
    valid_subtree,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "MAX_PROOF",
    "MAX_SIZE",
    "Frontier",
    "Reader",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "leaf_hashes",
    "node_hash",
    "reader_of",
    "root_of",
    "subtree_consistency_proof",
    "subtree_inclusion_proof",
    "subtree_root",
    "tile_reader",
    "valid_subtree",
    "verify_consistency",
    "verify_inclusion",
    "verify_subtree_consistency",
    "verify_subtree_inclusion",
]

TILE_HEIGHT = 8  # C2SP tlog-tiles: a full tile is 256 hashes wide
TILE_WIDTH = 1 << TILE_HEIGHT

Reader = Callable[[int, int], bytes]
"""`reader(level, index)` is the root of the complete subtree over leaves [index << level, (index + 1) << level)."""

# Copying a hash object that has already taken the prefix is faster than hashing prefix + data anew (measured: 10 %),
# and these loops are the hot path of writing, mirroring and verifying a log.
_leaf = sha256(b"\x00").copy
_node = sha256(b"\x01").copy


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry: SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """The hashes of many entries, in order."""
    hashes: list[bytes] = []
    put = hashes.append
    for entry in entries:
        h = _leaf()
        h.update(entry)
        put(h.digest())
    return hashes


def _pairs(hashes: Sequence[bytes]) -> list[bytes]:
    """The parents of hashes 0+1, 2+3, ...; an odd last one is left out."""
    parents: list[bytes] = []
    put = parents.append
    them: Iterator[bytes] = iter(hashes)
    for left, right in zip(them, them, strict=False):
        h = _node()
        h.update(left)
        h.update(right)
        put(h.digest())
    return parents


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over the given leaf hashes: MTH of RFC 9162, level by level."""
    if not hashes:
        return EMPTY_ROOT
    level = hashes
    while len(level) > 1:
        # An odd last node rises as it is: the same tree as splitting at the largest power of two.
        above = _pairs(level)
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


class Frontier:
    """A compact range: the roots of the complete subtrees that make up the first `size` leaves, largest first.

    Enough to go on appending and to give the root at any moment, in memory that does not grow with the log.
    """

    __slots__ = ("_levels", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if not 0 <= size < MAX_SIZE:
            raise Malformed("merkle.range", size=size)
        if len(hashes) != size.bit_count() or any(len(each) != HASH_SIZE for each in hashes):
            raise Malformed("merkle.frontier", size=size, hashes=len(hashes))
        self.size = size
        stored = list(hashes)
        # _levels[h] is the root of the complete subtree of height h that waits for its right neighbour, if any.
        self._levels = [stored.pop() if size >> height & 1 else None for height in range(size.bit_length())]

    @property
    def hashes(self) -> list[bytes]:
        """The roots, largest subtree first: as many as `size` has one bits."""
        return [each for each in reversed(self._levels) if each is not None]

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
        """Append leaf hashes; return what was completed: item h = the new roots of height h, in order.

        Item h starts at index (old size >> h) of its level, so item 0 is the given leaves and item 8 is what a
        level 1 tile stores. Cost: less than one hash a leaf.
        """
        if self.size + len(leaf_hashes) >= MAX_SIZE:
            raise Malformed("merkle.range", size=self.size + len(leaf_hashes))
        completed: list[list[bytes]] = []
        levels = self._levels
        new = list(leaf_hashes)
        height = 0
        while new:
            completed.append(new)
            if height == len(levels):
                levels.append(None)
            waiting = levels[height]
            row = new if waiting is None else [waiting, *new]
            levels[height] = row[-1] if len(row) % 2 else None
            new = _pairs(row)
            height += 1
        self.size += len(leaf_hashes)
        return completed

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self.extend((leaf,))

    def root(self) -> bytes:
        """The root of the tree of `size` leaves."""
        root: bytes | None = None
        for each in self._levels:
            if each is not None:
                root = each if root is None else node_hash(each, root)
        return EMPTY_ROOT if root is None else root

    def copy(self) -> Frontier:
        """Another frontier at the same place, which grows by itself."""
        twin = Frontier()
        twin.size = self.size
        twin._levels = self._levels.copy()
        return twin


def _require_subtree(start: int, end: int, size: int) -> None:
    if not (0 <= start <= end <= size < MAX_SIZE and valid_subtree(start, end)):
        raise Refused("merkle.range", start=start, end=end, size=size)


def _root(start: int, end: int, reader: Reader) -> bytes:
    """MTH of a valid, non-empty subtree: fold its complete subtrees, which are the one bits of its width."""
    width = end - start
    root: bytes | None = None
    while width:
        level = (width & -width).bit_length() - 1  # the rightmost complete subtree, the smallest
        width -= 1 << level
        part = reader(level, (start + width) >> level)
        root = part if root is None else node_hash(part, root)
    assert root is not None
    return root


def subtree_root(start: int, end: int, reader: Reader) -> bytes:
    """The root over leaves [start, end); the empty root if there are none. Refuses what is not a valid subtree."""
    _require_subtree(start, end, end)
    return _root(start, end, reader) if end > start else EMPTY_ROOT


def inclusion_proof(index: int, size: int, reader: Reader) -> list[bytes]:
    """PATH(index, D[0:size]) of RFC 9162 2.1.3.1: siblings from the leaf up."""
    return subtree_inclusion_proof(index, 0, size, reader)


def subtree_inclusion_proof(index: int, start: int, end: int, reader: Reader) -> list[bytes]:
    """The proof that leaf `index` stands in the subtree [start, end) (draft, section 4.3)."""
    _require_subtree(start, end, end)
    if not start <= index < end:
        raise Refused("merkle.range", index=index, start=start, end=end)
    proof: list[bytes] = []
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)  # the largest power of two below the width
        if index < split:
            proof.append(_root(split, end, reader))
            end = split
        else:
            proof.append(_root(start, split, reader))
            start = split
    proof.reverse()
    return proof


def consistency_proof(old: int, new: int, reader: Reader) -> list[bytes]:
    """PROOF(old, D[0:new]) of RFC 9162 2.1.4.1, 0 < old <= new; empty when the sizes are equal."""
    if not 0 < old <= new < MAX_SIZE:
        raise Refused("merkle.range", old=old, new=new)
    return subtree_consistency_proof(0, old, new, reader)


def subtree_consistency_proof(start: int, end: int, size: int, reader: Reader) -> list[bytes]:
    """SUBTREE_PROOF(start, end, D[0:size]) of the draft, section 4.4.1; empty for an empty subtree."""
    _require_subtree(start, end, size)
    if start == end:
        return []
    proof: list[bytes] = []
    left, right, known = 0, size, True  # known: the verifier holds the hash of the subtree itself
    while (left, right) != (start, end):
        split = left + (1 << (right - left - 1).bit_length() - 1)
        if end <= split:
            proof.append(_root(split, right, reader))
            right = split
        else:
            proof.append(_root(left, split, reader))
            if start < split:  # the subtree straddles the split, so it begins at `left`; go on with its right part
                start, known = split, False
            left = split
    if not known:
        proof.append(_root(start, end, reader))
    proof.reverse()
    return proof


def reader_of(leaves: Sequence[bytes]) -> Reader:
    """A reader over leaf hashes held in memory: all complete subtrees are computed at once."""
    rows: list[Sequence[bytes]] = [leaves]
    while len(rows[-1]) > 1:
        rows.append(_pairs(rows[-1]))

    def read(level: int, index: int) -> bytes:
        try:
            return rows[level][index]
        except IndexError:
            raise Malformed("merkle.tile_short", level=level, index=index) from None

    return read


def tile_reader(tile: Callable[[int, int], Sequence[bytes] | bytes]) -> Reader:
    """A reader over C2SP tiles: `tile(level, n)` gives the n-th tile of a tile level, 1 to 256 hashes.

    A tile is asked for once; its inner levels are hashed when first needed and kept while the reader lives.
    Use one reader for a proof or a batch of proofs, not for the life of a process: it does not see a tile grow.
    """
    tiles: dict[tuple[int, int], list[Sequence[bytes]]] = {}

    def read(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        number, place = divmod(index, TILE_WIDTH >> height)
        rows = tiles.get((tile_level, number))
        if rows is None:
            rows = tiles[tile_level, number] = [_tile_row(tile(tile_level, number), tile_level, number)]
        while len(rows) <= height:
            rows.append(_pairs(rows[-1]))
        row = rows[height]
        if place >= len(row):
            raise Malformed("merkle.tile_short", level=level, index=index)
        return row[place]

    return read


def _tile_row(stored: Sequence[bytes] | bytes, level: int, number: int) -> Sequence[bytes]:
    row: Sequence[bytes]
    if isinstance(stored, bytes):
        row = [stored[at : at + HASH_SIZE] for at in range(0, len(stored), HASH_SIZE)]
    else:
        row = stored
    if not 1 <= len(row) <= TILE_WIDTH or len(row[-1]) != HASH_SIZE:
        raise Malformed("merkle.tile_shape", level=level, index=number)
    return row
