"""Bodies, meetings and minutes over two and three nodes: what each side says of them, each rule with its refusal, the laws."""

from __future__ import annotations

import datetime as dt
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithaq.kernel.mandate import Agreement, Clause, Duty, Entry, Permit
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.meetings import acts, records, standing
from mithaq.services.meetings.acts import AgendaItem, Delegate, MinuteItem, Side
from tests.nodes import START, Clock, MakeDatabase, carry, code_of, conclude, paired, records_of, settle

Pair = tuple[Node, Node]
Trio = tuple[Node, Node, Node]
DAY: Final = dt.date(2026, 4, 10)
TODAY: Final = START.date()
ACTS: Final = (
    "form_body", "join_body", "set_side", "invite", "accept_invitation", "decline_invitation", "hold", "cancel", "minute",
    "sign_minutes", "dissent",
)  # fmt: skip
NAME: Final = {"ar": "فريق العمل", "fa": "کارگروه"}


def text(*parties: str, title: str = "On meeting") -> Agreement:
    """Clause 1: the mandate, with a duty; 2: the same acts; 3: powers; 4: a mandate that permits nothing."""
    offices = tuple(f"{party}/{office}" for party in parties for office in ("interior", "border-guard"))
    permits = tuple(Permit(f"meetings.{each}", offices) for each in ACTS)
    ministries = tuple(f"{party}/foreign-affairs" for party in parties)
    powers = tuple(Permit(f"agreements.{each}", ministries) for each in ("amend", "suspend", "resume", "terminate"))
    duty = Duty(parties[0], parties[1:], {"en": "Mark the line."})
    clauses = (
        Clause("1", {"en": "A group meets."}, permits=permits, obliges=(duty,)),
        Clause("2", {"en": "Its secretaries too."}, permits=permits),
        Clause("3", {"en": "Powers."}, permits=powers),
        Clause("4", {"en": "A second group."}),
    )
    return Agreement({"en": title, "ar": "في اللقاء"}, parties, clauses, Entry("signature"))


@pytest.fixture
def judges(sqlite: MakeDatabase, clock: Clock) -> Iterator[Pair]:
    """A pair on SQLite alone, for long lists of what a rule refuses."""
    with paired(sqlite, ("XA", "XB"), clock) as (a, b):
        yield a, b


@pytest.fixture
def agreement(pair: Pair) -> str:
    return conclude(text("XA", "XB"), *pair)


@pytest.fixture
def clause(agreement: str) -> str:
    return f"{agreement}/1"


def say(node: Node, act: Any, clause: str, office: str = "interior") -> str:
    said: list[str] = []
    code = code_of(lambda: said.append(node.say(act, clause=clause, by=f"{node.party}/{office}").reference))
    return said[0] if said else code


def side(party: str, lead: str = "interior", deputy: str = "", *members: str) -> Side:
    return Side(party, f"{party}/{lead}" if lead else "", f"{party}/{deputy}" if deputy else "", members)


def forming(clause: str, *parties: str, **more: Any) -> acts.FormBody:
    given = {"name": NAME, "kind": "working_group", "clause": clause, "languages": ("ar", "fa"), **more}
    return acts.FormBody(sides=given.pop("sides", tuple(side(each) for each in parties or ("XA", "XB"))), **given)


def form(clause: str, *nodes: Node, **more: Any) -> str:
    body = say(nodes[0], forming(clause, *(node.party for node in nodes), **more), clause)
    settle(*nodes)
    for node in nodes:
        assert say(node, acts.JoinBody(body), clause).startswith(node.party)
    settle(*nodes)
    return body


def invitation(*to: str, **more: Any) -> acts.Invite:
    given = {"kind": "meeting", "title": NAME, "day": DAY, "place": "At the gate", **more}
    return acts.Invite(to=to or ("XB",), **given)


def held(clause: str, a: Node, b: Node, body: str = "", **more: Any) -> str:
    """A visit of yesterday that both sides say was held."""
    yesterday = TODAY - dt.timedelta(days=1)
    meeting = say(a, invitation(body=body, kind="visit", day=yesterday, **more), clause)
    carry(a, b)
    for node in (a, b):
        assert say(node, acts.Hold(meeting, yesterday), clause).startswith(node.party)
    settle(a, b)
    return meeting


def noted(number: int = 1, **more: Any) -> MinuteItem:
    return MinuteItem(number, "noted", NAME, **more)


def action(number: int = 1, **more: Any) -> MinuteItem:
    return MinuteItem(number, "action", NAME, **{"owed_by": "XB", **more})


def minuting(meeting: str, *items: MinuteItem, sides: tuple[str, ...] = ("XA", "XB"), **more: Any) -> acts.Minute:
    return acts.Minute(meeting, sides, items or (noted(),), **more)


