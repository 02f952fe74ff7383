"""Carrying our log to one peer's mirror: which request is next, and what its answer means (the client of tlog-mirror).

There is no outbox: what the peer has not receipted is what remains. The state here is only a guess of what the peer holds,
and every answer corrects it, so it may be lost at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from mithaq.kernel import merkle, note
from mithaq.kernel.errors import Malformed, Refused
from mithaq.kernel.exchange import BODY_LIMIT, BYTES, Answer, Request
from mithaq.kernel.log import WIDTH, Log
from mithaq.kernel.mirror import decimal, format_add_checkpoint
from mithaq.kernel.note import Checkpoint, Verifier

PACKAGES: Final = 32
"""Entry packages of a request at most, as tlog-mirror advises: 8,192 entries."""

BEGIN_BEFORE: Final = BODY_LIMIT // 2
"""Bytes after which no package is begun: with the last one (16.8 MB at most) a request stays below what is read of it."""


class Upload:
    """What one peer is known to hold of our log."""

    def __init__(self, log: Log, origin: str, verifiers: Sequence[Verifier]) -> None:
        self.log: Final = log
        self.origin: Final = origin
        self.verifiers = tuple(verifiers)
        self.receipted = 0
        self._pending = 0
        self._next = 0
        self._end = 0
        self._ticket = b""

    def start(self, receipted: int) -> None:
        """Begin from the last receipt that was kept."""
        self.receipted = self._pending = self._next = self._end = receipted

    def next(self, connection: Connection, size: int, checkpoint: bytes) -> Request | None:
        """The next request, or None when the peer has receipted `size`, the size of our newest `checkpoint`."""
        if self.receipted >= size:
            return None
        if self._end > self.receipted:
            return self._entries(connection)
        if self._pending < size:
            old = self._pending
            proof = merkle.consistency_proof(old, size, self.log.reader(connection)) if old else []
            return Request("POST", "add-checkpoint", format_add_checkpoint(old, proof, checkpoint))
        self._end = self._pending
        return self._entries(connection)

    def _entries(self, connection: Connection) -> Request:
        start, end, reader = min(self._next, self._end), self._end, self.log.reader(connection)
        origin = self.origin.encode()
        parts = [len(origin).to_bytes(2, "big"), origin, start.to_bytes(8, "big"), end.to_bytes(8, "big")]
        parts += [len(self._ticket).to_bytes(2, "big"), self._ticket]
        position, size = start, 0
        for _ in range(PACKAGES):
            if position >= end or size >= BEGIN_BEFORE:
                break
            stop = min(end, (position // WIDTH + 1) * WIDTH)
            proof = merkle.subtree_consistency_proof(position // WIDTH * WIDTH, stop, end, reader)
            parts += [self.log.bundle(connection, position, stop), bytes([len(proof)]), *proof]
            position, size = stop, size + sum(map(len, parts[-len(proof) - 2 :]))
        return Request("POST", "add-entries", b"".join(parts), BYTES)

    def answered(self, request: Request, sent_size: int, answer: Answer) -> bytes | None:
        """Learn from an answer. Returns the receipt's signature lines when the peer gave one for `upload_end`."""
        if request.path == "add-checkpoint":
            self._checkpoint_answered(sent_size, answer)
            return None
        if answer.status == 200:
            self._next = self._end
            return answer.body
        if answer.status in {202, 409}:
            self._resume(answer.body)
            return None
        raise Refused("peer.refused_entries", value=answer.status, reason=reason_of(answer))

    def _checkpoint_answered(self, size: int, answer: Answer) -> None:
        if answer.status == 200:
            self._pending = self._end = size
        elif answer.status == 409:
            self._pending = decimal(answer.body.removesuffix(b"\n"))
            if self._pending > self.log.size:
                raise Refused("peer.claims_more", value=self._pending, limit=self.log.size)
        else:
            raise Refused("peer.refused_checkpoint", value=answer.status, reason=reason_of(answer))

    def _resume(self, body: bytes) -> None:
        """`text/x.tlog.mirror-info`: the size of a valid pending checkpoint, the next entry, a ticket."""
        lines = body.split(b"\n")
        if len(lines) != 4 or lines[3]:
            raise Malformed("peer.answer", field="mirror-info")
        end, following = decimal(lines[0]), decimal(lines[1])
        if max(end, following) > self.log.size:
            raise Refused("peer.claims_more", value=max(end, following), limit=self.log.size)
        self._ticket = _ticket(lines[2])
        self._pending, self._end, self._next = max(self._pending, end), end, following

    def check_receipt(self, connection: Connection, lines: bytes, size: int | None = None) -> tuple[Checkpoint, int]:
        """Verify a receipt for the upload that just ended, or for `size`; (our checkpoint it covers, the peer's time)."""
        end = self._end if size is None else size
        checkpoint = Checkpoint(self.origin, end, self.log.root_at(connection, end))
        at = note.check_cosignature(checkpoint, lines, self.verifiers)
        self.receipted = max(self.receipted, end)
        return checkpoint, at


def _ticket(line: bytes) -> bytes:
    """The opaque value that the mirror wants back: base64, and no longer than a uint16 of length can say."""
    try:
        ticket = note.decode64(line.decode("ascii"))
    except (UnicodeDecodeError, Malformed):
        raise Malformed("peer.answer", field="mirror-info") from None
    if len(ticket) > 0xFFFF:
        raise Malformed("peer.answer", field="mirror-info")
    return ticket


def reason_of(answer: Answer) -> str:
    """The code that a refusing peer gave, if it reads as one."""
    text = answer.body[:80].decode("ascii", "replace").strip()
    return text if text.replace(".", "").replace("_", "").isalnum() else "-"
