"""Concluding agreements between two nodes: a story per act, a refusal per rule, on SQLite and PostgreSQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from mithaq.kernel.mandate import Agreement, Duty, Entry, Permit
from mithaq.node import Node
from mithaq.services.agreements import acts, records
from mithaq.services.channel import acts as channel
from tests.nodes import Clock, code_of, conclude, records_of, settle, sign, treaty, verdict

Pair = tuple[Node, Node]
Trio = tuple[Node, Node, Node]
HASH = "ab" * 32


def say(node: Node, act: Any, clause: str = "charter", office: str = "foreign-affairs") -> str:
    """The reference of what was said, or the code of the refusal."""
    said: list[str] = []
    code = code_of(lambda: said.append(node.say(act, clause=clause, by=f"{node.party}/{office}").reference))
    return said[0] if said else code


def talk(node: Node, agreement: str, clause: str = "1") -> str:
    to = next(f"{party}/border-guard" for party in node.peers)
    found = say(node, channel.Say("Gate", "It is open.", (to,)), f"{agreement}/{clause}", "border-guard")
    return "said" if "-" in found else found


def history(node: Node, agreement: str) -> list[tuple[str, str]]:
    with node.database.read() as connection:
        return [(row.party, row.what) for row in records.history(connection, agreement)]


def agree(*nodes: Node) -> None:
    settle(*nodes)
    assert all(records_of(nodes[0]) == records_of(node) for node in nodes)
    assert records_of(nodes[0])["verdicts"] == []


def test_proposed_signed_and_in_force_on_both_sides(pair: Pair) -> None:
    a, b = pair
    text = treaty("XA", "XB")
    reference = say(a, acts.Propose(text))
    settle(a, b)
    sign(b, reference, text)
    settle(a, b)
    assert talk(a, reference) == talk(b, reference) == "mandate.not_in_force"
    sign(a, reference, text)
    assert talk(a, reference) == "said"
    assert talk(b, reference) == "mandate.not_in_force"  # not until it has seen XA's signature
    settle(a, b)
    assert talk(b, reference) == "said"
    agree(a, b)
    assert history(a, reference) == [("XA", "proposed"), ("XA", "signed"), ("XB", "signed")]


def changed(**more: Any) -> Agreement:
    return msgspec.structs.replace(treaty("XA", "XB"), **more)


def with_permit(permit: Permit) -> Agreement:
    text = treaty("XA", "XB")
    return changed(clauses=(msgspec.structs.replace(text.clauses[0], permits=(permit,)), *text.clauses[1:]))


def with_duty(owed_by: str, owed_to: str) -> Agreement:
    text = treaty("XA", "XB")
    duty = Duty(owed_by, (owed_to,), {"en": "To report."})
    return changed(clauses=(msgspec.structs.replace(text.clauses[0], obliges=(duty,)),))


SEALED_TO_STRANGER = msgspec.structs.replace(treaty("XA", "XB").clauses[0].permits[0].enclosures, to=("XC/customs",))  # type: ignore[type-var]


@pytest.mark.parametrize(
    "code, text",
    [
        ("agreements.party_missing", treaty("XA", "XZ")),
        ("agreements.party_missing", changed(parties=("XA", "XB", "XA"))),
        (
            "agreements.not_a_party",
            treaty("XB", "XA").__class__({"en": "x"}, ("XB", "XC"), treaty("XB", "XC").clauses, Entry("signature")),
        ),
        ("agreements.day_in_past", changed(entry=Entry("signature", None, dt.date(2026, 2, 28)))),
        ("agreements.day_in_past", changed(entry=Entry("signature", dt.date(2027, 1, 2), dt.date(2027, 1, 1)))),
        ("agreements.clause_twice", changed(clauses=treaty("XA", "XB").clauses * 2)),
        ("agreements.stranger", with_permit(Permit("channel.say", ("XC/customs",)))),
        ("agreements.stranger", with_permit(Permit("channel.say", ("XA",), enclosures=SEALED_TO_STRANGER))),
        ("agreements.stranger", with_duty("XC", "XA")),
        ("agreements.stranger", with_duty("XA", "XC")),
    ],
)
def test_a_text_that_does_not_hang_together_is_not_proposed(pair: Pair, code: str, text: Agreement) -> None:
    a, _ = pair
    if code == "agreements.not_a_party":
        assert say(a, acts.Propose(text)) == "agreements.party_missing"  # XC is none of this commission
        return
    assert say(a, acts.Propose(text)) == code


def test_a_party_proposes_no_text_that_it_is_no_party_of(trio: Trio) -> None:
    c, d, e = trio
    text = treaty("XD", "XE")
    assert say(c, acts.Propose(text)) == "agreements.not_a_party"
    reference = say(d, acts.Propose(text))
    settle(c, d, e)
    assert say(c, acts.Sign(reference, text.hash())) == "agreements.not_a_party"
    sign(d, reference, text)
    sign(e, reference, text)
    agree(c, d, e)
    assert talk(c, reference) == "mandate.party_not_bound"
    assert (
        say(e, channel.Say("Gate", "Open.", ("XC/border-guard",)), f"{reference}/1", "border-guard")
        == "channel.stranger"
    )


def test_a_signature_is_for_the_very_text_and_once(pair: Pair) -> None:
    a, b = pair
    text = treaty("XA", "XB")
    reference = say(a, acts.Propose(text))
    settle(a, b)
    assert say(b, acts.Sign("XA-2026-000077", HASH)) == "agreements.unknown"
    assert say(b, acts.Sign(reference, HASH)) == "agreements.hash_differs"
    assert say(b, acts.Sign(reference, text.hash())).startswith("XB-2026-")
    assert say(b, acts.Sign(reference, text.hash())) == "agreements.signed_twice"
    agree(a, b)


def test_what_was_declined_is_not_signed_any_more(pair: Pair) -> None:
    a, b = pair
    text = treaty("XA", "XB")
    reference = say(a, acts.Propose(text))
    settle(a, b)
    assert say(b, acts.Decline(reference, "Not yet.")).startswith("XB-2026-")
    settle(a, b)
    assert say(a, acts.Sign(reference, text.hash())) == "agreements.declined"
    assert say(b, acts.Decline(reference, "Again.")) == "agreements.declined"
    agree(a, b)


def test_what_all_have_signed_is_not_declined_any_more(pair: Pair) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    assert say(a, acts.Decline(reference, "No.")) == "agreements.already_in_force"


def test_by_notification_each_party_says_from_when_it_is_bound(pair: Pair, clock: Clock) -> None:
    a, b = pair
    text = treaty("XA", "XB", entry=Entry("notification"))
    reference = say(a, acts.Propose(text))
    settle(a, b)
    assert say(b, acts.BringIntoForce(reference, clock.today)) == "agreements.not_signed"
    sign(a, reference, text)
    sign(b, reference, text)
    settle(a, b)
    earlier = clock.today - dt.timedelta(days=1)
    assert say(a, acts.BringIntoForce(reference, earlier)) == "agreements.day_before_signature"
    later = clock.today + dt.timedelta(days=3)
    assert say(a, acts.BringIntoForce(reference, clock.today)).startswith("XA-2026-")
    assert say(a, acts.BringIntoForce(reference, clock.today)) == "agreements.already_in_force"
    assert say(b, acts.BringIntoForce(reference, later)).startswith("XB-2026-")
    settle(a, b)
    assert talk(a, reference) == "mandate.not_in_force"
    clock.pass_days(3)
    assert talk(a, reference) == talk(b, reference) == "said"
    agree(a, b)


def test_by_signature_nothing_is_notified(pair: Pair, clock: Clock) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    assert say(a, acts.BringIntoForce(reference, clock.today)) == "agreements.already_in_force"


def test_an_amendment_holds_once_both_have_signed_it(pair: Pair) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    text = treaty("XA", "XB")
    silent = changed(
        clauses=(msgspec.structs.replace(text.clauses[0], permits=text.clauses[0].permits[1:]), *text.clauses[1:])
    )
    amendment = say(a, acts.Amend(reference, silent), f"{reference}/3")
    settle(a, b)
    sign(a, amendment, silent)
    assert talk(a, reference) == "said"
    sign(b, amendment, silent)
    assert talk(b, reference) == "said"  # XB has not seen XA's signature
    settle(a, b)
    assert talk(a, reference) == talk(b, reference) == "mandate.act_not_named"
    agree(a, b)
    assert ("XA", "amended") in history(b, reference)


def test_an_amendment_keeps_the_parties(trio: Trio) -> None:
    c, d, e = trio
    reference = conclude(treaty("XC", "XD"), c, d, e)
    assert say(c, acts.Amend(reference, treaty("XC", "XD", "XE")), f"{reference}/3") == "agreements.party_missing"
    assert say(c, acts.Amend(reference, treaty("XC", "XE")), f"{reference}/3") == "agreements.party_missing"


def test_a_power_comes_from_the_agreement_itself(pair: Pair, clock: Clock) -> None:
    a, b = pair
    one, other = conclude(treaty("XA", "XB"), a, b), conclude(treaty("XA", "XB"), a, b)
    for act in (
        acts.Amend(one, treaty("XA", "XB")),
        acts.Suspend(one, "flood"),
        acts.Resume(one),
        acts.Terminate(one, clock.today, "x"),
    ):
        assert say(a, act, f"{other}/3") == "agreements.power_of_another"
        assert say(a, act, f"{one}/3", "border-guard") == "mandate.office_not_entitled"
        assert say(a, act, f"{one}/1") == "mandate.act_not_named"


def test_suspended_and_resumed_clause_by_clause_and_side_by_side(pair: Pair) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    powers = f"{reference}/3"
    assert say(b, acts.Suspend(reference, "flood", "9"), powers) == "agreements.clause_unknown"
    assert say(b, acts.Suspend(reference, "flood", "3"), powers) == "agreements.clause_keeps_powers"
    assert say(b, acts.Resume(reference, "1"), powers) == "agreements.not_suspended"
    assert say(b, acts.Suspend(reference, "flood", "1"), powers).startswith("XB-2026-")
    assert say(b, acts.Suspend(reference, "flood", "1"), powers) == "agreements.already_suspended"
    assert talk(b, reference) == "mandate.suspended"
    assert talk(a, reference) == "said"  # unseen
    settle(a, b)
    assert talk(a, reference) == "mandate.suspended"
    assert say(a, acts.Resume(reference, "1"), powers) == "agreements.not_suspended"  # it is XB's to lift
    assert say(b, acts.Resume(reference, "1"), powers).startswith("XB-2026-")
    settle(a, b)
    assert talk(a, reference) == talk(b, reference) == "said"
    agree(a, b)


def test_the_whole_can_be_suspended_and_still_be_resumed(pair: Pair) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    say(a, acts.Suspend(reference, "flood"), f"{reference}/3")
    settle(a, b)
    assert talk(a, reference) == talk(b, reference) == "mandate.suspended"
    assert say(a, acts.Resume(reference), f"{reference}/3").startswith("XA-2026-")
    settle(a, b)
    assert talk(b, reference) == "said"
    agree(a, b)


def test_ended_by_one_of_two_it_ends_for_both_after_the_day(pair: Pair, clock: Clock) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    day = clock.today + dt.timedelta(days=10)
    past = clock.today - dt.timedelta(days=1)
    assert say(a, acts.Terminate(reference, past, "x"), f"{reference}/3") == "agreements.day_in_past"
    assert say(a, acts.Terminate(reference, day, "x"), f"{reference}/3").startswith("XA-2026-")
    assert say(a, acts.Terminate(reference, day, "x"), f"{reference}/3") == "agreements.terminated"
    settle(a, b)
    clock.pass_days(10)
    assert talk(a, reference) == talk(b, reference) == "said"
    clock.pass_days(1)
    assert talk(a, reference) == talk(b, reference) == "mandate.terminated"
    agree(a, b)


def test_when_one_of_three_leaves_the_others_go_on(trio: Trio, clock: Clock) -> None:
    c, d, e = trio
    reference = conclude(treaty("XC", "XD", "XE"), c, d, e)
    say(c, acts.Terminate(reference, clock.today, "x"), f"{reference}/3")
    settle(c, d, e)
    clock.pass_days(1)
    assert talk(c, reference) == "mandate.terminated"
    assert talk(d, reference) == talk(e, reference) == "said"
    agree(c, d, e)


def test_signatures_and_a_refusal_that_cross_give_the_same_picture_on_both_sides(pair: Pair) -> None:
    a, b = pair
    text = treaty("XA", "XB")
    reference = say(a, acts.Propose(text))
    settle(a, b)
    sign(a, reference, text)
    say(b, acts.Decline(reference, "No."))
    agree(a, b)
    assert talk(a, reference) == talk(b, reference) == "mandate.not_in_force"


def test_every_event_is_a_fact_that_survives_a_rebuild(pair: Pair, clock: Clock) -> None:
    a, b = pair
    reference = conclude(treaty("XA", "XB"), a, b)
    say(a, acts.Suspend(reference, "flood", "1"), f"{reference}/3")
    say(a, acts.Resume(reference, "1"), f"{reference}/3")
    say(a, acts.Terminate(reference, clock.today, "x"), f"{reference}/3")
    agree(a, b)
    before = records_of(b)
    b.rebuild()
    assert records_of(b) == before
    assert verdict(b, "XA", 0) is None
