"""What was said about bodies, meetings and minutes, as facts; bodies, meetings, minutes and actions are queries over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Row, Table, Text, select

from mithaq.kernel.act import Texts
from mithaq.kernel.mandate import Agreement
from mithaq.kernel.records import Fact, events, record_table
from mithaq.kernel.statement import Enclosure, Statement, split_reference
from mithaq.services.meetings import acts, rows, standing

VERSION: Final = 1
_MOST_AT_ONCE: Final = 500
"""References in one query at most; above it all facts are read, which is cheaper than many queries."""


def _text(*names: str) -> tuple[Column[Any], ...]:
    return tuple(Column(name, Text, nullable=False) for name in names)


_SAID: Final = ("reference", "at", "by")
bodies_table = record_table(
    "meetings_bodies",
    *_text(*_SAID, "clause", "agreement", "kind", "name", "sides", "cadence", "host", "languages"),
    find_by=("agreement",),
)
joins_table = record_table("meetings_joins", *_text(*_SAID, "body"), find_by=("body",))
sides_table = record_table("meetings_sides", *_text(*_SAID, "body", "side"), find_by=("body",))
invitations_table = record_table(
    "meetings_invitations",
    *_text(*_SAID, "clause", "agreement", "body", "kind", "title", "day_precision", "place", "to", "agenda"),
    *_text("delegation", "hijri", "day"),
    find_by=("body", "day"),
)
answers_table = record_table(
    "meetings_answers",
    *_text(*_SAID, "meeting", "what", "day", "hijri", "delegation", "reason"),
    find_by=("meeting",),
)
minutes_table = record_table(
    "meetings_minutes",
    *_text(*_SAID, "meeting", "hash", "sides", "items", "next", "next_place", "replaces", "enclosures"),
    find_by=("meeting",),
)
signatures_table = record_table("meetings_signatures", *_text(*_SAID, "minutes", "hash"), find_by=("hash",))
dissents_table = record_table(
    "meetings_dissents",
    *_text(*_SAID, "minutes", "text"),
    Column("item", BigInteger, nullable=False),
    find_by=("minutes",),
)


# --- effects --------------------------------------------------------------------------------------------------------


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _fact(table: Table, said: Statement[Any], **values: Any) -> Iterator[Fact]:
    yield Fact(table, {"reference": said.reference, "at": said.at.isoformat(), "by": said.by, **values})


def agreement_of(clause: str) -> str:
    """The agreement that a clause belongs to."""
    return clause.rpartition("/")[0]


def form_body(act: acts.FormBody, said: Statement[Any]) -> Iterator[Fact]:
    """The body as it was laid before its sides, under its statement's own number."""
    return _fact(
        bodies_table,
        said,
        clause=act.clause,
        agreement=agreement_of(act.clause),
        kind=act.kind,
        name=_json(act.name),
        sides=_json(act.sides),
        cadence=act.cadence,
        host=act.host,
        languages=_json(act.languages),
    )


def join_body(act: acts.JoinBody, said: Statement[Any]) -> Iterator[Fact]:
    """One party's taking of its seat."""
    return _fact(joins_table, said, body=act.body)


def set_side(act: acts.SetSide, said: Statement[Any]) -> Iterator[Fact]:
    """One party's own side, named anew."""
    return _fact(sides_table, said, body=act.body, side=_json(act.side))


def invite(act: acts.Invite, said: Statement[Any]) -> Iterator[Fact]:
    """The invitation, under its statement's own number."""
    return _fact(
        invitations_table,
        said,
        clause=said.clause,
        agreement=agreement_of(said.clause),
        body=act.body,
        kind=act.kind,
        title=_json(act.title),
        day=act.day.isoformat(),
        day_precision=act.day_precision,
        place=act.place,
        to=_json(act.to),
        agenda=_json(act.agenda),
        delegation=_json(act.delegation),
        hijri=act.hijri,
    )


def _answer(
    said: Statement[Any],
    what: str,
    meeting: str,
    *,
    day: str = "",
    hijri: str = "",
    delegation: tuple[acts.Delegate, ...] = (),
    reason: str = "",
) -> Iterator[Fact]:
    values = {"meeting": meeting, "what": what, "day": day, "hijri": hijri, "reason": reason}
    return _fact(answers_table, said, **values, delegation=_json(delegation))


def accept_invitation(act: acts.AcceptInvitation, said: Statement[Any]) -> Iterator[Fact]:
    """One side's yes, with its delegation."""
    return _answer(said, "accepted", act.meeting, hijri=act.hijri, delegation=act.delegation)


def decline_invitation(act: acts.DeclineInvitation, said: Statement[Any]) -> Iterator[Fact]:
    """One side's no, with its reason."""
    return _answer(said, "declined", act.meeting, reason=act.reason)


