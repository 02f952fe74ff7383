"""Agreements as data, and which clause authorises an act: a query over what the parties have said (law 2).

An agreement is a text that people can read and the authority for what the machines do. The parties sign one hash. Whether a
clause is in force for a speaker is computed from acts that the speaker had seen (law 3); nothing is stored as a status.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from mithaq.kernel.act import ClauseNumber, Count, Language, Line, Office, PartyCode, Texts, Words

CHARTER: Final = "charter"
"""The clause under which what founds the rest is said: offices, keys, agreements, refusals."""

ActTag = Annotated[str, Meta(pattern=r"^[a-z_]+\.[a-z_]+\Z", max_length=60)]


class Citation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Where a clause was read: a source and its own sentence, as written."""

    source: Line
    sentence: Words


class Enclosures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Which enclosures a permit allows: sealed to which offices, of which media, how large, how many, how long kept."""

    to: Annotated[tuple[Office, ...], Meta(min_length=1, max_length=64)]
    media: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[a-z]+/([a-z0-9.+-]{1,80}|\*)\Z")], ...],
        Meta(min_length=1, max_length=32),
    ]
    max_bytes: Annotated[int, Meta(ge=1, le=2**40)]
    keep_days: Annotated[int, Meta(ge=1, le=36_525)]
    max_count: Annotated[int, Meta(ge=1, le=16)] = 1


class Permit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a clause allows to be said, by which offices (and those below them), with which enclosures and handling.

    `survives`: also after the agreement's end, as what is said about a duty that outlives it.
    """

    act: ActTag
    offices: Annotated[tuple[Office, ...], Meta(min_length=1, max_length=64)]
    enclosures: Enclosures | None = None
    handling: Annotated[str, Meta(max_length=40)] = ""
    survives: bool = False


class Duty(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a clause obliges to: who owes what to whom, by when, and how it is verified.

    `due` is a day, a month, a period counted `after` an event, a recurrence (`R/P6M`), or empty: no time was agreed. Where there
    is a `condition`, the duty is in effect once both sides have said that it is met. `body` follows it up. `survives`: the end
    of the agreement does not end it. `tacit_days`: only where the text says so, silence after a claim confirms.
    """

    owed_by: PartyCode
    owed_to: Annotated[tuple[PartyCode, ...], Meta(min_length=1, max_length=32)]
    what: Texts
    due: Annotated[str, Meta(pattern=r"^([0-9]{4}-[0-9]{2}(-[0-9]{2})?|(R/)?P[0-9]{1,4}[DWMY])?\Z", max_length=12)] = ""
    after: Annotated[str, Meta(max_length=300)] = ""
    verified: Annotated[str, Meta(max_length=300)] = ""
    condition: Annotated[str, Meta(max_length=300)] = ""
    body: Annotated[str, Meta(max_length=200)] = ""
    survives: bool = False
    tacit_days: Annotated[int, Meta(ge=0, le=3650)] = 0


class Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The part of an agreement that gives a duty or a right. Its number stays the same across amendments."""

    number: ClauseNumber
    text: Texts
    permits: Annotated[tuple[Permit, ...], Meta(max_length=64)] = ()
    obliges: Annotated[tuple[Duty, ...], Meta(max_length=32)] = ()
    followed_by: Annotated[str, Meta(max_length=200)] = ""
    cites: Annotated[tuple[Citation, ...], Meta(max_length=16)] = ()


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """How and from when the agreement binds: by the last signature, or by each party's notification; not before `day`."""

    method: Literal["signature", "notification"]
    day: dt.date | None = None
    until: dt.date | None = None


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A text with its parties and clauses, in the languages it was written in. `marked` is shown wherever the title is."""

    title: Texts
    parties: Annotated[tuple[PartyCode, ...], Meta(min_length=2, max_length=32)]
    clauses: Annotated[tuple[Clause, ...], Meta(min_length=1, max_length=200)]
    entry: Entry
    marked: Annotated[dict[Language, Words], Meta(max_length=12)] = {}
    concluded: Annotated[str, Meta(max_length=120)] = ""

    def hash(self) -> str:
        """What the parties sign: SHA-256 of the canonical JSON, lower-case hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that a party said about an agreement: what the state of every clause is computed from.

    `what`: proposed, amended, signed, declined, notified, suspended, resumed, terminated. `agreement` is the reference of the
    text concerned; of an amendment, its own reference, with `amends` naming the agreement it changes.
    """

    party: str
    n: Count
    what: str
    agreement: str
    day: str
    clause: str = ""
    amends: str = ""
    text: str = ""
