"""When an act about a body, a meeting or its minutes is refused. Reads what the speaker had seen, changes nothing.

Everything is said under a clause of the agreement that the body or the invitation stands under: the mandate clause itself or
another that permits the act.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mithaq.kernel.errors import Refused
from mithaq.kernel.force import InForce
from mithaq.kernel.records import View
from mithaq.kernel.statement import Statement, split_reference
from mithaq.services.meetings import acts, records, rows, standing
from mithaq.services.meetings.records import agreement_of

AHEAD: Final = 1
"""Days that a local day may be ahead of the statement's own, which is told in UTC."""

AFTERWARDS: Final = frozenset({"visit", "call"})
"""Kinds that may be entered after their day: nobody is invited beforehand to a telephone call, nor always to a visit."""


def form_body(act: acts.FormBody, said: Statement[Any], view: View) -> None:
    """Sides are parties of the agreement, each once, each with a lead of its own; the mandate clause is in force."""
    _same_agreement(act.clause, said)
    mandate = _open_mandate(act.clause, said, view, "act.clause")
    parties = [side.party for side in act.sides]
    if said.party not in parties:
        raise Refused("meetings.own_side_missing", clause=said.clause, party=said.party, field="act.sides")
    for position, side in enumerate(act.sides):
        field = f"act.sides[{position}]"
        if side.party not in mandate.parties:
            raise Refused("meetings.side_is_no_party", clause=act.clause, party=side.party, field=f"{field}.party")
        if parties.index(side.party) != position:
            raise Refused("meetings.side_twice", clause=act.clause, party=side.party, field=f"{field}.party")
        _check_side(side, said, field)
    if act.host not in {"alternating", *parties}:
        raise Refused("meetings.side_is_no_party", clause=act.clause, party=act.host, field="act.host")
    _check_languages(act.name, act.languages, said, "act.name")
    for row in view.rows(records.bodies_table, clause=act.clause):
        _check_name(act.name, rows.body_text_of(row), said)


def join_body(act: acts.JoinBody, said: Statement[Any], view: View) -> None:
    """Each side takes its seat once, while the mandate clause is in force and no other body of that name is formed."""
    body = _body(act.body, said, view)
    _open_mandate(body.text.clause, said, view, "act.body")
    _check_is_side(said.party, body, said)
    if said.party in body.joined:
        raise Refused("meetings.joined_twice", reference=act.body, party=said.party, field="act.body")
    for row in view.rows(records.bodies_table, clause=body.text.clause):
        if row.reference != act.body and _body(row.reference, said, view).state == "formed":
            _check_name(body.text.name, rows.body_text_of(row), said, "act.body")


def set_side(act: acts.SetSide, said: Statement[Any], view: View) -> None:
    """A party names its own side and no other."""
    body = _body(act.body, said, view)
    _check_is_side(said.party, body, said)
    if act.side.party != said.party:
        raise Refused("meetings.another_side", reference=act.body, party=act.side.party, field="act.side.party")
    _check_side(act.side, said, "act.side")


def invite(act: acts.Invite, said: Statement[Any], view: View) -> None:
    """Parties of the agreement, of a body its sides; not for a day that is past, save a visit or a call entered afterwards."""
    clause = view.clauses()[said.clause]
    body = None
    if act.body:
        body = _body(act.body, said, view)
        _open_mandate(body.text.clause, said, view, "act.body")
        _check_is_side(said.party, body, said)
        if body.state != "formed":
            raise Refused("meetings.body_not_formed", reference=act.body, field="act.body")
    for position, party in enumerate(act.to):
        field = f"act.to[{position}]"
        if party == said.party or act.to.index(party) != position:
            raise Refused("meetings.side_twice", clause=said.clause, party=party, field=field)
        if party not in clause.parties or (body and party not in body.sides):
            raise Refused("meetings.side_is_no_party", clause=said.clause, party=party, field=field)
    last = standing.month_end(act.day) if act.day_precision == "month" else act.day
    if last < said.at.date() and act.kind not in AFTERWARDS:
        raise Refused("meetings.day_in_past", clause=said.clause, value=act.day, field="act.day")
    _check_delegation(act.delegation, said)
    for position, item in enumerate(act.agenda):
        _check_obligation(item.obligation, said, view, f"act.agenda[{position}].obligation")


def accept_invitation(act: acts.AcceptInvitation, said: Statement[Any], view: View) -> None:
    """Who was invited accepts, once, while the meeting stands; who has declined may still come round."""
    meeting = _invited(act.meeting, said, view)
    if said.party in meeting.accepted:
        raise Refused("meetings.already_accepted", reference=act.meeting, party=said.party, field="act.meeting")
    _check_delegation(act.delegation, said)