def hold(act: acts.Hold, said: Statement[Any]) -> Iterator[Fact]:
    """One side's word that the meeting was held, and on which day."""
    return _answer(said, "held", act.meeting, day=act.day.isoformat(), hijri=act.hijri, delegation=act.delegation)


def cancel(act: acts.Cancel, said: Statement[Any]) -> Iterator[Fact]:
    """One side's taking back, with its reason."""
    return _answer(said, "cancelled", act.meeting, reason=act.reason)


def minute(act: acts.Minute, said: Statement[Any]) -> Iterator[Fact]:
    """The minutes with the hash that the leads sign."""
    return _fact(
        minutes_table,
        said,
        meeting=act.meeting,
        hash=act.hash(),
        sides=_json(act.sides),
        items=_json(act.items),
        next=act.next.isoformat() if act.next else "",
        next_place=act.next_place,
        replaces=_json(act.replaces),
        enclosures=_json(said.enclosures),
    )


def sign_minutes(act: acts.SignMinutes, said: Statement[Any]) -> Iterator[Fact]:
    """One side's signature."""
    return _fact(signatures_table, said, minutes=act.minutes, hash=act.hash)


def dissent(act: acts.Dissent, said: Statement[Any]) -> Iterator[Fact]:
    """One side's dissent from one item."""
    return _fact(dissents_table, said, minutes=act.minutes, item=act.item, text=act.text)


# --- queries --------------------------------------------------------------------------------------------------------

V = TypeVar("V")


class Minutes(msgspec.Struct, frozen=True):
    """Everything that printed minutes show, in every language in which it was written.

    `minutes` has the items, the dissents by item and the signatures; `meeting` the days, delegations and Hijri dates as each
    side says them; `body` the leads. `agreement`: the title of the text that the meeting was called under, as first proposed.
    """

    reference: str
    hash: str
    languages: tuple[str, ...]
    agreement: str
    agreement_title: Texts
    marked: Texts
    clause: str
    body: standing.Body | None
    meeting: standing.Meeting
    minutes: standing.MinutesStanding
    enclosures: tuple[Enclosure, ...]
    actions: tuple[standing.ProposedObligation, ...]


class Arising(msgspec.Struct, frozen=True):
    """What is still open of a body's earlier meetings: matters for the agenda of the next one."""

    unsigned: tuple[standing.MinutesStanding, ...]
    actions: tuple[standing.ProposedObligation, ...]
    dissents: tuple[standing.Objection, ...]


def _at(connection: Connection, table: Table, reference: str) -> Row[Any] | None:
    party, n = split_reference(reference)
    place = (table.c.party == party) & (table.c.n == n) & (table.c.reference == reference)
    return connection.execute(select(table).where(place)).first()


def _grouped(
    connection: Connection, table: Table, by: str, keys: Sequence[str], made: Callable[[Row[Any]], V]
) -> dict[str, list[V]]:
    """Rows whose column `by` is one of `keys`, as values, by that column."""
    query = select(table)
    if len(keys) <= _MOST_AT_ONCE:
        query = query.where(table.c[by].in_(keys))
    found: dict[str, list[V]] = {key: [] for key in keys}
    for row in connection.execute(query):
        key = getattr(row, by)
        if key in found:
            found[key].append(made(row))
    return found


def bodies(connection: Connection, agreement: str = "") -> list[standing.Body]:
    """Every body, or those under one agreement, in the order of party and place."""
    query = select(bodies_table).order_by(bodies_table.c.party, bodies_table.c.n)
    if agreement:
        query = query.where(bodies_table.c.agreement == agreement)
    return _folded_bodies(connection, connection.execute(query).all())


def body(connection: Connection, reference: str) -> standing.Body | None:
    """One body."""
    row = _at(connection, bodies_table, reference)
    return _folded_bodies(connection, [row])[0] if row else None


def _folded_bodies(connection: Connection, found: Iterable[Row[Any]]) -> list[standing.Body]:
    texts = [rows.body_text_of(row) for row in found]
    keys = [text.mark.reference for text in texts]
    joins = _grouped(connection, joins_table, "body", keys, rows.mark_of)
    changes = _grouped(connection, sides_table, "body", keys, rows.change_of)
    return [standing.fold_body(text, joins[key], changes[key]) for key, text in zip(keys, texts, strict=True)]


def meetings(connection: Connection, body: str = "", party: str = "") -> list[standing.Meeting]:
    """Every meeting, or those of one body, or in which a party is a side; in the order of their days."""
    table = invitations_table
    query = select(table).order_by(table.c.day, table.c.party, table.c.n)
    if body:
        query = query.where(table.c.body == body)
    folded = _folded_meetings(connection, connection.execute(query).all())
    return [each for each in folded if not party or party in each.sides]


def meeting(connection: Connection, reference: str) -> standing.Meeting | None:
    """One meeting."""
    row = _at(connection, invitations_table, reference)
    return _folded_meetings(connection, [row])[0] if row else None


