"""A secretary's questions over two nodes: the security pact of the demo data, asked day by day on both sides."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

from mithaq.demo import agreements as data
from mithaq.kernel.errors import MithaqError
from mithaq.node import Node
from mithaq.register import answers, desk, reminders
from mithaq.register.asking import Asker
from mithaq.services.channel import acts as channel
from mithaq.services.meetings import acts as meetings
from mithaq.services.obligations import acts
from mithaq.services.obligations.register import Register
from tests.nodes import Clock, MakeDatabase, conclude, paired, settle

TEXTS: Final = dict(data.load())
CANARY: Final = "canary-7c20aa"


class Story:
    """Iran's and Iraq's nodes, and how a secretary of either asks."""

    def __init__(self, creditor: Node, debtor: Node, clock: Clock) -> None:
        self.ir, self.iq, self.clock = creditor, debtor, clock
        self.agreement = conclude(TEXTS["security-pact"], creditor, debtor)
        self.clause = f"{self.agreement}/2"
        self.it = f"{self.clause}:1"

    def on(self, month: int, day: int, year: int = 2023) -> None:
        self.clock.now = dt.datetime(year, month, day, 9, tzinfo=dt.UTC).timestamp()
        settle(self.ir, self.iq)

    def say(self, node: Node, act: Any, office: str = "foreign-affairs", clause: str = "") -> str:
        said = node.say(act, clause=clause or self.clause, by=f"{node.party}/{office}").reference
        settle(self.ir, self.iq)
        return said

    def ask(self, question: str, node: Node | None = None, official: str = "operator", **given: str) -> Any:
        node = node or self.ir
        with node.database.read() as connection:
            asker = Asker(node.party, (node.party, *sorted(node.peers)), self.clock.today)
            return answers.answer(answers.Desk(connection, Register(), asker, official), question, given)

    def code(self, question: str, **given: str) -> tuple[str, object]:
        with pytest.raises(MithaqError) as reason:
            self.ask(question, **given)
        return reason.value.code, reason.value.facts.get("field")

    def claimed(self) -> str:
        """Four days late, Iraq says that all is done."""
        self.on(9, 23)
        return self.say(self.iq, acts.Claim(self.it, 3, dt.date(2023, 9, 23), f"All is done. {CANARY}"))


def told(make: MakeDatabase) -> Iterator[Story]:
    clock = Clock(dt.datetime(2023, 3, 19, 9, tzinfo=dt.UTC))
    with paired(make, ("IR", "IQ"), clock) as (a, b):
        yield Story(a, b, clock)


@pytest.fixture
def story(sqlite: MakeDatabase) -> Iterator[Story]:
    yield from told(sqlite)


@pytest.fixture
def both(make_database: MakeDatabase) -> Iterator[Story]:
    yield from told(make_database)


# --- owed, overdue, disputed, unanswered ----------------------------------------------------------------------------------


def test_what_they_owe_us_is_what_we_owe_on_the_other_node(story: Story) -> None:
    here, there = story.ask("owed"), story.ask("owed", story.iq)
    assert (here.by_us, here.others, there.to_us) == ((), (), ())
    assert here.to_us == there.by_us
    assert [each.obligation for each in here.to_us] == [f"{story.clause}:{k}" for k in (1, 2, 3)]
    first = here.to_us[0]
    assert (first.life, first.says, first.clock, first.days) == ("in_effect", "unclaimed", "not_due", 184)
    assert first.references == (story.agreement,)


def test_overdue_claimed_and_disputed_hold_together_and_each_shows_its_statements(both: Story) -> None:
    story = both
    assert story.ask("overdue").obligations == ()
    claim = story.claimed()
    answer = story.say(story.ir, acts.Answer(claim, "dispute", "The bases are still there."))
    for node in (story.ir, story.iq):
        overdue = story.ask("overdue", node).obligations
        assert [each.obligation for each in overdue] == [f"{story.clause}:{k}" for k in (1, 2, 3)]
        (line,) = story.ask("disputed", node).obligations
        assert line == overdue[0]
        assert (line.life, line.says, line.clock, line.days) == ("violated", "disputed", "overdue", -4)
        assert line.references == (story.agreement, claim, answer)
    assert story.ask("disputed", on="2023-09-22").obligations == ()


def test_a_claim_waits_for_its_answer_by_age_and_by_the_side_that_is_silent(story: Story) -> None:
    claim = story.claimed()
    story.on(10, 3)
    found = story.ask("unanswered")
    (waits,) = found.claims
    assert (waits.line.claim, waits.by, waits.days, waits.since[:10]) == (claim, ("IR",), 10, "2023-09-23")
    assert story.ask("unanswered", side="IR").claims == found.claims
    assert story.ask("unanswered", side="IQ").claims == ()
    assert story.ask("unanswered", month="2023-09").claims == found.claims
    assert story.ask("unanswered", month="2023-10").claims == ()
    story.say(story.ir, acts.Answer(claim, "verify", "Let us go there together."))
    assert story.ask("unanswered").claims == ()


def test_a_letter_waits_until_it_is_acknowledged(story: Story) -> None:
    to = ("IR/foreign-affairs",)
    by = dt.datetime(2023, 3, 22, tzinfo=dt.UTC)
    letter = story.say(story.iq, channel.Say("The camps", "See there.", to, by, urgent=True))
    story.on(3, 25)
    for node in (story.ir, story.iq):
        (waits,) = story.ask("unanswered", node).letters
        assert (waits.reference, waits.by, waits.days, waits.late) == (letter, "IR", 6, True)
        assert waits.references == (letter,)
    assert story.ask("unanswered", side="IQ").letters == ()
    assert story.ask("unanswered", clause=f"{story.agreement}/3").letters == ()
    story.say(story.ir, channel.Acknowledge(letter))
    assert story.ask("unanswered").letters == ()


def test_filters_of_side_clause_and_month_narrow_what_is_owed(story: Story) -> None:
    assert len(story.ask("owed", side="IQ", clause=story.clause, month="2023-09").to_us) == 3
    assert story.ask("owed", side="IR").to_us == ()
    assert story.ask("owed", clause=f"{story.agreement}/3").to_us == ()
    assert len(story.ask("owed", clause=story.agreement).to_us) == 3
    assert story.ask("owed", month="2023-10").to_us == ()
    assert story.ask("overdue", on="2023-09-20").obligations != ()


@pytest.mark.parametrize(
    "question, given, code, field",
    [
        ("owed", {"side": "IR "}, "register.unknown", "side"),
        ("owed", {"side": "TR"}, "register.unknown", "side"),
        ("owed", {"clause": "two"}, "register.bad_filter", "clause"),
        ("owed", {"clause": "charter"}, "register.bad_filter", "clause"),
        ("owed", {"clause": "IR-2023-000000/2\n"}, "register.bad_filter", "clause"),
        ("owed", {"clause": "IR-2023-000000/9"}, "register.unknown", "clause"),
        ("owed", {"clause": "IR-2023-000099"}, "register.unknown", "clause"),
        ("owed", {"body": "the body"}, "register.bad_filter", "body"),
        ("owed", {"body": "IR-2023-000099"}, "register.unknown", "body"),
        ("owed", {"month": "2023-13"}, "register.bad_filter", "month"),
        ("owed", {"month": "9/2023"}, "register.bad_filter", "month"),
        ("owed", {"on": "2023-02-30"}, "register.bad_filter", "on"),
        ("owed", {"on": "3/4/2023"}, "register.bad_filter", "on"),
        ("year", {"year": "23"}, "register.bad_filter", "year"),
        ("year", {}, "register.bad_filter", "year"),
        ("since", {"moment": "yesterday"}, "register.bad_filter", "moment"),
        ("since", {"moment": "2023-02-30"}, "register.bad_filter", "moment"),
        ("clause", {}, "register.bad_filter", "clause"),
        ("agenda", {}, "register.bad_filter", "body"),
        ("everything", {}, "register.no_question", "question"),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_and_never_ignored(
    story: Story, question: str, given: dict[str, str], code: str, field: str
) -> None:
    assert story.code(question, **given) == (code, field)


def test_with_no_agreement_every_list_is_empty(sqlite: MakeDatabase) -> None:
    clock = Clock()
    with paired(sqlite, ("XA", "XB"), clock) as (a, _):
        story = Story.__new__(Story)
        story.ir, story.clock = a, clock
        empty = {
            "owed": ("by_us", "to_us", "others"),
            "overdue": ("obligations",),
            "disputed": ("obligations",),
            "unanswered": ("claims", "letters"),
            "since": ("entries", "changes"),
            "reminders": ("obligations", "meetings"),
        }
        for question, lists in empty.items():
            assert [getattr(story.ask(question), each) for each in lists] == [()] * len(lists)
        assert story.ask("year", year="2026").clauses == ()


# --- one clause, a year -----------------------------------------------------------------------------------------------------


def test_the_history_of_a_clause_has_every_statement_behind_it_once(both: Story) -> None:
    story = both
    letter = story.say(story.iq, channel.Say("The camps", "See there.", ("IR/foreign-affairs",)))
    reply = story.say(story.ir, channel.Reply(letter, "We saw."))
    claim = story.claimed()
    answer = story.say(story.ir, acts.Answer(claim, "partly", "Not all.", 2))
    story.on(9, 26)
    assess = story.say(story.ir, acts.Assess(f"{story.clause}:2", 0, dt.date(2023, 9, 26), "Nothing."))
    found = story.ask("clause", clause=story.clause)
    assert found == story.ask("clause", story.iq, clause=story.clause)
    assert (found.agreement, found.since) == (story.agreement, dt.date(2023, 3, 19))
    assert [each.obligation for each in found.obligations] == [f"{story.clause}:{k}" for k in (1, 2, 3)]
    signatures = [each.reference for each in found.entries if each.do == "agreements.signed"]
    assert len(signatures) == 2
    behind = {each.reference: (each.do, each.about) for each in found.entries}
    assert behind[story.agreement] == ("agreements.proposed", story.agreement)
    assert behind[letter] == ("channel.say", letter)
    assert behind[reply] == ("channel.reply", letter)
    assert behind[claim] == ("obligations.claimed", story.it)
    assert behind[answer][0] == "obligations.answered"
    assert behind[assess] == ("obligations.assessed", f"{story.clause}:2")
    assert set(behind) == {story.agreement, *signatures, letter, reply, claim, answer, assess} == set(found.references)
    assert [each.at for each in found.entries] == sorted(each.at for each in found.entries)
    assert found.marked == TEXTS["security-pact"].marked


def test_a_clause_without_obligations_has_its_letters(story: Story) -> None:
    clause = f"{story.agreement}/4"
    letter = story.say(story.iq, channel.Say("Lane 3", "Open.", ("IR/border-guard",)), "border-guard", clause)
    found = story.ask("clause", clause=clause)
    assert (found.obligations, letter in found.references) == ((), True)


def test_the_yearly_report_counts_so_many_of_so_many_with_its_day(story: Story) -> None:
    claim = story.claimed()
    confirm = story.say(story.ir, acts.Answer(claim, "confirm"))
    other = story.say(story.iq, acts.Claim(f"{story.clause}:2", 3, dt.date(2023, 9, 19), "Shut."))
    dispute = story.say(story.ir, acts.Answer(other, "dispute", "Not all."))
    letter = channel.Say("The camps", "See there.", ("IR/foreign-affairs",))
    story.say(story.iq, letter)
    story.on(5, 1, 2024)
    report = story.ask("year", year="2023")
    assert (report.year, report.on) == (2023, dt.date(2023, 12, 31))
    (one,) = report.clauses
    assert (one.fulfilled.k, one.fulfilled.n, one.fulfilled.are) == (1, 3, (story.it,))
    assert (one.in_time.k, one.in_time.n) == (0, 1)
    assert (one.overdue.k, one.overdue.n) == (2, 3)
    assert (one.disputed.k, one.disputed.n, one.disputed.are) == (1, 3, (f"{story.clause}:2",))
    assert (one.undated.k, one.undated.n) == (0, 0)
    assert [(each.act, each.count) for each in one.done] == [("channel.say", 1)]
    assert set(one.references) == {story.agreement, claim, confirm, other, dispute}
    assert story.ask("year", year="2022").clauses == ()
    later = story.ask("year", year="2024")
    assert (later.on, later.clauses) == (dt.date(2024, 5, 1), ())


# --- since ------------------------------------------------------------------------------------------------------------------


def test_what_changed_since_a_moment_has_the_statements_and_the_standings_before_and_after(story: Story) -> None:
    story.on(9, 1)
    claim = story.claimed()
    found = story.ask("since", moment="2023-09-01")
    assert [each.reference for each in found.entries] == [claim]
    changes = {each.after.obligation: each for each in found.changes}
    assert len(changes) == 3  # two by the passing of time alone
    first = changes[story.it]
    assert first.before is not None
    assert (first.before.says, first.after.says, first.before.clock, first.after.clock) == (
        "unclaimed", "claimed", "not_due", "overdue",
    )  # fmt: skip
    assert claim in first.references
    assert changes[f"{story.clause}:2"].after.references == (story.agreement,)
    assert story.ask("since", moment="2023-09-23T09:00:00Z").entries == ()


def test_since_the_last_visit_tells_what_arrived_also_when_it_was_said_before(story: Story) -> None:
    first = story.ask("since")
    assert first.since is None
    assert story.agreement in {each.reference for each in first.entries}
    story.on(9, 23)
    story.iq.say(  # said before the visit, and carried only after it
        acts.Claim(story.it, 3, dt.date(2023, 9, 23), "Done."), clause=story.clause, by="IQ/foreign-affairs"
    )
    seen = story.ask("since")
    now = int(story.clock()) + 3600
    story.ir.writer.do(lambda connection: desk.remember_visit(connection, "layla", seen.upto, now))
    settle(story.ir, story.iq)
    story.clock.pass_days(1)
    found = story.ask("since", official="layla")
    assert [each.do for each in found.entries] == ["obligations.claimed"]
    assert [each.after.obligation for each in found.changes if each.after.claim] == [story.it]
    assert story.ask("since", official="another").since is None


# --- agenda, reminders --------------------------------------------------------------------------------------------------------


class Met(Story):
    """The memorandum of the interior ministries beside the pact: its clause 5 lets bodies form and meet."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.memorandum = conclude(TEXTS["interior-memorandum"], self.ir, self.iq)
        self.mandate = f"{self.memorandum}/5"
        name = {"ar": "فريق العمل", "fa": "کارگروه"}
        sides = tuple(meetings.Side(each, f"{each}/interior") for each in ("IR", "IQ"))
        form = meetings.FormBody(name, "working_group", self.mandate, sides, ("ar", "fa"), "P6M")
        self.body = self.meet(self.ir, form)
        for node in (self.ir, self.iq):
            self.meet(node, meetings.JoinBody(self.body))

    def meet(self, node: Node, act: Any) -> str:
        return self.say(node, act, "interior", self.mandate)

    def invite(self, day: dt.date) -> str:
        return self.meet(self.iq, meetings.Invite("meeting", {"ar": "لقاء"}, day, "Baghdad", ("IR",), self.body))


