"""Which clause authorises what, for whom, from when to when, as far as the speaker had seen."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithaq.kernel.errors import MithaqError
from mithaq.kernel.force import Mandates, covered
from mithaq.kernel.mandate import Agreement, Clause, Entry, Event
from mithaq.kernel.statement import Enclosure, Statement
from mithaq.node import CHARTER_ACTS
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from tests.nodes import START, treaty

TODAY = START.date()
ROOT = "XA-2026-000000"
SAY = channel.Say("Gate", "It is open.", ("XB/border-guard",))
PDF = Enclosure("ab" * 32, "application/pdf", 1000, ("XB/border-guard",))
ALL = 10_000


def days(count: int) -> dt.date:
    return TODAY + dt.timedelta(days=count)


class Story:
    """Events in the order in which each party said them."""

    def __init__(self, text: Agreement | None = None, *, signed: bool = True) -> None:
        self.text = text or treaty("XA", "XB")
        self.events: list[Event] = []
        self.tell("XA", "proposed", text=self.text)
        for party in self.text.parties if signed else ():
            self.tell(party, "signed")

    def tell(
        self,
        party: str,
        what: str,
        *,
        agreement: str = ROOT,
        day: dt.date = TODAY,
        clause: str = "",
        amends: str = "",
        text: Agreement | None = None,
    ) -> str:
        n = sum(event.party == party for event in self.events)
        written = msgspec.json.encode(text, order="sorted").decode() if text else ""
        if what == "amended":
            agreement = f"{party}-2026-{n:06d}"
        self.events.append(Event(party, n, what, agreement, day.isoformat(), clause, amends, written))
        return agreement

    def amend(self, text: Agreement, *signers: str, day: dt.date = TODAY) -> str:
        reference = self.tell("XA", "amended", amends=ROOT, text=text)
        for party in signers:
            self.tell(party, "signed", agreement=reference, day=day)
        return reference

    def mandates(self) -> Mandates:
        made = Mandates(CHARTER_ACTS)
        for event in self.events:
            made.add(event)
        return made

    def code(
        self,
        clause: str = f"{ROOT}/1",
        act: Any = SAY,
        *,
        by: str = "XA/border-guard",
        day: dt.date = TODAY,
        n: int = ALL,
        seen: dict[str, int] | None = None,
        enclosures: tuple[Enclosure, ...] = (),
    ) -> str:
        at = dt.datetime.combine(day, dt.time(12), dt.UTC)
        party = by.partition("/")[0]
        everything = {each: ALL for each in ("XA", "XB", "XC", "XD", "XE") if each != party}
        said: Statement[Any] = Statement(
            act, at, by, clause, "c.example", n, enclosures, everything if seen is None else seen
        )
        try:
            self.mandates().authorise(said)
        except MithaqError as reason:
            assert reason.facts["field"]  # noqa: PT017  # every refusal says which field
            return reason.code
        return "said"


BOTH = pytest.mark.parametrize("by, to", [("XA", "XB"), ("XB", "XA")])


@BOTH
def test_a_clause_in_force_authorises_the_offices_it_names_and_those_below(by: str, to: str) -> None:
    story = Story()
    assert story.code(by=f"{by}/border-guard") == "said"
    assert story.code(by=f"{by}/border-guard/north/gate-1") == "said"
    assert story.code(f"{ROOT}/2", by=f"{by}/foreign-affairs") == "said"


@BOTH
@pytest.mark.parametrize(
    "code, changes",
    [
        ("mandate.no_clause", {"clause": "charter"}),
        ("mandate.no_such_clause", {"clause": f"{ROOT}/9"}),
        ("mandate.no_such_clause", {"clause": "XZ-2026-000000/1"}),
        ("mandate.act_not_named", {"act": agreements.Suspend(ROOT, "flood")}),
        ("mandate.office_not_entitled", {"office": ""}),
        ("mandate.office_not_entitled", {"office": "/border"}),
        ("mandate.office_not_entitled", {"office": "/border-guards"}),
        ("mandate.office_not_entitled", {"office": "/foreign-affairs"}),
        ("mandate.not_in_force", {"day": days(-1)}),
        ("mandate.enclosure_media", {"enclosures": ("media", "text/html")}),
        ("mandate.enclosure_media", {"enclosures": ("media", "imagery/png")}),
        ("said", {"enclosures": ("media", "image/png")}),
        ("mandate.enclosure_too_large", {"enclosures": ("size", 1001)}),
        ("mandate.enclosure_recipient", {"enclosures": ("to", ("XB/border-guard", "XB/customs"))}),
        ("mandate.enclosure_recipient", {"enclosures": ("to", ("XC/border-guard",))}),
        ("said", {"enclosures": ("to", ("XB/border-guard/south", "XA/border-guard"))}),
        (
            "mandate.enclosure_not_allowed",
            {"clause": f"{ROOT}/2", "office": "/foreign-affairs", "enclosures": ("size", 1)},
        ),
    ],
)
def test_what_the_clause_does_not_allow_is_refused_for_both_parties(
    by: str, to: str, code: str, changes: dict[str, Any]
) -> None:
    given = dict(changes)
    office = given.pop("office", "/border-guard")
    if "enclosures" in given:
        field, value = given["enclosures"]
        given["enclosures"] = (msgspec.structs.replace(PDF, **{field: value}),)
    assert Story().code(by=f"{by}{office}", **given) == code


def test_enclosures_are_counted() -> None:
    assert Story().code(enclosures=(PDF, PDF)) == "said"
    assert Story().code(enclosures=(PDF, PDF, PDF)) == "mandate.enclosure_too_many"


def test_one_permit_must_allow_all_enclosures_and_any_of_them_may() -> None:
    text = treaty("XA", "XB")
    first = text.clauses[0]
    bare = msgspec.structs.replace(first.permits[0], enclosures=None)
    for permits in ((bare, first.permits[0]), (first.permits[0], bare)):
        changed = msgspec.structs.replace(text, clauses=(msgspec.structs.replace(first, permits=permits),))
        assert Story(changed).code(enclosures=(PDF,)) == "said"


@pytest.mark.parametrize(
    "act",
    [
        agreements.Propose(treaty("XA", "XB")),
        agreements.Sign(ROOT, "ab" * 32),
        agreements.Decline(ROOT, "no"),
        agreements.BringIntoForce(ROOT, TODAY),
    ],
)
def test_what_founds_an_agreement_stands_under_the_charter_without_enclosures(act: Any) -> None:
    story = Story()
    assert story.code("charter", act, by="XA") == "said"
    assert story.code("charter", act, by="XA", enclosures=(PDF,)) == "mandate.enclosure_not_allowed"


@pytest.mark.parametrize(
    "act",
    [
        agreements.Amend(ROOT, treaty("XA", "XB")),
        agreements.Suspend(ROOT, "x"),
        agreements.Resume(ROOT),
        agreements.Terminate(ROOT, TODAY, "x"),
        SAY,
    ],
)
def test_everything_else_needs_a_clause(act: Any) -> None:
    assert Story().code("charter", act, by="XA") == "mandate.no_clause"


def test_it_is_in_force_only_when_all_have_signed_and_the_speaker_has_seen_it() -> None:
    story = Story(signed=False)
    assert story.code() == "mandate.not_in_force"
    story.tell("XA", "signed")
    assert story.code() == "mandate.not_in_force"
    story.tell("XB", "signed")
    assert story.code() == "said"
    assert story.code(seen={}) == "mandate.not_in_force"  # XA has not seen XB's signature
    assert story.code(by="XB/border-guard", seen={}) == "mandate.no_such_clause"  # nor XB the proposal
    assert story.code(by="XB/border-guard", seen={"XA": 1}) == "mandate.not_in_force"
    assert story.code(by="XB/border-guard", seen={"XA": 2}) == "said"
    assert story.code(by="XB/border-guard", seen={"XA": 2}, n=0) == "mandate.not_in_force"  # said before it signed


def test_it_is_in_force_from_its_day_and_until_its_last_day_inclusive() -> None:
    story = Story(treaty("XA", "XB", entry=Entry("signature", days(10), days(20))))
    codes = [story.code(day=days(count)) for count in (0, 9, 10, 20, 21)]
    assert codes == ["mandate.not_in_force", "mandate.not_in_force", "said", "said", "mandate.terminated"]


def test_by_notification_it_binds_from_the_later_notified_day() -> None:
    story = Story(treaty("XA", "XB", entry=Entry("notification")))
    assert story.code() == "mandate.not_in_force"
    story.tell("XA", "notified", day=days(5))
    assert story.code(day=days(9)) == "mandate.not_in_force"
    story.tell("XB", "notified", day=days(8))
    assert [story.code(day=days(count)) for count in (7, 8)] == ["mandate.not_in_force", "said"]


def test_a_party_that_did_not_sign_up_is_not_bound() -> None:
    assert Story().code(by="XC/border-guard") == "mandate.party_not_bound"


@pytest.mark.parametrize("clause", ["", "1"])
def test_a_suspended_clause_is_suspended_for_both_until_its_party_resumes(clause: str) -> None:
    story = Story()
    story.tell("XB", "suspended", clause=clause)
    for by in ("XA", "XB"):
        assert story.code(by=f"{by}/border-guard") == "mandate.suspended"
        assert story.code(f"{ROOT}/2", by=f"{by}/foreign-affairs") == ("mandate.suspended" if not clause else "said")
        assert story.code(f"{ROOT}/3", agreements.Resume(ROOT), by=f"{by}/foreign-affairs") == "said"
    story.tell("XA", "resumed", clause=clause)  # another party's resumption lifts nothing
    assert story.code() == "mandate.suspended"
    story.tell("XB", "resumed", clause=clause)
    assert story.code() == "said"


def test_a_suspension_that_the_speaker_had_not_seen_does_not_bind_it() -> None:
    story = Story()
    story.tell("XB", "suspended", clause="1")  # entry 1 of XB's log, behind its signature
    assert story.code(seen={"XB": 1}) == "said"
    assert story.code(seen={"XB": 2}) == "mandate.suspended"
    assert story.code(by="XB/border-guard", seen={"XA": ALL}, n=2) == "mandate.suspended"
    assert story.code(by="XB/border-guard", seen={"XA": ALL}, n=1) == "said"


def test_two_parties_suspensions_are_lifted_one_by_one() -> None:
    story = Story()
    story.tell("XA", "suspended", clause="1")
    story.tell("XB", "suspended")
    story.tell("XA", "resumed", clause="1")
    assert story.code() == "mandate.suspended"
    story.tell("XB", "resumed")
    assert story.code() == "said"


def test_after_one_of_two_has_left_it_ends_for_both() -> None:
    story = Story()
    story.tell("XA", "terminated", day=days(10))
    for by in ("XA", "XB"):
        assert [story.code(by=f"{by}/border-guard", day=days(count)) for count in (10, 11)] == [
            "said",
            "mandate.terminated",
        ]


def test_when_one_of_three_leaves_the_other_two_go_on() -> None:
    story = Story(treaty("XA", "XB", "XC"))
    story.tell("XA", "terminated", day=days(10))
    codes = {by: story.code(by=f"{by}/border-guard", day=days(11)) for by in ("XA", "XB", "XC")}
    assert codes == {"XA": "mandate.terminated", "XB": "said", "XC": "said"}
    story.tell("XB", "terminated", day=days(20))
    assert story.code(by="XC/border-guard", day=days(20)) == "said"
    assert story.code(by="XC/border-guard", day=days(21)) == "mandate.terminated"


def narrower(number: str = "1", *, entry: Entry | None = None, parties: tuple[str, ...] = ("XA", "XB")) -> Agreement:
    """The treaty without its first clause's right to say."""
    text = treaty(*parties, entry=entry)
    first = msgspec.structs.replace(text.clauses[0], number=number, permits=text.clauses[0].permits[1:])
    return msgspec.structs.replace(text, clauses=(first, *text.clauses[1:]))


