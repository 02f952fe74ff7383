"""Obligations over two and three nodes: each act, each rule with its refusal, and the case of report 001 day by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from mithaq.demo import agreements as data
from mithaq.kernel.mandate import Agreement, Clause, Duty, Entry, Permit
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.obligations import acts, records
from mithaq.services.obligations import clock as calendar
from mithaq.services.obligations.register import Register, obligations
from mithaq.services.obligations.standing import Standing
from tests.nodes import POWERS, START, Clock, MakeDatabase, carry, code_of, conclude, paired, records_of, settle, treaty

Pair = tuple[Node, Node]
Trio = tuple[Node, Node, Node]
ACTS = (
    "claim",
    "withdraw",
    "answer",
    "find",
    "assess",
    "set_due",
    "note_event",
    "discharge",
    "close",
    "reopen",
)
TODAY = START.date()
DAY = dt.timedelta(days=1)
WHAT = {"en": "Do it"}


def text(*parties: str, entry: Entry | None = None) -> Agreement:
    """Clause 1: the first owes the others by a day (1), after an event (2), each half year (3), on a condition (4), never
    (5), on a day that is none (6), within a month that survives (7), tacitly (8). 2: the second owes; 3: powers, all acts."""
    debtor, others = parties[0], parties[1:]
    posts = tuple(f"{party}/border-guard" for party in parties)
    ministries = tuple(f"{party}/foreign-affairs" for party in parties)
    permits = (*(Permit(f"obligations.{each}", posts) for each in ACTS), Permit("channel.say", posts))
    lasting = (*(Permit(f"obligations.{each}", posts, survives=True) for each in ACTS), Permit("channel.say", posts))
    duties = (
        Duty(debtor, others, WHAT, "2026-03-31"),
        Duty(debtor, others, WHAT, "P30D", after="the first meeting"),
        Duty(debtor, others, WHAT, "R/P6M"),
        Duty(debtor, others, WHAT, "2026-04", condition="the camps are ready"),
        Duty(debtor, others, WHAT),
        Duty(debtor, others, WHAT, "2026-02-31"),
        Duty(debtor, others, WHAT, "2026-04", survives=True),
        Duty(debtor, others, WHAT, "2026-03-31", tacit_days=10),
        Duty(debtor, others, WHAT, "R/P0M"),
    )
    clauses = (
        Clause("1", {"en": "The first owes."}, lasting, duties),
        Clause("2", {"en": "The second owes."}, permits, (Duty(parties[1], (debtor,), WHAT, "P10D"),)),
        Clause("3", {"en": "Powers."}, (*(Permit(each, ministries) for each in POWERS), *permits)),
    )
    return Agreement({"en": "Duties"}, parties, clauses, entry or Entry("signature"))


@pytest.fixture
def agreement(pair: Pair) -> str:
    return conclude(text("XA", "XB"), *pair)


def say(node: Node, act: Any, clause: str, office: str = "border-guard") -> str:
    said: list[str] = []
    code = code_of(lambda: said.append(node.say(act, clause=clause, by=f"{node.party}/{office}").reference))
    return said[0] if said else code


def look(node: Node, obligation: str, day: dt.date = TODAY) -> Standing:
    with node.database.read() as connection:
        found = Register().obligation(connection, obligation, day)
    assert found is not None
    return found


def words(node: Node, obligation: str, day: dt.date) -> tuple[str, str, str]:
    found = look(node, obligation, day)
    return found.life.word, found.says.word, found.clock.word


def full(obligation: str, day: dt.date = TODAY, **more: Any) -> acts.Claim:
    return acts.Claim(obligation, 3, day, "It is done.", **more)


def fulfilled(pair: Pair, obligation: str, clause: str, day: dt.date = TODAY) -> str:
    a, b = pair
    claim = say(a, full(obligation, day), clause)
    carry(a, b)
    say(b, acts.Answer(claim, "confirm"), clause)
    carry(b, a)
    return claim


# --- the course of one obligation -----------------------------------------------------------------------------------


def test_the_debtors_claim_alone_leaves_it_owed_and_the_creditors_yes_fulfils_it(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    assert words(a, it, TODAY) == ("in_effect", "unclaimed", "not_due")
    claim = say(a, full(it), clause)
    carry(a, b)
    assert words(b, it, TODAY) == ("in_effect", "claimed", "not_due")
    assert look(b, it).says.unanswered == ("XB",)
    answer = say(b, acts.Answer(claim, "confirm"), clause)
    carry(b, a)
    for node in pair:
        found = look(node, it)
        assert (found.life.word, found.life.because, found.says.word) == ("fulfilled", "confirmed", "confirmed")
        assert found.life.references == found.says.references == (claim, answer)
        assert found.clock.stopped == TODAY
        assert found.late_by == 0
        assert found.ended
    assert records_of(a) == records_of(b)


def test_a_partial_level_confirmed_is_not_fulfilment(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = say(a, acts.Claim(it, 2, TODAY, "Most of it."), clause)
    carry(a, b)
    say(b, acts.Answer(claim, "confirm"), clause)
    assert words(b, it, TODAY) == ("in_effect", "confirmed", "not_due")


def test_late_implementation_says_by_how_many_days(pair: Pair, clock: Clock, agreement: str) -> None:
    a, b = pair
    it = f"{agreement}/1:1"
    clock.pass_days(34)
    assert words(a, it, clock.today) == ("violated", "unclaimed", "overdue")
    assert look(a, it, clock.today).late_by == 4
    fulfilled(pair, it, f"{agreement}/1", clock.today)
    clock.pass_days(50)
    found = look(b, it, clock.today)
    assert (found.life.word, found.late_by, found.clock.word, found.clock.days) == ("fulfilled", 4, "overdue", -4)


def test_a_withdrawn_claim_counts_no_more(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = say(a, full(it), clause)
    taken = say(a, acts.Withdraw(claim, "Counted wrongly."), clause)
    found = look(a, it)
    assert (found.life.word, found.says.word) == ("in_effect", "withdrawn")
    assert found.says.references == (claim, taken)
    carry(a, b)
    assert say(b, acts.Answer(claim, "confirm"), clause) == "obligations.claim_withdrawn"
    assert say(a, acts.Withdraw(claim, "Again."), clause) == "obligations.claim_withdrawn"


def test_a_claim_that_is_confirmed_and_withdrawn_at_once_is_withdrawn_everywhere(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = say(a, full(it), clause)
    carry(a, b)
    say(b, acts.Answer(claim, "confirm"), clause)
    say(a, acts.Withdraw(claim, "Counted wrongly."), clause)
    settle(a, b)
    assert words(a, it, TODAY) == words(b, it, TODAY) == ("in_effect", "withdrawn", "not_due")


def test_silence_confirms_only_where_the_clause_says_so_and_a_late_answer_ends_it(
    pair: Pair, clock: Clock, agreement: str
) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    claims = [say(a, full(f"{clause}:{k}"), clause) for k in (1, 8)]
    carry(a, b)
    clock.pass_days(10)
    assert words(a, f"{clause}:8", clock.today)[:2] == ("in_effect", "claimed")
    clock.pass_days(1)
    assert words(a, f"{clause}:1", clock.today)[:2] == ("in_effect", "claimed")
    assert words(a, f"{clause}:8", clock.today)[:2] == ("fulfilled", "tacitly_confirmed")
    assert look(a, f"{clause}:8", clock.today).says.who == ("XB",)
    say(b, acts.Answer(claims[1], "dispute", "It was never done."), clause)
    assert words(b, f"{clause}:8", clock.today)[:2] == ("in_effect", "disputed")


def test_of_several_answers_of_a_creditor_the_newest_counts(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = say(a, full(it), clause)
    carry(a, b)
    for answer, word in (("dispute", "disputed"), ("partly", "partly_confirmed"), ("verify", "verification_asked")):
        say(b, acts.Answer(claim, answer, "Look again."), clause)  # type: ignore[arg-type]
        found = look(b, it).says
        assert (found.word, found.disputed, found.claimed) == (word, True, True)
    assert found.verification == ("XB",)
    say(b, acts.Answer(claim, "confirm"), clause)
    assert look(b, it).life.word == "fulfilled"
    assert look(b, it).says.verification == ()


def test_an_assessment_is_shown_and_changes_nothing(pair: Pair, agreement: str) -> None:
    a, b = pair
    it = f"{agreement}/1:1"
    reference = say(b, acts.Assess(it, 0, TODAY, "Nothing is seen."), f"{agreement}/1")
    found = look(b, it)
    assert [(each.party, each.level, each.reference) for each in found.assessments] == [("XB", 0, reference)]
    assert words(b, it, TODAY) == words(a, it, TODAY)


# --- due days -------------------------------------------------------------------------------------------------------


def test_the_creditor_extends_alone_and_nobody_shortens_alone(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"

    def due() -> str:
        settle(a, b)
        assert look(a, it).clock == look(b, it).clock
        return str(look(a, it).clock.due)

    say(a, acts.SetDue(it, "2026-06", "We need longer."), clause)
    assert due() == "2026-03-31"
    assert [each.value for each in look(b, it).waiting] == ["2026-06"]
    say(b, acts.SetDue(it, "2026-05-01", "Until then."), clause)
    assert due() == "2026-05-01"
    say(b, acts.SetDue(it, "2026-04-01", "Sooner after all."), clause)
    assert due() == "2026-05-01"
    say(a, acts.SetDue(it, "2026-04-01", "Agreed."), clause)
    assert due() == "2026-04-01"
    say(b, acts.SetDue(it, "2026-06", "As you asked at first."), clause)
    assert due() == "2026-06-30"
    assert look(a, it).clock.precision == "month"
    say(b, acts.SetDue(it, "2026-04-01", "No, sooner."), clause)
    assert due() == "2026-06-30"
    say(a, acts.SetDue(it, "2026-04-01", "Agreed again."), clause)
    assert due() == "2026-04-01"
    say(a, acts.SetDue(it, "2026-06", "We were promised June."), clause)
    assert due() == "2026-04-01"


def test_a_period_waits_for_the_day_of_its_event_on_which_all_agree(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:2"
    assert words(a, it, TODAY) == ("in_effect", "unclaimed", "start_unknown")
    say(a, acts.NoteEvent(it, TODAY), clause)
    say(b, acts.NoteEvent(it, TODAY - DAY), clause)
    settle(a, b)
    assert words(a, it, TODAY)[2] == "start_unknown"
    say(a, acts.NoteEvent(it, TODAY - DAY), clause)
    settle(a, b)
    found = look(b, it)
    assert (found.clock.start, found.clock.due, found.clock.days) == (TODAY - DAY, TODAY + 29 * DAY, 29)
    assert look(b, f"{agreement}/2:1").clock.due == TODAY + 10 * DAY


def test_a_condition_must_be_met_by_the_word_of_both(pair: Pair, clock: Clock, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:4"
    clock.pass_days(90)
    assert words(a, it, clock.today)[::2] == ("conditional", "overdue")
    for node in pair:
        say(node, acts.NoteEvent(it, TODAY), clause)
    settle(a, b)
    assert words(a, it, clock.today)[0] == "violated"


def test_each_time_of_a_recurring_duty_has_its_own_standing(pair: Pair, clock: Clock, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:3"
    assert look(a, it).clock.due == dt.date(2026, 9, 1)
    clock.pass_days(100)
    first = fulfilled(pair, it, clause, clock.today)
    found = look(b, it, clock.today)
    assert [(each.number, each.life.word) for each in found.occurrences] == [(1, "fulfilled")]
    assert found.life.word == "in_effect"
    clock.pass_days(300)  # the second time has come and gone
    found = look(b, it, clock.today)
    assert [(each.number, each.life.word) for each in found.occurrences] == [
        (1, "fulfilled"),
        (2, "violated"),
        (3, "in_effect"),
    ]
    assert (found.occurrence, found.life.word) == (2, "violated")
    say(b, acts.SetDue(it, "2027-05", "The road was closed.", occurrence=2), clause)
    assert look(b, it, clock.today).life.word == "in_effect"
    assert say(a, full(it, clock.today, occurrence=1), clause) == "obligations.closed"
    late = say(a, full(it, clock.today, occurrence=2), clause)
    carry(a, b)
    say(b, acts.Answer(late, "confirm"), clause)
    carry(b, a)
    assert [each.life.word for each in look(a, it, clock.today).occurrences] == ["fulfilled", "fulfilled", "in_effect"]
    say(b, acts.Reopen(it, "It was not held.", occurrence=1), clause)
    assert [each.life.word for each in look(b, it, clock.today).occurrences] == ["violated", "fulfilled", "in_effect"]
    assert first in look(b, it, clock.today).references


@pytest.mark.parametrize(
    "start, period, times, day",
    [
        ("2026-01-31", "P1M", 1, "2026-02-28"),
        ("2024-02-29", "P1Y", 1, "2025-02-28"),
        ("2026-01-01", "R/P2W", 3, "2026-02-12"),
        ("2026-01-01", "P9999Y", 1, "9999-12-31"),
    ],
)
def test_periods_are_counted_as_people_count_them(start: str, period: str, times: int, day: str) -> None:
    assert calendar.add(dt.date.fromisoformat(start), period, times).isoformat() == day


def test_a_duty_of_every_day_is_not_counted_back_for_ever() -> None:
    found = calendar.occurrences("R/P1D", dt.date(1900, 1, 1), TODAY)
    assert len(found) == calendar.MOST
    assert found[-1][1] == TODAY


# --- release, closing, opening again --------------------------------------------------------------------------------


def test_the_creditor_releases_and_either_opens_again_with_a_reason(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    say(b, acts.Discharge(it, "No more needed."), clause)
    carry(b, a)
    assert words(a, it, TODAY)[0] == "discharged"
    assert say(a, full(it), clause) == "obligations.closed"
    say(a, acts.Reopen(it, "It is needed after all."), clause)
    carry(a, b)
    assert words(b, it, TODAY)[0] == "in_effect"


def test_it_is_closed_unfulfilled_once_both_have_said_so(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    say(a, acts.Close(it, "Overtaken."), clause)
    assert say(a, acts.Close(it, "Overtaken."), clause) == "obligations.said_already"
    carry(a, b)
    assert words(b, it, TODAY)[0] == "in_effect"
    assert [(each.party, each.what) for each in look(b, it).waiting] == [("XA", "closed")]
    say(b, acts.Close(it, "Yes."), clause)
    assert words(b, it, TODAY)[0] == "closed"
    assert say(b, acts.Close(it, "Yes."), clause) == "obligations.closed"
    say(b, acts.Reopen(it, "Not quite."), clause)
    assert words(b, it, TODAY)[0] == "in_effect"
    assert say(b, acts.Close(it, "Now."), clause).startswith("XB-")
    assert words(b, it, TODAY)[0] == "in_effect"


def test_a_fulfilled_one_that_is_opened_again_begins_anew(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = fulfilled(pair, it, clause)
    again = say(b, acts.Reopen(it, "They came back."), clause)
    carry(b, a)
    assert words(a, it, TODAY)[:2] == ("in_effect", "unclaimed")
    assert {claim, again} <= set(look(a, it).references)
    fulfilled(pair, it, clause)
    assert words(a, it, TODAY)[0] == "fulfilled"


# --- the ground: agreements -----------------------------------------------------------------------------------------


def test_a_text_not_yet_in_force_obliges_to_nothing(pair: Pair) -> None:
    a, b = pair
    later = TODAY + 20 * DAY
    agreement = conclude(text("XA", "XB", entry=Entry("signature", later)), a, b)
    it, clause = f"{agreement}/1:1", f"{agreement}/1"
    assert words(a, it, TODAY)[0] == "created"
    assert words(a, it, later)[0] == "in_effect"
    assert say(a, full(it), clause) == "mandate.not_in_force"


def test_suspension_stops_the_clause_and_its_clock_breaks_nothing(pair: Pair, clock: Clock, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    clock.pass_days(2)
    say(b, agreements.Suspend(agreement, "For now.", "1"), f"{agreement}/3", "foreign-affairs")
    settle(a, b)
    clock.pass_days(40)
    assert words(a, it, clock.today) == ("suspended", "unclaimed", "overdue")
    assert say(a, full(it, clock.today), clause) == "mandate.suspended"
    with a.database.read() as connection:
        before = Register().on(connection, it, TODAY)
        assert Register().on(connection, it, TODAY - DAY) is None
    assert before is not None
    assert before.life.word == "in_effect"


def test_the_end_of_the_agreement_ends_all_but_what_survives(pair: Pair, clock: Clock, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    fulfilled(pair, f"{clause}:5", clause)
    last = TODAY + 5 * DAY
    say(a, agreements.Terminate(agreement, last, "It ends."), f"{agreement}/3", "foreign-affairs")
    settle(a, b)
    assert words(b, f"{clause}:1", last)[0] == "in_effect"
    clock.pass_days(6)
    found = {each.obligation: each.life.word for each in everything(b, clock.today)}
    assert found == {
        **{f"{clause}:{k}": "terminated" for k in (1, 2, 3, 4, 6, 8, 9)},
        f"{clause}:5": "fulfilled",
        f"{clause}:7": "in_effect",
        f"{agreement}/2:1": "terminated",
    }
    assert say(a, full(f"{clause}:7", clock.today), clause).startswith("XA-")
    talk = channel.Say("After the end", "-", ("XB/border-guard",))
    assert say(a, talk, clause) == "mandate.terminated", "only what the text lets outlive it can still be said"
    assert say(b, acts.Assess(f"{agreement}/2:1", 0, TODAY, "-"), f"{agreement}/2") == "mandate.terminated"


def test_a_duty_that_an_amendment_takes_away_is_ended_by_it(pair: Pair, agreement: str) -> None:
    a, b = pair
    old = text("XA", "XB")
    clause = old.clauses[0]
    shorter = Agreement(
        old.title,
        old.parties,
        (Clause("1", clause.text, clause.permits, clause.obliges[:1]), *old.clauses[1:]),
        old.entry,
    )
    amendment = say(a, agreements.Amend(agreement, shorter), f"{agreement}/3", "foreign-affairs")
    settle(a, b)
    for node in pair:
        node.say(agreements.Sign(amendment, shorter.hash()), clause="charter", by=f"{node.party}/foreign-affairs")
    settle(a, b)
    gone = look(b, f"{agreement}/1:2").life
    assert (gone.word, gone.because, gone.references) == ("terminated", "amended_away", (amendment,))
    assert words(b, f"{agreement}/1:1", TODAY)[0] == "in_effect"
    assert say(a, full(f"{agreement}/1:2"), f"{agreement}/1") == "obligations.unknown"


def everything(node: Node, day: dt.date) -> list[Standing]:
    with node.database.read() as connection:
        return obligations(connection, day)


def test_what_was_said_under_a_clause_that_obliges_shows_as_its_evidence(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    message = say(a, channel.Say("Camps", "Two camps are closed.", ("XB/border-guard",)), clause)
    say(a, channel.Say("Else", "Not under a duty.", ("XB/border-guard",)), f"{agreement}/3")
    say(a, full(f"{clause}:1"), clause)
    settle(a, b)
    for node in pair:
        with node.database.read() as connection:
            assert [(each.reference, each.do) for each in records.carried(connection, clause)] == [
                (message, "channel.say")
            ]
            assert records.carried_counts(connection) == {clause: {"channel.say": 1}}
            assert records.carried_counts(connection, 2026) == records.carried_counts(connection)
            assert records.carried_counts(connection, 2025) == {}


# --- three parties --------------------------------------------------------------------------------------------------


def test_every_creditor_must_confirm_and_each_is_seen_by_itself(trio: Trio) -> None:
    c, d, e = trio
    agreement = conclude(text("XC", "XD", "XE"), *trio)
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = say(c, full(it), clause)
    settle(*trio)
    say(d, acts.Answer(claim, "confirm"), clause)
    settle(*trio)
    found = look(e, it)
    assert (found.life.word, found.says.word, found.says.unanswered) == ("in_effect", "claimed", ("XE",))
    say(e, acts.Answer(claim, "partly", "Half.", 2), clause)
    settle(*trio)
    assert {words(node, it, TODAY)[:2] for node in trio} == {("in_effect", "partly_confirmed")}
    assert [(each.party, each.answer, each.level) for each in look(c, it).says.answers] == [
        ("XD", "confirm", None),
        ("XE", "partly", 2),
    ]
    for node in trio:
        say(node, acts.Find(it, 3, TODAY, "Seen together."), clause)
    settle(*trio)
    assert {words(node, it, TODAY)[:2] for node in trio} == {("fulfilled", "jointly_found")}
    with pytest.raises(AssertionError):
        look(c, f"{agreement}/1:10")


def test_a_creditor_that_has_left_is_waited_for_no_more(trio: Trio, clock: Clock) -> None:
    c, d, e = trio
    agreement = conclude(text("XC", "XD", "XE"), *trio)
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    say(e, agreements.Terminate(agreement, TODAY, "We leave."), f"{agreement}/3", "foreign-affairs")
    settle(*trio)
    clock.pass_days(1)
    claim = say(c, full(it, clock.today), clause)
    settle(*trio)
    say(d, acts.Answer(claim, "confirm"), clause)
    settle(*trio)
    assert {words(node, it, clock.today)[0] for node in trio} == {"fulfilled"}


# --- refusals -------------------------------------------------------------------------------------------------------

TOMORROW, EARLIER = TODAY + DAY, TODAY - DAY


EXCLUDED = [
    ("obligations.not_the_debtor", "XB", lambda it: full(f"{it}:1")),
    ("obligations.not_the_debtor", "XA", lambda it: full(f"{it[:-1]}2:1")),
    ("obligations.unknown", "XA", lambda it: full(f"{it}:10")),
    ("obligations.unknown", "XA", lambda it: full(f"{it}.1:1")),
    ("obligations.another_agreement", "XA", lambda _: full("XA-2026-999999/1:1")),
    ("obligations.day_in_future", "XA", lambda it: full(f"{it}:1", TOMORROW)),
    ("obligations.day_in_future", "XA", lambda it: acts.NoteEvent(f"{it}:2", TOMORROW)),
    ("obligations.day_in_future", "XB", lambda it: acts.Find(f"{it}:1", 3, TOMORROW, "-")),
    ("obligations.day_before_force", "XA", lambda it: full(f"{it}:1", EARLIER)),
    ("obligations.day_before_force", "XB", lambda it: acts.Assess(f"{it}:1", 3, EARLIER, "-")),
    ("obligations.due_before_force", "XB", lambda it: acts.SetDue(f"{it}:1", "2026-02-28", "-")),
    ("obligations.due_before_force", "XB", lambda it: acts.SetDue(f"{it}:1", "2026-02", "-")),
    ("obligations.impossible_day", "XB", lambda it: acts.SetDue(f"{it}:1", "2026-04-31", "-")),
    ("obligations.impossible_day", "XB", lambda it: acts.SetDue(f"{it}:1", "2026-13", "-")),
    ("obligations.impossible_due", "XA", lambda it: full(f"{it}:6")),
    ("obligations.impossible_due", "XA", lambda it: full(f"{it}:9")),
    ("obligations.no_such_occurrence", "XA", lambda it: full(f"{it}:1", occurrence=1)),
    ("obligations.no_such_occurrence", "XA", lambda it: full(f"{it}:3", occurrence=2)),
    ("obligations.no_such_occurrence", "XB", lambda it: acts.SetDue(f"{it}:3", "2027-05", "-")),
    ("obligations.unknown_evidence", "XA", lambda it: full(f"{it}:1", evidence=("XB-2026-000099",))),
    ("obligations.unknown_evidence", "XA", lambda it: full(f"{it}:1", evidence=("XZ-2026-000000",))),
    ("obligations.unknown_claim", "XB", lambda _: acts.Answer("XA-2026-000099", "confirm")),
    ("obligations.unknown_claim", "XB", lambda _: acts.Answer("XA-2026-000000", "confirm")),
    ("obligations.unknown_claim", "XA", lambda _: acts.Withdraw("XA-2026-000099", "-")),
    ("obligations.no_event", "XA", lambda it: acts.NoteEvent(f"{it}:1", TODAY)),
    ("obligations.not_a_creditor", "XA", lambda it: acts.Discharge(f"{it}:1", "-")),
    ("obligations.not_a_creditor", "XA", lambda it: acts.Assess(f"{it}:1", 3, TODAY, "-")),
    ("obligations.not_closed", "XA", lambda it: acts.Reopen(f"{it}:1", "-")),
    ("statement.malformed", "XA", lambda it: acts.Claim(f"{it}:1", 4, TODAY, "-")),
    ("statement.malformed", "XA", lambda it: acts.Claim(f"{it}:1", -1, TODAY, "-")),
    ("statement.malformed", "XA", lambda it: acts.Claim(f"{it}:0", 3, TODAY, "-")),
    ("statement.malformed", "XA", lambda it: acts.Reopen(f"{it}:1", "")),
]


@pytest.mark.parametrize(
    "code, party, act", [pytest.param(*each, id=f"{place}-{each[0]}") for place, each in enumerate(EXCLUDED)]
)
def test_what_the_text_or_the_calendar_excludes_is_refused(
    pair: Pair, agreement: str, code: str, party: str, act: Any
) -> None:
    node = pair[0] if party == "XA" else pair[1]
    assert say(node, act(f"{agreement}/1"), f"{agreement}/1") == code


def test_a_clause_of_another_agreement_gives_no_word_in_this_one(pair: Pair, agreement: str) -> None:
    a, b = pair
    other = conclude(text("XA", "XB"), a, b)
    assert say(a, full(f"{agreement}/1:1"), f"{other}/1") == "obligations.another_agreement"
    plain = conclude(treaty("XA", "XB"), a, b)
    assert say(a, full(f"{agreement}/1:1"), f"{plain}/1") == "mandate.act_not_named"


def test_answers_are_refused_where_they_make_no_sense(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause = f"{agreement}/1"
    claim = say(a, acts.Claim(f"{clause}:1", 2, TODAY, "Most."), clause)
    assert say(a, acts.Answer(claim, "confirm"), clause) == "obligations.not_a_creditor"
    carry(a, b)
    assert say(b, acts.Withdraw(claim, "-"), clause) == "obligations.not_the_debtor"
    assert say(b, acts.Answer(claim.replace("2026", "2025"), "confirm"), clause) == "obligations.unknown_claim"
    assert say(b, acts.Answer(claim, "dispute"), clause) == "obligations.reason_missing"
    assert say(b, acts.Answer(claim, "partly", "No.", 2), clause) == "obligations.level_not_below"
    assert say(b, acts.Answer(claim, "confirm", "", 1), clause) == "obligations.level_not_below"
    say(b, acts.Answer(claim, "partly", "One.", 1), clause)
    assert say(b, acts.Answer(claim, "partly", "One.", 1), clause) == "obligations.answered_twice"


def test_who_is_not_concerned_says_nothing_about_it(trio: Trio) -> None:
    _, _, e = trio
    agreement = conclude(text("XC", "XD", "XE"), *trio)
    it, clause = f"{agreement}/2:1", f"{agreement}/2"
    for act in (acts.Close(it, "-"), acts.SetDue(it, "2026-05", "-"), acts.Find(it, 3, TODAY, "-")):
        assert say(e, act, clause) == "obligations.not_concerned"
    assert say(e, acts.Assess(it, 1, TODAY, "-"), clause) == "obligations.not_a_creditor"


def test_what_is_over_takes_no_more_answers_until_it_is_opened_again(pair: Pair, agreement: str) -> None:
    a, b = pair
    clause, it = f"{agreement}/1", f"{agreement}/1:1"
    claim = fulfilled(pair, it, clause)
    for node, act in (
        (b, acts.Answer(claim, "dispute", "No.")),
        (a, acts.Withdraw(claim, "No.")),
        (a, full(it)),
        (b, acts.Find(it, 2, TODAY, "-")),
        (b, acts.SetDue(it, "2026-05", "-")),
        (b, acts.Discharge(it, "-")),
        (b, acts.Close(it, "-")),
    ):
        assert say(node, act, clause) == "obligations.closed"
    assert say(b, acts.Assess(it, 1, TODAY, "Hm."), clause).startswith("XB-")
    assert look(b, it).life.word == "fulfilled"


# --- the register in memory -----------------------------------------------------------------------------------------


def test_the_kept_register_says_what_a_new_one_says_after_every_step_and_after_a_rebuild(
    pair: Pair, clock: Clock, agreement: str
) -> None:
    a, b = pair
    clause, kept = f"{agreement}/1", Register()

    def both() -> None:
        with b.database.read() as connection:
            assert kept.obligations(connection, clock.today) == obligations(connection, clock.today)

    both()
    claim = say(a, full(f"{clause}:1"), clause)
    carry(a, b)
    both()
    say(b, acts.Answer(claim, "verify", "Together."), clause)
    both()
    clock.pass_days(45)
    both()
    say(b, agreements.Suspend(agreement, "For now."), f"{agreement}/3", "foreign-affairs")
    both()
    b.rebuild()
    both()
    with b.database.read() as connection:
        assert kept.obligation_of(connection, claim) == f"{clause}:1"
        assert kept.obligation_of(connection, "XA-2026-999999") == ""
        said = records.facts_of(connection, f"{clause}:1")
        assert [(each.what, each.by, each.text) for each in said] == [
            ("claimed", "XA/border-guard", "It is done."),
            ("answered", "XB/border-guard", "Together."),
        ]
        assert said == records.all_facts(connection)


# --- report 001 -----------------------------------------------------------------------------------------------------


@pytest.fixture
def neighbours(make_database: MakeDatabase) -> Iterator[tuple[Node, Node, Clock]]:
    clock = Clock(dt.datetime(2023, 3, 19, 9, tzinfo=dt.UTC))
    with paired(make_database, ("IR", "IQ"), clock) as (a, b):
        yield a, b, clock


def test_the_case_of_report_001_stands_on_each_day_as_it_was(neighbours: tuple[Node, Node, Clock]) -> None:
    """September 2023: due on the 19th, claimed as fully carried out on the 23rd."""
    creditor, debtor, clock = neighbours
    pact = dict(data.load())["security-pact"]
    agreement = conclude(pact, creditor, debtor)
    clause, it = f"{agreement}/2", f"{agreement}/2:1"

    def on(*date: int) -> Standing:
        clock.now = dt.datetime(*date, 9, tzinfo=dt.UTC).timestamp()  # type: ignore[misc]
        settle(creditor, debtor)
        one, other = look(creditor, it, clock.today), look(debtor, it, clock.today)
        assert one == other
        return one

    def stands(found: Standing) -> tuple[str, str, str, int | None]:
        return found.life.word, found.says.word, found.clock.word, found.clock.days

    def both_find(level: int, day: dt.date) -> None:
        for node in (debtor, creditor):
            assert say(node, acts.Find(it, level, day, "Seen together."), clause, "interior").startswith("I")

    assert stands(on(2023, 3, 19)) == ("in_effect", "unclaimed", "not_due", 184)
    assert stands(on(2023, 9, 5)) == ("in_effect", "unclaimed", "due_soon", 14)
    assert stands(on(2023, 9, 19)) == ("in_effect", "unclaimed", "due", 0)
    assert stands(on(2023, 9, 20)) == ("violated", "unclaimed", "overdue", -1)
    assert stands(on(2023, 9, 23)) == ("violated", "unclaimed", "overdue", -4)
    claim = say(debtor, full(it, dt.date(2023, 9, 23)), clause, "foreign-affairs")
    assert stands(on(2023, 9, 23)) == ("violated", "claimed", "overdue", -4)
    on(2023, 9, 25)
    say(creditor, acts.Answer(claim, "partly", "Some bases are still there.", 2), clause, "foreign-affairs")
    found = on(2023, 9, 25)
    assert stands(found) == ("violated", "partly_confirmed", "overdue", -6)
    assert (found.clock.word, found.says.claimed, found.says.disputed) == ("overdue", True, True)
    say(creditor, acts.Answer(claim, "verify", "Let us go there together."), clause, "foreign-affairs")
    found = on(2023, 9, 26)
    assert stands(found) == ("violated", "verification_asked", "overdue", -7)
    assert (found.says.level, found.says.disputed, found.says.verification) == (3, True, ("IR",))
    on(2023, 10, 10)
    both_find(2, dt.date(2023, 10, 10))
    found = on(2023, 10, 10)
    assert stands(found) == ("violated", "jointly_found", "overdue", -21)
    assert (found.says.level, found.says.claim, found.says.disputed) == (2, claim, False)
    on(2023, 11, 20)
    both_find(3, dt.date(2023, 11, 18))
    found = on(2023, 11, 21)
    assert stands(found) == ("fulfilled", "jointly_found", "overdue", -60)
    assert (found.late_by, found.clock.stopped) == (60, dt.date(2023, 11, 18))
    assert len(found.references) == 7
    with debtor.database.read() as connection:
        kept = Register()
        for day, word in ((19, "unclaimed"), (23, "claimed"), (25, "verification_asked")):
            then = kept.on(connection, it, dt.date(2023, 9, day))
            assert then is not None
            assert then.says.word == word
    assert records_of(creditor) == records_of(debtor)
