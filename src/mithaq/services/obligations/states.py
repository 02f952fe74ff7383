"""What the agreements make of every duty on a day: in force since, ended, suspended, amended away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from mithaq.kernel import force
from mithaq.kernel.force import keeps_powers
from mithaq.kernel.mandate import Agreement, Clause, Duty
from mithaq.services.obligations.standing import State


def all_duties(standings: Mapping[str, force.Standing], day: dt.date) -> Iterator[tuple[Duty, State]]:
    """Every duty of every agreement that nobody declined, also of texts that do not bind yet ("created")."""
    amendments: dict[str, list[force.Standing]] = {}
    for each in standings.values():
        if each.amends:
            amendments.setdefault(each.amends, []).append(each)
    for reference, standing in standings.items():
        if not standing.amends and not standing.days["declined"]:
            texts = _texts(standing, amendments.get(reference, ()), day)
            for obligation, clause, duty, gone in _duties(standing, texts):
                yield duty, _state(obligation, standing, texts[0], clause, duty, day, gone)


def find(standings: Mapping[str, force.Standing], obligation: str, day: dt.date) -> tuple[Duty, State] | None:
    """One duty and what the agreements make of it; None when no text that binds or bound has it."""
    reference = obligation.partition("/")[0]
    standing = standings.get(reference)
    if standing is None or standing.amends or standing.days["declined"]:
        return None
    # An amendment that binds is named by what it amends; without one, nobody looks through all agreements.
    amendments = [each for each in standings.values() if each.amends == reference] if standing.amended_by else ()
    texts = _texts(standing, amendments, day)
    clause_number, _, k = obligation.partition("/")[2].rpartition(":")
    for place, text in enumerate(texts):
        clause = next((each for each in text.clauses if each.number == clause_number), None)
        if clause is not None and int(k) <= len(clause.obliges):
            gone = standing.amended_by if place else ""
            duty = clause.obliges[int(k) - 1]
            return duty, _state(obligation, standing, texts[0], clause, duty, day, gone)
    return None


def _texts(standing: force.Standing, amendments: Iterable[force.Standing], day: dt.date) -> list[Agreement]:
    """The text that holds first, then those that held before it."""
    texts = [("", standing.text)]
    for each in amendments:
        bound = each.binds_from()
        if bound is not None and bound <= day:
            texts.append((each.reference, each.text))
    return [text for _, text in sorted(texts, key=lambda item: item[0] != standing.amended_by)]


def _duties(standing: force.Standing, texts: list[Agreement]) -> Iterator[tuple[str, Clause, Duty, str]]:
    """(obligation, clause, duty, the amendment that took it away or empty), each obligation by the text that holds."""
    known: set[str] = set()
    for place, text in enumerate(texts):
        for clause in text.clauses:
            for k, duty in enumerate(clause.obliges, 1):
                obligation = f"{standing.reference}/{clause.number}:{k}"
                if obligation not in known:
                    known.add(obligation)
                    yield obligation, clause, duty, standing.amended_by if place else ""


def _state(
    obligation: str, standing: force.Standing, text: Agreement, clause: Clause, duty: Duty, day: dt.date, gone: str
) -> State:
    ends = {party: standing.binds_until(party, text) for party in {duty.owed_by, *duty.owed_to}}
    last = [ends[party] for party in duty.owed_to]
    lasts = [each for each in last if each is not None]
    until = [each for each in (ends[duty.owed_by], max(lasts) if len(lasts) == len(last) else None) if each]
    stopped = {party for number, party in standing.suspended if number in {"", clause.number}}
    return State(
        obligation,
        standing.reference,
        obligation.rpartition(":")[0],
        standing.binds_from(),
        min(until) if until else None,
        () if keeps_powers(clause) else tuple(sorted(stopped)),
        tuple(party for party in duty.owed_to if (end := ends[party]) is not None and end < day),
        gone,
    )
