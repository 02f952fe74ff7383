"""One party's place: a real node over a real SQLite file, which can crash and start again, and its keys by rote."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mithaq.kernel import keys
from mithaq.kernel.database import Database
from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.keys import NodeKeys
from mithaq.kernel.pairing import PairingFile
from mithaq.node import Node
from mithaq.simulation.faults import Crash, Trap

Build = Callable[[Database, NodeKeys, Iterable[PairingFile], Callable[[], float]], Node]
SEEDS = ("log_ed25519", "log_mldsa44", "mirror_ed25519", "mirror_mldsa44", "request_ed25519")


@lru_cache(maxsize=64)
def keys_of(party: str, commission: str) -> NodeKeys:
    """The same signing keys in every run; never for anything but a simulation, for everybody can compute them."""
    made = keys.create(party, commission, [f"{party}/border"], ["127.0.0.1"])
    seeds = {name: hashlib.sha256(f"simulation {commission} {party} {name}".encode()).digest() for name in SEEDS}
    return replace(made, **seeds)  # type: ignore[arg-type]  # the names above are the fields that hold bytes


@lru_cache(maxsize=64)
def pairing_of(party: str, commission: str) -> PairingFile:
    """What the others hold of that party."""
    return keys_of(party, commission).pairing(dict.fromkeys(("ar", "en", "fa"), party), "http://127.0.0.1:1")


class Site:
    """A party's machine. `node` is None while it is down; what was committed is in `path`, and nothing else survives."""

    def __init__(
        self,
        party: str,
        parties: Sequence[str],
        folder: Path,
        clock: Callable[[], float],
        build: Build = Node,
        honest: bool = True,
    ) -> None:
        self.party = party
        self.parties = tuple(parties)
        self.commission = "-".join(parties).lower() + ".example"
        self.path = folder / f"{party}.db"
        self.clock = clock
        self.build = build
        self.honest = honest
        _lay_out(self.path)
        self.database = Database(f"sqlite:///{self.path}")
        self.trap = Trap(self.database.engine)
        self.running: Node | None = None

    @property
    def node(self) -> Node:
        """The node that runs."""
        if self.running is None:
            raise Crash
        return self.running

    def start(self) -> None:
        """A new process over what is on the disk. May crash while it starts."""
        others = [pairing_of(each, self.commission) for each in self.parties if each != self.party]
        node = self.build(self.database, keys_of(self.party, self.commission), others, self.clock)
        node.writer.after_commit.insert(0, self.trap.committed)
        self.running = node

    def crash(self) -> None:
        """All memory and all connections are gone."""
        self.running = None
        self.trap.disarm()
        self.database.close()

    def stop(self) -> None:
        """For the end of a run."""
        self.crash()


_template: list[bytes] = []


def _lay_out(path: Path) -> None:
    """An empty database as the migrations make it; made once a process, because Alembic is slower than a simulated day."""
    if not _template:
        database = Database(f"sqlite:///{path}")
        database.close()
        _template.append(path.read_bytes())
        return
    path.write_bytes(_template[0])


def remove(folder: Path) -> None:
    """The end of a world."""
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Letter:
    """One request on its way, with the size of the checkpoint that it speaks of."""

    sender: str
    receiver: str
    request: Request
    size: int


def write_letter(sender: Site, receiver: str) -> Letter | None:
    """The next request of `sender` to `receiver`, or None when all is receipted."""
    with sender.database.read() as connection:
        found = sender.node.post.next_request(receiver, connection)
    if found is None:
        return None
    request, size = found
    return Letter(sender.party, receiver, replace(request, party=sender.party), size)


def answer_letter(receiver: Site, letter: Letter) -> Answer:
    """What the receiver's node answers."""
    with receiver.database.read() as connection:
        return receiver.node.post.answer(letter.request, connection)


def take_answer(sender: Site, letter: Letter, answer: Answer) -> None:
    """The sender learns the answer; raises what its node raises."""
    with sender.database.read() as connection:
        sender.node.post.answered(letter.receiver, letter.request, letter.size, answer, connection)


def append_raw(site: Site, entries: Sequence[bytes]) -> None:
    """What a dishonest party does: entries put into its own log by no rule at all, and signed like others."""

    def work(connection: Any) -> None:
        site.node.log.append(connection, entries)

    site.node.writer.do(work)