@pytest.fixture
def met(sqlite: MakeDatabase) -> Iterator[Met]:
    clock = Clock(dt.datetime(2023, 3, 19, 9, tzinfo=dt.UTC))
    with paired(sqlite, ("IR", "IQ"), clock) as (a, b):
        yield Met(a, b, clock)


def test_the_agenda_of_a_body_has_what_is_open_and_what_earlier_meetings_left(met: Met) -> None:
    empty = met.ask("agenda", body=met.body)
    assert (empty.meeting, empty.day, empty.day_from, empty.left) == ("", None, "", ())
    assert {each.line.agreement for each in empty.matters} == {met.memorandum}
    assert {each.why for each in empty.matters} == {("open",)}
    own = next(each.line for each in empty.matters if each.line.owed_by == "IQ")
    claim = met.say(met.iq, acts.Claim(own.obligation, 3, met.clock.today, "So."), "traffic-police", own.clause)
    first = met.invite(dt.date(2023, 4, 10))
    called = met.ask("agenda", body=met.body)
    assert (called.meeting, called.day, called.day_from) == (first, dt.date(2023, 4, 10), "invitation")
    assert (called.matters[0].why, called.matters[0].line.claim) == (("unanswered",), claim)
    assert first in called.references
    met.on(4, 10)
    for node in (met.ir, met.iq):
        met.meet(node, meetings.Hold(first, dt.date(2023, 4, 10)))
    items = (meetings.MinuteItem(1, "action", {"ar": "زيارة", "fa": "بازدید"}, owed_by="IQ", due="2023-05"),)
    minute = meetings.Minute(first, ("IR", "IQ"), items)
    text = met.meet(met.ir, minute)
    met.meet(met.ir, meetings.SignMinutes(text, minute.hash()))
    waiting = met.ask("agenda", body=met.body)
    assert [(each.what, each.reference, each.by) for each in waiting.left] == [("minutes", text, ("IQ",))]
    assert (waiting.day, waiting.day_from) == (dt.date(2023, 10, 10), "cadence")
    met.meet(met.iq, meetings.SignMinutes(text, minute.hash()))
    (action,) = met.ask("agenda", body=met.body).left
    assert (action.what, action.by, action.due) == ("action", ("IQ",), dt.date(2023, 5, 31))
    assert text in action.references
    history = met.ask("clause", clause=met.mandate)
    assert {"meetings.invited", "meetings.held", "meetings.minuted", "meetings.signed"} <= {
        each.do for each in history.entries
    }
    assert len({each.reference for each in history.entries}) == len(history.entries)


