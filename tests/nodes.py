"""Nodes for tests: in one process, on SQLite or PostgreSQL, with keys made once and a clock that a test moves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import select

from mithaq.kernel import keys, merkle, note
from mithaq.kernel.database import Database
from mithaq.kernel.enclosure import Store
from mithaq.kernel.errors import MithaqError
from mithaq.kernel.exchange import BYTES, Answer, Request
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.log import join
from mithaq.kernel.mandate import Agreement, Clause, Enclosures, Entry, Permit
from mithaq.kernel.mirror import format_add_checkpoint
from mithaq.kernel.note import Checkpoint
from mithaq.kernel.records import verdicts
from mithaq.kernel.statement import Statement
from mithaq.kernel.tables import RECORDS
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.charter import records as charter_records

OFFICES: Final = ("border-guard", "customs")
START: Final = dt.datetime(2026, 3, 1, 8, 0, tzinfo=dt.UTC)
MakeDatabase = Callable[[str], str]
"""Name -> URL of an empty database for this test."""


class Clock:
    """Seconds since 1970 that pass only when a test says so."""

    def __init__(self, start: dt.datetime = START) -> None:
        self.now = start.timestamp()

    def __call__(self) -> float:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += days * 86_400

    @property
    def today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self.now, dt.UTC).date()


@functools.cache
def keys_of(party: str, commission: str, offices: tuple[str, ...] = OFFICES) -> NodeKeys:
    """A party's keys with one for each of its offices, the same in every test of this run."""
    return keys.create(party, commission, [f"{party}/{office}" for office in offices], ["127.0.0.1"])


def commission_of(parties: Iterable[str]) -> str:
    return "-".join(sorted(parties)).lower() + ".example"


def start(party: str, parties: Iterable[str], url: str, clock: Callable[[], float], store: Store | None = None) -> Node:
    """A node on this database, paired with the others; started again on the same one it goes on."""
    everyone = sorted(parties)
    commission = commission_of(everyone)
    peers = [
        keys_of(each, commission).pairing({"en": each, "ar": each, "fa": each}, "http://127.0.0.1:1")
        for each in everyone
        if each != party
    ]
    return Node(Database(url), keys_of(party, commission), peers, clock, store)


@contextmanager
def paired(
    make: MakeDatabase, parties: Iterable[str], clock: Callable[[], float], folder: Path | None = None
) -> Iterator[list[Node]]:
    """Nodes of these parties, each on an empty database, with a store of enclosures in `folder`; closed at the end."""
    names = list(parties)
    stores = {party: Store(folder / party, clock) if folder else None for party in names}
    nodes = [start(party, names, make(party.lower()), clock, stores[party]) for party in names]
    try:
        yield nodes
    finally:
        for node in nodes:
            node.database.close()


# --- carrying -------------------------------------------------------------------------------------------------------


def ask(node: Node, request: Request) -> Answer:
    with node.database.read() as connection:
        return node.post.answer(request, connection)


def step(a: Node, b: Node) -> Answer | None:
    """One request of `a` to `b` with its answer, not yet heard; None when all is receipted."""
    with a.database.read() as connection:
        found = a.post.next_request(b.party, connection)
    if found is None:
        return None
    request, size = found
    answer = ask(b, dataclasses.replace(request, party=a.party))
    with a.database.read() as connection:
        a.post.answered(b.party, request, size, answer, connection)
    return answer


def carry(a: Node, b: Node) -> int:
    """Bring everything of `a`'s log to `b` and let `b` hear it; returns the number of requests."""
    count = 0
    while step(a, b) is not None:
        count += 1
    b.hear()
    return count


def settle(*nodes: Node) -> None:
    """Carry until nothing moves any more."""
    moved = True
    while moved:
        moved = sum(carry(a, b) for a in nodes for b in nodes if a is not b) > 0


# --- agreements -----------------------------------------------------------------------------------------------------


def permit(act: str, *offices: str, **more: Any) -> Permit:
    return Permit(act, offices, **more)


SEALED: Final = Enclosures(
    to=("XA/border-guard", "XB/border-guard"), media=("application/pdf", "image/*"), max_bytes=1000, keep_days=30
)
POWERS: Final = ("agreements.amend", "agreements.suspend", "agreements.resume", "agreements.terminate")


def treaty(*parties: str, entry: Entry | None = None, title: str = "On the border posts", **more: Any) -> Agreement:
    """Clause 1: channel, with enclosures; 2: channel between foreign ministries alone; 3: powers over the agreement."""
    posts = tuple(f"{party}/border-guard" for party in parties)
    ministries = tuple(f"{party}/foreign-affairs" for party in parties)
    sealed = msgspec.structs.replace(SEALED, to=posts, max_count=2)
    channel = tuple(
        Permit(f"channel.{each}", posts, enclosures=sealed if each != "acknowledge" else None)
        for each in ("say", "reply", "acknowledge")
    )
    clauses = (
        Clause("1", {"en": "The posts keep in touch."}, permits=channel),
        Clause("2", {"en": "So do the ministries."}, permits=(Permit("channel.say", ministries),)),
        Clause("3", {"en": "Powers."}, permits=tuple(Permit(each, ministries) for each in POWERS)),
    )
    return Agreement({"en": title}, parties, more.pop("clauses", clauses), entry or Entry("signature"), **more)


