"""`check`: everything that this node holds, recomputed from the entries and compared with what it says of itself.

(1) the root of every log, from its entries alone   (2) every signed checkpoint of a peer   (3) every receipt for our log
(4) the digest of every enclosure that is held   (5) the records, against a rebuild in a temporary database
(6) the peers' copies of our log, when they are asked
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final, Self, cast

from sqlalchemy import Connection, Table, insert, select

from mithaq.cli.home import passphrase
from mithaq.cli.output import Output
from mithaq.cli.reading import Reader, reading
from mithaq.kernel import keys, merkle, note, words
from mithaq.kernel.database import Database
from mithaq.kernel.enclosure import BLOCK, Store
from mithaq.kernel.errors import MithaqError, Refused, Unreachable
from mithaq.kernel.exchange import Request
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.log import WIDTH, Log
from mithaq.kernel.note import Checkpoint, Verifier
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.tables import RECORDS, bundles, conflicts, enclosures, mirrored, pending, receipts, tile_roots
from mithaq.node import Node

REFUSED: Final = 3
_PAGE: Final = 32 * WIDTH
_COPIED: Final = (bundles, tile_roots, pending, mirrored, conflicts)
"""What the records are folded from."""


class Report:
    """What was looked at, how often, and everything that was wrong."""

    def __init__(self, output: Output) -> None:
        self.output: Final = output
        self.counts = {
            "entries": 0,
            "logs": 0,
            "checkpoints": 0,
            "receipts": 0,
            "enclosures": 0,
            "facts": 0,
            "peers": 0,
        }
        self.wrong: list[dict[str, object]] = []
        self.not_asked: list[str] = []

    def counted(self, what: str, n: int = 1) -> None:
        """So many more of that kind."""
        self.counts[what] += n

    def failed(self, reason: MithaqError) -> None:
        """Something does not hold; the check goes on, so that one run tells everything."""
        self.wrong.append({"code": reason.code, "facts": reason.facts})
        self.output.text(f"{self.output.sentence(reason.code, reason.facts)} [{self.output.code(reason.code)}]")

    def doing(self, made: Callable[[], object]) -> None:
        """Run one check; what counts is that it does not raise."""
        try:
            made()
        except MithaqError as reason:
            self.failed(reason)


def check(arguments: argparse.Namespace, output: Output) -> int:
    """All of it, of one moment, while the node may serve; nothing is written but a temporary database in the folder."""
    report = Report(output)
    with reading(arguments) as reader:
        roots = {party: _roots(reader, party, report) for party in reader.parties}
        _check_checkpoints(reader, roots, report)
        _check_receipts(reader, roots[reader.party], report)
        _check_enclosures(reader, report)
        _check_records(reader, report)
        _ask_peers(reader, roots[reader.party], report, ask=arguments.ask_peers)
    for what, msgid in _COUNTED.items():
        output.text(f"{output.word(msgid)}: {words.number(report.counts[what], output.lang)}")
    for party in report.not_asked:
        output.line("{party} was not asked for its copy of our log.", party=party)
    output.line("Everything holds." if not report.wrong else "Something does not hold: see above.")
    output.result({**report.counts, "wrong": report.wrong, "not_asked": report.not_asked})
    return REFUSED if report.wrong else 0


_COUNTED: Final = {
    "logs": "logs",
    "entries": "entries, each hashed again",
    "checkpoints": "signed checkpoints of peers",
    "receipts": "receipts for our log",
    "enclosures": "enclosures, each hashed again",
    "facts": "facts in the records, each folded again",
    "peers": "copies of our log at the peers",
}


def _roots(reader: Reader, party: str, report: Report) -> Mapping[int, bytes]:
    """(1) Recompute a log's root at its size and at every size that somebody signed; {size: root}."""
    log = reader.log(party)
    wanted = sorted({log.size, *_signed_sizes(reader, party)})
    found: dict[int, bytes] = {}
    frontier = merkle.Frontier()
    for size in wanted:
        for start in range(frontier.size, min(size, log.size), _PAGE):
            entries = log.entries(reader.connection, start, min(start + _PAGE, size))
            frontier.extend(merkle.leaf_hashes(entries))
        if frontier.size == size:
            found[size] = frontier.root()
    report.counted("logs")
    report.counted("entries", frontier.size)
    if found.get(log.size) != log.root() or log.root_at(reader.connection, log.size) != log.root():
        report.failed(Refused("check.root_differs", party=party, size=log.size))
    return found


def _signed_sizes(reader: Reader, party: str) -> set[int]:
    table = receipts if party == reader.party else mirrored
    return set(reader.connection.execute(select(table.c.size).where(table.c.log == party)).scalars())


def _check_checkpoints(reader: Reader, roots: Mapping[str, Mapping[int, bytes]], report: Report) -> None:
    """(2) What a peer signed is what its entries here add up to."""
    for row in reader.connection.execute(select(mirrored)).all():
        peer = reader.peers.get(row.log)
        if peer is None:
            report.failed(Refused("peer.unknown", party=row.log))
            continue
        report.counted("checkpoints")

        def one(row: Any = row, peer: PairingFile = peer) -> None:
            signed = note.open_checkpoint(bytes(row.note), peer.log_verifiers(), peer.origin).checkpoint
            if signed.size != row.size or signed.root != roots[row.log].get(row.size):
                raise Refused("check.checkpoint_differs", party=row.log, size=row.size)

        report.doing(one)