def read(node: Node, query: Callable[..., Any], *given: Any, **named: Any) -> Any:
    with node.database.read() as connection:
        return query(connection, *given, **named)


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_exists_once_each_of_its_sides_has_joined(pair: Pair, agreement: str, clause: str) -> None:
    a, b = pair
    body = say(a, forming(clause, cadence="P6M", kind="commission"), clause)
    settle(a, b)
    assert say(a, acts.JoinBody(body), f"{agreement}/2").startswith("XA")
    settle(a, b)
    for node in pair:
        found = read(node, records.body, body)
        assert (found.state, list(found.joined)) == ("proposed", ["XA"])
    assert say(b, acts.JoinBody(body), clause).startswith("XB")
    settle(a, b)
    for node in pair:
        (found,) = read(node, records.bodies, agreement)
        assert (found.reference, found.state, found.text.cadence) == (body, "formed", "P6M")
        assert found.signers("XA") == ("XA/interior",)
        assert found.signers("XC") == ()
        assert read(node, records.bodies, "XB-2026-000000") == []
        assert read(node, records.body, "XB-2026-000000") is None
    assert records_of(a) == records_of(b)


def test_a_party_changes_its_own_side_and_no_other(pair: Pair, clause: str) -> None:
    a, b = pair
    body = form(clause, a, b)
    assert say(b, acts.SetSide(body, side("XA")), clause) == "meetings.another_side"
    assert say(b, acts.SetSide(body, side("XB", "")), clause) == "meetings.no_lead"
    assert say(b, acts.SetSide(body, side("XB", "interior", "", "XA/interior")), clause) == "meetings.office_of_another"
    changed = say(b, acts.SetSide(body, side("XB", "interior/security", "border-guard")), clause)
    settle(a, b)
    for node in pair:
        found = read(node, records.body, body)
        assert found.signers("XB") == ("XB/interior/security", "XB/border-guard")
        assert found.sides["XA"] == side("XA")
        assert [each.mark.reference for each in found.changes] == [changed]


@pytest.mark.parametrize(
    "code, more",
    [
        ("meetings.no_lead", {"sides": (side("XA"), side("XB", ""))}),
        ("meetings.side_is_no_party", {"sides": (side("XA"), side("XZ"))}),
        ("meetings.side_is_no_party", {"host": "XZ"}),
        ("meetings.side_twice", {"sides": (side("XA"), side("XA"))}),
        ("meetings.own_side_missing", {"sides": (side("XB"), side("XZ"))}),
        ("meetings.office_of_another", {"sides": (side("XA"), Side("XB", "XA/interior"))}),
        ("meetings.office_of_another", {"sides": (side("XA"), Side("XB", "XB/interior", "XA/interior"))}),
        ("meetings.language_missing", {"languages": ("ar", "en")}),
        ("meetings.another_agreement", {"clause": "charter"}),
    ],
)
def test_a_body_is_refused(judges: Pair, code: str, more: dict[str, Any]) -> None:
    clause = f"{conclude(text('XA', 'XB'), *judges)}/1"
    assert say(judges[0], forming(**{"clause": clause, **more}), clause) == code


def test_a_body_stands_under_a_clause_of_the_agreement_that_it_is_said_under(pair: Pair, agreement: str) -> None:
    a, b = pair
    other = conclude(text("XA", "XB", title="Another"), a, b)
    assert say(a, forming(f"{other}/1"), f"{agreement}/1") == "meetings.another_agreement"
    assert say(a, forming(f"{agreement}/9"), f"{agreement}/1") == "meetings.unknown_clause"
    body = say(a, forming(f"{agreement}/4"), f"{agreement}/2")
    assert body.startswith("XA")
    assert say(a, acts.JoinBody(body), f"{other}/1") == "meetings.another_agreement"


def test_a_body_rests_while_its_mandate_clause_is_suspended(pair: Pair, agreement: str) -> None:
    a, _ = pair
    mandate, other = f"{agreement}/4", f"{agreement}/2"
    body = say(a, forming(mandate), other)
    stop = agreements.Suspend(agreement, "We wait.", "4")
    assert say(a, stop, f"{agreement}/3", "foreign-affairs").startswith("XA")
    assert say(a, acts.JoinBody(body), other) == "meetings.mandate_not_in_force"
    assert say(a, forming(mandate, name={"ar": "ب", "fa": "ب"}), other) == "meetings.mandate_not_in_force"
    assert say(a, agreements.Resume(agreement, "4"), f"{agreement}/3", "foreign-affairs").startswith("XA")
    assert say(a, acts.JoinBody(body), other).startswith("XA")


