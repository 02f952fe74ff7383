"""The mirror of a peer's log (C2SP tlog-mirror): what it proves is stored durably, and then receipted.

No I/O of its own: bytes and a time in, an answer out, storage in the caller's transaction. `Mirror` answers; the other end,
which uploads our log to a peer, is `upload.Upload`. A receipt is made by `receipt`, called only after the commit (law 5).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from mithaq.kernel import merkle, note
from mithaq.kernel.errors import Malformed, MithaqError, Refused
from mithaq.kernel.exchange import MIRROR_INFO, SIZE, Answer
from mithaq.kernel.log import WIDTH, Log, split
from mithaq.kernel.note import Checkpoint, SignedCheckpoint, Signer, Verifier
from mithaq.kernel.tables import conflicts, mirrored, pending

MAX_PROOF: Final = 63
EXCESS_LIMIT: Final = 8192
"""Entries sent again that a request may begin with: tlog-mirror asks for 409 beyond some bound."""

MOST_PACKAGES: Final = 64
"""Packages of one request that are taken, twice what tlog-mirror advises; the answer to more is 202: go on from there."""

PENDING: Final = 64
"""Checkpoints whose entries are not all here that are kept of one log: tlog-mirror asks for "the last several"."""

SUSPICIONS: Final = 64
"""Checkpoints with a broken proof that are kept of one log; conclusive ones are all kept."""


class Mirror:
    """Our copy of one peer's log. Methods that change it run in the writer's transaction; after a rollback, `load`."""

    def __init__(self, log: Log, origin: str, verifiers: Sequence[Verifier], signers: Sequence[Signer]) -> None:
        self.log: Final = log
        self.origin: Final = origin
        self.verifiers = tuple(verifiers)
        self._signers = tuple(signers)
        self._pending: dict[int, tuple[bytes, bytes]] = {}
        self.size = 0
        self.root = merkle.EMPTY_ROOT
        self.note = b""
        self.conflicting = False
        self.sealed = False

    def load(self, connection: Connection) -> None:
        """Read the state that survived."""
        self.log.load(connection)
        rows = connection.execute(select(pending).where(pending.c.log == self.log.name).order_by(pending.c.size))
        self._pending = {row.size: (bytes(row.root), bytes(row.note)) for row in rows}
        held = connection.execute(select(mirrored).where(mirrored.c.log == self.log.name)).first()
        self.size, self.root, self.note = (
            (held.size, bytes(held.root), bytes(held.note)) if held else (0, merkle.EMPTY_ROOT, b"")
        )
        found = select(conflicts.c.id).where(conflicts.c.log == self.log.name, conflicts.c.conclusive == 1).limit(1)
        self.conflicting = connection.execute(found).first() is not None

    @property
    def halted(self) -> bool:
        """Whether the exchange with this party has stopped, because it told two stories, until people settle it."""
        return self.conflicting or self.sealed

    @property
    def pending_size(self) -> int:
        """The size of the newest checkpoint that this log was proved consistent with."""
        return max(self._pending, default=self.size)

    def _pending_root(self) -> bytes:
        return self._pending[max(self._pending)][0] if self._pending else self.root

    def newest_note(self) -> bytes:
        """The newest checkpoint that was proved consistent, entries held or not."""
        return self._pending[max(self._pending)][1] if self._pending else self.note

    def add_checkpoint(self, connection: Connection, body: bytes, now: int) -> Answer:
        """Take a newer checkpoint of the peer, proved consistent with the last (tlog-witness `add-checkpoint`).

        (1) shape, (2) origin and signatures, (3) the old size is the one held, (4) the proof.
        """
        old, proof, offered = parse_add_checkpoint(body)
        try:
            signed = note.open_checkpoint(offered, self.verifiers, self.origin)
        except Refused as refusal:
            return refused(404 if refusal.code == "note.origin" else 403, refusal)
        except Malformed as failure:
            # tlog-witness: an empty tree under another root is 422, where what cannot be read at all is 400.
            return refused(422 if failure.code == "note.checkpoint_root" else 400, failure)
        checkpoint = signed.checkpoint
        if checkpoint.extensions:  # ML-DSA does not cover them, and a receipt would not be over the note that is served
            return refused(403, Refused("note.extensions", origin=self.origin))
        if old > checkpoint.size:
            return refused(400, Malformed("mirror.old_size", value=old, limit=checkpoint.size))
        if old != self.pending_size:
            self._compare(connection, signed, now)
            return Answer(409, f"{self.pending_size}\n".encode(), SIZE)
        try:
            self._check_consistent(old, checkpoint, proof)
        except MithaqError as failure:
            self._keep(connection, signed, now, conclusive=old == checkpoint.size)
            return refused(422, failure)
        if checkpoint.size > old or not self.newest_note():
            self._advance(connection, signed)
        return Answer(200)

    def _check_consistent(self, old: int, checkpoint: Checkpoint, proof: list[bytes]) -> None:
        if old == checkpoint.size:
            if proof or checkpoint.root != self._pending_root():
                raise Refused("mirror.conflicting_checkpoint", origin=self.origin, value=checkpoint.size)
            return
        if old == 0:
            if proof:
                raise Refused("mirror.broken_proof", origin=self.origin)
            return
        merkle.verify_consistency(old, self._pending_root(), checkpoint.size, checkpoint.root, proof)

    def _advance(self, connection: Connection, signed: SignedCheckpoint) -> None:
        checkpoint = signed.checkpoint
        if checkpoint.size in self._pending:
            return
        self._pending[checkpoint.size] = (checkpoint.root, signed.note)
        row = {"log": self.log.name, "size": checkpoint.size, "root": checkpoint.root, "note": signed.note}
        connection.execute(insert(pending), row)
        if len(self._pending) > PENDING:  # a party can sign any number of them, and send no entry
            oldest = min(self._pending)
            connection.execute(delete(pending).where(pending.c.log == self.log.name, pending.c.size == oldest))
            del self._pending[oldest]

    def _compare(self, connection: Connection, signed: SignedCheckpoint, now: int) -> None:
        """A checkpoint of an earlier size must have the root that our copy had then, or two stories were told."""
        size, known = signed.checkpoint.size, b""
        if size in self._pending:
            known = self._pending[size][0]
        elif size <= self.log.size:
            known = self.log.root_at(connection, size)
        if known and known != signed.checkpoint.root:
            self._keep(connection, signed, now, conclusive=True)

    def _keep(self, connection: Connection, signed: SignedCheckpoint, now: int, *, conclusive: bool) -> None:
        """Keep both checkpoints. Conclusive ones end the exchange with that party until people settle it."""
        kept = self.newest_note()
        name = hashlib.sha256(kept + b"\0" + signed.note).hexdigest()
        self.conflicting = self.conflicting or conclusive
        same = select(conflicts.c.id).where(conflicts.c.id == name)
        if connection.execute(same).first() is None and (conclusive or self._room(connection)):
            row = {"id": name, "log": self.log.name, "at": now, "conclusive": int(conclusive), "kept": kept}
            connection.execute(insert(conflicts), {**row, "offered": signed.note})

    def _room(self, connection: Connection) -> bool:
        """Whether another checkpoint with a broken proof is kept: it proves little, and a peer can make any number."""
        kept = select(func.count()).where(conflicts.c.log == self.log.name, conflicts.c.conclusive == 0)
        return (connection.execute(kept).scalar() or 0) < SUSPICIONS

    def add_entries(self, connection: Connection, body: bytes) -> Answer | Checkpoint:
        """Store a prefix of the packages, each proved to stand under the checkpoint at `upload_end`.

        A checkpoint as the answer means that all of it is stored, and that a receipt for it is due once the transaction
        is durable: not before, and for nothing that a later, unfinished transaction may have added meanwhile.
        """
        start, end, packages = parse_add_entries(body, self.origin)
        if not self._pending and not self.note:
            return refused(422, Refused("mirror.no_checkpoint", origin=self.origin))
        root = self._pending[end][0] if end in self._pending else self.root if end == self.size else None
        too_far_back = min(end, self.log.size) - start > EXCESS_LIMIT
        if root is None or end < self.size or start > self.log.size or too_far_back:
            # tlog-mirror: a valid `upload_end` is told again, so that the client need not make its proofs anew.
            return self._info(409, self.pending_size if root is None or end < self.size else end)
        saved, position = 0, start
        try:
            while position < end and saved < MOST_PACKAGES:
                package = packages.next(position, min(end, (position // WIDTH + 1) * WIDTH))
                if package is None:
                    break
                self._store(connection, position, package, end, root)
                position += len(package[0])
                saved += 1
        except (
            Refused
        ) as failure:  # what was proved before it stays; tlog-mirror: "respond with 422 and end processing"
            return refused(422, failure)
        except Malformed as failure:
            if not saved:
                return refused(400, failure)
        if position < end:
            return self._info(202, end) if saved else refused(400, Malformed("mirror.truncated_package"))
        self._hold(connection, end)
        return Checkpoint(self.origin, end, root)

    def _store(
        self, connection: Connection, start: int, package: tuple[list[bytes], list[bytes]], end: int, root: bytes
    ) -> None:
        entries, proof = package
        hashes = merkle.leaf_hashes(entries)
        tile = start // WIDTH * WIDTH
        before = self._leaves_before(connection, tile, start)
        stop = start + len(entries)
        merkle.verify_subtree_consistency(tile, stop, merkle.root_of([*before, *hashes]), end, root, proof)
        known = max(0, self.log.size - start)
        if known < len(entries):
            self.log.append(connection, entries[known:], hashes[known:])

    def _leaves_before(self, connection: Connection, tile: int, start: int) -> list[bytes]:
        if start == tile:
            return []
        if self.log.size // WIDTH * WIDTH == tile:
            return self.log.edge_leaves()[: start - tile]
        row = self.log.tile(connection, 0, tile // WIDTH)
        return [row[at : at + 32] for at in range(0, (start - tile) * 32, 32)]

    def _hold(self, connection: Connection, end: int) -> None:
        """All entries up to `end` are stored: the pending checkpoint of that size is now the mirror's checkpoint."""
        if end <= self.size and self.note:
            return
        self.size = end
        self.root, self.note = self._pending[end]
        connection.execute(delete(mirrored).where(mirrored.c.log == self.log.name))
        row = {"log": self.log.name, "size": end, "root": self.root, "note": self.note}
        connection.execute(insert(mirrored), row)
        older = [size for size in self._pending if size <= end]
        connection.execute(delete(pending).where(pending.c.log == self.log.name, pending.c.size <= end))
        for size in older:
            del self._pending[size]

    def _info(self, status: int, size: int) -> Answer:
        return Answer(status, f"{size}\n{self.log.size}\n\n".encode(), MIRROR_INFO)

    def receipt(self, held: Checkpoint, now: int) -> bytes:
        """Our cosignature of what `add_entries` answered: "I hold durably all of it, up to here". After the commit only."""
        return note.cosign(held, self._signers, max(now, 1))

    def reading(self, connection: Connection) -> SignedCheckpoint | None:
        """The mirror checkpoint as this connection reads it, with the peer's note."""
        row = connection.execute(select(mirrored).where(mirrored.c.log == self.log.name)).first()
        if row is None:
            return None
        return SignedCheckpoint(Checkpoint(self.origin, row.size, bytes(row.root)), bytes(row.note), {})

    def checkpoint(self, connection: Connection, now: int) -> bytes | None:
        """The checkpoint that this mirror serves, as committed: the peer's note with our cosignatures under it."""
        held = self.reading(connection)
        return note.add_lines(held.note, self.receipt(held.checkpoint, now)) if held else None


