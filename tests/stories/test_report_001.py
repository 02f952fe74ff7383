"""The case of report 001 on the demonstration's own text: three duties of one clause, day by day, on two nodes.

From the report: the pact of 19 March 2023, the day 19 September, and on the 23rd the word that all was carried out. What the
other side answers and what both find is made up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from mithaq.demo import agreements
from mithaq.node import Node
from mithaq.register import answers
from mithaq.register.asking import Asker
from mithaq.services.channel import acts as channel
from mithaq.services.obligations import acts
from mithaq.services.obligations.register import Register
from mithaq.services.obligations.standing import Standing
from tests.nodes import Clock, MakeDatabase, conclude, paired, records_of, settle

SIGNED, DUE, CLAIMED = dt.date(2023, 3, 19), dt.date(2023, 9, 19), dt.date(2023, 9, 23)
ANSWERED, SEEN, LAST = dt.date(2023, 9, 30), dt.date(2023, 11, 10), dt.date(2023, 12, 31)


class Neighbours:
    """Both nodes, the clause that obliges, and a clock that is set to the report's days."""

    def __init__(self, creditor: Node, debtor: Node, clock: Clock) -> None:
        self.creditor, self.debtor, self.clock = creditor, debtor, clock
        self.on(SIGNED)
        self.clause = conclude(dict(agreements.load())["security-pact"], creditor, debtor) + "/2"
        self.duties = [f"{self.clause}:{place}" for place in (1, 2, 3)]
        self.kept = {node.party: Register() for node in (creditor, debtor)}

    def on(self, day: dt.date) -> None:
        self.clock.now = dt.datetime.combine(day, dt.time(9), dt.UTC).timestamp()

    def say(self, node: Node, office: str, act: Any) -> str:
        said = node.say(act, clause=self.clause, by=f"{node.party}/{office}").reference
        settle(self.creditor, self.debtor)
        return said

    def standings(self) -> list[Standing]:
        """The clause's obligations today: the same on both nodes, kept or read anew."""
        found = []
        for node in (self.creditor, self.debtor):
            with node.database.read() as connection:
                for register in (self.kept[node.party], Register()):
                    every = register.obligations(connection, self.clock.today)
                    found.append([each for each in every if each.clause == self.clause])
        assert all(each == found[0] for each in found)
        return found[0]

    def words(self) -> list[tuple[str, str, str, int | None]]:
        return [(each.life.word, each.says.word, each.clock.word, each.clock.days) for each in self.standings()]

    def ask(self, node: Node, question: str, **given: str) -> Any:
        asker = Asker(node.party, ("IQ", "IR"), self.clock.today)
        with node.database.read() as connection:
            return answers.answer(answers.Desk(connection, self.kept[node.party], asker, ""), question, given)


@pytest.fixture
def neighbours(make_database: MakeDatabase) -> Iterator[Neighbours]:
    clock = Clock()
    with paired(make_database, ("IR", "IQ"), clock) as (creditor, debtor):
        yield Neighbours(creditor, debtor, clock)


def claim_all(both: Neighbours) -> list[str]:
    both.on(CLAIMED)
    text = "All that was due on the 19th is carried out."
    return [both.say(both.debtor, "foreign-affairs", acts.Claim(each, 3, CLAIMED, text)) for each in both.duties]


def answer_in_part(both: Neighbours, claims: list[str]) -> None:
    """The first is confirmed in part, all three are to be looked at together."""
    both.on(ANSWERED)
    both.say(both.creditor, "foreign-affairs", acts.Answer(claims[0], "partly", "A part of it is still open.", 2))
    for claim in claims:
        both.say(both.creditor, "foreign-affairs", acts.Answer(claim, "verify", "Let both sides look at it together."))


def find_together(both: Neighbours) -> None:
    both.on(SEEN)
    for node in (both.debtor, both.creditor):
        for each, level in zip(both.duties, (2, 3, 3), strict=True):
            both.say(node, "interior", acts.Find(each, level, SEEN, "Seen together."))


