"""The exchange with the peers: answers to their requests, our next requests to them, receipts both ways. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import DBAPIError

from mithaq.kernel import note, tiles
from mithaq.kernel.enclosure import Store
from mithaq.kernel.errors import MithaqError, Refused, Unreachable
from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.force import covered
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.log import Log
from mithaq.kernel.mandate import Permit
from mithaq.kernel.mirror import Mirror, origin_of, refused
from mithaq.kernel.note import Checkpoint
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.statement import Statement
from mithaq.kernel.tables import enclosures, receipts
from mithaq.kernel.transfer import PREFIX, Transfers
from mithaq.kernel.upload import Upload
from mithaq.kernel.writer import Writer

DAY: Final = 86_400


class Post:
    """All mirrors and uploads of one node."""

    def __init__(
        self,
        log: Log,
        keys: NodeKeys,
        peers: Mapping[str, PairingFile],
        writer: Writer,
        clock: Callable[[], float],
        store: Store | None = None,
    ) -> None:
        self.log: Final = log
        self.keys: Final = keys
        self.party: Final = keys.party
        self._writer: Final = writer
        self._clock: Final = clock
        signers = keys.mirror_signers()
        self.mirrors: Final = {
            party: Mirror(Log(party), peer.origin, peer.log_verifiers(), signers) for party, peer in peers.items()
        }
        self.uploads: Final = {
            party: Upload(log, keys.origin, peer.mirror_verifiers()) for party, peer in peers.items()
        }
        logs = {self.party: log, **{party: mirror.log for party, mirror in self.mirrors.items()}}
        self.transfers: Final = Transfers(self.party, logs, writer, clock, store)
        self._by_origin: Final = {mirror.origin: mirror for mirror in self.mirrors.values()}
        self._by_hash: Final = {note.origin_hash(mirror.origin): mirror for mirror in self.mirrors.values()}
        self._own_hash: Final = note.origin_hash(keys.origin)
        self._log_signers: Final = keys.log_signers()
        self.rolled_back: Refused | None = None
        self._doubted: set[str] = set()
        self._committed = (0, b"")
        self._signed: tuple[int, bytes] = (-1, b"")
        self._signing = threading.Lock()

    def load(self, connection: Connection) -> None:
        """Read the mirrors and the receipts that survived."""
        for mirror in self.mirrors.values():
            mirror.load(connection)
        kept = dict.fromkeys(self.uploads, 0)
        rows = connection.execute(select(receipts.c.peer, receipts.c.size).where(receipts.c.log == self.party))
        kept.update({row.peer: row.size for row in rows if row.peer in kept})
        for party, size in kept.items():
            self.uploads[party].start(size)

    def find_rollback(self, connection: Connection) -> None:
        """Whether a receipt covers more than our log has, or other content: then we are an old backup and sign nothing."""
        for row in connection.execute(select(receipts).where(receipts.c.log == self.party)):
            if row.size > self.log.size or self.log.root_at(connection, row.size) != bytes(row.root):
                self.rolled_back = Refused("node.rolled_back", value=row.size, limit=self.log.size, party=row.peer)

    def mirror(self, party: str) -> Mirror:
        """The mirror of a party's log."""
        if party not in self.mirrors:
            raise Refused("peer.unknown", party=party)
        return self.mirrors[party]

    # --- our checkpoints ----------------------------------------------------------------------------------------

    def committed(self) -> None:
        """Called after each commit, before any other writer's turn: what may be signed from now on."""
        if self._committed[0] != self.log.size or not self._committed[1]:
            self._committed = (self.log.size, self.log.root())

    def checkpoint(self) -> tuple[int, bytes]:
        """(size, note): our newest committed checkpoint, signed when first asked for."""
        if self.rolled_back is not None:
            raise self.rolled_back.again()
        with self._signing:
            size, root = self._committed
            if self._signed[0] != size:
                checkpoint = Checkpoint(self.keys.origin, size, root)
                self._signed = (size, note.sign(checkpoint, self._log_signers, max(int(self._clock()), 1)))
            return self._signed

    # --- carrying our log to a peer -----------------------------------------------------------------------------

    def next_request(self, party: str, connection: Connection) -> tuple[Request, int] | None:
        """The next request to a peer with the size of the checkpoint that it speaks of, or None: all is receipted."""
        upload = self.uploads[party]
        if self.rolled_back is not None:
            raise self.rolled_back.again()
        if party in self._doubted:
            return Request("GET", f"{self._own_hash}/checkpoint"), 0
        if self.mirrors[party].halted or upload.receipted >= self._committed[0]:
            return None
        size, checkpoint = self.checkpoint()
        request = upload.next(connection, size, checkpoint)
        return (request, size) if request else None

    def answered(self, party: str, request: Request, size: int, answer: Answer, connection: Connection) -> None:
        """Learn from a peer's answer; a receipt is verified and kept."""
        if request.method == "GET":
            self._look_at_copy(party, answer, connection)
            return
        try:
            lines = self.uploads[party].answered(request, size, answer)
        except Refused as refusal:
            if refusal.code == "peer.claims_more":
                self._doubted.add(
                    party
                )  # a number proves nothing: next it is asked for our own signature over that size
            raise
        if lines is not None:
            self.receipted(party, lines, connection)

    def _look_at_copy(self, party: str, answer: Answer, connection: Connection) -> None:
        """What a peer that claims to hold more than we have shows for it. Only our own signatures prove that we lost something."""
        self._doubted.discard(party)
        if answer.status != 200:
            raise Refused("peer.claims_more", party=party, limit=self.log.size)
        held = note.open_checkpoint(answer.body, [each.verifier for each in self._log_signers], self.keys.origin)
        size, root = held.checkpoint.size, held.checkpoint.root
        if size > self.log.size or self.log.root_at(connection, size) != root:
            self.rolled_back = Refused("node.rolled_back", value=size, limit=self.log.size, party=party)
            raise self.rolled_back.again()
        self.uploads[party].start(min(self.uploads[party].receipted, size))

    def receipted(self, party: str, lines: bytes, connection: Connection, size: int | None = None) -> int:
        """Verify and keep a receipt for the upload that just ended, or for `size`; returns the size that it covers."""
        upload = self.uploads[party]
        checkpoint, at = upload.check_receipt(connection, lines, size)
        row = {"log": self.party, "peer": party, "size": checkpoint.size, "root": checkpoint.root}
        row |= {"note": checkpoint.body, "lines": lines, "at": at}

        def keep(writing: Connection) -> None:
            mine = (receipts.c.log == self.party) & (receipts.c.peer == party)
            writing.execute(delete(receipts).where(mine))
            writing.execute(insert(receipts), row)

        self._writer.do(keep)
        return checkpoint.size

    # --- fetching enclosures ------------------------------------------------------------------------------------

    def next_fetch(self, party: str, connection: Connection) -> Request | None:
        """The next request for an enclosure that this peer owes us: asked once `next_request` has nothing more to carry."""
        return None if self.mirrors[party].conflicting else self.transfers.next_fetch(party, connection)

    def fetched(self, party: str, request: Request, answer: Answer, connection: Connection) -> int:
        """Learn from the answer to `next_fetch`; returns the bytes gained."""
        return self.transfers.fetched(party, request, answer, connection)

    # --- answering the peers ------------------------------------------------------------------------------------

    def answer(self, request: Request, connection: Connection) -> Answer:
        """What a peer's request is answered with. `connection` is for reading; writing goes through the writer."""
        if request.party not in self.mirrors:
            return refused(403, Refused("peer.unknown", party=request.party))
        try:
            if request.method == "POST" and request.path in {"add-checkpoint", "add-entries"}:
                return self._add(request)
            if request.method == "GET" and request.path.startswith(PREFIX):
                if self.mirrors[request.party].conflicting:
                    return refused(403, Refused("mirror.two_stories", origin=self.mirrors[request.party].origin))
                return self.transfers.answer(request.path, request.party, connection)
            if request.method == "GET":
                return self._read(request.path, connection)
        except MithaqError as failure:
            return refused(503 if failure.code.startswith("database.") else 400, failure)
        except DBAPIError as failure:  # the disk, not the peer: it may ask again
            return refused(503, Unreachable("database.unwritable", value=type(failure.orig).__name__))
        return Answer(405 if request.path in {"add-checkpoint", "add-entries"} else 404)

    def _add(self, request: Request) -> Answer:
        mirror = self._by_origin.get(origin_of(request.path, request.body))
        if mirror is None:
            return refused(404, Refused("peer.unknown_log"))
        if mirror.halted:
            return refused(403, Refused("mirror.two_stories", origin=mirror.origin))
        now = int(self._clock())
        if request.path == "add-checkpoint":
            return self._writer.do(lambda writing: mirror.add_checkpoint(writing, request.body, now))
        held = self._writer.do(lambda writing: mirror.add_entries(writing, request.body))
        return held if isinstance(held, Answer) else Answer(200, mirror.receipt(held, now))

    def _read(self, path: str, connection: Connection) -> Answer:
        which, _, rest = path.partition("/")
        if which == self._own_hash:
            size, checkpoint = self.checkpoint()
            return Answer(200, checkpoint) if rest == "checkpoint" else tiles.answer(self.log, size, rest, connection)
        mirror = self._by_hash.get(which)
        if mirror is None:
            return Answer(404)
        if rest == "checkpoint":
            held = mirror.checkpoint(connection, int(self._clock()))
            return Answer(404) if held is None else Answer(200, held)
        return tiles.answer(mirror.log, mirror.size, rest, connection)

    # --- enclosures ---------------------------------------------------------------------------------------------

    def expect(self, connection: Connection, said: Statement[Any], permits: tuple[Permit, ...]) -> None:
        """Note the enclosures of a statement that has effect: held if ours, wanted if sealed to an office of ours."""
        keep = min((permit.enclosures.keep_days for permit in permits if permit.enclosures), default=0)
        until = int(min(said.at.timestamp(), self._clock())) + keep * DAY  # a clock ahead of ours keeps nothing longer
        for enclosure in said.enclosures:
            ours = said.party == self.party
            if not ours and not any(covered(office, [self.party]) for office in enclosure.to):
                continue
            same = (enclosures.c.log == said.party) & (enclosures.c.digest == enclosure.digest)
            if connection.execute(select(enclosures.c.digest).where(same)).first():
                continue
            row = {"digest": enclosure.digest, "log": said.party, "n": said.n, "size": enclosure.size, "until": until}
            held = enclosure.size if ours else 0
            connection.execute(insert(enclosures), {**row, "held": held, "state": "held" if ours else "wanted"})