def test_two_bodies_of_one_name_under_one_clause_are_refused_once_one_is_known(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    first, second = say(a, forming(clause), clause), say(b, forming(clause), clause)  # they cross
    settle(a, b)
    assert say(a, forming(clause), clause) == "meetings.name_taken"
    assert say(a, forming(f"{agreement}/4"), clause).startswith("XA")  # another mandate
    for node in pair:
        assert say(node, acts.JoinBody(first), clause).startswith(node.party)
    settle(a, b)
    assert say(a, acts.JoinBody(second), clause) == "meetings.name_taken"
    assert say(a, acts.JoinBody(first), clause) == "meetings.joined_twice"


def test_what_is_unknown_to_the_speaker_is_refused(pair: Pair, clause: str) -> None:
    a, b = pair
    body = say(a, forming(clause), clause)
    missing = "XB-2026-000099"
    assert say(b, acts.JoinBody(body), clause) == "meetings.unknown_body"
    assert say(a, acts.SetSide(body.replace("-2026-", "-2025-"), side("XA")), clause) == "meetings.unknown_body"
    assert say(a, invitation(body=missing), clause) == "meetings.unknown_body"
    assert say(a, acts.Hold(missing, TODAY), clause) == "meetings.unknown_meeting"
    assert say(a, acts.SignMinutes(missing, "0" * 64), clause) == "meetings.unknown_minutes"
    assert say(a, acts.Dissent(missing, 1, "No."), clause) == "meetings.unknown_minutes"


# --- meetings ---------------------------------------------------------------------------------------------------------


def test_invited_accepted_and_held_with_what_each_side_says_of_the_day(pair: Pair, clause: str, clock: Clock) -> None:
    a, b = pair
    body = form(clause, a, b)
    sent = (Delegate("XA/interior", "head"), Delegate("XA/border-guard"))
    agenda = (AgendaItem(NAME, f"{clause}:1"),)
    meeting = say(a, invitation(body=body, agenda=agenda, delegation=sent, hijri="1447-10-22"), clause)
    settle(a, b)
    for node in pair:
        (found,) = read(node, records.upcoming, TODAY)
        assert (found.reference, found.state, found.sides) == (meeting, "invited", ("XA", "XB"))
    assert say(b, acts.AcceptInvitation(meeting, (Delegate("XB/interior", "head"),), "1447-10-21"), clause)[:2] == "XB"
    settle(a, b)
    assert read(a, records.meeting, meeting).state == "accepted"
    clock.pass_days((DAY - TODAY).days)
    assert say(a, acts.Hold(meeting, DAY, hijri="1447-10-22"), clause).startswith("XA")
    assert say(b, acts.Hold(meeting, DAY, (Delegate("XB/border-guard", "deputy"),), "1447-10-21"), clause)[:2] == "XB"
    settle(a, b)
    for node in pair:
        assert read(node, records.upcoming, TODAY) == []
        (found,) = read(node, records.past, DAY, body, "XB")
        assert (found.state, found.held_on, found.crossed) == ("held", DAY, ())
        assert found.hijri == {"XA": "1447-10-22", "XB": "1447-10-21"}
        assert {party: each.hijri for party, each in found.held.items()} == found.hijri
        assert found.delegations == {"XA": sent, "XB": (Delegate("XB/border-guard", "deputy"),)}
        assert read(node, records.meetings, "", "XC") == []
    assert records_of(a) == records_of(b)


def test_a_month_is_past_at_its_end(pair: Pair, clause: str) -> None:
    a, _ = pair
    assert say(a, invitation(day=TODAY.replace(day=1), day_precision="month"), clause).startswith("XA")
    assert say(a, invitation(day=dt.date(2026, 2, 28), day_precision="month"), clause) == "meetings.day_in_past"
    (found,) = read(a, records.upcoming, dt.date(2026, 3, 31))
    assert found.invitation.last_day == dt.date(2026, 3, 31)
    assert read(a, records.past, dt.date(2026, 4, 1)) == [found]


@pytest.mark.parametrize(
    "code, more",
    [
        ("meetings.day_in_past", {"day": TODAY - dt.timedelta(days=1)}),
        ("meetings.day_in_past", {"day": TODAY - dt.timedelta(days=1), "kind": "session"}),
        ("XA-", {"day": TODAY - dt.timedelta(days=1), "kind": "visit"}),
        ("XA-", {"day": TODAY - dt.timedelta(days=1), "kind": "call"}),
        ("XA-", {"day": TODAY}),
        ("meetings.side_twice", {"to": ("XA",)}),
        ("meetings.side_twice", {"to": ("XB", "XB")}),
        ("meetings.side_is_no_party", {"to": ("XZ",)}),
        ("meetings.office_of_another", {"delegation": (Delegate("XB/interior"),)}),
        ("meetings.unknown_obligation", {"agenda": (AgendaItem(NAME, "XA-2026-000099/1:1"),)}),
    ],
)
def test_an_invitation_is_judged(judges: Pair, code: str, more: dict[str, Any]) -> None:
    clause = f"{conclude(text('XA', 'XB'), *judges)}/1"
    given = {"kind": "meeting", "title": NAME, "day": DAY, "place": "Gate", "to": ("XB",), **more}
    assert say(judges[0], acts.Invite(**given), clause).startswith(code)


def test_an_obligation_is_named_by_its_place_in_a_clause(pair: Pair, clause: str) -> None:
    for place in (0, 2):
        item = AgendaItem(NAME, f"{clause}:{place}")
        assert say(pair[0], invitation(agenda=(item,)), clause) == "meetings.unknown_obligation"


def test_a_body_that_is_not_formed_meets_nobody(pair: Pair, clause: str) -> None:
    a, _ = pair
    body = say(a, forming(clause), clause)
    assert say(a, invitation(body=body), clause) == "meetings.body_not_formed"


def test_only_who_was_invited_answers_and_each_answer_once(pair: Pair, clause: str) -> None:
    a, b = pair
    meeting = say(a, invitation(), clause)
    carry(a, b)
    assert say(a, acts.AcceptInvitation(meeting), clause) == "meetings.not_invited"
    assert say(b, acts.Cancel(meeting, "No."), clause) == "meetings.not_taking_part"
    assert say(b, acts.DeclineInvitation(meeting, "Too soon."), clause).startswith("XB")
    assert read(b, records.meeting, meeting).state == "declined"
    assert say(b, acts.DeclineInvitation(meeting, "Too soon."), clause) == "meetings.already_declined"
    assert say(b, acts.Hold(meeting, TODAY), clause) == "meetings.not_taking_part"
    stranger = (Delegate("XA/interior"),)
    assert say(b, acts.AcceptInvitation(meeting, stranger), clause) == "meetings.office_of_another"
    assert say(b, acts.AcceptInvitation(meeting), clause).startswith("XB")  # it has come round
    assert read(b, records.meeting, meeting).state == "accepted"
    assert say(b, acts.AcceptInvitation(meeting), clause) == "meetings.already_accepted"
    assert say(b, acts.DeclineInvitation(meeting, "After all."), clause) == "meetings.already_accepted"
    assert say(b, acts.Cancel(meeting, "After all."), clause).startswith("XB")
    assert read(b, records.meeting, meeting).state == "cancelled"
    carry(b, a)
    assert say(a, acts.Hold(meeting, TODAY), clause) == "meetings.cancelled"
    assert say(a, acts.Cancel(meeting, "Too."), clause) == "meetings.cancelled"


def test_held_is_said_once_not_of_a_day_to_come_and_not_undone(pair: Pair, clause: str) -> None:
    a, b = pair
    meeting = say(a, invitation(day=TODAY), clause)
    carry(a, b)
    assert say(b, acts.Hold(meeting, TODAY + dt.timedelta(days=2)), clause) == "meetings.day_in_future"
    assert say(b, acts.Hold(meeting, TODAY, (Delegate("XA/interior"),)), clause) == "meetings.office_of_another"
    assert say(b, acts.Hold(meeting, TODAY + dt.timedelta(days=1)), clause).startswith("XB")  # there it is tomorrow
    assert say(b, acts.Hold(meeting, TODAY), clause) == "meetings.already_held"
    assert say(b, acts.DeclineInvitation(meeting, "No."), clause) == "meetings.already_held"
    carry(b, a)
    assert say(a, acts.Cancel(meeting, "No."), clause) == "meetings.already_held"
    assert say(a, acts.Hold(meeting, TODAY), clause).startswith("XA")
    found = read(a, records.meeting, meeting)
    assert found.held_on is None, "two days stand side by side"
    assert sorted(each.day for each in found.held.values()) == [TODAY, TODAY + dt.timedelta(days=1)]


def test_a_cancellation_that_crosses_with_the_meeting_stands_beside_it(pair: Pair, clause: str) -> None:
    a, b = pair
    meeting = say(a, invitation(day=TODAY), clause)
    carry(a, b)
    cancelled = say(a, acts.Cancel(meeting, "A storm."), clause)
    assert say(b, acts.Hold(meeting, TODAY), clause).startswith("XB")
    settle(a, b)
    for node in pair:
        found = read(node, records.meeting, meeting)
        assert (found.state, found.crossed, list(found.cancelled)) == ("held", (cancelled,), ["XA"])


def test_two_invitations_for_one_day_that_cross_are_shown_as_such(pair: Pair, clause: str) -> None:
    a, b = pair
    body = form(clause, a, b)
    first, second = say(a, invitation("XB", body=body), clause), say(b, invitation("XA", body=body), clause)
    settle(a, b)
    for node in pair:
        assert read(node, records.meeting, first).crossed == (second,)
        assert read(node, records.meeting, second).crossed == (first,)


def test_a_meeting_is_spoken_of_under_its_own_agreement(pair: Pair, clause: str) -> None:
    a, b = pair
    other = conclude(text("XA", "XB", title="Another"), a, b)
    meeting = say(a, invitation(), clause)
    carry(a, b)
    assert say(b, acts.AcceptInvitation(meeting), f"{other}/1") == "meetings.another_agreement"


def test_of_three_sides_two_still_meet(trio: Trio) -> None:
    c, d, e = trio
    clause = f"{conclude(text('XC', 'XD', 'XE'), *trio)}/1"
    meeting = say(c, invitation("XD", "XE", day=TODAY), clause)
    settle(*trio)
    assert say(d, acts.DeclineInvitation(meeting, "No."), clause).startswith("XD")
    assert say(e, acts.AcceptInvitation(meeting), clause).startswith("XE")
    settle(*trio)
    assert {read(node, records.meeting, meeting).state for node in trio} == {"accepted"}
    assert say(e, acts.Hold(meeting, TODAY), clause).startswith("XE")
    settle(*trio)
    assert say(c, minuting(meeting, sides=("XC", "XD", "XE")), clause) == "meetings.not_taking_part"
    assert say(c, minuting(meeting, sides=("XC", "XD")), clause) == "meetings.not_taking_part"
    assert say(d, minuting(meeting, sides=("XC", "XE")), clause) == "meetings.not_taking_part"
    minutes = say(c, minuting(meeting, sides=("XC", "XE")), clause)
    settle(*trio)
    digest = minuting(meeting, sides=("XC", "XE")).hash()
    assert say(d, acts.SignMinutes(minutes, digest), clause) == "meetings.not_taking_part"
    for node in (c, e):
        assert say(node, acts.SignMinutes(minutes, digest), clause).startswith(node.party)
    settle(*trio)
    assert {read(node, records.minutes, minutes).minutes.state for node in trio} == {"agreed"}


# --- minutes ----------------------------------------------------------------------------------------------------------


def test_minutes_are_agreed_when_all_leads_have_signed_one_hash(pair: Pair, agreement: str, clause: str) -> None:
    a, b = pair
    body = form(clause, a, b)
    meeting = held(clause, a, b, body)
    act = minuting(
        meeting, noted(), action(2, due="P30D", office="XB/border-guard", obligation=f"{clause}:1"), next=DAY
    )
    minutes = say(a, act, clause)
    settle(a, b)
    assert say(a, acts.SignMinutes(minutes, act.hash()), clause).startswith("XA")
    assert read(a, records.action_items) == []
    assert say(b, acts.Dissent(minutes, 2, "We see it otherwise."), clause).startswith("XB")
    assert say(b, acts.SignMinutes(minutes, act.hash()), clause).startswith("XB")
    settle(a, b)
    for node in pair:
        shown = read(node, records.minutes, minutes)
        assert (shown.hash, shown.languages, shown.agreement) == (act.hash(), ("ar", "fa"), agreement)
        assert shown.agreement_title["en"] == "On meeting"
        assert (shown.body.reference, shown.meeting.reference) == (body, meeting)
        assert (shown.minutes.state, shown.minutes.missing, set(shown.minutes.signed)) == ("agreed", (), {"XA", "XB"})
        assert shown.minutes.was_agreed
        assert [each.text for each in shown.minutes.dissents[2]] == ["We see it otherwise."]
        (owed,) = read(node, records.action_items, body, "XB")
        assert shown.actions == (owed,)
        assert (owed.reference, owed.owed_by, owed.owed_to) == (f"{minutes}:2", "XB", ("XA",))
        assert owed.due_day == TODAY + dt.timedelta(days=29)
        assert (owed.office, owed.follows, len(owed.dissents)) == ("XB/border-guard", f"{clause}:1", 1)
        open_ = read(node, records.arising, body)
        assert (open_.unsigned, open_.actions, len(open_.dissents)) == ((), (owed,), 1)
        assert read(node, records.action_items, "", "XC") == []
        assert read(node, records.minutes, meeting) is None
    assert records_of(a) == records_of(b)


def test_minutes_of_a_meeting_that_neither_side_said_was_held_are_refused(pair: Pair, clause: str) -> None:
    a, b = pair
    meeting = say(a, invitation(day=TODAY), clause)
    assert say(a, minuting(meeting), clause) == "meetings.not_held"
    carry(a, b)
    assert say(b, acts.Hold(meeting, TODAY), clause).startswith("XB")
    carry(b, a)
    assert say(a, minuting(meeting), clause).startswith("XA")


@pytest.mark.parametrize(
    "code, items, more",
    [
        ("meetings.language_missing", (MinuteItem(1, "noted", {"ar": "ب"}),), {}),
        ("meetings.item_twice", (noted(), noted()), {}),
        ("meetings.side_twice", (), {"sides": ("XA", "XB", "XB")}),
        ("meetings.not_taking_part", (), {"sides": ("XA", "XB", "XZ")}),
        ("meetings.unknown_minutes", (), {"replaces": ("XA-2026-000099",)}),
        ("meetings.day_in_past", (), {"next": dt.date(2026, 1, 1)}),
        ("meetings.unknown_obligation", (noted(obligation="XA-2026-000099/1:1"),), {}),
        ("meetings.not_an_action", (noted(owed_by="XA"),), {}),
        ("meetings.not_an_action", (noted(due="2027-01"),), {}),
        ("meetings.not_owed", (action(owed_by=""),), {}),
        ("meetings.not_owed", (action(owed_by="XZ"),), {}),
        ("meetings.not_owed", (action(owed_to="XZ"),), {}),
        ("meetings.not_owed", (action(owed_to="XB"),), {}),
        ("meetings.office_of_another", (action(office="XA/interior"),), {}),
        ("meetings.no_such_day", (action(due="2026-02-30"),), {}),
        ("meetings.no_such_day", (action(due="2026-13"),), {}),
        ("meetings.due_before_meeting", (action(due="2026-01-31"),), {}),
        ("XA-", (action(due="P9999Y"), action(2, due="2026-12"), action(3, owed_to="XA")), {}),
    ],
)
def test_minutes_are_judged(judges: Pair, code: str, items: tuple[MinuteItem, ...], more: dict[str, Any]) -> None:
    a, b = judges
    clause = f"{conclude(text('XA', 'XB'), a, b)}/1"
    meeting = held(clause, a, b)
    assert say(a, minuting(meeting, *items, **more), clause).startswith(code)


def test_a_side_that_met_is_not_left_out(trio: Trio) -> None:
    c, _, e = trio
    clause = f"{conclude(text('XC', 'XD', 'XE'), *trio)}/1"
    meeting = say(c, invitation("XD", "XE", day=TODAY), clause)
    settle(*trio)
    assert say(e, acts.Hold(meeting, TODAY), clause).startswith("XE")
    settle(*trio)
    assert say(c, minuting(meeting, sides=("XC", "XD")), clause) == "meetings.side_left_out"
    assert say(c, minuting(meeting, sides=("XD", "XE")), clause) == "meetings.side_left_out"


def test_the_lead_or_the_deputy_signs_the_very_text_once(pair: Pair, clause: str) -> None:
    a, b = pair
    body = form(clause, a, b, sides=(side("XA", "interior", "border-guard"), side("XB", "interior/security")))
    meeting = held(clause, a, b, body)
    act = minuting(meeting)
    minutes = say(a, act, clause)
    settle(a, b)
    sign = acts.SignMinutes(minutes, act.hash())
    assert say(b, sign, clause) == "meetings.not_the_lead"  # above the lead is not the lead
    assert say(a, acts.SignMinutes(minutes, "0" * 64), clause) == "meetings.hash_differs"
    assert say(a, sign, clause, "border-guard").startswith("XA")
    assert say(a, sign, clause) == "meetings.signed_twice"
    assert say(b, sign, clause, "interior/security").startswith("XB")


def test_outside_a_body_the_head_of_the_delegation_signs_or_who_called(pair: Pair, clause: str) -> None:
    a, b = pair
    meeting = say(a, invitation(day=TODAY), clause)
    carry(a, b)
    sent = (Delegate("XB/border-guard", "head"), Delegate("XB/interior"))
    assert say(b, acts.Hold(meeting, TODAY, sent), clause).startswith("XB")
    minutes = say(b, minuting(meeting), clause)
    settle(a, b)
    sign = acts.SignMinutes(minutes, minuting(meeting).hash())
    assert say(a, sign, clause, "border-guard") == "meetings.not_the_lead"
    assert say(a, sign, clause).startswith("XA")
    assert say(b, sign, clause) == "meetings.not_the_lead"
    assert say(b, sign, clause, "border-guard").startswith("XB")
    carry(a, b)
    assert read(b, records.minutes, minutes).minutes.state == "agreed"


def test_a_dissent_is_recorded_once_for_an_item_that_is_there(pair: Pair, clause: str) -> None:
    a, b = pair
    minutes = say(a, minuting(held(clause, a, b)), clause)
    carry(a, b)
    assert say(b, acts.Dissent(minutes, 7, "No."), clause) == "meetings.unknown_item"
    assert say(b, acts.Dissent(minutes, 1, "No."), clause).startswith("XB")
    assert say(b, acts.Dissent(minutes, 1, "No!"), clause) == "meetings.dissented_twice"


def test_a_second_text_is_signed_only_where_it_replaces_the_first(pair: Pair, clause: str) -> None:
    a, b = pair
    meeting = held(clause, a, b)
    one, two = minuting(meeting, action()), minuting(meeting, noted(), action(2))
    first, second = say(a, one, clause), say(b, two, clause)
    assert say(a, acts.SignMinutes(first, one.hash()), clause).startswith("XA")
    assert say(b, acts.SignMinutes(second, two.hash()), clause).startswith("XB")
    settle(a, b)  # each side has signed its own
    assert say(a, acts.SignMinutes(second, two.hash()), clause) == "meetings.signed_another"
    both = minuting(meeting, action(3), replaces=(first, second))
    third = say(a, both, clause)
    settle(a, b)
    for node in pair:
        assert say(node, acts.SignMinutes(third, both.hash()), clause).startswith(node.party)
    settle(a, b)
    for node in pair:
        states = {each.reference: each.state for each in read(node, records.minutes_of, meeting)}
        assert states == {first: "replaced", second: "replaced", third: "agreed"}
        assert [each.reference for each in read(node, records.action_items)] == [f"{third}:3"]


def test_one_text_laid_down_by_both_sides_is_agreed_by_its_hash_and_its_actions_count_once(
    pair: Pair, clause: str
) -> None:
    a, b = pair
    act = minuting(held(clause, a, b), action())
    first, second = say(a, act, clause), say(b, act, clause)
    assert say(a, acts.SignMinutes(first, act.hash()), clause).startswith("XA")
    assert say(b, acts.SignMinutes(second, act.hash()), clause).startswith("XB")
    settle(a, b)
    for node in pair:
        assert {each.state for each in read(node, records.minutes_of, act.meeting)} == {"agreed"}
        assert [each.reference for each in read(node, records.action_items)] == [f"{first}:1"]


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "due, start, day",
    [
        ("", DAY, None),
        ("2026-05-01", None, dt.date(2026, 5, 1)),
        ("2026-02", None, dt.date(2026, 2, 28)),
        ("P2W", DAY, dt.date(2026, 4, 24)),
        ("P1M", dt.date(2026, 1, 31), dt.date(2026, 2, 28)),
        ("P1Y", dt.date(2028, 2, 29), dt.date(2029, 2, 28)),
        ("P1M", None, None),
        ("P9999Y", DAY, None),
        ("P9999D", dt.date.max, None),
    ],
)
def test_when_an_action_is_due(due: str, start: dt.date | None, day: dt.date | None) -> None:
    assert standing.due_day(due, start) == day