def test_an_amendment_holds_when_all_have_signed_it_and_not_before() -> None:
    story = Story()
    story.amend(narrower(), "XA")
    assert story.code() == "said"
    story.tell("XB", "signed", agreement="XA-2026-000002")
    assert story.code() == "mandate.act_not_named"
    assert story.code(seen={"XB": 1}) == "said"  # as far as this speaker had seen


def test_an_amendment_holds_from_its_own_day() -> None:
    story = Story()
    story.amend(narrower(entry=Entry("signature", days(30))), "XA", "XB")
    assert [story.code(day=days(count)) for count in (29, 30)] == ["said", "mandate.act_not_named"]


def test_an_amendment_can_move_the_end() -> None:
    story = Story(treaty("XA", "XB", entry=Entry("signature", None, days(10))))
    assert story.code(day=days(11)) == "mandate.terminated"
    story.amend(treaty("XA", "XB", entry=Entry("signature", None, days(50))), "XA", "XB")
    assert [story.code(day=days(count)) for count in (11, 50, 51)] == ["said", "said", "mandate.terminated"]


def test_an_amendment_is_never_a_second_agreement_even_when_a_newer_one_replaced_it() -> None:
    story = Story()
    first = story.amend(treaty("XA", "XB", title="first"), "XA", "XB")
    second = story.amend(narrower(), "XA", "XB")
    assert story.code() == "mandate.act_not_named"
    assert story.code(f"{first}/1") == "mandate.no_such_clause"
    assert story.code(f"{second}/1") == "mandate.no_such_clause"