def decline_invitation(act: acts.DeclineInvitation, said: Statement[Any], view: View) -> None:
    """Who was invited declines, once; what it has accepted it cancels instead."""
    meeting = _invited(act.meeting, said, view)
    if said.party in meeting.accepted:
        raise Refused("meetings.already_accepted", reference=act.meeting, party=said.party, field="act.meeting")
    if said.party in meeting.declined:
        raise Refused("meetings.already_declined", reference=act.meeting, party=said.party, field="act.meeting")
    if said.party in meeting.held:
        raise Refused("meetings.already_held", reference=act.meeting, party=said.party, field="act.meeting")


def hold(act: acts.Hold, said: Statement[Any], view: View) -> None:
    """A side that takes part says once that it was held, on a day that has come."""
    meeting = _meeting(act.meeting, said, view, "act.meeting")
    _check_takes_part(meeting, said)
    _check_stands(meeting, "act.meeting")
    if said.party in meeting.held:
        raise Refused("meetings.already_held", reference=act.meeting, party=said.party, field="act.meeting")
    if act.day.toordinal() > said.at.toordinal() + AHEAD:
        raise Refused("meetings.day_in_future", reference=act.meeting, value=act.day, field="act.day")
    _check_delegation(act.delegation, said)


def cancel(act: acts.Cancel, said: Statement[Any], view: View) -> None:
    """Who invited, or accepted, takes it back before anybody says that it was held."""
    meeting = _meeting(act.meeting, said, view, "act.meeting")
    _check_stands(meeting, "act.meeting")
    if said.party != meeting.invitation.mark.party and said.party not in meeting.accepted:
        raise Refused("meetings.not_taking_part", reference=act.meeting, party=said.party, field="act.meeting")
    if said.party in meeting.cancelled:
        raise Refused("meetings.cancelled", reference=act.meeting, party=said.party, field="act.meeting")
    if meeting.held:
        party = ", ".join(sorted(meeting.held))
        raise Refused("meetings.already_held", reference=act.meeting, party=party, field="act.meeting")


def minute(act: acts.Minute, said: Statement[Any], view: View) -> None:
    """Of a meeting that a side says was held; its sides are those that met; each item in all languages of the body."""
    meeting = _meeting(act.meeting, said, view, "act.meeting")
    _check_takes_part(meeting, said)
    if not meeting.held:
        raise Refused("meetings.not_held", reference=act.meeting, field="act.meeting")
    _check_sides(act, meeting, said)
    known = {each.reference: each for each in _minutes(act.meeting, view)}
    for position, reference in enumerate(act.replaces):
        if reference not in known:
            raise Refused("meetings.unknown_minutes", reference=reference, field=f"act.replaces[{position}]")
    first = min(answer.day for answer in meeting.held.values() if answer.day)
    if act.next is not None and act.next < first:
        raise Refused("meetings.day_in_past", clause=said.clause, value=act.next, field="act.next")
    languages = _languages(meeting, said, view)
    numbers = [item.number for item in act.items]
    for position, item in enumerate(act.items):
        field = f"act.items[{position}]"
        if numbers.index(item.number) != position:
            raise Refused("meetings.item_twice", reference=act.meeting, value=item.number, field=f"{field}.number")
        _check_languages(item.text, languages, said, f"{field}.text")
        _check_obligation(item.obligation, said, view, f"{field}.obligation")
        _check_action(item, act, first, said, field)


def sign_minutes(act: acts.SignMinutes, said: Statement[Any], view: View) -> None:
    """The lead or the deputy of a side that met signs the very text, once, and no second text beside it."""
    text, every, meeting = _of_minutes(act.minutes, said, view)
    if act.hash != text.hash:
        raise Refused("meetings.hash_differs", reference=act.minutes, field="act.hash")
    offices = _signers(meeting, said, view)
    if said.by not in offices:
        raise Refused("meetings.not_the_lead", reference=act.minutes, office=said.by, field="by")
    for each in every:
        if said.party not in each.signed:
            continue
        if each.text.hash == text.hash:
            raise Refused("meetings.signed_twice", reference=act.minutes, party=said.party, field="act.minutes")
        if each.reference not in text.replaces:
            raise Refused("meetings.signed_another", reference=act.minutes, value=each.reference, field="act.minutes")