def _check_receipts(reader: Reader, roots: Mapping[int, bytes], report: Report) -> None:
    """(3) Each receipt is the peer's signature over the root that our entries have at that size."""
    origin = f"{reader.settings.commission}/{reader.party}"
    for row in reader.connection.execute(select(receipts).where(receipts.c.log == reader.party)).all():
        report.counted("receipts")
        peer = reader.peers.get(row.peer)
        if peer is None:
            report.failed(Refused("peer.unknown", party=row.peer))
        elif row.size not in roots or roots[row.size] != bytes(row.root):
            report.failed(Refused("check.receipt_differs", party=row.peer, size=row.size))
        else:
            checkpoint = Checkpoint(origin, row.size, bytes(row.root))
            verifiers, lines = peer.mirror_verifiers(), bytes(row.lines)
            report.doing(partial(note.check_cosignature, checkpoint, lines, verifiers))


def _check_enclosures(reader: Reader, report: Report) -> None:
    """(4) Every container that is said to be held is there, with the digest that its statement names."""
    store = Store(reader.home.enclosures_folder)
    for row in reader.connection.execute(select(enclosures).where(enclosures.c.state == "held")).all():
        report.counted("enclosures")
        report.doing(partial(_check_enclosure, store, row.digest, row.size))


def _check_enclosure(store: Store, digest: str, size: int) -> None:
    hashed, position = hashlib.sha256(), 0
    while part := store.read(digest, position, BLOCK):
        hashed.update(part)
        position += len(part)
    if hashed.hexdigest() != digest or position != size:
        raise Refused("enclosure.wrong_digest", digest=digest)


def _check_records(reader: Reader, report: Report) -> None:
    """(5) Fold everything anew beside the records that are there, and compare fact by fact.

    The folding needs no secret: it runs with keys made for the moment, and nothing that it would sign leaves it.
    """
    reader.judge()
    with TemporaryDirectory(prefix=".check-", dir=reader.home.path) as folder:
        database = Database(f"sqlite:///{Path(folder).resolve()}/check.db")
        try:
            for table in _COPIED:
                _copy(reader.connection, database, table)
            Node(database, _Borrowed.of(reader.own()), reader.peers.values(), lambda: 0.0)
            with database.read() as other:
                for table in RECORDS.sorted_tables:
                    _compare(table, reader.connection, other, report)
        finally:
            database.close()


@dataclass(frozen=True, slots=True)
class _Borrowed(NodeKeys):
    """Secrets made for the moment beside our real public log keys, which a verdict may need (`charter.expose`)."""

    public: PairingFile

    @classmethod
    def of(cls, own: PairingFile) -> Self:
        made = keys.create(own.party, own.commission, [], ["127.0.0.1"])
        return cls(**{each.name: getattr(made, each.name) for each in fields(made)}, public=own)

    def log_verifiers(self) -> list[Verifier]:
        return self.public.log_verifiers()


def _copy(source: Connection, database: Database, table: Table) -> None:
    rows = source.execute(select(table).execution_options(yield_per=256))
    for part in rows.mappings().partitions(256):
        with database.write() as connection:
            connection.execute(insert(table), [dict(row) for row in part])


def _compare(table: Table, one: Connection, other: Connection, report: Report) -> None:
    count, digest = _digest(table, one)
    report.counted("facts", count)
    if (count, digest) != _digest(table, other):
        report.failed(Refused("check.records_differ", value=table.name))


def _digest(table: Table, connection: Connection) -> tuple[int, int]:
    """How many facts, and the sum of their hashes: the same in whatever order a database gives them, in flat memory."""
    count = total = 0
    for row in connection.execute(select(table).execution_options(yield_per=1024)):
        count += 1
        total += int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest())
    return count, total % 2**256


def _ask_peers(reader: Reader, roots: Mapping[int, bytes], report: Report, *, ask: bool) -> None:
    """(6) A peer's checkpoint of our log, with its cosignature, has the root that our entries have at that size."""
    if not ask:
        report.not_asked.extend(reader.peers)
        return
    own = reader.own()
    secret = reader.home.load_keys(passphrase(report.output))
    for party, peer in reader.peers.items():
        try:
            _ask(reader, own, peer, secret, roots)
            report.counted("peers")
        except Unreachable as silent:
            report.not_asked.append(party)
            report.output.text(
                f"{report.output.sentence(silent.code, silent.facts)} [{report.output.code(silent.code)}]"
            )
        except MithaqError as reason:
            report.failed(reason)


def _ask(
    reader: Reader, own: PairingFile, peer: PairingFile, secret: keys.NodeKeys, roots: Mapping[int, bytes]
) -> None:
    from mithaq.kernel.peer import Carrier, Speaker, connect

    speaker = cast("Speaker", SimpleNamespace(party=own.party, keys=secret, peers=reader.peers, clock=time.time))
    with connect(peer) as client:
        answer = Carrier(speaker, peer.party, client).send(Request("GET", f"{note.origin_hash(own.origin)}/checkpoint"))
    if answer.status == 404:
        raise Unreachable("check.peer_has_none", party=peer.party)
    if answer.status != 200:
        raise Refused("peer.refused_checkpoint", value=answer.status, reason="-")
    signed = note.open_checkpoint(answer.body, own.log_verifiers(), own.origin, peer.mirror_verifiers()).checkpoint
    with reader.database.read() as now:  # the node may have said more since this check began
        log = Log(reader.party)
        log.load(now)
        root = roots.get(signed.size) or (log.root_at(now, signed.size) if signed.size <= log.size else None)
    if root != signed.root:
        raise Refused("check.peer_differs", party=peer.party, size=signed.size)
