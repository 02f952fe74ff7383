"""When an act about an obligation is refused. Reads what the speaker had seen, changes nothing.

What the two sides say may differ for ever; refused is only what the text or the calendar excludes: a claim on another side's
duty, an answer to one's own claim, a day that has not come, a closed obligation.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple

from sqlalchemy import Row

from mithaq.kernel.errors import Refused
from mithaq.kernel.mandate import Duty
from mithaq.kernel.records import View
from mithaq.kernel.statement import Statement, split_reference
from mithaq.services.obligations import acts, clock, records, standing, states
from mithaq.services.obligations.said import Told
from mithaq.services.obligations.standing import Standing, State

_ENDING: Final = frozenset({"answered", "found", "discharged", "closed"})
"""Without one of these nothing is fulfilled, released or closed, but tacitly where the clause says so."""


class _Case(NamedTuple):
    """An obligation as its speaker had seen it."""

    duty: Duty
    state: State
    said: Statement[Any]
    view: View


def claim(act: acts.Claim, said: Statement[Any], view: View) -> None:
    """Only the debtor claims, of what is still open, as of a day that has come; what it cites must be there."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_debtor(case, act.obligation)
    _check_day(case, act.as_of, "act.as_of")
    _check_occurrence(case, act.occurrence)
    for position, reference in enumerate(act.evidence):
        party, n = split_reference(reference)
        if party not in view.parties or not view.has_seen(party, n):
            raise Refused("obligations.unknown_evidence", reference=reference, field=f"act.evidence[{position}]")
    _check_open(case, act.occurrence, act.as_of)


def withdraw(act: acts.Withdraw, said: Statement[Any], view: View) -> None:
    """The debtor takes back its own claim, once, while it does not count as confirmed."""
    made = _claim(act.claim, view)
    case = _case(made.obligation, "act.claim", said, view)
    _check_debtor(case, made.obligation)
    _check_stands(act.claim, view)
    _check_open(case, made.occurrence, dt.date.fromisoformat(made.day))


def answer(act: acts.Answer, said: Statement[Any], view: View) -> None:
    """Only a creditor answers, each answer once to a claim that stands; what is not a plain yes says why."""
    made = _claim(act.claim, view)
    case = _case(made.obligation, "act.claim", said, view)
    _check_creditor(case, made.obligation)
    _check_stands(act.claim, view)
    if act.answer != "confirm" and not act.text:
        raise Refused("obligations.reason_missing", reference=act.claim, field="act.text")
    if act.level is not None and (act.answer in {"confirm", "verify"} or act.level >= made.level):
        raise Refused("obligations.level_not_below", reference=act.claim, value=act.level, field="act.level")
    if view.row(records.said_table, party=said.party, claim=act.claim, what="answered", answer=act.answer):
        raise Refused("obligations.answered_twice", reference=act.claim, field="act.answer")
    _check_open(case, made.occurrence, dt.date.fromisoformat(made.day), tacit_is_open=True)


def find(act: acts.Find, said: Statement[Any], view: View) -> None:
    """Debtor and creditors find, as of a day that has come, while the obligation is open."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_concerned(case)
    _check_day(case, act.as_of, "act.as_of")
    _check_occurrence(case, act.occurrence)
    _check_open(case, act.occurrence, act.as_of)


def assess(act: acts.Assess, said: Statement[Any], view: View) -> None:
    """A creditor assesses at any time, as of a day that has come."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_creditor(case, act.obligation)
    _check_day(case, act.as_of, "act.as_of")


def set_due(act: acts.SetDue, said: Statement[Any], view: View) -> None:
    """A day or month that exists, not before entry into force; of a recurring duty, which time is meant."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_concerned(case)
    due = clock.last_day(act.due)
    if due is None:
        raise Refused("obligations.impossible_day", clause=case.state.clause, value=act.due, field="act.due")
    if case.state.since is not None and due < case.state.since:
        raise Refused("obligations.due_before_force", clause=case.state.clause, value=act.due, field="act.due")
    if clock.recurs(case.duty.due) and not act.occurrence:
        raise Refused("obligations.no_such_occurrence", clause=case.state.clause, value=0, field="act.occurrence")
    _check_occurrence(case, act.occurrence)
    _check_open(case, act.occurrence, said.at.date())


def note_event(act: acts.NoteEvent, said: Statement[Any], view: View) -> None:
    """Only where the clause counts from an event or waits for a condition, and not for a day to come."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_concerned(case)
    if not case.duty.after and not case.duty.condition:
        raise Refused("obligations.no_event", clause=case.state.clause, field="act.obligation")
    _check_past(case, act.day, "act.day")
    _check_open(case, 0, said.at.date())


def discharge(act: acts.Discharge, said: Statement[Any], view: View) -> None:
    """Only a creditor releases, once, what is open."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_creditor(case, act.obligation)
    _check_once(_check_open(case, 0, said.at.date()), "discharged", case)


def close(act: acts.Close, said: Statement[Any], view: View) -> None:
    """Debtor and creditors close, each once, what is open."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_concerned(case)
    _check_once(_check_open(case, 0, said.at.date()), "closed", case)