def _mark(party: str, n: int) -> standing.Mark:
    return standing.Mark(party, n, f"{party}-2026-{n:06d}", START.isoformat(), f"{party}/interior")


MARKS = st.lists(st.tuples(st.sampled_from(("XA", "XB", "XC")), st.integers(1, 9)), unique=True, max_size=12)
WHATS = st.sampled_from(("accepted", "declined", "held", "cancelled"))


@given(MARKS.flatmap(lambda marks: st.tuples(st.just(marks), st.permutations(marks))), st.data())
def test_a_standing_is_the_same_for_any_order_of_its_facts(orders: Any, data: st.DataObject) -> None:
    marks, shuffled = orders
    what = {mark: data.draw(WHATS) for mark in marks}
    sent = standing.Invitation(
        _mark("XA", 0),
        "XA-2026-000000",
        "XA-2026-000000/1",
        "visit",
        NAME,
        DAY,
        "day",
        "Gate",
        ("XB", "XC"),
        "",
        (),
        (),
        "",
    )

    def fold(order: list[Any]) -> list[Any]:
        answers = [standing.Answer(_mark(*mark), what[mark], TODAY, f"1447-01-{mark[1]:02d}") for mark in order]
        body = standing.BodyText(_mark("XA", 0), NAME, "commission", "", "", (side("XA"), side("XB")), "", "", ("ar",))
        joins = [_mark(*mark) for mark in order if what[mark] == "accepted"]
        changes = [
            standing.Change(_mark(*mark), side(mark[0], f"o{mark[1]}")) for mark in order if what[mark] == "held"
        ]
        texts = [
            standing.MinutesText(_mark(*mark), "M", str(mark[1] % 3), ("XA", "XB"), (noted(),), None, "", ())
            for mark in order
            if what[mark] == "declined"
        ]
        signed = [standing.Signature(_mark(*mark), "", str(mark[1] % 3)) for mark in order]
        against = [standing.Objection(_mark(*mark), _mark(*mark).reference, 1, "No.") for mark in order]
        return [
            standing.fold_meeting(sent, answers),
            standing.fold_body(body, joins, changes),
            standing.fold_minutes(texts, signed, against),
        ]

    assert fold(marks) == fold(shuffled)