def test_the_amendment_that_bound_later_holds_whoever_proposed_it() -> None:
    story = Story()
    story.amend(narrower(), "XA", "XB", day=days(5))
    story.amend(treaty("XA", "XB"), "XA", "XB", day=days(2))
    assert story.code(day=days(3)) == "said"
    assert story.code(day=days(5)) == "mandate.act_not_named"


def test_what_was_worked_out_for_one_day_is_not_taken_for_another() -> None:
    story = Story()
    story.amend(narrower(entry=Entry("signature", days(30))), "XA", "XB", day=days(3))
    story.amend(treaty("XA", "XB", title="last"), "XA", "XB", day=days(40))
    kept = story.mandates()
    for count in (60, 0, 41, 40, 39, 31, 30, 29, 3, 2, 40):
        fresh = story.mandates()
        held, expected = (each.in_force("XA", ALL, {"XB": ALL}, days(count)) for each in (kept, fresh))
        assert {number: each.clause for number, each in held.items()} == {
            number: each.clause for number, each in expected.items()
        }
        amended = [each.standings("XA", ALL, {"XB": ALL}, days(count))[ROOT].amended_by for each in (kept, fresh)]
        assert amended[0] == amended[1]


def test_a_suspension_outlives_an_amendment() -> None:
    story = Story()
    story.tell("XB", "suspended", clause="1")
    story.amend(treaty("XA", "XB", title="new"), "XA", "XB")
    assert story.code() == "mandate.suspended"