def upcoming(connection: Connection, today: dt.date, body: str = "", party: str = "") -> list[standing.Meeting]:
    """Meetings that are still to come: their last day is not past, and nobody has held or cancelled them."""
    found = meetings(connection, body, party)
    return [each for each in found if each.state in {"invited", "accepted"} and each.invitation.last_day >= today]


def past(connection: Connection, today: dt.date, body: str = "", party: str = "") -> list[standing.Meeting]:
    """Meetings that were held, and those whose last day is past whatever became of them; the latest first."""
    found = meetings(connection, body, party)
    return [each for each in reversed(found) if each.state == "held" or each.invitation.last_day < today]


def _folded_meetings(connection: Connection, found: Iterable[Row[Any]]) -> list[standing.Meeting]:
    invitations = [rows.invitation_of(row) for row in found]
    keys = [each.mark.reference for each in invitations]
    answers = _grouped(connection, answers_table, "meeting", keys, rows.answer_of)
    of = sorted({each.body for each in invitations} - {""})
    others = _grouped(connection, invitations_table, "body", of, rows.invitation_of)
    on: dict[tuple[str, dt.date], list[standing.Invitation]] = {}
    for other in (each for group in others.values() for each in group):
        on.setdefault((other.body, other.day), []).append(other)
    return [
        standing.fold_meeting(each, answers[each.mark.reference], on.get((each.body, each.day), ()))
        for each in invitations
    ]


def minutes_of(connection: Connection, meeting: str) -> list[standing.MinutesStanding]:
    """All minutes that were proposed for a meeting, with their signatures and dissents."""
    return _folded_minutes(connection, [meeting])[meeting]


def _folded_minutes(connection: Connection, keys: Sequence[str]) -> dict[str, list[standing.MinutesStanding]]:
    texts = _grouped(connection, minutes_table, "meeting", keys, rows.minutes_text_of)
    every = [text for group in texts.values() for text in group]
    hashes, references = sorted({text.hash for text in every}), [text.mark.reference for text in every]
    signatures = _grouped(connection, signatures_table, "hash", hashes, rows.signature_of)
    dissents = _grouped(connection, dissents_table, "minutes", references, rows.objection_of)
    return {
        key: standing.fold_minutes(
            group,
            [each for digest in {text.hash for text in group} for each in signatures[digest]],
            [each for text in group for each in dissents[text.mark.reference]],
        )
        for key, group in texts.items()
    }


def minutes(connection: Connection, reference: str) -> Minutes | None:
    """One text of minutes with everything to print; None where there is none of this number."""
    row = _at(connection, minutes_table, reference)
    called = meeting(connection, row.meeting) if row else None
    if row is None or called is None:
        return None
    every = minutes_of(connection, row.meeting)
    own = next(each for each in every if each.reference == reference)
    invitation = called.invitation
    of = body(connection, invitation.body) if invitation.body else None
    title, marked = _agreement(connection, invitation.agreement)
    return Minutes(
        reference=reference,
        hash=row.hash,
        languages=of.text.languages if of else tuple(invitation.title),
        agreement=invitation.agreement,
        agreement_title=title,
        marked=marked,
        clause=invitation.clause,
        body=of,
        meeting=called,
        minutes=own,
        enclosures=msgspec.json.decode(row.enclosures, type=tuple[Enclosure, ...]),
        actions=tuple(each for each in standing.proposed_obligations(called, every) if each.minutes == reference),
    )


def _agreement(connection: Connection, reference: str) -> tuple[Texts, Texts]:
    query = select(events.c.text).where(events.c.agreement == reference, events.c.text != "")
    text = connection.execute(query).scalar()
    found = msgspec.json.decode(text, type=Agreement) if text else None
    return (found.title, found.marked) if found else ({}, {})


def action_items(connection: Connection, body: str = "", party: str = "") -> list[standing.ProposedObligation]:
    """The actions of agreed minutes, of all meetings or of one body's; `party`: those that it owes or is owed."""
    called = [each for each in meetings(connection, body) if each.state == "held"]
    every = _folded_minutes(connection, [each.reference for each in called])
    found = [item for each in called for item in standing.proposed_obligations(each, every[each.reference])]
    return [each for each in found if not party or party == each.owed_by or party in each.owed_to]


def arising(connection: Connection, body: str) -> Arising:
    """What the earlier meetings of a body left open: minutes not signed by all, actions, dissents."""
    called = meetings(connection, body)
    every = _folded_minutes(connection, [each.reference for each in called])
    current = [each for group in every.values() for each in group if each.state != "replaced"]
    return Arising(
        tuple(each for each in current if each.state == "proposed"),
        tuple(item for each in called for item in standing.proposed_obligations(each, every[each.reference])),
        tuple(each for one in current for group in one.dissents.values() for each in group),
    )
