"""What can be said about an obligation: claimed, answered, found, put off, released, closed, opened again."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta

from mithaq.kernel.act import Act, Reference, Words

Obligation = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9][A-Z0-9-]{0,15}-[0-9]{4}-[0-9]{6,12}/[0-9]{1,3}(\.[0-9]{1,3}){0,3}:[1-9][0-9]?\Z",
        max_length=64,
        description="the clause and the place of the duty in it, from 1: IR-2026-000005/3:1",
    ),
]
Level = Annotated[
    int, Meta(ge=0, le=3, description="0 not initiated, 1 minimal, 2 intermediate, 3 full (Kroc Institute, PAM)")
]
Occurrence = Annotated[
    int, Meta(ge=0, le=9999, description="which time of a recurring duty, from 1; 0 for a duty that does not recur")
]
DayOrMonth = Annotated[
    str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?\Z", max_length=10, description="2026-09-19, or 2026-09")
]
Evidence = Annotated[tuple[Reference, ...], Meta(max_length=32)]
Remark = Annotated[str, Meta(max_length=8000)]


class Claim(Act, frozen=True, tag="obligations.claim"):
    """The side that owes says how far it has carried out an obligation, as of a day, with its evidence."""

    obligation: Obligation
    level: Level
    as_of: dt.date
    text: Words
    evidence: Evidence = ()
    occurrence: Occurrence = 0


class Withdraw(Act, frozen=True, tag="obligations.withdraw"):
    """The side that owes takes back a claim of its own."""

    claim: Reference
    reason: Words


class Answer(Act, frozen=True, tag="obligations.answer"):
    """A side that is owed confirms a claim, confirms it in part, disputes it, or asks for joint verification."""

    claim: Reference
    answer: Literal["confirm", "partly", "dispute", "verify"]
    text: Remark = ""
    level: Level | None = None


class Find(Act, frozen=True, tag="obligations.find"):
    """One side's signed finding of a joint verification; it holds once all concerned have found the same."""

    obligation: Obligation
    level: Level
    as_of: dt.date
    text: Words
    occurrence: Occurrence = 0


class Assess(Act, frozen=True, tag="obligations.assess"):
    """A side that is owed says, unasked, how far it sees an obligation carried out."""

    obligation: Obligation
    level: Level
    as_of: dt.date
    text: Words


class SetDue(Act, frozen=True, tag="obligations.set_due"):
    """A later time from the side that is owed holds at once; any other holds once all concerned have named the same."""

    obligation: Obligation
    due: DayOrMonth
    reason: Words
    occurrence: Occurrence = 0


class NoteEvent(Act, frozen=True, tag="obligations.note_event"):
    """A side says on which day the event happened from which the time is counted, or the condition was met."""

    obligation: Obligation
    day: dt.date


class Discharge(Act, frozen=True, tag="obligations.discharge"):
    """A side that is owed releases the other side from an obligation."""

    obligation: Obligation
    reason: Words


class Close(Act, frozen=True, tag="obligations.close"):
    """A side wants an obligation closed unfulfilled; it is closed once all concerned have said so."""

    obligation: Obligation
    reason: Words


class Reopen(Act, frozen=True, tag="obligations.reopen"):
    """A side opens a fulfilled, released or closed obligation again, and says why."""

    obligation: Obligation
    reason: Words
    occurrence: Occurrence = 0
