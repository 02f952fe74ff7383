"""Talk between officials over two nodes: messages, threads, acknowledgements, each rule with its refusal."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from mithaq.kernel.statement import Enclosure
from mithaq.node import Node
from mithaq.services.channel import acts, records
from tests.nodes import START, carry, code_of, conclude, records_of, settle, treaty

Pair = tuple[Node, Node]
LATER = START + dt.timedelta(hours=2)


@pytest.fixture
def agreement(pair: Pair) -> str:
    return conclude(treaty("XA", "XB"), *pair)


def say(node: Node, act: Any, clause: str, office: str = "border-guard", enclosures: tuple[Enclosure, ...] = ()) -> str:
    said: list[str] = []
    by = f"{node.party}/{office}"
    code = code_of(lambda: said.append(node.say(act, clause=clause, by=by, enclosures=enclosures).reference))
    return said[0] if said else code


def message(to: str = "XB/border-guard", **more: Any) -> acts.Say:
    return acts.Say("Gate", "It is open.", (to,), **more)


def waiting(node: Node) -> list[str]:
    with node.database.read() as connection:
        return [row.reference for row in records.unacknowledged(connection, node.party)]


def test_said_replied_and_acknowledged(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    first = say(a, message(), clause)
    carry(a, b)
    assert waiting(b) == [first]
    assert waiting(a) == []
    answer = say(b, acts.Reply(first, "Thank you."), clause)
    assert say(b, acts.Acknowledge(first), clause, "border-guard/south").startswith("XB-2026-")
    settle(a, b)
    assert waiting(b) == []
    for node in pair:
        with node.database.read() as connection:
            assert [row.reference for row in records.thread(connection, first)] == [first, answer]
            assert [row.by for row in records.acknowledged(connection, first)] == ["XB/border-guard/south"]
            found = records.message(connection, first)
        assert found is not None
        assert (found.subject, found.by, found.clause) == ("Gate", "XA/border-guard", clause)
    assert records_of(a) == records_of(b)


def test_what_is_urgent_comes_first_and_the_earliest_deadline_before_others(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    plain = say(a, message(), clause)
    late = say(a, message(urgent=True, acknowledge_by=LATER), clause)
    soon = say(a, message(urgent=True, acknowledge_by=LATER - dt.timedelta(hours=1)), clause)
    whole = say(a, message("XB"), clause)
    carry(a, b)
    assert waiting(b) == [soon, late, plain, whole]


def test_a_message_to_a_party_whose_code_begins_alike_is_not_mine(pair: Pair) -> None:
    _, b = pair
    with b.database.write() as connection:
        row = {"thread_n": 0, "at": "", "by": "XA/x", "clause": "", "subject": "", "text": "", "urgent": False}
        row |= {"party": "XA", "n": 0, "reference": "r", "thread": "r", "thread_party": "XA", "acknowledge_by": ""}
        connection.execute(records.messages.insert(), {**row, "to": '["XBX/border-guard"]', "enclosures": "[]"})
    assert waiting(b) == []


@pytest.mark.parametrize(
    "code, act",
    [
        ("channel.stranger", message("XZ/border-guard")),
        ("channel.nobody_else", message("XA/border-guard")),
        ("channel.nobody_else", message("XA/border-guard/south")),
        ("channel.nobody_else", message("XA")),
        ("channel.deadline_without_urgency", message(acknowledge_by=LATER)),
        ("channel.deadline_without_urgency", message(urgent=True)),
        ("channel.deadline_in_past", message(urgent=True, acknowledge_by=START)),
        ("channel.unknown_message", acts.Reply("XB-2026-000099", "x")),
        ("channel.unknown_message", acts.Reply("XA-2026-000000", "x")),
        ("channel.unknown_message", acts.Acknowledge("XB-2026-000099")),
        ("channel.unknown_message", acts.Acknowledge("XZ-2026-000000")),
    ],
)
def test_a_rule_refuses(pair: Pair, agreement: str, code: str, act: Any) -> None:
    a, _ = pair
    assert say(a, act, f"{agreement}/1") == code


def test_a_copy_to_the_own_side_goes_beside_one_to_another_party(pair: Pair, agreement: str) -> None:
    a, _ = pair
    both = acts.Say("Gate", "It is open.", ("XA/border-guard/south", "XB/border-guard"))
    assert say(a, both, f"{agreement}/1").startswith("XA-2026-")


def test_only_who_was_written_to_or_began_it_replies(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    first = say(a, message("XB/border-guard/south"), clause, "border-guard/north")
    carry(a, b)
    assert say(b, acts.Reply(first, "x"), clause, "border-guard/west") == "channel.not_addressed"
    assert say(b, acts.Acknowledge(first), clause, "border-guard/west") == "channel.not_addressed"
    assert say(a, acts.Reply(first, "x"), clause, "border-guard/east") == "channel.not_addressed"
    answer = say(b, acts.Reply(first, "x"), clause, "border-guard/south")
    assert answer.startswith("XB-2026-")
    carry(b, a)
    assert say(a, acts.Reply(first, "y"), clause, "border-guard/north").startswith("XA-2026-")
    assert say(a, acts.Reply(answer, "y"), clause, "border-guard/north") == "channel.unknown_message"  # no thread


def test_one_acknowledges_the_other_sides_message_and_once(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    first = say(a, message(), clause)
    carry(a, b)
    assert say(a, acts.Acknowledge(first), clause) == "channel.own_message"
    assert say(b, acts.Acknowledge(first), clause).startswith("XB-2026-")
    assert say(b, acts.Acknowledge(first), clause) == "channel.acknowledged_twice"
    assert say(b, acts.Acknowledge(first), clause, "border-guard/south").startswith("XB-2026-")  # another office


def test_nobody_acknowledges_what_it_has_not_seen(pair: Pair, agreement: str) -> None:
    a, b = pair
    first = say(a, message(), f"{agreement}/1")
    assert say(b, acts.Acknowledge(first), f"{agreement}/1") == "channel.unknown_message"


def test_a_reference_of_another_year_is_another_message(pair: Pair, agreement: str) -> None:
    a, b = pair
    first = say(a, message(), f"{agreement}/1")
    carry(a, b)
    other = first.replace("-2026-", "-2025-")
    assert say(b, acts.Acknowledge(other), f"{agreement}/1") == "channel.unknown_message"


@pytest.mark.parametrize(
    "to, code",
    [
        ("XB/border-guard", ""),
        ("XB/border-guard/south", ""),
        ("XA/border-guard", ""),
        ("XB/customs", "mandate.enclosure_recipient"),
    ],
)
def test_an_enclosure_is_sealed_to_who_is_written_to_or_to_the_own_side(
    pair: Pair, agreement: str, to: str, code: str
) -> None:
    a, _ = pair
    sealed = Enclosure("ab" * 32, "application/pdf", 10, (to,))
    assert say(a, message(), f"{agreement}/1", enclosures=(sealed,)).startswith(code or "XA-2026-")


def test_an_enclosure_to_an_office_that_is_not_written_to_is_refused(pair: Pair, agreement: str) -> None:
    a, b = pair
    sealed = Enclosure("ab" * 32, "application/pdf", 10, ("XB/border-guard/west",))
    act = message("XB/border-guard/south")
    assert say(a, act, f"{agreement}/1", enclosures=(sealed,)) == "channel.sealed_to_another"
    first = say(a, act, f"{agreement}/1")
    carry(a, b)
    reply = acts.Reply(first, "x")
    assert say(b, reply, f"{agreement}/1", "border-guard/south", (sealed,)).startswith(
        "XB-"
    )  # the own side may keep it
    outside = Enclosure("cd" * 32, "application/pdf", 10, ("XA/border-guard/far",))
    assert say(a, message(), f"{agreement}/1", "border-guard/north") != ""
    found = say(b, reply, f"{agreement}/1", "border-guard/south", (outside,))
    assert found.startswith("XB-")  # XA/border-guard began the thread, and this office is below it
