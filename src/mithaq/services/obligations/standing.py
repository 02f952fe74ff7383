"""An obligation's standing in three layers that are never merged: what IS, what each side SAYS, what the CLOCK says.

Pure: a function of the duty, of what the agreements make of it on a day, of what was said, and of the day. The words of what
IS are those of Symboleo's machine of obligations (Sharifi et al. 2020), with "closed" for what all gave up unfulfilled.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from mithaq.kernel.mandate import Duty
from mithaq.services.obligations import clock, said
from mithaq.services.obligations.clock import Clock, Due
from mithaq.services.obligations.said import Says, Told

LifeWord = Literal[
    "created",
    "conditional",
    "in_effect",
    "suspended",
    "fulfilled",
    "violated",
    "discharged",
    "terminated",
    "closed",
]
Because = Literal[
    "not_in_force",
    "in_force",
    "condition_open",
    "suspension",
    "confirmed",
    "tacitly_confirmed",
    "jointly_found",
    "past_due",
    "creditors_released",
    "all_closed",
    "agreement_ended",
    "amended_away",
]
ENDED = frozenset({"fulfilled", "discharged", "closed"})


class State(msgspec.Struct, frozen=True, gc=False):
    """What the agreements make of one duty on a day, as far as they were heard: the ground that the fold stands on."""

    obligation: str
    agreement: str
    clause: str
    since: dt.date | None = None
    until: dt.date | None = None
    suspended_by: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Creditors that have left an agreement which goes on without them."""
    amended_by: str = ""
    """The amendment whose text has this duty no longer; `agreement` is where it was found."""


class Life(msgspec.Struct, frozen=True, gc=False):
    """What IS, why, and the statements or agreements that it comes from."""

    word: LifeWord
    because: Because
    references: tuple[str, ...] = ()


class Occurrence(msgspec.Struct, frozen=True, gc=False):
    """One time of a recurring duty."""

    number: int
    life: Life
    says: Says
    clock: Clock
    late_by: int = 0


class Assessed(msgspec.Struct, frozen=True, gc=False):
    """A creditor's newest unasked assessment: shown beside the rest, and changes nothing of it."""

    party: str
    level: int
    as_of: dt.date
    text: str
    reference: str


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """What one side has said that holds only when others say the same: a due day, an event's day, a release, a closing."""

    party: str
    what: str
    value: str
    reference: str


