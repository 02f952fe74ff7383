"""Which clauses are in force for a speaker, from what it had seen: the second of the numbered steps (laws 2 and 3)."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mithaq.kernel.errors import Refused
from mithaq.kernel.mandate import CHARTER, Agreement, Clause, Event, Permit

if TYPE_CHECKING:
    from mithaq.kernel.statement import Enclosure, Statement

_RESUMABLE: Final = "agreements.resume"
_KEPT_ANSWERS: Final = 256
_KEPT_ENTITLED: Final = 4096
_KEPT_STANDINGS: Final = 65_536
"""Standings in all kept answers together: any party may propose many texts, and say one thing a day."""
_KEPT_FOLDS: Final = 16
_SAID_AHEAD: Final = frozenset({"notified", "terminated"})
"""Events whose day is that of their effect; of the others it is the day when they were said."""


Permits = dict[tuple[str, str], dict[str, tuple[Permit, ...]]]
"""(reference of the text, clause number) -> act -> the permits that name it."""


class Standing:
    """One agreement as the visible events leave it: its text, who has signed, suspended, left."""

    def __init__(self, reference: str, text: Agreement, proposer: str) -> None:
        self.reference = reference
        self.text = text
        self.proposer = proposer
        self.days: dict[str, dict[str, str]] = {"signed": {}, "notified": {}, "declined": {}, "terminated": {}}
        self.suspended: set[tuple[str, str]] = set()
        self.amends = ""
        self.amended_by = ""

    def binds_from(self) -> dt.date | None:
        """The day from which all parties are bound, by the text's own method; None while one of them is missing.

        A text that a party declined, before it had seen all signatures, binds nobody: the consents never met.
        """
        if self.days["declined"]:
            return None
        method = "signed" if self.text.entry.method == "signature" else "notified"
        signed, bound = self.days["signed"], self.days[method]
        if any(party not in signed or party not in bound for party in self.text.parties):
            return None
        first = max(dt.date.fromisoformat(day) for day in bound.values())
        return max(first, self.text.entry.day) if self.text.entry.day else first

    def binds_until(self, party: str, amended: Agreement | None = None) -> dt.date | None:
        """The last day on which it binds `party`: the text's own end (as amended), or the day it leaves, or one is left alone."""
        until = (amended or self.text).entry.until
        ends = [until] if until else []
        left = {each: dt.date.fromisoformat(day) for each, day in self.days["terminated"].items()}
        if party in left:
            ends.append(left[party])
        if len(self.text.parties) - len(left) < 2 and left:  # an agreement needs two
            ends.append(max(left.values()))
        return min(ends) if ends else None


class InForce(msgspec.Struct, frozen=True):
    """A clause with what decides whether an act may be said under it, for one speaking party."""

    clause: Clause
    agreement: str
    parties: frozenset[str]
    permits: dict[str, tuple[Permit, ...]]
    bound: bool
    since: dt.date | None
    until: dt.date | None
    suspended_by: tuple[str, ...]
    entitled: dict[tuple[str, str], tuple[Permit, ...]]
    """(act, office) -> the permits that entitle it, as they were found: a memory, not a fact."""


