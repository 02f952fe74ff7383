"""The register as it leaves the node: plain rows, made of the services' queries, the same for every form of export."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Row, select

from mithaq.kernel import force
from mithaq.kernel.act import Texts
from mithaq.kernel.force import Mandates
from mithaq.kernel.mandate import Event
from mithaq.kernel.records import events, said_under
from mithaq.services.agreements import records as agreements
from mithaq.services.meetings import records as meetings
from mithaq.services.meetings import standing as met
from mithaq.services.obligations import records as obligations
from mithaq.services.obligations.register import Register
from mithaq.services.obligations.standing import Occurrence, Standing

FORM: Final = "mithaq.register/1"
_NO_DOING: Final = ("obligations.", "agreements.", "meetings.")
"""What is said about duties and texts carries nothing out."""


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every row keeps to: all fields are written, and a reader refuses what it does not know."""


class ClauseText(_Told, frozen=True):
    """One clause of an agreement in the text that holds."""

    reference: str
    number: str
    text: Texts


class Agreement(_Told, frozen=True):
    """An agreement or an amendment. Days by party; `since` empty while it does not bind."""

    reference: str
    title: Texts
    marked: Texts
    parties: list[str]
    proposed_by: str
    amends: str
    amended_by: str
    signed: dict[str, str]
    notified: dict[str, str]
    declined: dict[str, str]
    terminated: dict[str, str]
    suspended: list[str]
    since: dt.date | None
    hash: str
    clauses: list[ClauseText]


class Layers(_Told, frozen=True):
    """The three layers, never merged: what IS, what the sides SAY (level 0 to 3), what the CLOCK says (days left)."""

    occurrence: int
    life: str
    because: str
    says: str
    level: int | None
    as_of: dt.date | None
    unanswered: list[str]
    clock: str
    days: int | None
    due: dt.date | None
    precision: str
    late_by: int
    life_from: list[str]
    says_from: list[str]
    clock_from: list[str]


class Obligation(_Told, frozen=True):
    """One obligation on the day of the export; `times` are those of a recurring one."""

    obligation: str
    agreement: str
    clause: str
    owed_by: str
    owed_to: list[str]
    what: Texts
    due_by_text: str
    after: str
    condition: str
    verified: str
    standing: Layers
    times: list[Layers]
    references: list[str]


class Said(_Told, frozen=True):
    """One statement in the history of a clause. `level` None where none was said; `enclosures` by digest."""

    clause: str
    obligation: str
    reference: str
    party: str
    by: str
    at: str
    under: str
    what: str
    level: int | None
    day: str
    answer: str
    about: str
    text: str
    evidence: list[str]
    enclosures: list[str]


class Side(_Told, frozen=True):
    """One party in a body, by office."""

    party: str
    lead: str
    deputy: str
    members: list[str]
    joined: str


class Body(_Told, frozen=True):
    """A commission or working group."""

    reference: str
    name: Texts
    kind: str
    state: str
    clause: str
    cadence: str
    host: str
    languages: list[str]
    sides: list[Side]


class Meeting(_Told, frozen=True):
    """A meeting; by party what each side said last, its delegation (`office (role)`) and the Hijri date it announced."""

    reference: str
    body: str
    clause: str
    kind: str
    title: Texts
    state: str
    day: dt.date
    day_precision: str
    place: str
    sides: list[str]
    accepted: dict[str, str]
    declined: dict[str, str]
    held: dict[str, str]
    cancelled: dict[str, str]
    held_on: dt.date | None
    hijri: dict[str, str]
    delegations: dict[str, list[str]]
    agenda: list[Texts]
    crossed: list[str]


class Dissent(_Told, frozen=True):
    """One side's dissent from an item."""

    party: str
    reference: str
    text: str


class Item(_Told, frozen=True):
    """One item of minutes."""

    number: int
    kind: str
    text: Texts
    obligation: str
    owed_by: str
    office: str
    owed_to: str
    due: str
    dissents: list[Dissent]


class Minutes(_Told, frozen=True):
    """Minutes with who has signed them: party -> reference of the signature."""

    reference: str
    meeting: str
    state: str
    hash: str
    sides: list[str]
    signed: dict[str, str]
    missing: list[str]
    replaces: list[str]
    replaced_by: list[str]
    next: dt.date | None
    next_place: str
    items: list[Item]


class Action(_Told, frozen=True):
    """An action of agreed minutes: proposed, not owed, until an amendment makes it an obligation."""

    reference: str
    minutes: str
    meeting: str
    body: str
    clause: str
    text: Texts
    owed_by: str
    office: str
    owed_to: list[str]
    due_by_text: str
    due: dt.date | None
    follows: str


class Whole(_Told, frozen=True):
    """The whole register of one node on one day."""

    form: Literal["mithaq.register/1"]
    party: str
    day: dt.date
    agreements: list[Agreement]
    obligations: list[Obligation]
    history: list[Said]
    bodies: list[Body]
    meetings: list[Meeting]
    minutes: list[Minutes]
    actions: list[Action]


def gather(connection: Connection, party: str, today: dt.date, register: Register | None = None) -> Whole:
    """Everything that is in the register of this node on that day. `register`: one that remembers, else a new one."""
    register = register or Register()
    mandates = Mandates(())
    for row in connection.execute(select(events)):
        mandates.add(Event(**row._mapping))  # noqa: SLF001  # SQLAlchemy's public name for it
    standings = mandates.on(today)
    called = meetings.meetings(connection)
    folded = [each for one in called for each in meetings.minutes_of(connection, one.reference)]
    return Whole(
        FORM,
        party,
        today,
        [_agreement(standings[each], standings) for each in sorted(standings)],
        [_obligation(each) for each in register.obligations(connection, today)],
        sorted(_history(connection, register), key=lambda each: (each.clause, each.at, each.reference)),
        [_body(each) for each in meetings.bodies(connection)],
        [_meeting(each) for each in called],
        [_minutes(each) for each in folded],
        [_action(each) for each in meetings.action_items(connection)],
    )


