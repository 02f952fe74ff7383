"""Making evidence from what a node holds: one statement, its place under a signed checkpoint, the receipts for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from sqlalchemy import Connection, select

from mithaq.kernel import merkle, note
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Refused
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.log import Log
from mithaq.kernel.note import Checkpoint, Verifier
from mithaq.kernel.pairing import PairingFile
from mithaq.kernel.post import Post
from mithaq.kernel.proof import Evidence, Proof
from mithaq.kernel.tables import receipts


class Holder(Protocol):
    """What is asked of a node: its logs, its keys, its peers' keys, the time."""

    @property
    def party(self) -> str: ...
    @property
    def log(self) -> Log: ...
    @property
    def keys(self) -> NodeKeys: ...
    @property
    def peers(self) -> Mapping[str, PairingFile]: ...
    @property
    def post(self) -> Post: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def rolled_back(self) -> Refused | None: ...


def evidence(node: Holder, party: str, n: int) -> Evidence:
    """Entry `n` of a party's log with all that proves it.

    Of our own log: under the largest checkpoint that a peer has receipted and that covers `n`, with the lines of every
    peer that receipted that size; without any, under our newest checkpoint alone. Of a peer's log: under the newest
    checkpoint that we receipted. Refused `evidence.not_covered` where no signed checkpoint covers `n` yet, and while our
    own node is an old backup, which signs nothing.
    """
    if node.rolled_back is not None:
        raise node.rolled_back.again()
    with node.database.read() as connection:
        if party == node.party:
            return _own(node, n, connection)
        return _peers(node, party, n, connection)


def _own(node: Holder, n: int, connection: Connection) -> Evidence:
    entry = _entry(node.log, n, connection)
    rows = connection.execute(select(receipts).where(receipts.c.log == node.party, receipts.c.size > n)).all()
    given = [row for row in rows if row.peer in node.peers]
    size = max((row.size for row in given), default=0)
    keys: dict[str, list[Verifier]] = {}
    if size:
        signed = _signed_again(node, size, connection)
        for row in given:
            if row.size == size:
                signed = note.add_lines(signed, bytes(row.lines))
                keys |= _by_name(node.peers[row.peer].mirror_verifiers())
    else:
        size, signed = node.post.checkpoint()
        if size <= n:
            raise Refused("evidence.not_covered", party=node.party, value=n, limit=size)
    hashes = merkle.inclusion_proof(n, size, node.log.reader(connection))
    proof = Proof(n, tuple(hashes), signed).encode()
    return _file(node.keys.origin, entry, proof, node.keys.log_verifiers(), keys)


def _signed_again(node: Holder, size: int, connection: Connection) -> bytes:
    """Our checkpoint of that size, signed afresh: the peer's lines cover its text, and that is the same."""
    checkpoint = Checkpoint(node.keys.origin, size, node.log.root_at(connection, size))
    return note.sign(checkpoint, node.keys.log_signers(), max(int(node.clock()), 1))


def _peers(node: Holder, party: str, n: int, connection: Connection) -> Evidence:
    mirror = node.post.mirror(party)
    entry = _entry(mirror.log, n, connection)
    held = mirror.checkpoint(connection, int(node.clock()))
    size = Checkpoint.parse(note.split(held)[0]).size if held else 0
    if held is None or size <= n:
        raise Refused("evidence.not_covered", party=party, value=n, limit=size)
    hashes = merkle.inclusion_proof(n, size, mirror.log.reader(connection))
    proof = Proof(n, tuple(hashes), held).encode()
    return _file(mirror.origin, entry, proof, mirror.verifiers, _by_name(node.keys.mirror_verifiers()))


def _entry(log: Log, n: int, connection: Connection) -> bytes:
    found = log.entries(connection, n, n + 1)
    if not found:
        raise Refused("log.no_such_entry", party=log.name, value=n)
    return found[0]


def _by_name(verifiers: list[Verifier]) -> dict[str, list[Verifier]]:
    return {verifiers[0].name: verifiers}


def _file(
    origin: str,
    entry: bytes,
    proof: bytes,
    log: list[Verifier] | tuple[Verifier, ...],
    mirrors: Mapping[str, list[Verifier]],
) -> Evidence:
    """The file; `about` is in English, for whoever opens it, and proves nothing."""
    index = proof.partition(b"index ")[2].partition(b"\n")[0].decode()
    about = f"Entry {index} of the log {origin}, with its proof. Check it with: mithaq verify FILE"
    mirror_keys = {name: [each.vkey for each in keys] for name, keys in mirrors.items()}
    return Evidence(entry, proof, origin, [each.vkey for each in log], mirror_keys, about)