@given(st.lists(st.sampled_from(("XA", "XB", "XC"))), st.sets(st.sampled_from(("XA", "XB", "XC")), min_size=2))
def test_minutes_are_never_agreed_while_one_side_has_not_signed(signers: list[str], sides: set[str]) -> None:
    text_ = standing.MinutesText(_mark("XA", 0), "M", "h", tuple(sorted(sides)), (action(),), None, "", ())
    signatures = [standing.Signature(_mark(party, n), "XA-2026-000000", "h") for n, party in enumerate(signers, 1)]
    (found,) = standing.fold_minutes([text_], signatures, [])
    assert (found.state == "agreed") == (sides <= set(signers))


def _script(parties: tuple[str, ...]) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    often = st.sampled_from((0, 1, 2, 3, 4, 5, 5, 5, 6, 6, 7, 7, 7, 7, 7, 7, 8))
    step = st.tuples(st.integers(0, len(parties) - 1), often, st.integers(0, 5))
    return st.lists(step, min_size=10, max_size=40)


def _try(node: Node, what: int, k: int, clause: str, parties: tuple[str, ...]) -> None:
    """Whatever a party may want to say at this point: what the rules let pass is said, the rest is refused."""
    others = tuple(party for party in parties if party != node.party)
    bodies, meetings = read(node, records.bodies), read(node, records.meetings)
    body = bodies[k % len(bodies)].reference if bodies else ""
    meeting = meetings[k % len(meetings)] if meetings else None
    every = read(node, records.minutes_of, meeting.reference) if meeting else []
    minutes = every[k % len(every)] if every else None
    if what == 0:
        say(node, forming(clause, *parties, name={"ar": str(k % 2), "fa": str(k % 2)}), clause)
    elif what == 1 and body:
        say(node, acts.JoinBody(body), clause)
    elif what == 2:
        say(node, invitation(*others, kind="visit", day=TODAY, body=body if k % 2 else ""), clause)
    elif meeting and what == 3:
        say(node, acts.AcceptInvitation(meeting.reference, hijri=f"1447-09-{k + 10}"), clause)
    elif meeting and what == 4:
        refuse = acts.DeclineInvitation if k % 2 else acts.Cancel
        say(node, refuse(meeting.reference, "No."), clause)
    elif meeting and what == 5:
        say(node, acts.Hold(meeting.reference, TODAY), clause)
    elif meeting and what == 6:
        say(node, minuting(meeting.reference, action(1 + k % 2, owed_by=parties[0]), sides=meeting.remaining), clause)
    elif minutes and what == 7:
        say(node, acts.SignMinutes(minutes.reference, minutes.text.hash), clause)
    elif minutes and what == 8:
        say(node, acts.Dissent(minutes.reference, minutes.text.items[0].number, "No."), clause)