def reopen(act: acts.Reopen, said: Statement[Any], view: View) -> None:
    """Only what is fulfilled, released or closed is opened again."""
    case = _case(act.obligation, "act.obligation", said, view)
    _check_concerned(case)
    _check_occurrence(case, act.occurrence)
    _, word, _ = _ended(case, act.occurrence, said.at.date())
    if not word:
        raise Refused(
            "obligations.not_closed", clause=case.state.clause, reference=act.obligation, field="act.obligation"
        )


def _case(obligation: str, field: str, said: Statement[Any], view: View) -> _Case:
    """The obligation, which must be one of the agreement that the speaker speaks under, in the text that holds."""
    agreement = obligation.partition("/")[0]
    if said.clause.rpartition("/")[0] != agreement:
        raise Refused("obligations.another_agreement", reference=obligation, clause=said.clause, field="clause")
    found = states.find(view.standings(), obligation, said.at.date())
    if found is None or found[1].amended_by:
        raise Refused("obligations.unknown", reference=obligation, field=field)
    if not clock.is_possible(found[0].due):
        raise Refused("obligations.impossible_due", clause=found[1].clause, value=found[0].due, field=field)
    return _Case(*found, said, view)


def _claim(reference: str, view: View) -> Row[Any]:
    party, n = split_reference(reference)
    row = view.row(records.said_table, party=party, n=n)
    if row is None or row.reference != reference or row.what != "claimed":
        raise Refused("obligations.unknown_claim", reference=reference, field="act.claim")
    return row


def _check_stands(reference: str, view: View) -> None:
    if view.row(records.said_table, claim=reference, what="withdrawn"):
        raise Refused("obligations.claim_withdrawn", reference=reference, field="act.claim")


def _check_debtor(case: _Case, obligation: str) -> None:
    if case.said.party != case.duty.owed_by:
        raise Refused("obligations.not_the_debtor", reference=obligation, party=case.duty.owed_by, field="by")


def _check_creditor(case: _Case, obligation: str) -> None:
    if case.said.party not in case.duty.owed_to:
        party = ", ".join(case.duty.owed_to)
        raise Refused("obligations.not_a_creditor", reference=obligation, party=party, field="by")


def _check_concerned(case: _Case) -> None:
    if case.said.party not in {case.duty.owed_by, *case.duty.owed_to}:
        raise Refused("obligations.not_concerned", clause=case.state.clause, party=case.said.party, field="by")


def _check_past(case: _Case, day: dt.date, field: str) -> None:
    if day > case.said.at.date():
        raise Refused("obligations.day_in_future", clause=case.state.clause, value=day, field=field)


def _check_day(case: _Case, day: dt.date, field: str) -> None:
    _check_past(case, day, field)
    if case.state.since is None or day < case.state.since:
        raise Refused("obligations.day_before_force", clause=case.state.clause, value=day, field=field)


def _check_occurrence(case: _Case, occurrence: int) -> None:
    if not occurrence:
        return
    today = case.said.at.date()
    last = clock.occurrences(case.duty.due, case.state.since, today) if clock.recurs(case.duty.due) else []
    if occurrence not in {number for number, _ in last}:
        raise Refused(
            "obligations.no_such_occurrence", clause=case.state.clause, value=occurrence, field="act.occurrence"
        )


def _told(case: _Case) -> list[Told]:
    about = case.view.rows(records.said_table, obligation=case.state.obligation)
    found = [records.told(row) for row in about]
    for each in about:
        if each.what == "claimed":
            found += [records.told(row) for row in case.view.rows(records.said_table, claim=each.reference)]
    return found


def _ended(case: _Case, occurrence: int, as_of: dt.date) -> tuple[Standing | None, str, bool]:
    """(standing, what ended it or empty, whether only tacitly), as all that the speaker had seen makes it.

    The standing is left out where nothing was said yet by which an obligation ends: most statements come so early.
    """
    told = _told(case)
    if not case.duty.tacit_days and not any(each.what in _ENDING for each in told):
        return None, "", False
    latest = max((each.at[:10] for each in told), default="")  # a clock of another side may go before ours
    today = max(case.said.at.date(), dt.date.fromisoformat(latest)) if latest else case.said.at.date()
    found = standing.fold(case.duty, case.state, told, today)
    life = found.life
    if found.occurrences and life.word not in {"discharged", "closed"}:
        number = occurrence or next(
            (each.number for each in found.occurrences if each.clock.due and as_of <= each.clock.due), 0
        )
        life = next((each.life for each in found.occurrences if each.number == number), life)
    ended = life.word if life.word in standing.ENDED else ""
    return found, ended, life.because == "tacitly_confirmed"


def _check_open(case: _Case, occurrence: int, as_of: dt.date, *, tacit_is_open: bool = False) -> Standing | None:
    found, ended, tacit = _ended(case, occurrence, as_of)
    if ended and not (tacit and tacit_is_open):
        raise Refused(
            "obligations.closed", clause=case.state.clause, reference=case.state.obligation, field="act.obligation"
        )
    return found


def _check_once(found: Standing | None, what: str, case: _Case) -> None:
    if found and any(each.what == what and each.party == case.said.party for each in found.waiting):
        raise Refused(
            "obligations.said_already", clause=case.state.clause, reference=found.obligation, field="act.obligation"
        )