def dissent(act: acts.Dissent, said: Statement[Any], view: View) -> None:
    """A side that met dissents from an item that is there, once."""
    text, every, _ = _of_minutes(act.minutes, said, view)
    if act.item not in {item.number for item in text.items}:
        raise Refused("meetings.unknown_item", reference=act.minutes, value=act.item, field="act.item")
    own = next(each for each in every if each.reference == act.minutes)
    if any(each.mark.party == said.party for each in own.dissents.get(act.item, ())):
        raise Refused("meetings.dissented_twice", reference=act.minutes, value=act.item, field="act.item")


# --- what the speaker had seen ----------------------------------------------------------------------------------------


def _body(reference: str, said: Statement[Any], view: View) -> standing.Body:
    party, n = split_reference(reference)
    row = view.row(records.bodies_table, party=party, n=n)
    if row is None or row.reference != reference:
        raise Refused("meetings.unknown_body", reference=reference, field="act.body")
    text = rows.body_text_of(row)
    _same_agreement(text.clause, said)
    joins = [rows.mark_of(each) for each in view.rows(records.joins_table, body=reference)]
    changes = [rows.change_of(each) for each in view.rows(records.sides_table, body=reference)]
    return standing.fold_body(text, joins, changes)


def _meeting(reference: str, said: Statement[Any], view: View, field: str) -> standing.Meeting:
    party, n = split_reference(reference)
    row = view.row(records.invitations_table, party=party, n=n)
    if row is None or row.reference != reference:
        raise Refused("meetings.unknown_meeting", reference=reference, field=field)
    invitation = rows.invitation_of(row)
    _same_agreement(invitation.clause, said)
    answers = [rows.answer_of(each) for each in view.rows(records.answers_table, meeting=reference)]
    return standing.fold_meeting(invitation, answers)


def _invited(reference: str, said: Statement[Any], view: View) -> standing.Meeting:
    meeting = _meeting(reference, said, view, "act.meeting")
    if said.party not in meeting.invitation.to:
        raise Refused("meetings.not_invited", reference=reference, party=said.party, field="act.meeting")
    _check_stands(meeting, "act.meeting")
    return meeting


def _minutes(meeting: str, view: View) -> list[standing.MinutesStanding]:
    texts = [rows.minutes_text_of(row) for row in view.rows(records.minutes_table, meeting=meeting)]
    signatures = [
        rows.signature_of(row)
        for digest in sorted({text.hash for text in texts})
        for row in view.rows(records.signatures_table, hash=digest)
    ]
    dissents = [
        rows.objection_of(row)
        for text in texts
        for row in view.rows(records.dissents_table, minutes=text.mark.reference)
    ]
    return standing.fold_minutes(texts, signatures, dissents)


def _of_minutes(
    reference: str, said: Statement[Any], view: View
) -> tuple[standing.MinutesText, list[standing.MinutesStanding], standing.Meeting]:
    party, n = split_reference(reference)
    row = view.row(records.minutes_table, party=party, n=n)
    if row is None or row.reference != reference:
        raise Refused("meetings.unknown_minutes", reference=reference, field="act.minutes")
    text = rows.minutes_text_of(row)
    meeting = _meeting(text.meeting, said, view, "act.minutes")
    if said.party not in text.sides:
        raise Refused("meetings.not_taking_part", reference=reference, party=said.party, field="act.minutes")
    return text, _minutes(text.meeting, view), meeting


def _signers(meeting: standing.Meeting, said: Statement[Any], view: View) -> tuple[str, ...]:
    body = meeting.invitation.body
    return (_body(body, said, view) if body else meeting).signers(said.party)


def _languages(meeting: standing.Meeting, said: Statement[Any], view: View) -> Iterable[str]:
    """Of a body its own; outside a body those in which the meeting was called."""
    body = meeting.invitation.body
    return _body(body, said, view).text.languages if body else meeting.invitation.title


# --- checks -----------------------------------------------------------------------------------------------------------


def _same_agreement(clause: str, said: Statement[Any]) -> None:
    if agreement_of(clause) != agreement_of(said.clause):
        raise Refused("meetings.another_agreement", clause=said.clause, reference=agreement_of(clause), field="clause")


def _open_mandate(reference: str, said: Statement[Any], view: View, field: str) -> InForce:
    """The mandate clause, in force for the speaker: it may be another than the clause that this is said under."""
    clause, day = view.clauses().get(reference), said.at.date()
    if clause is None:
        raise Refused("meetings.unknown_clause", clause=reference, field=field)
    ended = clause.until is not None and day > clause.until
    if clause.since is None or day < clause.since or ended or clause.suspended_by:
        raise Refused("meetings.mandate_not_in_force", clause=reference, field=field)
    return clause


