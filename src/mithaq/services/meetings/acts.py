"""What can be said about joint bodies, about meetings and visits, and about their minutes."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from mithaq.kernel.act import (
    CLAUSE,
    OFFICE,
    PARTY,
    REFERENCE,
    Act,
    ClauseReference,
    Digest,
    Language,
    Line,
    Office,
    PartyCode,
    Reference,
    Texts,
    Words,
)

HIJRI: Final = r"^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|30))?\Z"
DUE: Final = r"^([0-9]{4}-[0-9]{2}(-[0-9]{2})?|P[0-9]{1,4}[DWMY])?\Z"


def _or_empty(pattern: str) -> str:
    """The same pattern, or nothing at all."""
    return f"^({pattern[1:-2]})?" + r"\Z"


_OBLIGATION: Final = CLAUSE.replace("charter|", "").removesuffix(r"\Z") + r":[0-9]{1,2}\Z"
ObligationOrNone = Annotated[
    str,
    Meta(
        pattern=_or_empty(_OBLIGATION),
        max_length=64,
        description="the obligation concerned: IR-2026-000005/3:1, or none",
    ),
]
OfficeOrNone = Annotated[
    str, Meta(pattern=_or_empty(OFFICE), max_length=220, description="an organ of a party, or none")
]
PartyOrNone = Annotated[
    str, Meta(pattern=_or_empty(PARTY), max_length=16, description="ISO 3166 code of a party, or none")
]
ReferenceOrNone = Annotated[
    str, Meta(pattern=_or_empty(REFERENCE), max_length=40, description="the body's number, or none: outside any body")
]
AnnouncedHijri = Annotated[
    str,
    Meta(
        pattern=HIJRI,
        max_length=10,
        description="the Hijri date that the own authority has announced: 1448-02-20, or none",
    ),
]
Languages = Annotated[tuple[Language, ...], Meta(min_length=1, max_length=12)]
ItemNumber = Annotated[int, Meta(ge=1, le=999, description="the item's number in the minutes")]


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One party in a body: the office that leads it, the one that stands in for it, and the others."""

    party: PartyCode
    lead: OfficeOrNone = ""
    deputy: OfficeOrNone = ""
    members: Annotated[tuple[Office, ...], Meta(max_length=64)] = ()


class Delegate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who is sent, by office and never by name. Outside a body, the `head` and the `deputy` sign for their side."""

    office: Office
    role: Literal["head", "deputy", "member", "expert", "secretary", "interpreter"] = "member"


Delegation = Annotated[tuple[Delegate, ...], Meta(max_length=64)]


class AgendaItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be spoken about, and the obligation that it concerns, if any."""

    text: Texts
    obligation: ObligationOrNone = ""


class MinuteItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One item of minutes. An `action` says who owes it, to whom (to all the other sides when left out) and by when.

    `due` is a day, a month, a period counted from the day of the meeting, or empty: no time was agreed.
    """

    number: ItemNumber
    kind: Literal["noted", "decided", "action"]
    text: Texts
    obligation: ObligationOrNone = ""
    owed_by: PartyOrNone = ""
    office: OfficeOrNone = ""
    owed_to: PartyOrNone = ""
    due: Annotated[str, Meta(pattern=DUE, max_length=10)] = ""


class FormBody(Act, frozen=True, tag="meetings.form_body"):
    """A joint commission or working group is laid before its sides; it exists once each of them has joined."""

    name: Texts
    kind: Literal["commission", "working_group"]
    clause: ClauseReference
    sides: Annotated[tuple[Side, ...], Meta(min_length=2, max_length=32)]
    languages: Languages
    cadence: Annotated[str, Meta(pattern=r"^(P[0-9]{1,4}[DWMY])?\Z", max_length=6)] = ""
    host: Annotated[
        str,
        Meta(
            pattern=f"^(alternating|{PARTY[1:-2]})" + r"\Z",
            max_length=16,
            description="the party that hosts, or alternating",
        ),
    ] = "alternating"


class JoinBody(Act, frozen=True, tag="meetings.join_body"):
    """The party takes its seat in a body as it was laid before it."""

    body: Reference


class SetSide(Act, frozen=True, tag="meetings.set_side"):
    """The party names anew who leads its own side of a body, who is deputy and who belongs to it."""

    body: Reference
    side: Side


class Invite(Act, frozen=True, tag="meetings.invite"):
    """Parties are invited to a meeting, a visit, a session or a call, with its day, place and agenda."""

    kind: Literal["meeting", "visit", "session", "call"]
    title: Texts
    day: dt.date
    place: Line
    to: Annotated[tuple[PartyCode, ...], Meta(min_length=1, max_length=32)]
    body: ReferenceOrNone = ""
    day_precision: Literal["day", "month"] = "day"
    agenda: Annotated[tuple[AgendaItem, ...], Meta(max_length=64)] = ()
    delegation: Delegation = ()
    hijri: AnnouncedHijri = ""


class AcceptInvitation(Act, frozen=True, tag="meetings.accept_invitation"):
    """The party accepts an invitation and names its delegation."""

    meeting: Reference
    delegation: Delegation = ()
    hijri: AnnouncedHijri = ""


class DeclineInvitation(Act, frozen=True, tag="meetings.decline_invitation"):
    """The party does not accept an invitation."""

    meeting: Reference
    reason: Words


class Hold(Act, frozen=True, tag="meetings.hold"):
    """The side says that a meeting was held, on which day, and who came for it."""

    meeting: Reference
    day: dt.date
    delegation: Delegation = ()
    hijri: AnnouncedHijri = ""


class Cancel(Act, frozen=True, tag="meetings.cancel"):
    """The side takes its invitation or its acceptance back; with only one side left the meeting is cancelled."""

    meeting: Reference
    reason: Words


class Minute(Act, frozen=True, tag="meetings.minute"):
    """Minutes of a meeting are laid before the sides that met, item by item, for the signature of their leads."""

    meeting: Reference
    sides: Annotated[tuple[PartyCode, ...], Meta(min_length=2, max_length=32)]
    items: Annotated[tuple[MinuteItem, ...], Meta(min_length=1, max_length=200)]
    next: dt.date | None = None
    next_place: Annotated[str, Meta(pattern=r"^[^\n\t]*\Z", max_length=300)] = ""
    replaces: Annotated[tuple[Reference, ...], Meta(max_length=16)] = ()

    def hash(self) -> str:
        """What the leads sign: SHA-256 of the act's canonical JSON, lower-case hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class SignMinutes(Act, frozen=True, tag="meetings.sign_minutes"):
    """The lead of a side, or its deputy, signs minutes by their hash."""

    minutes: Reference
    hash: Digest


class Dissent(Act, frozen=True, tag="meetings.dissent"):
    """The side does not share an item of the minutes; that is written down beside it and changes nothing else."""

    minutes: Reference
    item: ItemNumber
    text: Words