class Standing(msgspec.Struct, frozen=True, gc=False):
    """One obligation on one day. `late_by`: days by which full implementation came, or is, after the due day."""

    obligation: str
    agreement: str
    clause: str
    duty: Duty
    day: dt.date
    life: Life
    says: Says
    clock: Clock
    late_by: int = 0
    occurrence: int = 0
    """Of a recurring duty: the time that life, says and clock are about, the earliest that is not fulfilled."""
    occurrences: tuple[Occurrence, ...] = ()
    assessments: tuple[Assessed, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    references: tuple[str, ...] = ()
    """Every statement about it up to that day, by party and position."""

    @property
    def ended(self) -> bool:
        """Whether nothing more is owed: fulfilled, released, closed or terminated."""
        return self.life.word in ENDED or self.life.word == "terminated"


class _Case:
    """What is worked out once for a duty and shared by its occurrences."""

    def __init__(self, duty: Duty, state: State, told: Iterable[Told], today: dt.date) -> None:
        self.duty, self.state, self.today = duty, state, today
        day = today.isoformat()
        self.all = sorted((each for each in told if each.at[:10] <= day), key=lambda each: (each.party, each.n))
        self.creditors = tuple(each for each in duty.owed_to if each not in state.left) or duty.owed_to
        self.concerned = (duty.owed_by, *self.creditors)
        self.recurring = clock.recurs(duty.due)
        self.dues: list[tuple[int, dt.date]] = []
        if self.recurring:
            stop = min(today, state.until or today) if not duty.survives else today
            self.dues = clock.occurrences(duty.due, state.since, stop)
        self._due_days = [due.isoformat() for _, due in self.dues]
        reopened = [each for each in self.all if each.what == "reopened"]
        self.told = [each for each in self.all if not self._undone(each, reopened)] if reopened else self.all
        events = agreed([each for each in self.told if each.what == "event_noted"], self.concerned)
        self.event = dt.date.fromisoformat(events[-1].day) if events else None
        self.event_references = tuple(each.reference for each in events)
        self.closed = _newest(self.told, "closed", self.concerned)
        self.released = _newest(self.told, "discharged", self.creditors)
        self.moved = [each for each in self.told if each.what == "due_set"]

    def by_occurrence(self) -> dict[int, list[Told]]:
        """What says how far each time of a recurring duty was carried out; answers and withdrawals go to their claims."""
        found: dict[int, list[Told]] = {}
        numbers: dict[str, int] = {}
        for each in self.told:
            if each.what in {"claimed", "found"}:
                number = numbers[each.reference] = self.number(each)
                found.setdefault(number, []).append(each)
        for each in self.told:
            if each.claim in numbers:
                found[numbers[each.claim]].append(each)
        return found

    def number(self, each: Told) -> int:
        """Which occurrence a statement is about: the one it names, else the one in whose time its as-of day falls."""
        if each.occurrence or not self.recurring:
            return each.occurrence
        place = bisect_left(self._due_days, each.day)
        return self.dues[place][0] if place < len(self.dues) else 0

    def _undone(self, each: Told, reopened: Sequence[Told]) -> bool:
        """Whether somebody who had seen it has opened the obligation again since: what ended it then counts no more."""
        if each.what in {"discharged", "closed"}:
            return any(not again.occurrence and _saw(again, each) for again in reopened)
        if each.what not in {"claimed", "found"}:
            return False
        if self.recurring:
            number = self.number(each)
            return any(again.occurrence == number and again.occurrence and _saw(again, each) for again in reopened)
        return any(_saw(again, each) for again in reopened)


def fold(duty: Duty, state: State, told: Iterable[Told], today: dt.date) -> Standing:
    """The standing on `today` by what was said up to then: the same for the same set, in whatever order it came."""
    case = _Case(duty, state, told, today)
    if not case.recurring:
        one = _one(case, case.told, _due(case, 0, None), 0)
        return _whole(case, one, ())
    parts = case.by_occurrence()
    all_times = tuple(_one(case, parts.get(number, ()), _due(case, number, day), number) for number, day in case.dues)
    if not all_times:
        return _whole(case, _one(case, [], Due(None, "recurrence"), 0), ())
    current = next((each for each in all_times if each.life.word != "fulfilled"), None)
    if current is None:
        current = msgspec.structs.replace(all_times[-1], life=Life("in_effect", "in_force", (state.agreement,)))
    return _whole(case, current, all_times)


def _one(case: _Case, told: Sequence[Told], due: Due, number: int) -> Occurrence:
    """The three layers of a duty, or of one time of a recurring one."""
    duty = case.duty
    says = said.fold(told, case.creditors, duty.owed_by, duty.tacit_days, case.today)
    ending = _ending(case, says)
    stopped = ending[1] if ending else None
    shown = clock.read(due, case.today, stopped)
    life = ending[0] if ending else _going_on(case, shown)
    late = max(0, -(shown.days or 0)) if life.word in {"fulfilled", "violated"} else 0
    return Occurrence(number, life, says, shown, late)


def _ending(case: _Case, says: Says) -> tuple[Life, dt.date | None] | None:
    """What ended it and on which day; None while it goes on."""
    state, closed, released = case.state, case.closed, case.released
    if state.since is None or case.today < state.since:
        return Life("created", "not_in_force", (state.agreement,)), None
    if closed:
        return Life("closed", "all_closed", tuple(each.reference for each in closed)), _last_day(closed)
    if released:
        return Life("discharged", "creditors_released", tuple(each.reference for each in released)), _last_day(released)
    if says.fulfils:
        because: Because = "jointly_found"
        if says.word != "jointly_found":
            because = "tacitly_confirmed" if says.word == "tacitly_confirmed" else "confirmed"
        return Life("fulfilled", because, says.references), says.as_of
    if state.amended_by:
        return Life("terminated", "amended_away", (state.amended_by,)), None
    if state.until is not None and case.today > state.until and not case.duty.survives:
        return Life("terminated", "agreement_ended", (state.agreement,)), state.until
    return None


def _going_on(case: _Case, shown: Clock) -> Life:
    state = case.state
    if state.suspended_by:
        return Life("suspended", "suspension", (state.agreement,))
    if case.duty.condition and case.event is None:
        return Life("conditional", "condition_open", (state.agreement,))
    if shown.word == "overdue":
        return Life("violated", "past_due", (state.agreement, *shown.references))
    return Life("in_effect", "in_force", (state.agreement, *case.event_references))


def _due(case: _Case, number: int, day: dt.date | None) -> Due:
    """The due day by the text, then by what was said about it since."""
    duty = case.duty
    if number:
        due = Due(day, "recurrence", case.state.since)
    else:
        waits = bool(duty.after or duty.condition)
        due = clock.first_due(duty.due, case.state.since, case.event, from_event=waits)
        if waits and case.event_references:
            due = msgspec.structs.replace(due, references=case.event_references)
    said_of = [each for each in case.moved if each.occurrence == number]
    return _moved(due, said_of, case) if said_of else due


def _moved(due: Due, told: Sequence[Told], case: _Case) -> Due:
    """A due day that all concerned have named holds; a later one by every creditor, said since, holds over it."""
    common = agreed(told, case.concerned)
    if common:
        due = _named(common[-1].day, due, common)
    marks = {each.party: each.n for each in common}
    later: list[Told] = []
    for party in case.creditors:
        since = [each for each in told if each.party == party and each.n > marks.get(party, -1)]
        if not since:
            return due
        later.append(max(since, key=lambda each: (clock.last_day(each.day) or dt.date.min, each.n)))
    least = min(later, key=lambda each: (clock.last_day(each.day) or dt.date.min, each.day))
    day = clock.last_day(least.day)
    if day is None or (due.day is not None and day <= due.day):
        return due
    return _named(least.day, due, later)


def _named(text: str, due: Due, by: Sequence[Told]) -> Due:
    references = tuple(each.reference for each in by)
    return Due(clock.last_day(text), "month" if len(text) == 7 else "day", due.start, references)


def agreed(told: Sequence[Told], concerned: Sequence[str]) -> list[Told]:
    """The statements by which all concerned named the same day, the creditors' first and the debtor's last.

    They agree when each one's newest word, as one of them had seen it when it spoke, or as it is now, is that day: an old
    word that was given up for another is not taken up again by the other side alone. Of several such days, the one that
    the debtor came to last; a creditor that repeats it takes back nothing that it has given since.
    """
    debtor, creditors = concerned[0], concerned[1:]
    points = [{each.party: each for each in told}]  # ordered by position: the newest of each stays
    for each in told:
        before = {other.party: other for other in told if _saw(each, other)}
        points += [before, {**before, each.party: each}]
    common = [
        point for point in points if all(party in point for party in concerned) and len(_days(point, concerned)) == 1
    ]
    if not common:
        return []
    last = max(common, key=lambda point: (point[debtor].n, [-point[other].n for other in creditors]))
    return [*(last[other] for other in creditors), last[debtor]]


def _days(point: Mapping[str, Told], concerned: Sequence[str]) -> set[str]:
    return {point[party].day for party in concerned}


def _newest(told: Sequence[Told], what: str, parties: Sequence[str]) -> list[Told]:
    """Each party's newest statement of that kind, when all of them have made one."""
    newest = {each.party: each for each in told if each.what == what and each.party in parties}
    return [newest[party] for party in sorted(newest)] if len(newest) == len(set(parties)) else []


def _last_day(told: Sequence[Told]) -> dt.date:
    return max(dt.date.fromisoformat(each.at[:10]) for each in told)


def _saw(later: Told, earlier: Told) -> bool:
    if later.party == earlier.party:
        return earlier.n < later.n
    seen = msgspec.json.decode(later.seen, type=dict[str, int]) if later.seen else {}
    return earlier.n < seen.get(earlier.party, 0)


def _whole(case: _Case, one: Occurrence, times: tuple[Occurrence, ...]) -> Standing:
    state = case.state
    assessed = {each.party: each for each in case.all if each.what == "assessed"}
    return Standing(
        state.obligation,
        state.agreement,
        state.clause,
        case.duty,
        case.today,
        one.life,
        one.says,
        one.clock,
        one.late_by,
        one.number,
        times,
        tuple(
            Assessed(party, each.level, dt.date.fromisoformat(each.day), each.text, each.reference)
            for party, each in sorted(assessed.items())
        ),
        _waiting(case, one) if len(case.told) else (),
        tuple([each.reference for each in case.all]),
    )


def _waiting(case: _Case, one: Occurrence) -> tuple[Waiting, ...]:
    """The newest of each side's sayings that need others and have no effect yet."""
    used = {*one.life.references, *one.clock.references, *case.event_references}
    newest: dict[tuple[str, str, int], Told] = {}
    for each in case.told:
        if each.what in {"due_set", "event_noted", "discharged", "closed"}:
            newest[each.party, each.what, each.occurrence] = each
    return tuple(
        Waiting(each.party, each.what, each.day, each.reference)
        for each in newest.values()
        if each.reference not in used and (each.what != "due_set" or _differs(each, one.clock))
    )


def _differs(each: Told, shown: Clock) -> bool:
    return clock.last_day(each.day) != shown.due
