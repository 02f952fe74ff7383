"""Two stories told: finding the first entry that a party signed differently for two peers, and proving it (design section 6).

In a group, each node asks the others which checkpoint of a third party they hold. Where the roots do not agree, the trees are
compared downwards to the first differing leaf; with the party's own signatures over both trees that is proof for everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import msgspec
from sqlalchemy import Connection

from mithaq.kernel import merkle, note, tiles
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.log import WIDTH
from mithaq.kernel.mirror import Mirror
from mithaq.kernel.note import Verifier

Send = Callable[[Request], Answer]
Reading = Callable[[], AbstractContextManager[Connection]]
HASH: Final = 32


class Telling(msgspec.Struct, frozen=True):
    """One of two stories: the signed checkpoint, the leaf hash at the index concerned, and its inclusion proof."""

    note: bytes
    leaf: bytes
    proof: tuple[bytes, ...]


class Exposure(msgspec.Struct, frozen=True):
    """Proof that one party signed two different entries at one index of its log."""

    log: str
    entry: int
    one: Telling
    other: Telling


def verify(entry: int, tellings: Sequence[Telling], verifiers: Sequence[Verifier], origin: str) -> None:
    """(1) both checkpoints are the party's, (2) each leaf stands at that index of its tree, (3) the leaves differ."""
    for telling in tellings:
        checkpoint = note.open_checkpoint(telling.note, verifiers, origin).checkpoint
        merkle.verify_inclusion(telling.leaf, entry, checkpoint.size, telling.proof, checkpoint.root)
    if len({telling.leaf for telling in tellings}) < 2:
        raise Refused("charter.same_story", origin=origin, value=entry)


def compare(mirror: Mirror, reading: Reading, send: Send) -> Exposure | None:
    """Ask a peer what it holds of the same log; None when, as far as both hold it, it was told the same story.

    `reading` is opened for each look: a peer that answers slowly must not keep a view of our database open.
    """
    answer = send(Request("GET", f"{note.origin_hash(mirror.origin)}/checkpoint"))
    with reading() as connection:
        ours = mirror.reading(connection)
    if answer.status != 200 or ours is None:
        return None
    theirs = note.open_checkpoint(answer.body, mirror.verifiers, mirror.origin)
    sizes = (ours.checkpoint.size, theirs.checkpoint.size)
    common = min(sizes)
    own = merkle.tile_reader(_own_tiles(mirror, reading))
    if sizes[0] >= sizes[1] and merkle.subtree_root(0, common, own) == theirs.checkpoint.root:
        return None
    other = merkle.tile_reader(_remote_tiles(mirror.origin, sizes[1], send))
    if merkle.subtree_root(0, common, own) == merkle.subtree_root(0, common, other):
        return None
    entry = first_difference(0, common, own, other)
    keys = mirror.verifiers
    tellings = (_telling(ours.note, keys, entry, sizes[0], own), _telling(theirs.note, keys, entry, sizes[1], other))
    exposure = Exposure(mirror.log.name, entry, *tellings)
    verify(entry, tellings, mirror.verifiers, mirror.origin)
    return exposure


def _telling(signed: bytes, keys: Sequence[Verifier], entry: int, size: int, reader: merkle.Reader) -> Telling:
    """The party's own signature lines alone: with strangers' lines it could make its note too long for an entry."""
    text, lines = note.only_of(signed, keys)
    return Telling(text + b"\n" + lines, reader(0, entry), tuple(merkle.inclusion_proof(entry, size, reader)))


def first_difference(start: int, end: int, one: merkle.Reader, other: merkle.Reader) -> int:
    """The first leaf of [start, end) at which two trees of different roots differ."""
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if merkle.subtree_root(start, middle, one) != merkle.subtree_root(start, middle, other):
            end = middle
        else:
            start = middle
    return start


def _own_tiles(mirror: Mirror, reading: Reading) -> Callable[[int, int], bytes]:
    def fetch(level: int, number: int) -> bytes:
        with reading() as connection:
            return mirror.log.tile(connection, level, number)

    return fetch


def _remote_tiles(origin: str, size: int, send: Send) -> Callable[[int, int], bytes]:
    """Tiles of a peer's copy at `size`, as C2SP tlog-tiles names them, each of the width that this size has."""

    def fetch(level: int, number: int) -> bytes:
        width = min((size >> (8 * level)) - number * WIDTH, WIDTH)
        suffix = f".p/{width}" if width < WIDTH else ""
        answer = send(Request("GET", f"{note.origin_hash(origin)}/tile/{level}/{tiles.path_of(number)}{suffix}"))
        if answer.status != 200 or len(answer.body) != width * HASH:
            raise Malformed("peer.answer", field="tile")
        return answer.body

    return fetch