def _check_name(
    name: Mapping[str, str], other: standing.BodyText, said: Statement[Any], field: str = "act.name"
) -> None:
    """Two bodies of one name under one clause could not be told apart by people."""
    if any(other.name.get(language) == text for language, text in name.items()):
        raise Refused("meetings.name_taken", clause=said.clause, reference=other.mark.reference, field=field)


def _check_is_side(party: str, body: standing.Body, said: Statement[Any]) -> None:
    if party not in body.sides:
        raise Refused("meetings.side_is_no_party", clause=said.clause, party=party, field="act.body")


def _check_side(side: acts.Side, said: Statement[Any], field: str) -> None:
    if not side.lead:
        raise Refused("meetings.no_lead", clause=said.clause, party=side.party, field=f"{field}.lead")
    named = {"lead": side.lead, "deputy": side.deputy}
    named |= {f"members[{position}]": office for position, office in enumerate(side.members)}
    for name, office in named.items():
        if office and office.partition("/")[0] != side.party:
            raise Refused("meetings.office_of_another", clause=said.clause, office=office, field=f"{field}.{name}")


def _check_delegation(delegation: Iterable[acts.Delegate], said: Statement[Any]) -> None:
    for position, delegate in enumerate(delegation):
        if delegate.office.partition("/")[0] != said.party:
            field = f"act.delegation[{position}].office"
            raise Refused("meetings.office_of_another", clause=said.clause, office=delegate.office, field=field)


def _check_languages(text: Mapping[str, str], languages: Iterable[str], said: Statement[Any], field: str) -> None:
    missing = [language for language in languages if language not in text]
    if missing:
        raise Refused("meetings.language_missing", clause=said.clause, value=", ".join(missing), field=field)


def _check_obligation(identity: str, said: Statement[Any], view: View, field: str) -> None:
    """The k-th duty of a clause that the speaker knows; of any agreement, since a working group follows up several."""
    if not identity:
        return
    reference, _, k = identity.rpartition(":")
    clause = view.clauses().get(reference)
    if clause is None or not 1 <= int(k) <= len(clause.clause.obliges):
        raise Refused("meetings.unknown_obligation", clause=said.clause, value=identity, field=field)


def _check_stands(meeting: standing.Meeting, field: str) -> None:
    if meeting.state == "cancelled":
        party = ", ".join(sorted(meeting.cancelled))
        raise Refused("meetings.cancelled", reference=meeting.reference, party=party, field=field)


def _check_takes_part(meeting: standing.Meeting, said: Statement[Any]) -> None:
    if said.party not in meeting.remaining:
        raise Refused("meetings.not_taking_part", reference=meeting.reference, party=said.party, field="act.meeting")


def _check_sides(act: acts.Minute, meeting: standing.Meeting, said: Statement[Any]) -> None:
    for position, party in enumerate(act.sides):
        field = f"act.sides[{position}]"
        if party not in meeting.remaining:
            raise Refused("meetings.not_taking_part", reference=act.meeting, party=party, field=field)
        if act.sides.index(party) != position:
            raise Refused("meetings.side_twice", clause=said.clause, party=party, field=field)
    for party in sorted({said.party, *meeting.held} - set(act.sides)):
        raise Refused("meetings.side_left_out", reference=act.meeting, party=party, field="act.sides")


def _check_action(item: acts.MinuteItem, act: acts.Minute, held: dt.date, said: Statement[Any], field: str) -> None:
    """Only an action is owed, by a side that met, to another that met, by a day that is there and not before the meeting."""
    if item.kind != "action":
        if item.owed_by or item.office or item.owed_to or item.due:
            raise Refused("meetings.not_an_action", reference=act.meeting, value=item.number, field=f"{field}.kind")
        return
    for name, party in (("owed_by", item.owed_by), ("owed_to", item.owed_to or item.owed_by)):
        if party not in act.sides:
            raise Refused("meetings.not_owed", reference=act.meeting, value=item.number, field=f"{field}.{name}")
    if item.owed_to == item.owed_by:
        raise Refused("meetings.not_owed", reference=act.meeting, value=item.number, field=f"{field}.owed_to")
    if item.office and item.office.partition("/")[0] != item.owed_by:
        raise Refused("meetings.office_of_another", clause=said.clause, office=item.office, field=f"{field}.office")
    try:
        day = standing.due_day(item.due, held)
    except ValueError as impossible:
        raise Refused(
            "meetings.no_such_day", reference=act.meeting, value=item.due, field=f"{field}.due"
        ) from impossible
    if day is not None and day < held:
        raise Refused("meetings.due_before_meeting", reference=act.meeting, value=item.due, field=f"{field}.due")