def test_each_day_has_its_own_standing_and_it_is_the_same_on_both_nodes(neighbours: Neighbours) -> None:
    both = neighbours
    for day, word, days in (
        (SIGNED, "not_due", 184),
        (dt.date(2023, 9, 4), "not_due", 15),
        (dt.date(2023, 9, 5), "due_soon", 14),
        (DUE, "due", 0),
    ):
        both.on(day)
        assert both.words() == [("in_effect", "unclaimed", word, days)] * 3
    both.on(CLAIMED)
    assert both.words() == [("violated", "unclaimed", "overdue", -4)] * 3
    claims = claim_all(both)
    assert both.words() == [("violated", "claimed", "overdue", -4)] * 3
    answer_in_part(both, claims)
    assert both.words() == [("violated", "verification_asked", "overdue", -11)] * 3
    assert [each.says.disputed for each in both.standings()] == [True, False, False]
    find_together(both)
    both.on(LAST)
    assert both.words() == [
        ("violated", "jointly_found", "overdue", -103),
        ("fulfilled", "jointly_found", "overdue", -52),
        ("fulfilled", "jointly_found", "overdue", -52),
    ]
    assert [each.late_by for each in both.standings()] == [103, 52, 52]
    assert records_of(both.creditor) == records_of(both.debtor)
    assert records_of(both.creditor)["verdicts"] == []


def test_overdue_claimed_and_disputed_stand_beside_one_another(neighbours: Neighbours) -> None:
    answer_in_part(neighbours, claim_all(neighbours))
    first = neighbours.standings()[0]
    assert (first.clock.word, first.says.claimed, first.says.disputed) == ("overdue", True, True)
    assert first.says.level == 3
    assert first.says.verification == ("IR",)


def test_the_questions_of_both_secretaries_have_answers_that_agree(neighbours: Neighbours) -> None:
    both = neighbours
    claims = claim_all(both)
    waiting = both.ask(both.creditor, "unanswered")
    assert [(each.line.claim, each.by) for each in waiting.claims] == [(claim, ("IR",)) for claim in claims]
    assert [each.obligation for each in both.ask(both.debtor, "owed", clause=both.clause).by_us] == both.duties
    assert [each.obligation for each in both.ask(both.creditor, "owed", clause=both.clause).to_us] == both.duties
    answer_in_part(both, claims)
    find_together(both)
    both.on(LAST)
    assert [each.obligation for each in both.ask(both.creditor, "overdue").obligations] == both.duties[:1]
    for question, given in (("year", {"year": "2023"}), ("clause", {"clause": both.clause})):
        one, other = (both.ask(node, question, **given) for node in (both.creditor, both.debtor))
        assert (
            msgspec.to_builtins(one) == msgspec.to_builtins(other)
            if question == "clause"
            else one.clauses == other.clauses
        )
    year = next(each for each in both.ask(both.debtor, "year", year="2023").clauses if each.clause == both.clause)
    assert (year.fulfilled.k, year.fulfilled.n) == (2, 3)
    assert (year.in_time.k, year.in_time.n) == (0, 2)
    assert (year.overdue.k, year.overdue.n) == (1, 3)


def test_what_the_ministries_write_under_the_clause_shows_up_in_its_history(neighbours: Neighbours) -> None:
    both = neighbours
    both.on(dt.date(2023, 9, 18))
    letter = channel.Say("Camps", "The camps are ready; particulars by courier.", ("IR/interior",))
    reference = both.say(both.debtor, "interior", letter)
    claim_all(both)
    for node in (both.creditor, both.debtor):
        entries = both.ask(node, "clause", clause=both.clause).entries
        assert [each.reference for each in entries if each.do == "channel.say"] == [reference]
        assert [each.do for each in entries if each.do.startswith("obligations.")] == ["obligations.claimed"] * 3