def refused(status: int, reason: MithaqError) -> Answer:
    """A refusal on the wire: its code alone; the caller's own program words it."""
    return Answer(status, f"{reason.code}\n".encode())


def parse_add_checkpoint(body: bytes) -> tuple[int, list[bytes], bytes]:
    """(old size, proof, checkpoint note) of an `add-checkpoint` body. Malformed `mirror.request`."""
    head, blank, offered = body.partition(b"\n\n")
    lines = head.split(b"\n")
    if not blank or len(lines) > MAX_PROOF + 1 or not lines[0].startswith(b"old "):
        raise Malformed("mirror.request", field="old")
    return decimal(lines[0][4:]), [_hash(line) for line in lines[1:]], offered


def decimal(text: bytes) -> int:
    """An ASCII decimal without leading zeroes, below 2**63."""
    if not (text.isdigit() and len(text) <= 19 and (text == b"0" or not text.startswith(b"0"))):
        raise Malformed("mirror.request", field="size")
    return int(text)


def _hash(line: bytes) -> bytes:
    try:
        value = note.decode64(line.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("mirror.request", field="proof") from None
    if len(value) != 32:
        raise Malformed("mirror.request", field="proof")
    return value


def format_add_checkpoint(old: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """The body that `parse_add_checkpoint` reads."""
    return b"\n".join([b"old %d" % old, *map(b64encode, proof), b"", checkpoint])


class Packages:
    """The entry packages of an `add-entries` body, read one after the other; what is cut off is not handed out."""

    def __init__(self, body: bytes, position: int) -> None:
        self._body = body
        self._at = position

    def next(self, start: int, stop: int) -> tuple[list[bytes], list[bytes]] | None:
        """(entries, proof) of the package [start, stop), or None where the body ends before it does."""
        body, at = self._body, self._at
        begin = at
        for _ in range(stop - start):
            at += 2 + int.from_bytes(body[at : at + 2], "big")
        if at >= len(body):
            return None
        entries = split(body[begin:at])
        count = body[at]
        if count > MAX_PROOF:
            raise Malformed("mirror.request", field="num_hashes")
        at += 1
        end = at + count * 32
        if end > len(body):
            return None
        self._at = end
        return entries, [body[each : each + 32] for each in range(at, end, 32)]


def parse_add_entries(body: bytes, origin: str) -> tuple[int, int, Packages]:
    """(upload_start, upload_end, packages). The origin was looked at by the caller to find this mirror."""
    at = 2 + len(origin.encode())
    if len(body) < at + 18:
        raise Malformed("mirror.request", field="upload_start")
    start, end = int.from_bytes(body[at : at + 8], "big"), int.from_bytes(body[at + 8 : at + 16], "big")
    ticket = int.from_bytes(body[at + 16 : at + 18], "big")
    if start > end or end >= 2**63:
        raise Malformed("mirror.request", field="upload_end")
    return start, end, Packages(body, at + 18 + ticket)


def origin_of(path: str, body: bytes) -> str:
    """The log that a request is about: the first line of its checkpoint, or the head of its upload."""
    if path == "add-entries":
        raw = body[2 : 2 + int.from_bytes(body[:2], "big")]
    else:
        raw = body.partition(b"\n\n")[2].partition(b"\n")[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("mirror.request", field="origin") from None