def _everything(node: Node) -> list[Any]:
    minutes = [
        read(node, records.minutes, each.reference)
        for meeting in read(node, records.meetings)
        for each in read(node, records.minutes_of, meeting.reference)
    ]
    return [read(node, records.bodies), read(node, records.meetings), minutes, read(node, records.action_items)]


def _same_everywhere(parties: tuple[str, ...], script: list[tuple[int, int, int]], order: int) -> None:
    with tempfile.TemporaryDirectory() as folder:

        def make(name: str) -> str:
            return f"sqlite:///{Path(folder) / name}.db"

        with paired(make, parties, Clock()) as nodes:
            clause = f"{conclude(text(*parties), *nodes)}/1"
            body = form(clause, *nodes)
            others = tuple(party for party in parties if party != nodes[0].party)
            assert say(nodes[0], invitation(*others, kind="visit", day=TODAY, body=body), clause).startswith(parties[0])
            settle(*nodes)
            for who, what, k in script:
                _try(nodes[who], what, k, clause, parties)
                if k < 4:
                    carry(nodes[who], nodes[(who + 1 + k % (len(nodes) - 1)) % len(nodes)])
            orders = list(itertools.permutations(nodes))
            settle(*orders[order % len(orders)])
            assert all(records_of(node) == records_of(nodes[0]) for node in nodes)
            assert all(_everything(node) == _everything(nodes[0]) for node in nodes)
            before = _everything(nodes[0])
            nodes[0].rebuild()
            assert _everything(nodes[0]) == before


@settings(max_examples=12, deadline=None)
@given(_script(("XA", "XB")), st.integers(0, 1))
def test_two_nodes_come_to_the_same_standings_whatever_arrives_when(script: Any, order: int) -> None:
    _same_everywhere(("XA", "XB"), script, order)


@settings(max_examples=8, deadline=None)
@given(_script(("XC", "XD", "XE")), st.integers(0, 5))
def test_three_nodes_come_to_the_same_standings_whatever_arrives_when(script: Any, order: int) -> None:
    _same_everywhere(("XC", "XD", "XE"), script, order)


def test_the_hash_that_is_signed_is_of_the_whole_text() -> None:
    act = minuting("XA-2026-000007")
    for other in (
        minuting("XA-2026-000008"),
        minuting("XA-2026-000007", noted(2)),
        minuting("XA-2026-000007", sides=("XB", "XA")),
        minuting("XA-2026-000007", next=DAY),
        minuting("XA-2026-000007", replaces=("XA-2026-000001",)),
    ):
        assert other.hash() != act.hash()
    assert msgspec.json.decode(msgspec.json.encode(act), type=acts.Minute).hash() == act.hash()
