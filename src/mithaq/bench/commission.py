"""Ten years of an invented, busy commission, said by two nodes in this process under a clock that runs ahead.

Every third month the two sides meet and conclude agreements; each obligation takes its course of claims, answers and joint
findings around its due day; and every day each side's posts say what they do under the clauses: evidence by doing.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mithaq.bench.exchange import PARTIES, PASSPHRASE, deliver, homes
from mithaq.kernel.act import Act
from mithaq.kernel.errors import MithaqError
from mithaq.kernel.mandate import Agreement, Clause, Duty, Entry, Permit
from mithaq.node import Node, Saying
from mithaq.services.agreements import acts as agreements
from mithaq.services.channel import acts as channel
from mithaq.services.obligations import acts

END: Final = dt.date(2026, 1, 1)
ROUND: Final = dt.timedelta(days=6)
"""From one carriage of both logs to the next: what one side says in a round is answered in the next."""
SESSIONS: Final = 4
"""A year."""
CLAUSES: Final = 5
DUTIES: Final = 5
REMARK: Final = "Seen at the post and written down there; the particulars stand in the letter of this day. " * 2

Course = Generator[tuple[dt.date, str, Act], str, None]
"""What is said about one obligation: yields (day, by whom, act) and is sent the reference that it was given."""


class Clock:
    """Seconds since 1970 that pass when the story says so."""

    def __init__(self, day: dt.date) -> None:
        self.day = day

    def __call__(self) -> float:
        return dt.datetime.combine(self.day, dt.time(9), dt.UTC).timestamp()


@dataclass(frozen=True)
class Size:
    """How much is said: agreements of 25 obligations each, and statements in all, to the end of 2025."""

    agreements: int = 200
    statements: int = 200_000
    years: int = 10


class Commission:
    """Two nodes on homes in a folder, and everything that they say."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.size: Final = size
        self.begin: Final = dt.date(END.year - size.years, 1, 1)
        self.clock: Final = Clock(self.begin)
        self.nodes: Final = {party: home.node(PASSPHRASE, self.clock) for party, home in homes(folder).items()}
        self.clauses: list[str] = []
        self._random: Final = random.Random(1)
        self._courses: list[tuple[dt.date, int, str, Act, Course]] = []
        self._about: dict[str, str] = {}
        self._numbers: Final = itertools.count()

    def fill(self) -> None:
        """Say it all; both nodes have heard everything at the end."""
        rounds, meetings = (END - self.begin) // ROUND, SESSIONS * self.size.years
        sessions = {number * rounds // meetings: number for number in range(meetings)}
        for number in range(rounds):
            self.clock.day = self.begin + number * ROUND
            if number in sessions:
                self._meet(sessions[number])
            said = sum(node.log.size for node in self.nodes.values())
            self._round((self.size.statements - said) // (rounds - number))
            self._carry()

    @property
    def obligations(self) -> int:
        """How many there are."""
        return len(self.clauses) * DUTIES

    def close(self) -> None:
        """Let go of both databases."""
        for node in self.nodes.values():
            node.database.close()

    def _meet(self, session: int) -> None:
        """One meeting of the two sides: texts are proposed and signed there."""
        per, rest = divmod(self.size.agreements, SESSIONS * self.size.years)
        texts = [self._text() for _ in range(per + (session < rest))]
        first, second = (self.nodes[party] for party in PARTIES)
        proposed = _say(first, [Saying(agreements.Propose(text), "charter", first.party) for text in texts])
        signs = [agreements.Sign(made, text.hash()) for made, text in zip(proposed, texts, strict=True)]
        _say(first, [Saying(sign, "charter", first.party) for sign in signs])
        deliver(first, second)
        _say(second, [Saying(sign, "charter", second.party) for sign in signs])
        self._carry()
        for reference, text in zip(proposed, texts, strict=True):
            for clause in text.clauses:
                self.clauses.append(f"{reference}/{clause.number}")
                for place, duty in enumerate(clause.obliges, 1):
                    course = self._course(f"{reference}/{clause.number}:{place}", duty, self.clock.day)
                    self._go_on(course, None)

    def _text(self) -> Agreement:
        posts = tuple(f"{party}/border-guard" for party in PARTIES)
        said = (
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
        permits = (Permit("channel.say", posts), *(Permit(f"obligations.{each}", posts) for each in said))
        clauses = tuple(
            Clause(str(number), {"en": REMARK}, permits, tuple(self._duty() for _ in range(DUTIES)))
            for number in range(1, CLAUSES + 1)
        )
        return Agreement({"en": "On the work of the posts"}, PARTIES, clauses, Entry("signature"))

    def _duty(self) -> Duty:
        """Half with a day, some with a month, a period from an event, a recurrence; a fifth without any time."""
        debtor, creditor = self._random.sample(PARTIES, 2)
        due = self.clock.day + dt.timedelta(days=self._random.randrange(60, 900))
        kind = self._random.random()
        if kind < 0.1:
            return Duty(debtor, (creditor,), {"en": REMARK}, "P90D", after="the first visit")
        if kind < 0.2:
            return Duty(debtor, (creditor,), {"en": REMARK}, self._random.choice(("R/P6M", "R/P1Y")))
        text = "" if kind < 0.4 else due.isoformat()[: 7 if kind < 0.5 else 10]
        return Duty(debtor, (creditor,), {"en": REMARK}, text, tacit_days=30 if kind > 0.97 else 0)

    def _course(self, obligation: str, duty: Duty, since: dt.date) -> Course:
        """Up to two claims with the answers to them; a third are taken up late, a tenth never."""
        debtor, creditor = duty.owed_by, duty.owed_to[0]
        chance = self._random.random
        if chance() < 0.1:
            return
        day = since + dt.timedelta(days=self._random.randrange(20, 900))
        if duty.after:
            for party in (debtor, creditor):
                yield day, party, acts.NoteEvent(obligation, day)
            day += 6 * ROUND
        if duty.due[:1].isdecimal() and chance() < 0.1:
            later = (day + dt.timedelta(days=self._random.randrange(100, 400))).isoformat()
            yield day, creditor, acts.SetDue(obligation, later, REMARK)
        for level in (self._random.choice((1, 2)), 3):
            claim = yield day, debtor, acts.Claim(obligation, level, day, REMARK)
            day += 2 * ROUND
            kind = chance()
            if kind < 0.65:
                yield day, creditor, acts.Answer(claim, "confirm")
            elif kind < 0.9:
                yield day, creditor, acts.Answer(claim, "partly" if kind < 0.75 else "dispute", REMARK)
                yield day + ROUND, creditor, acts.Answer(claim, "verify", REMARK)
                day += 6 * ROUND
                for party in (debtor, creditor):
                    yield day, party, acts.Find(obligation, level, day, REMARK)
            day += dt.timedelta(days=self._random.randrange(30, 300))

    def _round(self, count: int) -> None:
        """What is due of the courses, then counts under the clauses for the rest."""
        due = [*self._due()]
        for party in PARTIES:
            steps = [(act, course) for who, act, course in due if who == party]
            sayings = [Saying(act, self._clause(act), f"{party}/border-guard") for act, _ in steps]
            for (act, course), reference in zip(steps, _say(self.nodes[party], sayings), strict=True):
                if isinstance(act, acts.Claim):
                    self._about[reference] = self._clause(act)
                self._go_on(course, reference)
        share = max(0, count - len(due)) // len(PARTIES)
        for party in PARTIES:
            self.clock.day += ROUND / 3
            _say(self.nodes[party], [self.count(party) for _ in range(share)])

    def _clause(self, act: Any) -> str:
        return str(act.obligation.partition(":")[0]) if hasattr(act, "obligation") else self._about[act.claim]

    def _go_on(self, course: Course, reference: str | None) -> None:
        try:
            day, party, act = course.send(reference)  # type: ignore[arg-type]  # a generator is begun with None
        except StopIteration:
            return
        heapq.heappush(self._courses, (day, next(self._numbers), party, act, course))

    def _due(self) -> Iterator[tuple[str, Act, Course]]:
        while self._courses and self._courses[0][0] <= self.clock.day:
            _, _, party, act, course = heapq.heappop(self._courses)
            yield party, act, course

    def count(self, party: str) -> Saying:
        """What a post says in the day's work: under few clauses much, under most a little."""
        place = int(len(self.clauses) * self._random.random() ** 3)
        other = PARTIES[party == PARTIES[0]]
        act = channel.Say("traffic today", REMARK, (f"{other}/border-guard",))
        return Saying(act, self.clauses[place], f"{party}/border-guard")

    def _carry(self) -> None:
        first, second = self.nodes.values()
        deliver(first, second)
        deliver(second, first)


def _say(node: Node, sayings: list[Saying]) -> list[str]:
    """Their references; nothing of an honest commission is refused."""
    references = []
    for outcome in node.say_all(sayings) if sayings else []:
        if isinstance(outcome, MithaqError):
            raise outcome
        references.append(outcome.reference)
    return references
