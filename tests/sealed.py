"""An agreement that allows large enclosures, and how they are sealed, named, fetched and opened in tests."""

from __future__ import annotations

import dataclasses
import io
import random
from typing import Final

from mithaq.kernel.exchange import Answer, Request
from mithaq.kernel.mandate import Agreement, Clause, Enclosures, Permit
from mithaq.kernel.statement import Enclosure
from mithaq.node import Node, Said
from mithaq.services.channel import acts as channel
from tests.nodes import OFFICES, ask, settle, treaty

KEEP_DAYS: Final = 30


def large(*parties: str) -> Agreement:
    """Clause 1 lets border guards and customs write to one another with enclosures of up to 8 MiB, kept 30 days."""
    offices = tuple(f"{party}/{office}" for party in parties for office in OFFICES)
    allowed = Enclosures(to=offices, media=("application/pdf",), max_bytes=8 * 2**20, keep_days=KEEP_DAYS, max_count=4)
    permit = Permit("channel.say", offices, enclosures=allowed)
    return treaty(*parties, clauses=(Clause("1", {"en": "They write."}, permits=(permit,)),))


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def seal(node: Node, content: bytes, *to: str) -> Enclosure:
    return node.seal(io.BytesIO(content), to, "application/pdf")


def send(node: Node, agreement: str, *enclosures: Enclosure) -> Said:
    """A message that names these enclosures, to the offices that they are sealed to."""
    to = tuple(dict.fromkeys(office for each in enclosures for office in each.to)) or ("XB/border-guard",)
    act = channel.Say("Papers", "See the enclosures.", to)
    return node.say(act, clause=f"{agreement}/1", by=f"{node.party}/border-guard", enclosures=enclosures)


def fetch_one(a: Node, b: Node) -> Answer | None:
    """One request of `b` to `a` for an enclosure, and what came of it."""
    with b.database.read() as connection:
        request = b.post.next_fetch(a.party, connection)
    if request is None:
        return None
    answer = ask(a, dataclasses.replace(request, party=b.party))
    with b.database.read() as connection:
        b.post.fetched(a.party, request, answer, connection)
    return answer


def fetch(*nodes: Node) -> int:
    """Everything carried, heard and fetched; the number of pieces."""
    settle(*nodes)
    count = 0
    for a in nodes:
        for b in nodes:
            while a is not b and fetch_one(a, b) is not None:
                count += 1
    return count


def opened(node: Node, digest: str, office: str, reason: str = "to inspect the vehicle") -> bytes:
    sink = io.BytesIO()
    node.open(digest, office, sink, reason)
    return sink.getvalue()


def get(node: Node, digest: str, party: str, offset: int = 0) -> Answer:
    return ask(node, Request("GET", f"enclosure/{digest}/{offset}", party=party))
