"""Carrying by file: what one node writes for a courier, and what the other does with it. A cable and a stick are the same case.

Nothing is marked as sent. Each file begins at the last receipt that came back, so a file that is lost is made good by the
next, one that comes twice or late changes nothing, and no two files need to come in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, Protocol

import msgspec
from sqlalchemy import Connection, delete, insert, select

from mithaq.kernel import merkle, note
from mithaq.kernel.carriage_file import Head, Header, Incoming, Outgoing
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Malformed, Refused, Unreachable
from mithaq.kernel.exchange import BODY_LIMIT, MIRROR_INFO, Answer, Request
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.log import WIDTH
from mithaq.kernel.mirror import (
    Mirror,
    decimal,
    format_add_checkpoint,
    origin_of,
    parse_add_checkpoint,
    parse_add_entries,
)
from mithaq.kernel.note import Checkpoint
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.post import Post
from mithaq.kernel.tables import state
from mithaq.kernel.transfer import PREFIX, parse_path
from mithaq.kernel.upload import PACKAGES, Upload, reason_of
from mithaq.kernel.writer import Writer

_POSTS: Final = frozenset({"add-checkpoint", "add-entries"})


class Speaker(Protocol):
    """What of a node is needed here."""

    @property
    def party(self) -> str: ...
    @property
    def commission(self) -> str: ...
    @property
    def keys(self) -> NodeKeys: ...
    @property
    def peers(self) -> dict[str, PairingFile]: ...
    @property
    def database(self) -> Database: ...
    @property
    def writer(self) -> Writer: ...
    @property
    def post(self) -> Post: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def rolled_back(self) -> Refused | None: ...
    def hear(self) -> int: ...


class Summary(msgspec.Struct, frozen=True):
    """What was in a file, or what came of it.

    `entries` of the sender's log (written, or new to us), `receipted` the size that the receipt covers, `enclosed` bytes
    of enclosures (written, or gained), `wishes` enclosures asked for, `refused` digest -> code.
    """

    sender: str
    receiver: str
    entries: int = 0
    receipted: int = 0
    enclosed: int = 0
    wishes: int = 0
    refused: Mapping[str, str] = {}


# --- out ------------------------------------------------------------------------------------------------------------


def carry_out(node: Speaker, party: str, sink: BinaryIO) -> Summary:
    """Write all that a peer lacks: our log from its last receipt on, our receipt for its log, enclosures, our wishes."""
    mirror = node.post.mirror(party)
    if node.rolled_back is not None:
        raise node.rolled_back.again()
    if mirror.conflicting:
        raise Refused("mirror.two_stories", origin=mirror.origin)
    size, checkpoint = node.post.checkpoint()
    header = Header(commission=node.commission, sender=node.party, receiver=party, at=int(node.clock()), size=size)
    outgoing = Outgoing(sink, header)
    start = min(node.post.uploads[party].receipted, size)
    refused: dict[str, str] = {}
    with node.database.read() as connection:
        _put_log(outgoing, node, start, (size, checkpoint), connection)
        receipted = _put_receipt(outgoing, mirror, int(node.clock()), connection)
        wishes = node.post.transfers.requests(party, connection)
        for wish in wishes:
            outgoing.put(Head("wish", wish.path))
        enclosed = _put_enclosures(outgoing, node, party, start, refused, connection)
    outgoing.close(node.keys.request_key)
    return Summary(node.party, party, size - start, receipted, enclosed, len(wishes), refused)


def _put_log(outgoing: Outgoing, node: Speaker, start: int, newest: tuple[int, bytes], connection: Connection) -> None:
    """The requests that HTTP would carry, each as if the one before it had been answered well."""
    size, checkpoint = newest
    upload = Upload(node.post.log, node.keys.origin, ())
    upload.start(start)
    while request := upload.next(connection, size, checkpoint):
        outgoing.put(Head("request", request.path, request.media), request.body[:BODY_LIMIT])
        if request.path == "add-checkpoint":
            upload.answered(request, size, Answer(200))
            continue
        following = _reach(request.body[:BODY_LIMIT], len(request.body) > BODY_LIMIT, node.keys.origin)
        if following >= size:
            return
        upload.answered(request, size, Answer(202, f"{size}\n{following}\n\n".encode(), MIRROR_INFO))


def _reach(body: bytes, cut: bool, origin: str) -> int:
    """Up to which entry the whole packages of an upload reach."""
    position, end, packages = parse_add_entries(body, origin)
    if not cut:
        return min(end, (position // WIDTH + PACKAGES) * WIDTH)
    while package := packages.next(position, min(end, (position // WIDTH + 1) * WIDTH)):
        position += len(package[0])
    return position


def _put_receipt(outgoing: Outgoing, mirror: Mirror, now: int, connection: Connection) -> int:
    """Our receipt for what this connection reads, that is for what is committed."""
    held = mirror.reading(connection)
    if held is None:
        return 0
    outgoing.put(Head("receipt", size=held.checkpoint.size), mirror.receipt(held.checkpoint, now))
    return held.checkpoint.size


def _put_enclosures(
    outgoing: Outgoing, node: Speaker, party: str, start: int, refused: dict[str, str], connection: Connection
) -> int:
    """What the peer asked for, and what goes with statements that it has not receipted yet; given as HTTP would give it."""
    wished = connection.execute(select(state.c.value).where(state.c.key == _key(party))).scalar()
    wishes = msgspec.json.decode(wished, type=dict[str, int]) if wished else {}
    total = 0
    for row in node.post.transfers.offered(party, connection):
        if row.digest not in wishes and row.n < start:
            continue
        offset = wishes.get(row.digest, 0)
        while offset < row.size:
            path = f"{PREFIX}{row.digest}/{offset}"
            answer = node.post.answer(Request("GET", path, party=party), connection)
            if answer.status != 200 or not answer.body:
                refused[row.digest] = reason_of(answer)
                break
            outgoing.put(Head("piece", path, answer.media), answer.body, sealed=True)
            offset += len(answer.body)
            total += len(answer.body)
    return total


# --- in -------------------------------------------------------------------------------------------------------------


def carry_in(node: Speaker, source: BinaryIO) -> Summary:
    """Take in what a peer has written. `source` must allow seeking; a damaged file is refused before anything is stored.

    (1) shape, for us, from a party we know (2) every frame and the signature of the whole (3) requests, answered as if
    they had come by the network (4) hear (5) enclosures, receipt and wishes
    """
    incoming = Incoming(source)  # (1)
    header = incoming.header
    if header.commission != node.commission:
        raise Refused("carriage.another_commission", value=header.commission, limit=node.commission)
    if header.receiver != node.party:
        raise Refused("carriage.not_for_us", party=header.receiver)
    mirror = node.post.mirror(header.sender)
    incoming.verify(node.peers[header.sender].request_public())  # (2)
    before, log = mirror.log.size, _Log(node, mirror, incoming)
    for head, body in incoming.records():  # (3)
        if head.kind == "request":
            log.apply(Request("POST", head.path, body, head.media, header.sender))
    node.hear()  # (4)
    log.check_whole()
    return _Rest(node, header).take(incoming, mirror.log.size - before)  # (5)


class _Log:
    """The requests of one file about the sender's log."""

    def __init__(self, node: Speaker, mirror: Mirror, incoming: Incoming) -> None:
        self._node = node
        self._mirror = mirror
        self._incoming = incoming
        self._announced = 0

    def apply(self, request: Request) -> None:
        if request.path not in _POSTS or origin_of(request.path, request.body) != self._mirror.origin:
            raise Malformed("carriage.record")
        if request.path == "add-checkpoint":
            self._add_checkpoint(request)
        else:
            self._add_entries(request)

    def _add_checkpoint(self, request: Request) -> None:
        """409 says what we were told before: then the proof is made from there, out of what the file brings."""
        answer = self._ask(request)
        offered = parse_add_checkpoint(request.body)[2]
        size = Checkpoint.parse(note.split(offered)[0]).size
        pending = decimal(answer.body.removesuffix(b"\n")) if answer.status == 409 else size
        if pending > size:
            return  # an older file than one that came before it
        self._announced = size
        if pending == size:
            return
        with self._node.database.read() as connection:
            proof = merkle.consistency_proof(pending, size, self._reader(size, connection)) if pending else []
        body = format_add_checkpoint(pending, proof, offered)
        self._ask(Request(request.method, request.path, body, request.media, request.party))

    def _add_entries(self, request: Request) -> None:
        start, end, _ = parse_add_entries(request.body, self._mirror.origin)
        stop, held = min(end, (start // WIDTH + PACKAGES) * WIDTH), self._mirror.log.size
        if start > held:
            raise Refused("carriage.gap", party=request.party, value=start, limit=held)
        if stop <= held and (stop < end or end <= self._mirror.size):
            return  # here already; sent again as a whole it would be too much for one request
        self._ask(request)

    def check_whole(self) -> None:
        """A mirror keeps the good packages before a bad one: then the last of what was announced is missing."""
        if self._mirror.size < self._announced:
            raise Refused("carriage.not_taken", party=self._mirror.log.name, value=202, reason="mirror.broken_proof")

    def _ask(self, request: Request) -> Answer:
        with self._node.database.read() as connection:
            answer = self._node.post.answer(request, connection)
        if answer.status in {200, 202, 409}:
            return answer
        kind = Unreachable if answer.status >= 500 else Refused
        raise kind("carriage.not_taken", party=request.party, value=answer.status, reason=reason_of(answer))

    def _reader(self, size: int, connection: Connection) -> merkle.Reader:
        """The sender's tree up to `size`: what we hold, and behind it the entries of the file, not proved yet.

        Whatever proof comes of it is verified by the mirror like any other.
        """
        log = self._mirror.log
        base, stored, leaves = log.size // WIDTH * WIDTH, log.reader(connection), log.edge_leaves()
        for head, body in self._incoming.records():
            if head.kind == "request" and head.path == "add-entries":
                self._gather(body, base, leaves)
        if base + len(leaves) < size:
            raise Refused("carriage.gap", party=log.name, value=size, limit=base + len(leaves))
        known: dict[tuple[int, int], bytes] = {}

        def read(level: int, index: int) -> bytes:
            if (index + 1) << level <= base:
                return stored(level, index)
            if level == 0:
                return leaves[index - base]
            if (level, index) not in known:
                pair = read(level - 1, 2 * index), read(level - 1, 2 * index + 1)
                known[level, index] = merkle.node_hash(*pair)
            return known[level, index]

        return read

    def _gather(self, body: bytes, base: int, leaves: list[bytes]) -> None:
        position, end, packages = parse_add_entries(body, self._mirror.origin)
        while position < end:
            package = packages.next(position, min(end, (position // WIDTH + 1) * WIDTH))
            if package is None:
                return
            entries = package[0]
            fresh = base + len(leaves) - position
            if 0 <= fresh < len(entries):
                leaves.extend(merkle.leaf_hashes(entries[fresh:]))
            position += len(entries)


class _Rest:
    """The other records of one file: enclosures, the receipt, what the sender wishes."""

    def __init__(self, node: Speaker, header: Header) -> None:
        self._node = node
        self._sender = header.sender
        self._receiver = header.receiver
        self._refused: dict[str, str] = {}
        self._wishes: dict[str, int] = {}

    def take(self, incoming: Incoming, entries: int) -> Summary:
        enclosed = receipted = 0
        for head, body in incoming.records():
            if head.kind == "piece":
                enclosed += self._take_piece(head.path, body)
            elif head.kind == "receipt":
                receipted = max(receipted, self._take_receipt(head.size, body))
            elif head.kind == "wish":
                digest, offset = parse_path(head.path)
                self._wishes[digest] = offset
        self._node.writer.do(self._keep_wishes)
        sizes = (entries, receipted, enclosed, len(self._wishes))
        return Summary(self._sender, self._receiver, *sizes, self._refused)

    def _take_piece(self, path: str, body: bytes) -> int:
        """One bad container is told of and does not keep the others from coming in."""
        digest, offset = parse_path(path)
        try:
            with self._node.database.read() as connection:
                return self._node.post.transfers.take(self._sender, digest, offset, body, connection)
        except Refused as reason:
            self._refused[digest] = reason.code
            return 0

    def _take_receipt(self, size: int, lines: bytes) -> int:
        post = self._node.post
        if size > post.log.size:
            raise Refused("peer.claims_more", value=size, limit=post.log.size, party=self._sender)
        if size > post.uploads[self._sender].receipted:
            with self._node.database.read() as connection:
                post.receipted(self._sender, lines, connection, size)
        return size

    def _keep_wishes(self, connection: Connection) -> None:
        """The newest file says all that its sender wishes for: what it does not name has come."""
        connection.execute(delete(state).where(state.c.key == _key(self._sender)))
        if self._wishes:
            value = msgspec.json.encode(self._wishes, order="sorted").decode()
            connection.execute(insert(state), {"key": _key(self._sender), "value": value})


def _key(party: str) -> str:
    """Under which key of the table `state` a peer's wishes stand."""
    return f"wishes.{party}"