def test_an_office_is_covered_by_itself_and_by_those_above_it_only() -> None:
    assert covered("XA/a/b", ["XA/a"])
    assert covered("XA/a", ["XA"])
    assert not covered("XA/ab", ["XA/a"])
    assert not covered("XA", ["XA/a"])
    assert not covered("XAB/a", ["XA"])


PARTIES = ("XA", "XB", "XC")
WHAT = ("signed", "declined", "notified", "suspended", "resumed", "terminated", "amended", "proposed")


@st.composite
def stories(draw: st.DrawFn) -> Story:
    method = draw(st.sampled_from(["signature", "notification"]))
    story = Story(treaty(*PARTIES, entry=Entry(method)), signed=draw(st.booleans()))
    known = [ROOT]
    for _ in range(draw(st.integers(0, 14))):
        party, what = draw(st.sampled_from(PARTIES)), draw(st.sampled_from(WHAT))
        day, on = days(draw(st.integers(-2, 6))), draw(st.sampled_from(known))
        if what == "amended":
            known.append(story.tell(party, what, amends=on, text=narrower(parties=PARTIES)))
        elif what == "proposed":
            n = sum(event.party == party for event in story.events)
            known.append(story.tell(party, what, agreement=f"{party}-2026-{n:06d}", text=treaty(*PARTIES)))
        else:
            story.tell(party, what, agreement=on, day=day, clause=draw(st.sampled_from(["", "1", "2"])))
    return story


@given(stories(), st.randoms(use_true_random=False), st.data())
def test_any_order_of_delivery_gives_the_same_answers_to_every_speaker(
    story: Story, random: Any, data: st.DataObject
) -> None:
    one, other = story.mandates(), Mandates(CHARTER_ACTS)
    mixed = list(story.events)
    random.shuffle(mixed)
    for event in mixed:
        other.add(event)
        other.in_force(event.party, event.n, {})  # asking in between must not leave a stale answer behind
    for speaker in PARTIES:
        for _ in range(3):
            n = data.draw(st.integers(0, 8))
            seen = {each: data.draw(st.integers(0, 8)) for each in PARTIES if each != speaker}
            day = days(data.draw(st.integers(-2, 6)))
            assert one.in_force(speaker, n, seen, day) == other.in_force(speaker, n, seen, day)


@given(stories(), st.data())
def test_what_was_not_seen_changes_no_answer(story: Story, data: st.DataObject) -> None:
    speaker = data.draw(st.sampled_from(PARTIES))
    bounds = {party: data.draw(st.integers(0, 8)) for party in PARTIES}
    seen = {party: bound for party, bound in bounds.items() if party != speaker}
    part = Mandates(CHARTER_ACTS)
    for event in story.events:
        if event.n < bounds[event.party]:
            part.add(event)
    whole = story.mandates()
    assert part.in_force(speaker, bounds[speaker], seen) == whole.in_force(speaker, bounds[speaker], seen)
    later = {party: bound + 1 for party, bound in seen.items()}
    whole.in_force(speaker, bounds[speaker] + 5, later)
    assert part.in_force(speaker, bounds[speaker], seen) == whole.in_force(speaker, bounds[speaker], seen)


def test_answers_that_are_kept_hold_a_bounded_number_of_clauses() -> None:
    """Any party may propose texts of two hundred clauses, and say one thing a day: each day is another answer."""
    many = tuple(Clause(str(number), {"en": "x"}) for number in range(200))
    story = Story(treaty("XA", "XB", clauses=many), signed=False)
    mandates = story.mandates()
    for day in range(400):
        assert len(dict(mandates.in_force("XA", ALL, {}, days(day)))) == 200
    assert sum(len(answer._found) for answer in mandates._answers.values()) <= 65_536
