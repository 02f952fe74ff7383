"""From a question's name and its filters to its answer: the one way in for the command line and the API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from mithaq.kernel.errors import Refused
from mithaq.kernel.statement import split_reference
from mithaq.register import asking, desk, history, questions, yearly
from mithaq.register.asking import Asked, Asker
from mithaq.register.history import Cut
from mithaq.register.reminders import reminders
from mithaq.services.channel import records as channel
from mithaq.services.meetings import records as meetings
from mithaq.services.obligations import records as obligations
from mithaq.services.obligations.register import Register
from mithaq.services.obligations.standing import Standing

WORDS: Final = frozenset({"what", "text", "title", "marked", "subject"})
"""Fields of answers that tell what was said: left out for those who may see places and counts alone."""


class Desk:
    """What an answer is made from: one connection, the kept register, who asks on which day."""

    def __init__(self, connection: Connection, register: Register, asker: Asker, official: str) -> None:
        self.connection: Final = connection
        self.asker: Final = asker
        self.official: Final = official
        self._register: Final = register

    def standings(self, day: dt.date) -> Sequence[Standing]:
        """Every obligation on a day; another day than today does not disturb what is kept."""
        register = self._register if day == self.asker.today else Register()
        return register.obligations(self.connection, day)

    # --- the questions ------------------------------------------------------------------------------------------

    def owed(self, asked: Asked, _given: Mapping[str, str]) -> Any:
        return questions.owed(self.standings(asked.on), asked)

    def overdue(self, asked: Asked, _given: Mapping[str, str]) -> Any:
        return questions.overdue(self.standings(asked.on), asked)

    def disputed(self, asked: Asked, _given: Mapping[str, str]) -> Any:
        return questions.disputed(self.standings(asked.on), asked)

    def unanswered(self, asked: Asked, _given: Mapping[str, str]) -> Any:
        found = questions.claims(self.standings(asked.on), asked)
        letters = {each: channel.unacknowledged(self.connection, each) for each in asked.asker.parties}
        return questions.unanswered(found, self._said_at([each.claim for each in found]), letters, asked)

    def clause(self, asked: Asked, given: Mapping[str, str]) -> Any:
        asking.needed(given, "clause")
        return history.clause(self.connection, self.standings(asked.on), asked)

    def year(self, asked: Asked, given: Mapping[str, str]) -> Any:
        year = asking.year(given)
        asked = msgspec.structs.replace(asked, on=yearly.day_of(year, asked.on))
        done = obligations.carried_counts(self.connection, year)
        return yearly.report(self.standings(asked.on), done, year, asked)

    def since(self, asked: Asked, given: Mapping[str, str]) -> Any:
        moment = asking.moment(given)
        if moment is not None:
            return history.changed(self.connection, self.standings(asked.on), Cut(moment), asked)
        visit = desk.last_visit(self.connection, self.official)
        cut = Cut(visit.at, visit.heard) if visit else Cut(dt.datetime.min.replace(tzinfo=dt.UTC), {})
        return history.changed(self.connection, self.standings(asked.on), cut, asked)

    def agenda(self, asked: Asked, given: Mapping[str, str]) -> Any:
        body = asked.body
        asking.needed(given, "body")
        assert body is not None  # asking.read has looked
        coming = meetings.upcoming(self.connection, asked.on, body.reference)
        held = [each for each in meetings.meetings(self.connection, body.reference) if each.state == "held"]
        agreed = [text for each in held for text in meetings.minutes_of(self.connection, each.reference)]
        before = questions.Earlier(
            tuple(each.held_on for each in held if each.held_on),
            tuple(each.text.next for each in agreed if each.state == "agreed" and each.text.next),
            meetings.arising(self.connection, body.reference),
        )
        return questions.agenda(self.standings(asked.on), body, coming[0] if coming else None, before, asked)

    def reminders(self, asked: Asked, _given: Mapping[str, str]) -> Any:
        coming = meetings.upcoming(self.connection, asked.on)
        return reminders(self.standings(asked.on), coming, asked)

    def _said_at(self, claims: Sequence[str]) -> dict[str, str]:
        """When each claim was said, read by its place in the log."""
        table = obligations.said_table
        found = {}
        for reference in claims:
            party, n = split_reference(reference)
            place = (table.c.party == party) & (table.c.n == n)
            found[reference] = str(self.connection.execute(select(table.c.at).where(place)).scalar())
        return found


QUESTIONS: Final[dict[str, Callable[[Desk, Asked, Mapping[str, str]], Any]]] = {
    "owed": Desk.owed,
    "overdue": Desk.overdue,
    "disputed": Desk.disputed,
    "unanswered": Desk.unanswered,
    "clause": Desk.clause,
    "year": Desk.year,
    "since": Desk.since,
    "agenda": Desk.agenda,
    "reminders": Desk.reminders,
}
PARAMETERS: Final = frozenset({*asking.FILTERS, "year", "moment"})


def answer(desk: Desk, question: str, given: Mapping[str, str]) -> Any:
    """The answer as a value. Refused `register.no_question`, and what `asking.read` refuses."""
    if question not in QUESTIONS:
        raise Refused("register.no_question", value=question[:40], field="question")
    return QUESTIONS[question](desk, asking.read(desk.connection, given, desk.asker), given)


def bare(value: Any) -> Any:
    """The answer without what was said: places, words of the three layers, counts, references."""
    if isinstance(value, msgspec.Struct):
        names = (name for name in value.__struct_fields__ if name not in WORDS)
        return {name: bare(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [bare(each) for each in value]
    return value
