"""What is said beside any agreement: offices, refusals, erasures."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from mithaq.kernel.errors import Refused
from mithaq.kernel.statement import Enclosure
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.charter import acts, records
from tests.nodes import (
    Clock,
    Forger,
    MakeDatabase,
    carry,
    code_of,
    conclude,
    records_of,
    refusals,
    settle,
    start,
    treaty,
)

Pair = tuple[Node, Node]
KEY, OTHER = "age1pq1" + "q" * 1952, "age1pq1" + "p" * 1952


def say(node: Node, act: Any) -> str:
    said: list[str] = []
    code = code_of(lambda: said.append(node.say(act, clause="charter", by=node.party).reference))
    return said[0] if said else code


def test_an_office_is_opened_by_its_own_party_and_its_key_replaced_by_a_later_one(pair: Pair) -> None:
    a, b = pair
    names = {"en": "Post", "ar": "منفذ", "fa": "پاسگاه"}
    assert say(a, acts.OpenOffice("XB/post", KEY, names)) == "charter.office_of_another"
    say(a, acts.OpenOffice("XA/post", KEY, names))
    assert say(a, acts.OpenOffice("XA/post", KEY, names)) == "charter.key_unchanged"
    say(a, acts.OpenOffice("XA/post", OTHER, names))
    assert say(a, acts.OpenOffice("XA/post", KEY, names)).startswith("XA-2026-")
    say(a, acts.OpenOffice("XA/post", OTHER, names))
    carry(a, b)
    with b.database.read() as connection:
        assert records.recipient(connection, "XA/post") == OTHER
        assert records.recipient(connection, "XA/nothing") is None
        assert [row.recipient for row in records.all_offices(connection)] == [KEY, OTHER, KEY, OTHER]
    assert records_of(a) == records_of(b)


def test_a_refusal_repeats_the_verdict_that_every_node_reaches(make_database: MakeDatabase, clock: Clock) -> None:
    node, peer = start("XA", ("XA", "XB"), make_database("xa"), clock), Forger("XB", ("XA", "XB"), clock)
    good = peer.put(peer.statement(agreements.Propose(treaty("XA", "XB"))))
    bad = peer.put(b"nonsense")
    peer.bring(node)
    assert refusals(node) == [("XA", "XB", bad, "statement.malformed")]
    for act in (
        acts.Refuse("XB", good, "statement.malformed"),
        acts.Refuse("XB", bad, "statement.oversized"),
        acts.Refuse("XB", 77, "statement.malformed"),
        acts.Refuse("XA", 0, "statement.malformed"),
        acts.Refuse("XZ", 0, "statement.malformed"),
        acts.Refuse("XB", 77, "statement.seen_ahead"),
    ):
        assert say(node, act) == "charter.not_refused"
    node.database.close()


def test_an_erasure_is_said_once_by_each_side_for_what_it_has_seen(pair: Pair) -> None:
    a, b = pair
    agreement = conclude(treaty("XA", "XB"), a, b)
    sealed = Enclosure("ab" * 32, "application/pdf", 10, ("XB/border-guard",))
    act = channel.Say("Gate", "Open.", ("XB/border-guard",))
    said = a.say(act, clause=f"{agreement}/1", by="XA/border-guard", enclosures=[sealed])
    erase = acts.Erase(said.reference, sealed.digest)
    assert say(b, erase) == "charter.unknown_statement"
    carry(a, b)
    assert say(b, erase).startswith("XB-2026-")
    assert say(b, erase) == "charter.erased_twice"
    assert say(a, erase).startswith("XA-2026-")
    settle(a, b)
    with b.database.read() as connection:
        assert [row.party for row in records.all_erasures(connection)] == ["XA", "XB"]
        assert len(connection.execute(select(records.erasures)).all()) == 2
    assert records_of(a) == records_of(b)


def test_two_stories_are_told_of_only_with_proof(pair: Pair) -> None:
    a, _ = pair
    telling = acts.Telling("ab" * 32, "x", ())
    for log in ("XA", "XB", "XZ"):
        with pytest.raises(Refused, match=r"charter\.same_story"):
            a.say(acts.Expose(log, 0, telling, telling), clause="charter", by="XA")


def test_the_same_story_told_twice_is_no_exposure(make_database: MakeDatabase, clock: Clock) -> None:
    node, peer = start("XA", ("XA", "XB"), make_database("xa"), clock), Forger("XB", ("XA", "XB"), clock)
    peer.put(b"one")
    leaf = peer.reader()(0, 0).hex()
    telling = acts.Telling(leaf, peer.checkpoint().decode(), ())
    assert say(node, acts.Expose("XB", 0, telling, telling)) == "charter.same_story"
    first = telling
    peer.entries[0] = b"another"
    second = acts.Telling(peer.reader()(0, 0).hex(), peer.checkpoint().decode(), ())
    assert say(node, acts.Expose("XB", 0, first, second)).startswith("XA-2026-")
    node.database.close()
