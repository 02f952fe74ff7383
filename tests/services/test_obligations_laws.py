"""Laws of an obligation's standing, for whatever was said in whatever order: over the fold alone, and over real nodes."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mithaq.kernel.mandate import Duty
from mithaq.node import Node
from mithaq.services.agreements import acts as agreements
from mithaq.services.obligations import acts, records, standing
from mithaq.services.obligations.clock import first_due, last_day
from mithaq.services.obligations.register import Register, obligations
from mithaq.services.obligations.said import Told
from mithaq.services.obligations.standing import ENDED, Standing, State
from tests.nodes import Clock, carry, code_of, conclude, paired, records_of, settle
from tests.services.test_obligations import text

SINCE: Final = dt.date(2026, 1, 1)
STATE: Final = State("XA-2026-000000/1:1", "XA-2026-000000", "XA-2026-000000/1", SINCE)
DUES: Final = ("", "2026-02-10", "2026-02", "P20D", "R/P1M")
KINDS: Final = ("claimed", "withdrawn", "answered", "found", "assessed", "due_set", "event_noted")
ENDING: Final = ("discharged", "closed", "reopened")
NAMED_DAYS: Final = ("2026-01-20", "2026-02-05", "2026-02-20", "2026-03")

duties = st.builds(
    Duty,
    st.just("XA"),
    st.sampled_from([("XB",), ("XB", "XC")]),
    st.just({"en": "Do it"}),
    st.sampled_from(DUES),
    after=st.sampled_from(["", "the meeting"]),
    condition=st.sampled_from(["", "it is ready"]),
    survives=st.booleans(),
)
days = st.integers(0, 90).map(lambda n: SINCE + dt.timedelta(days=n))


@st.composite
def histories(
    draw: st.DrawFn, parties: tuple[str, ...] = ("XA", "XB", "XC"), kinds: Any = KINDS + ENDING
) -> list[Told]:
    """What some parties said, each at its own places with days that go forward; answers are to claims there are."""
    told: list[Told] = []
    for party in parties:
        at = SINCE
        for n in range(draw(st.integers(0, 6))):
            at += dt.timedelta(days=draw(st.integers(0, 9)))
            told.append(draw(_told(party, n, at, kinds)))
    claims = [each.reference for each in told if each.what == "claimed"] or ["XA-2026-999999"]
    return [
        msgspec.structs.replace(each, obligation="", claim=draw(st.sampled_from(claims)))
        if each.what in {"answered", "withdrawn"}
        else each
        for each in told
    ]


@st.composite
def _told(draw: st.DrawFn, party: str, n: int, at: dt.date, kinds: Any) -> Told:
    what = draw(st.sampled_from([each for each in kinds if party == "XA" or each not in {"claimed", "withdrawn"}]))
    if party == "XA" and what in {"answered", "assessed", "discharged"}:
        what = "claimed" if "claimed" in kinds else "due_set"
    level = draw(st.integers(2, 3)) if what in {"claimed", "found", "assessed"} else -1
    as_of = draw(st.sampled_from([at, SINCE]))
    day = draw(st.sampled_from(NAMED_DAYS)) if what == "due_set" else as_of.isoformat() if what != "closed" else ""
    answer = draw(st.sampled_from(["confirm", "confirm", "partly", "dispute", "verify"])) if what == "answered" else ""
    seen = {other: draw(st.integers(1, 6)) for other in ("XA", "XB", "XC") if other != party}
    return Told(
        party,
        n,
        f"{party}-2026-{n:06d}",
        what,
        STATE.obligation,
        "",
        f"{at.isoformat()}T08:00:00+00:00",
        STATE.clause,
        level=level,
        day=day,
        answer=answer,
        seen=msgspec.json.encode(seen).decode() if what in {"reopened", "due_set", "event_noted"} else "",
    )


def fold(duty: Duty, told: list[Told], today: dt.date, state: State = STATE) -> Standing:
    return standing.fold(duty, state, told, today)


@given(duties, histories(), days, st.randoms(use_true_random=False))
def test_the_standing_is_the_same_for_every_order_of_arrival(
    duty: Duty, told: list[Told], today: dt.date, chance: random.Random
) -> None:
    shuffled = list(told)
    chance.shuffle(shuffled)
    assert fold(duty, told, today) == fold(duty, shuffled, today)


@given(duties, histories(parties=("XA",)), days)
def test_the_debtor_alone_ends_nothing(duty: Duty, told: list[Told], today: dt.date) -> None:
    found = fold(duty, told, today)
    assert found.life.word not in ENDED
    assert not any(each.life.word in ENDED for each in found.occurrences)
    assert found.says.word in {"unclaimed", "claimed", "withdrawn"}


@given(duties, histories(kinds=("claimed", "withdrawn", "assessed", "due_set", "event_noted")), days)
def test_silence_confirms_nothing_where_the_clause_does_not_say_so(
    duty: Duty, told: list[Told], today: dt.date
) -> None:
    found = fold(duty, told, today + dt.timedelta(days=3650))
    assert found.says.word in {"unclaimed", "claimed", "withdrawn"}
    assert found.life.word not in ENDED


@given(duties, histories(), days, st.integers(1, 60))
def test_tacit_confirmation_needs_the_clause_a_full_claim_and_the_days(
    duty: Duty, told: list[Told], today: dt.date, tacit: int
) -> None:
    found = fold(msgspec.structs.replace(duty, tacit_days=tacit), told, today)
    for each in (found, *found.occurrences):
        if each.says.word == "tacitly_confirmed":
            assert each.says.level == 3
            claim = next(one for one in told if one.reference == each.says.claim)
            assert (today - dt.date.fromisoformat(claim.at[:10])).days > tacit
            answers = {one.answer for one in told if one.claim == claim.reference and one.at[:10] <= str(today)}
            assert answers <= {"confirm", "partly", "dispute", "verify"}
            assert set(each.says.unanswered) == set(each.says.who) != set()


@given(duties, histories(), days)
def test_what_is_fulfilled_was_said_to_be_full_by_debtor_and_every_creditor(
    duty: Duty, told: list[Told], today: dt.date
) -> None:
    found = fold(duty, told, today)
    by = {each.reference: each for each in told}
    for each in (found, *found.occurrences):
        if each.life.word == "fulfilled":
            said = [by[reference] for reference in each.life.references]
            assert {one.party for one in said} >= {duty.owed_by, *duty.owed_to}
            assert {one.level for one in said if one.what in {"claimed", "found"}} == {3}


@given(duties, histories(), days)
def test_assessments_are_shown_and_change_nothing_else(duty: Duty, told: list[Told], today: dt.date) -> None:
    with_them, without = fold(duty, told, today), fold(duty, [one for one in told if one.what != "assessed"], today)
    layers = [(each.life, each.says, each.clock, each.late_by, each.occurrences) for each in (with_them, without)]
    assert layers[0] == layers[1]


@given(
    st.sampled_from(["2026-02-10", "2026-02", "P20D"]),
    histories(kinds=("due_set",), parties=("XA", "XB")),
    days,
)
def test_extending_needs_the_creditor_and_shortening_both(due: str, told: list[Told], today: dt.date) -> None:
    duty = Duty("XA", ("XB",), {"en": "Do it"}, due)
    base = first_due(due, SINCE, None, from_event=False).day
    assert base is not None
    known = [one for one in told if one.at[:10] <= today.isoformat()]
    named = {party: {last_day(one.day) for one in known if one.party == party} for party in ("XA", "XB")}
    shown = fold(duty, told, today).clock.due
    assert shown is not None
    if shown > base:
        assert shown in named["XB"]
    if shown < base:
        assert shown in named["XB"]
        assert any(each is not None and each <= shown for each in named["XA"] & named["XB"])
    alone = fold(duty, [one for one in told if one.party == "XA"], today).clock.due
    assert alone == base
    alone = fold(duty, [one for one in told if one.party == "XB"], today).clock.due
    assert alone is not None
    assert alone >= base


@given(
    st.sampled_from(["2026-02-10", "2026-02"]),
    histories(kinds=("due_set",), parties=("XA", "XB")),
    st.sampled_from(["XA", "XB"]),
    st.sampled_from(NAMED_DAYS),
)
def test_one_more_word_of_one_side_moves_the_day_only_where_the_other_agrees_or_the_creditor_extends(
    due: str, told: list[Told], party: str, day: str
) -> None:
    duty, today = Duty("XA", ("XB",), {"en": "Do it"}, due), dt.date(2026, 12, 31)
    other = "XB" if party == "XA" else "XA"
    newest = next((one.day for one in reversed(told) if one.party == other), "")
    before = fold(duty, told, today).clock.due
    seen = msgspec.json.encode({other: 99}).decode()
    more = Told(
        party, 99, f"{party}-2026-000099", "due_set", STATE.obligation, "", "2026-06-01", "", day=day, seen=seen
    )
    after = fold(duty, [*told, more], today).clock.due
    assert before is not None
    assert after is not None
    if newest != day:
        assert after == before if party == "XA" else after >= before


@given(duties, histories(), days, st.integers(0, 90))
def test_the_end_of_the_agreement_ends_all_but_what_survives(
    duty: Duty, told: list[Told], today: dt.date, before: int
) -> None:
    ended = msgspec.structs.replace(STATE, until=today - dt.timedelta(days=before + 1))
    found = fold(duty, told, today, ended)
    if duty.survives:
        assert found == fold(duty, told, today)
    else:
        assert found.ended


@given(duties, histories(), days)
def test_a_suspended_or_future_clause_violates_nothing(duty: Duty, told: list[Told], today: dt.date) -> None:
    for state in (
        msgspec.structs.replace(STATE, suspended_by=("XB",)),
        msgspec.structs.replace(STATE, since=None),
        msgspec.structs.replace(STATE, since=today + dt.timedelta(days=1)),
    ):
        found = fold(duty, told, today, state)
        assert "violated" not in {found.life.word, *(each.life.word for each in found.occurrences)}


@given(duties, histories(), days)
def test_nothing_that_is_said_later_changes_the_standing_of_a_day(duty: Duty, told: list[Told], today: dt.date) -> None:
    known = [each for each in told if each.at[:10] <= today.isoformat()]
    assert fold(duty, told, today) == fold(duty, known, today)
    assert set(fold(duty, told, today).references) == {each.reference for each in known}


@given(duties, histories(), days)
def test_every_layer_names_only_statements_and_agreements_that_are_there(
    duty: Duty, told: list[Told], today: dt.date
) -> None:
    known = {each.reference for each in told} | {STATE.agreement}
    found = fold(duty, told, today)
    for each in (found, *found.occurrences):
        assert {*each.life.references, *each.says.references, *each.clock.references} <= known
        assert each.life.references


# --- over real nodes ------------------------------------------------------------------------------------------------

Step = tuple[str, int, int, int, int]
KNOWN: Final = (
    "claim",
    "withdraw",
    "answer",
    "find",
    "set_due",
    "note_event",
    "discharge",
    "close",
    "reopen",
    "assess",
)
steps = st.tuples(
    st.sampled_from((*KNOWN, "claim", "answer", "answer", "find")),
    st.integers(0, 2),  # who
    st.sampled_from([1, 1, 1, 3, 4, 8]),  # which obligation of clause 1
    st.integers(0, 3),  # a choice
    st.integers(0, 3),  # what comes after: nothing, one carriage, days that pass
)
quick = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])


def act_of(node: Node, step: Step, agreement: str, today: dt.date) -> Any:
    """The act of a step, about the newest claim that the node knows where it needs one."""
    what, _, k, choice, _ = step
    it = f"{agreement}/1:{k}"
    with node.database.read() as connection:
        claims = [each.reference for each in records.facts_of(connection, it) if each.what == "claimed"]
    claim = claims[-1] if claims else f"XA-2026-{choice:06d}"
    if what == "claim":
        return acts.Claim(it, max(2, choice), today, "So far.")
    if what == "withdraw":
        return acts.Withdraw(claim, "Wrong.")
    if what == "answer":
        return acts.Answer(claim, ("confirm", "partly", "dispute", "verify")[choice], "Seen.")  # type: ignore[arg-type]
    if what in {"find", "assess"}:
        return (acts.Find if what == "find" else acts.Assess)(it, max(2, choice), today, "Seen.")
    if what == "set_due":
        return acts.SetDue(it, ("2026-03-20", "2026-04", "2026-05-01", "2026-06")[choice], "Why not.")
    if what == "note_event":
        return acts.NoteEvent(it, today)
    kind = {"discharge": acts.Discharge, "close": acts.Close, "reopen": acts.Reopen}[what]
    return kind(it, "So it is.")


def take(nodes: list[Node], step: Step, agreement: str, clock: Clock) -> str:
    node = nodes[step[1] % len(nodes)]
    act = act_of(node, step, agreement, clock.today)
    return code_of(lambda: node.say(act, clause=f"{agreement}/1", by=f"{node.party}/border-guard"))


def all_of(node: Node, today: dt.date) -> list[Standing]:
    with node.database.read() as connection:
        return obligations(connection, today)


def ended(found: list[Standing]) -> dict[str, str]:
    return {
        each.obligation: each.life.word
        for each in found
        if each.life.word in ENDED and each.life.because != "tacitly_confirmed"
    }


@quick
@given(st.lists(steps, min_size=4, max_size=14), st.sampled_from([("XA", "XB"), ("XC", "XD", "XE")]), st.randoms())
def test_all_nodes_come_to_one_standing_whatever_arrives_when(
    plan: list[Step], parties: tuple[str, ...], chance: random.Random
) -> None:
    clock = Clock()
    with paired(lambda _: "sqlite://", parties, clock) as nodes:
        agreement = conclude(text(*parties), *nodes)
        kept = [Register() for _ in nodes]
        for step in plan:
            take(nodes, step, agreement, clock)
            if step[4] == 1:
                carry(*chance.sample(nodes, 2))
            elif step[4] > 1:
                clock.pass_days(step[4] * 4 - 7)
            for register, node in zip(kept, nodes, strict=True):
                with node.database.read() as connection:
                    register.obligations(connection, clock.today)
        settle(*nodes)
        first = all_of(nodes[0], clock.today)
        for register, node in zip(kept, nodes, strict=True):
            assert records_of(node) == records_of(nodes[0])
            assert all_of(node, clock.today) == first
            with node.database.read() as connection:
                assert register.obligations(connection, clock.today) == first
            node.rebuild()
            assert all_of(node, clock.today) == first


@quick
@given(st.lists(steps, min_size=6, max_size=16))
def test_what_is_over_is_opened_only_by_saying_so_with_a_reason(plan: list[Step]) -> None:
    clock = Clock()
    with paired(lambda _: "sqlite://", ("XA", "XB"), clock) as nodes:
        agreement = conclude(text("XA", "XB"), *nodes)
        before: dict[str, str] = {}
        for step in plan:
            outcome = take(nodes, step, agreement, clock)
            settle(*nodes)
            after = ended(all_of(nodes[0], clock.today))
            if not (step[0] == "reopen" and outcome == "said"):
                assert before.items() <= after.items()
            before = after


@quick
@given(st.lists(steps, min_size=2, max_size=8), st.lists(steps, min_size=2, max_size=8), st.sampled_from(["1", ""]))
def test_nothing_changes_without_a_clause_in_force(plan: list[Step], later: list[Step], which: str) -> None:
    clock = Clock()
    with paired(lambda _: "sqlite://", ("XA", "XB"), clock) as nodes:
        agreement = conclude(text("XA", "XB"), *nodes)
        for step in plan:
            take(nodes, step, agreement, clock)
            settle(*nodes)
        stop = agreements.Suspend(agreement, "No more.", which)
        nodes[1].say(stop, clause=f"{agreement}/3", by="XB/foreign-affairs")
        settle(*nodes)
        before = all_of(nodes[0], clock.today)
        for step in later:
            assert take(nodes, step, agreement, clock) == "mandate.suspended"
        settle(*nodes)
        assert all_of(nodes[0], clock.today) == all_of(nodes[1], clock.today) == before