class Mandates:
    """All events about agreements of one commission, and the answers computed from those that a speaker had seen."""

    def __init__(self, charter: Iterable[str]) -> None:
        self._charter = frozenset(charter)
        self._events: dict[str, list[tuple[int, int, Event]]] = {}
        self._texts: dict[str, Agreement] = {}
        self._obliging: set[str] = set()
        self._free: set[str] = set()
        self._permits: Permits = {}
        self._turns: list[dt.date] | None = None
        self._left: dict[tuple[tuple[tuple[str, int], ...], int], dict[str, Standing]] = {}
        self._answers: dict[tuple[Any, ...], Clauses] = {}
        self._kept = 0
        self._last: dict[str, tuple[Mapping[str, int], int, Clauses, int]] = {}

    def obliges(self, said: Statement[Any]) -> bool:
        """Whether the clause of an authorised statement obliges, in the text in force for its speaker."""
        if said.clause not in self._obliging:
            return False
        if said.clause not in self._free:  # in every text that was heard of: no need to ask which one holds
            return True
        clause = self.in_force(said.party, said.n, said.seen, said.at.date()).find(said.clause)
        return clause is not None and bool(clause.clause.obliges)

    def add(self, event: Event) -> None:
        """Take one event in. Events of a party may come in any order; their index in its log orders them."""
        insort(self._events.setdefault(event.party, []), (event.n, len(self._events), event), key=lambda item: item[0])
        if event.text:
            text = self._texts[event.agreement] = msgspec.json.decode(event.text, type=Agreement)
            of = event.amends or event.agreement
            for clause in text.clauses:
                (self._obliging if clause.obliges else self._free).add(f"{of}/{clause.number}")
        self._turns = None
        self._answers.clear()
        self._kept = 0
        self._last.clear()
        self._left.clear()

    def _visible(self, speaker: str, n: int, seen: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """How many events of each party the speaker had seen when it spoke entry `n` of its own log."""
        visible = []
        for party, events in self._events.items():
            bound = n if party == speaker else seen.get(party, 0)
            count = len(events) if events[-1][0] < bound else bisect_left(events, bound, key=lambda item: item[0])
            visible.append((party, count))
        return tuple(visible)

    def _turn(self, day: dt.date) -> int:
        """How many days have come on which an amendment can take effect: on days with one number, all stands alike."""
        if self._turns is None:
            events = [item[2] for events in self._events.values() for item in events]
            amended = {each.agreement for each in events if each.what == "amended"}
            days = {each.day for each in events if each.agreement in amended and each.what in {"signed", "notified"}}
            starts = {start for each in amended if (start := self._texts[each].entry.day)}
            self._turns = sorted(starts | {dt.date.fromisoformat(each) for each in days})
        return bisect_right(self._turns, day)

    def standings(
        self, speaker: str, n: int, seen: Mapping[str, int], day: dt.date = dt.date.max
    ) -> dict[str, Standing]:
        """Every agreement and amendment that the speaker had seen, as its visible events leave it on that day."""
        key = (self._visible(speaker, n, seen), self._turn(day))
        found = self._left.get(key)
        if found is None:
            if len(self._left) > _KEPT_FOLDS:
                self._left.clear()
            found = self._left[key] = self._standings(key[0], day)
        return found

    def on(self, day: dt.date) -> dict[str, Standing]:
        """Every agreement as it stood on that day, by all that was heard: for readers; no verdict depends on it."""
        visible = tuple((party, len(events)) for party, events in self._events.items())
        return self._standings(visible, day, said_by=day.isoformat())

    def _standings(
        self, visible: tuple[tuple[str, int], ...], day: dt.date, said_by: str = "9999-12-31"
    ) -> dict[str, Standing]:
        events = [item[2] for party, count in visible for item in self._events[party][:count]]
        events = [each for each in events if each.day <= said_by or each.what in _SAID_AHEAD]
        found: dict[str, Standing] = {}
        for event in events:
            if event.what in {"proposed", "amended"}:
                found[event.agreement] = Standing(event.agreement, self._texts[event.agreement], event.party)
                found[event.agreement].amends = event.amends
        for event in events:
            standing = found.get(event.agreement)
            if standing is None:
                continue
            if event.what == "suspended":
                standing.suspended.add((event.clause, event.party))
            elif event.what == "resumed":
                standing.suspended.discard((event.clause, event.party))
            elif event.what in standing.days:
                standing.days[event.what].setdefault(event.party, event.day)
        for event in events:
            start = found[event.agreement].binds_from() if event.what == "amended" and event.amends in found else None
            if start is not None and start <= day:
                root = found[event.amends]
                newer = found.get(root.amended_by)
                if newer is None or _later(found[event.agreement], newer):
                    root.amended_by = event.agreement
        return found

    def in_force(self, speaker: str, n: int, seen: Mapping[str, int], day: dt.date = dt.date.max) -> Clauses:
        """Clause reference -> the clause for this speaker, as amended on that day. Cached by what was visible to it."""
        last, turn = self._last.get(speaker), self._turn(day)
        if last and n >= last[1] and seen == last[0] and turn == last[3]:
            return last[2]
        key = (speaker, self._visible(speaker, n, seen), turn)
        answer = self._answers.get(key)
        if answer is None:
            standings = self._standings(key[1], day)
            answer = Clauses(speaker, standings, self._permits)
            self._kept += len(standings)
            if self._kept > _KEPT_STANDINGS or len(self._answers) >= _KEPT_ANSWERS:
                self._answers.clear()
                self._kept = len(standings)
            self._answers[key] = answer
        own = self._events.get(speaker)
        if own is None or n > own[-1][0]:  # from here on all own events are visible: later statements see the same
            self._last[speaker] = (dict(seen), n, answer, turn)
        return answer

    def authorise(self, said: Statement[Any]) -> tuple[Permit, ...]:
        """The permits under which this may be said, or why not.

        Refused `mandate.…`: (1) the clause is named and known to the speaker, (2) binds it, has entered into force and not
        ended, (3) is not suspended, (4) names the act, (5) entitles the office, (6) allows the enclosures.
        """
        act = said.do
        if said.clause == CHARTER:
            if act not in self._charter:
                raise Refused("mandate.no_clause", clause=CHARTER, act=act, field="clause")
            if said.enclosures:
                raise Refused("mandate.enclosure_not_allowed", clause=CHARTER, act=act, field="enclosures")
            return ()
        clause = self.in_force(said.party, said.n, said.seen, said.at.date()).find(said.clause)
        if clause is None:
            raise Refused("mandate.no_such_clause", clause=said.clause, field="clause")
        self._open_to(clause, said)
        entitled = clause.entitled.get((act, said.by)) or _entitle(clause, said)
        if said.enclosures:
            _check_enclosures(said, entitled)
        return entitled

    def _open_to(self, clause: InForce, said: Statement[Any]) -> None:
        day = said.at.date()
        if not clause.bound:
            raise Refused("mandate.party_not_bound", clause=said.clause, party=said.party, field="clause")
        if clause.since is None or day < clause.since:
            raise Refused("mandate.not_in_force", clause=said.clause, field="clause")
        if clause.until is not None and day > clause.until and not _survives(clause, said.do):
            raise Refused("mandate.terminated", clause=said.clause, field="clause")
        if clause.suspended_by:
            raise Refused("mandate.suspended", clause=said.clause, party=", ".join(clause.suspended_by), field="clause")


def _survives(clause: InForce, act: str) -> bool:
    """Whether the text lets this act be said after its end, as for a duty that outlives it."""
    return any(permit.survives for permit in clause.permits.get(act, ()))


def _entitle(clause: InForce, said: Statement[Any]) -> tuple[Permit, ...]:
    permits = clause.permits.get(said.do)
    if permits is None:
        raise Refused("mandate.act_not_named", clause=said.clause, act=said.do, field="act")
    entitled = tuple(permit for permit in permits if covered(said.by, permit.offices))
    if not entitled:
        raise Refused("mandate.office_not_entitled", clause=said.clause, act=said.do, office=said.by, field="by")
    if len(clause.entitled) < _KEPT_ENTITLED:
        clause.entitled[said.do, said.by] = entitled
    return entitled


def covered(office: str, offices: Iterable[str]) -> bool:
    """Whether `office` is one of `offices` or below one of them."""
    return any(office == each or office.startswith(f"{each}/") for each in offices)


def _later(one: Standing, other: Standing) -> bool:
    """Which of two amendments in force holds: the one that bound later, then the higher reference."""
    return (one.binds_from() or dt.date.min, one.reference) > (other.binds_from() or dt.date.min, other.reference)


class Clauses(Mapping[str, InForce]):
    """Clause reference -> the clause for one speaker; each is worked out when it is first asked for.

    A peer can propose any number of texts, and a statement names one clause: its cost must not grow with all the others.
    """

    def __init__(self, speaker: str, standings: Mapping[str, Standing], permits: Permits) -> None:
        """`permits`: of clauses, as they were sorted before: a memory that outlives what the parties say."""
        self._speaker = speaker
        self._standings = standings
        self._permits = permits
        self._found: dict[str, InForce] = {}

    def find(self, reference: str) -> InForce | None:
        """The clause, or None when the speaker had seen no such clause."""
        return self._found.get(reference) or self._work_out(reference)

    def _work_out(self, reference: str) -> InForce | None:
        agreement, _, number = reference.rpartition("/")
        standing = self._standings.get(agreement)
        if standing is None or standing.amends:  # an amendment's clauses are said under the agreement's own number
            return None
        text = self._text(standing)
        clause = next((each for each in text.clauses if each.number == number), None)
        if clause is None:
            return None
        key = standing.amended_by or agreement, number
        permits = self._permits.get(key)
        if permits is None:
            permits = self._permits[key] = _by_act(clause)
        stopped = {party for stop, party in standing.suspended if stop in {"", number}}
        found = self._found[reference] = InForce(
            clause,
            agreement,
            frozenset(text.parties),
            permits,
            bound=self._speaker in text.parties,
            since=standing.binds_from(),
            until=standing.binds_until(self._speaker, text),
            suspended_by=() if keeps_powers(clause) else tuple(sorted(stopped)),
            entitled={},
        )
        return found

    def _text(self, standing: Standing) -> Agreement:
        return self._standings[standing.amended_by].text if standing.amended_by else standing.text

    def __getitem__(self, reference: str) -> InForce:
        found = self.find(reference)
        if found is None:
            raise KeyError(reference)
        return found

    def __iter__(self) -> Iterator[str]:
        for reference, standing in self._standings.items():
            if not standing.amends:
                yield from (f"{reference}/{clause.number}" for clause in self._text(standing).clauses)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _by_act(clause: Clause) -> dict[str, tuple[Permit, ...]]:
    acts = dict.fromkeys(permit.act for permit in clause.permits)
    return {act: tuple(permit for permit in clause.permits if permit.act == act) for act in acts}


def keeps_powers(clause: Clause) -> bool:
    """A clause by which a suspension is lifted cannot itself be suspended, or nobody could lift it."""
    return any(permit.act == _RESUMABLE for permit in clause.permits)


def _check_enclosures(said: Statement[Any], permits: tuple[Permit, ...]) -> None:
    """Each enclosure must be allowed by one and the same permit; the refusal tells what the last permit lacked."""
    refusal: Refused | None = None
    for permit in permits:
        try:
            return _allow_enclosures(said, permit)
        except Refused as reason:
            refusal = reason
    if refusal is not None:
        raise refusal
    return None


def _allow_enclosures(said: Statement[Any], permit: Permit) -> None:
    allowed, clause = permit.enclosures, said.clause
    if allowed is None:
        raise Refused("mandate.enclosure_not_allowed", clause=clause, act=said.do, field="enclosures")
    if len(said.enclosures) > allowed.max_count:
        raise Refused("mandate.enclosure_too_many", clause=clause, limit=allowed.max_count, field="enclosures")
    for position, enclosure in enumerate(said.enclosures):
        _allow_enclosure(enclosure, permit, clause, f"enclosures[{position}]")


def _allow_enclosure(enclosure: Enclosure, permit: Permit, clause: str, field: str) -> None:
    allowed = permit.enclosures
    assert allowed is not None  # the caller has looked
    if enclosure.size > allowed.max_bytes:
        raise Refused(
            "mandate.enclosure_too_large",
            clause=clause,
            value=enclosure.size,
            limit=allowed.max_bytes,
            field=f"{field}.size",
        )
    kinds = (enclosure.media, enclosure.media.partition("/")[0] + "/*")
    if not any(kind in allowed.media for kind in kinds):
        raise Refused("mandate.enclosure_media", clause=clause, value=enclosure.media, field=f"{field}.media")
    for office in enclosure.to:
        if not covered(office, allowed.to):
            raise Refused("mandate.enclosure_recipient", clause=clause, office=office, field=f"{field}.to")