def test_the_filter_of_a_body_takes_the_obligations_of_its_agreement(met: Met) -> None:
    found = met.ask("owed", body=met.body)
    assert {each.agreement for each in (*found.by_us, *found.to_us)} == {met.memorandum}


def test_reminders_fall_14_and_3_days_before_on_the_day_and_every_week_after(story: Story) -> None:
    due = dt.date(2023, 9, 19)
    days = [due + dt.timedelta(days=each) for each in range(-20, 30)]
    falling = [each for each in days if story.ask("reminders", on=each.isoformat()).obligations]
    assert [(each - due).days for each in falling] == [-14, -3, 0, 7, 14, 21, 28]
    (first, *_) = story.ask("reminders", on="2023-09-16").obligations
    assert (first.obligation, first.days, first.references) == (story.it, 3, (story.agreement,))
    story.claimed()
    claim = story.ask("unanswered").claims[0].line.claim
    story.say(story.ir, acts.Answer(claim, "confirm"))
    story.on(9, 26)
    assert [each.obligation for each in story.ask("reminders").obligations] == [f"{story.clause}:{k}" for k in (2, 3)]


def test_a_meeting_that_is_to_come_is_remembered_too(met: Met) -> None:
    meeting = met.invite(dt.date(2023, 4, 10))
    (found,) = met.ask("reminders", on="2023-03-27").meetings
    assert (found.meeting, found.days, found.references) == (meeting, 14, (meeting,))
    assert met.ask("reminders", on="2023-03-28").meetings == ()
    assert met.ask("reminders", on="2023-03-27", clause=met.agreement).meetings == ()


@pytest.mark.parametrize("days, told", [(None, False), (15, False), (14, True), (1, False), (-1, False), (-7, True)])
def test_a_day_is_one_of_reminder_or_not(days: int | None, told: bool) -> None:
    assert reminders.falls(days) is told


# --- those who see no bodies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", sorted(answers.QUESTIONS))
def test_the_bare_answer_has_places_words_and_counts_and_nothing_of_what_was_said(met: Met, question: str) -> None:
    claim = met.claimed()
    met.say(met.ir, acts.Answer(claim, "dispute", CANARY))
    met.say(met.iq, channel.Say(CANARY, CANARY, ("IR/foreign-affairs",)))
    met.meet(met.iq, meetings.Invite("visit", {"ar": CANARY}, met.clock.today, CANARY, ("IR",), met.body))
    given = {"clause": {"clause": met.clause}, "year": {"year": "2023"}, "agenda": {"body": met.body}}
    found = met.ask(question, **given.get(question, {}))
    bare = msgspec.json.encode(answers.bare(found)).decode()
    assert CANARY not in bare
    assert "Disarm" not in bare
    assert met.agreement in bare or met.memorandum in bare or question == "reminders"