def conclude(text: Agreement, *nodes: Node) -> str:
    """The first node proposes, all sign, everything is carried; returns the agreement's reference."""
    first = nodes[0]
    reference = first.say(agreements.Propose(text), clause="charter", by=f"{first.party}/foreign-affairs").reference
    settle(*nodes)
    for node in nodes:
        if node.party in text.parties:
            sign(node, reference, text)
    settle(*nodes)
    return reference


def sign(node: Node, reference: str, text: Agreement) -> str:
    act = agreements.Sign(reference, text.hash())
    return node.say(act, clause="charter", by=f"{node.party}/foreign-affairs").reference


# --- what a node holds ----------------------------------------------------------------------------------------------


def records_of(node: Node) -> dict[str, list[tuple[Any, ...]]]:
    """Every record table, save how far the logs were heard, in one order."""
    with node.database.read() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(table)))
            for table in RECORDS.sorted_tables
            if table.name != "progress"
        }


def verdict(node: Node, party: str, n: int) -> str | None:
    with node.database.read() as connection:
        query = select(verdicts.c.code).where(verdicts.c.party == party, verdicts.c.n == n)
        return connection.execute(query).scalar()


def refusals(node: Node) -> list[tuple[str, str, int, str]]:
    """(refuser, log, entry, code) of every refusal that this node has heard or said."""
    with node.database.read() as connection:
        return [(row.party, row.log, row.entry, row.code) for row in charter_records.all_refusals(connection)]


def code_of(say: Callable[[], object]) -> str:
    """The code that stands against it, or "said"."""
    try:
        say()
    except MithaqError as reason:
        return reason.code
    return "said"


# --- a party that does not keep to the rules ------------------------------------------------------------------------


class Forger:
    """A party's own signing keys without a node: what it puts into its log is not checked before it is carried."""

    def __init__(self, party: str, parties: Iterable[str], clock: Clock) -> None:
        self.party = party
        self.commission = commission_of(parties)
        self.keys = keys_of(party, self.commission)
        self.clock = clock
        self.entries: list[bytes] = []

    def statement(self, act: Any, *, clause: str = "charter", **more: Any) -> bytes:
        """A well-formed statement at the next place, with what the test changes in it."""
        at = dt.datetime.fromtimestamp(int(self.clock()), dt.UTC)
        said: Statement[Any] = Statement(
            act=act,
            at=at,
            by=f"{self.party}/foreign-affairs",
            clause=clause,
            commission=self.commission,
            n=len(self.entries),
        )
        said = msgspec.structs.replace(said, **more)
        return msgspec.json.encode(said, order="sorted")

    def put(self, *entries: bytes) -> int:
        """Add entries; returns the index of the last one."""
        self.entries.extend(entries)
        return len(self.entries) - 1

    def root(self, size: int | None = None) -> bytes:
        return merkle.root_of(merkle.leaf_hashes(self.entries[:size]))

    def checkpoint(self, size: int | None = None, root: bytes | None = None) -> bytes:
        size = len(self.entries) if size is None else size
        made = Checkpoint(self.keys.origin, size, self.root(size) if root is None else root)
        return note.sign(made, self.keys.log_signers(), int(self.clock()))

    def reader(self) -> merkle.Reader:
        return merkle.reader_of(merkle.leaf_hashes(self.entries))

    def consistency(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, self.reader()) if old else []

    def add_checkpoint(self, old: int, new: int | None = None, **more: Any) -> Request:
        new = len(self.entries) if new is None else new
        proof = more.get("proof")
        proof = self.consistency(old, new) if proof is None else proof
        body = format_add_checkpoint(old, proof, more.get("checkpoint") or self.checkpoint(new))
        return Request("POST", "add-checkpoint", body, party=self.party)

    def package(self, start: int, end: int, size: int) -> bytes:
        proof = merkle.subtree_consistency_proof(start // 256 * 256, end, size, self.reader())
        return join(self.entries[start:end]) + bytes([len(proof)]) + b"".join(proof)

    def head(self, start: int, end: int, ticket: bytes = b"") -> bytes:
        origin = self.keys.origin.encode()
        numbers = start.to_bytes(8, "big") + end.to_bytes(8, "big") + len(ticket).to_bytes(2, "big")
        return len(origin).to_bytes(2, "big") + origin + numbers + ticket

    def packages(self, start: int, end: int) -> list[bytes]:
        cuts = [start, *range((start // 256 + 1) * 256, end, 256), end]
        return [self.package(low, high, end) for low, high in itertools.pairwise(cuts) if low < high]

    def add_entries(self, start: int, end: int, *, body: bytes | None = None) -> Request:
        whole = self.head(start, end) + b"".join(self.packages(start, end)) if body is None else body
        return Request("POST", "add-entries", whole, BYTES, party=self.party)

    def bring(self, node: Node) -> Answer:
        """Everything to one node, as the rules of the wire have it; then the node hears."""
        mirror = node.post.mirror(self.party)
        if mirror.pending_size < len(self.entries):
            answer = ask(node, self.add_checkpoint(mirror.pending_size))
            assert answer.status == 200, answer
        answer = ask(node, self.add_entries(mirror.log.size, len(self.entries)))
        node.hear()
        return answer