def _agreement(standing: force.Standing, standings: dict[str, force.Standing]) -> Agreement:
    newer = standings.get(standing.amended_by)
    text, own = (newer or standing).text, standing.amends or standing.reference
    return Agreement(
        standing.reference,
        dict(standing.text.title),
        dict(standing.text.marked),
        list(standing.text.parties),
        standing.proposer,
        standing.amends,
        standing.amended_by,
        _days(standing, "signed"),
        _days(standing, "notified"),
        _days(standing, "declined"),
        _days(standing, "terminated"),
        sorted(f"{party} {number}".strip() for number, party in standing.suspended),
        standing.binds_from(),
        standing.text.hash(),
        [ClauseText(f"{own}/{each.number}", each.number, dict(each.text)) for each in text.clauses],
    )


def _days(standing: force.Standing, what: str) -> dict[str, str]:
    return dict(sorted(standing.days[what].items()))


def _layers(one: Standing | Occurrence) -> Layers:
    says, clock = one.says, one.clock
    return Layers(
        one.number if isinstance(one, Occurrence) else one.occurrence,
        one.life.word,
        one.life.because,
        says.word,
        says.level,
        says.as_of,
        list(says.unanswered),
        clock.word,
        clock.days,
        clock.due,
        clock.precision,
        one.late_by,
        list(one.life.references),
        list(says.references),
        list(clock.references),
    )


def _obligation(one: Standing) -> Obligation:
    duty = one.duty
    return Obligation(
        one.obligation,
        one.agreement,
        one.clause,
        duty.owed_by,
        list(duty.owed_to),
        dict(duty.what),
        duty.due,
        duty.after,
        duty.condition,
        duty.verified,
        _layers(one),
        [_layers(each) for each in one.occurrences],
        list(one.references),
    )


def _history(connection: Connection, register: Register) -> Iterator[Said]:
    """What was said about agreements, about obligations, and what was done under clauses that oblige."""
    for row in connection.execute(select(agreements.said_table)):
        yield _said(row, f"{row.agreement}/{row.clause}" if row.clause else row.agreement, "", row.what, row.reason)
    for row in obligations.all_facts(connection):
        obligation = row.obligation or register.obligation_of(connection, row.claim)
        yield msgspec.structs.replace(
            _said(row, obligation.rpartition(":")[0], obligation, row.what, row.text),
            under=row.clause,
            level=row.level if row.level >= 0 else None,
            day=row.day,
            answer=row.answer,
            about=row.claim,
            evidence=msgspec.json.decode(row.evidence, type=list[str]),
            enclosures=[each["digest"] for each in msgspec.json.decode(row.enclosures)],
        )
    for row in connection.execute(select(said_under)):
        if row.do.startswith(_NO_DOING):
            continue
        reference = f"{row.party}-{row.at[:4]}-{row.n:06d}"
        yield Said(row.clause, "", reference, row.party, "", row.at, row.clause, row.do, None, "", "", "", "", [], [])


def _said(row: Row[Any], clause: str, obligation: str, what: str, text: str) -> Said:
    under = getattr(row, "under", "")
    return Said(
        clause, obligation, row.reference, row.party, row.by, row.at, under, what, None, "", "", "", text, [], []
    )


def _body(one: met.Body) -> Body:
    sides = [
        Side(
            party,
            side.lead,
            side.deputy,
            list(side.members),
            one.joined[party].reference if party in one.joined else "",
        )
        for party, side in sorted(one.sides.items())
    ]
    text = one.text
    return Body(
        one.reference,
        dict(text.name),
        text.kind,
        one.state,
        text.clause,
        text.cadence,
        text.host,
        list(text.languages),
        sides,
    )


def _by_party(answers: dict[str, met.Answer]) -> dict[str, str]:
    return {party: answer.mark.reference for party, answer in sorted(answers.items())}


def _meeting(one: met.Meeting) -> Meeting:
    called = one.invitation
    return Meeting(
        one.reference,
        called.body,
        called.clause,
        called.kind,
        dict(called.title),
        one.state,
        called.day,
        called.day_precision,
        called.place,
        list(one.sides),
        _by_party(one.accepted),
        _by_party(one.declined),
        _by_party(one.held),
        _by_party(one.cancelled),
        one.held_on,
        dict(sorted(one.hijri.items())),
        {party: [f"{each.office} ({each.role})" for each in sent] for party, sent in sorted(one.delegations.items())},
        [dict(each.text) for each in called.agenda],
        list(one.crossed),
    )


def _minutes(one: met.MinutesStanding) -> Minutes:
    text = one.text
    items = [
        Item(
            each.number,
            each.kind,
            dict(each.text),
            each.obligation,
            each.owed_by,
            each.office,
            each.owed_to,
            each.due,
            [Dissent(said.mark.party, said.mark.reference, said.text) for said in one.dissents.get(each.number, ())],
        )
        for each in text.items
    ]
    return Minutes(
        one.reference,
        text.meeting,
        one.state,
        text.hash,
        list(text.sides),
        {party: mark.reference for party, mark in sorted(one.signed.items())},
        list(one.missing),
        list(text.replaces),
        list(one.replaced_by),
        text.next,
        text.next_place,
        items,
    )


def _action(one: met.ProposedObligation) -> Action:
    return Action(
        one.reference,
        one.minutes,
        one.meeting,
        one.body,
        one.clause,
        dict(one.text),
        one.owed_by,
        one.office,
        list(one.owed_to),
        one.due,
        one.due_day,
        one.follows,
    )
