"""What bodies, meetings and minutes are, folded from what each side has said: pure, and the same for any order of arrival.

Nothing here is stored. Every standing carries the marks of the statements that it comes from, and where two sides say
different things (a day, a Hijri date, held against cancelled) both stand side by side.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from mithaq.kernel.act import Texts
from mithaq.services.meetings.acts import AgendaItem, Delegate, MinuteItem, Side

_PERIOD: Final = re.compile(r"P([0-9]{1,4})([DWMY])")

BodyState = Literal["proposed", "formed"]
MeetingState = Literal["invited", "accepted", "declined", "cancelled", "held"]
MinutesState = Literal["proposed", "agreed", "replaced"]


class Mark(msgspec.Struct, frozen=True, order=True):
    """One statement that something comes from. Ordered by party and place in its log."""

    party: str
    n: int
    reference: str
    at: str
    by: str


class Change(msgspec.Struct, frozen=True):
    """A side of a body, as its own party named it anew."""

    mark: Mark
    side: Side


class BodyText(msgspec.Struct, frozen=True):
    """A body as it was laid before its sides."""

    mark: Mark
    name: Texts
    kind: str
    clause: str
    agreement: str
    sides: tuple[Side, ...]
    cadence: str
    host: str
    languages: tuple[str, ...]


class Body(msgspec.Struct, frozen=True):
    """A joint body: `sides` as each party last named its own, `joined` the parties that have said so."""

    reference: str
    state: BodyState
    text: BodyText
    sides: dict[str, Side]
    joined: dict[str, Mark]
    changes: tuple[Change, ...]

    def signers(self, party: str) -> tuple[str, ...]:
        """The offices that sign for this side: its lead, and the deputy where there is one."""
        side = self.sides.get(party)
        return tuple(office for office in (side.lead, side.deputy) if office) if side else ()


class Invitation(msgspec.Struct, frozen=True):
    """What a party invited to."""

    mark: Mark
    agreement: str
    clause: str
    kind: str
    title: Texts
    day: dt.date
    day_precision: str
    place: str
    to: tuple[str, ...]
    body: str
    agenda: tuple[AgendaItem, ...]
    delegation: tuple[Delegate, ...]
    hijri: str

    @property
    def last_day(self) -> dt.date:
        """The day itself, or the end of the month where only a month was said."""
        return month_end(self.day) if self.day_precision == "month" else self.day


class Answer(msgspec.Struct, frozen=True):
    """What one side said to an invitation: accepted, declined, held or cancelled."""

    mark: Mark
    what: str
    day: dt.date | None = None
    hijri: str = ""
    delegation: tuple[Delegate, ...] = ()
    reason: str = ""


class Meeting(msgspec.Struct, frozen=True):
    """A meeting as its sides speak of it.

    `accepted`, `declined`, `held`, `cancelled`: what each side said last of it, by party. `crossed`: references of what
    contradicts it because the statements crossed: a cancellation of what another side held, another invitation to the same body on the same day.
    """

    reference: str
    state: MeetingState
    invitation: Invitation
    accepted: dict[str, Answer]
    declined: dict[str, Answer]
    held: dict[str, Answer]
    cancelled: dict[str, Answer]
    crossed: tuple[str, ...]
    delegations: dict[str, tuple[Delegate, ...]]
    hijri: dict[str, str]

    @property
    def sides(self) -> tuple[str, ...]:
        """The party that invited, then those that were invited."""
        return (self.invitation.mark.party, *self.invitation.to)

    @property
    def remaining(self) -> tuple[str, ...]:
        """The sides that have neither declined nor withdrawn."""
        return tuple(each for each in self.sides if each not in self.declined and each not in self.cancelled)

    @property
    def held_on(self) -> dt.date | None:
        """The day on which it was held, where all that say so name one; None where they differ, or nobody says so."""
        days = {answer.day for answer in self.held.values()}
        return days.pop() if len(days) == 1 else None

    def signers(self, party: str) -> tuple[str, ...]:
        """Outside a body: the head and the deputy of the side's delegation, else the office that invited or answered."""
        named = tuple(each.office for each in self.delegations.get(party, ()) if each.role in {"head", "deputy"})
        if named:
            return named
        if party == self.invitation.mark.party:
            return (self.invitation.mark.by,)
        spoken = self.accepted.get(party) or self.held.get(party)
        return (spoken.mark.by,) if spoken else ()


class MinutesText(msgspec.Struct, frozen=True):
    """Minutes as they were laid before the sides."""

    mark: Mark
    meeting: str
    hash: str
    sides: tuple[str, ...]
    items: tuple[MinuteItem, ...]
    next: dt.date | None
    next_place: str
    replaces: tuple[str, ...]


class Signature(msgspec.Struct, frozen=True):
    """One side's signature under one hash."""

    mark: Mark
    minutes: str
    hash: str


class Objection(msgspec.Struct, frozen=True):
    """One side's dissent from one item."""

    mark: Mark
    minutes: str
    item: int
    text: str


class MinutesStanding(msgspec.Struct, frozen=True):
    """Minutes with who has signed them: `agreed` once every side that met has signed one hash."""

    reference: str
    state: MinutesState
    text: MinutesText
    signed: dict[str, Mark]
    dissents: dict[int, tuple[Objection, ...]]
    same_text: tuple[str, ...]
    replaced_by: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The sides that have not signed."""
        return tuple(party for party in self.text.sides if party not in self.signed)

    @property
    def was_agreed(self) -> bool:
        """Whether all have signed, replaced later or not."""
        return not self.missing


class ProposedObligation(msgspec.Struct, frozen=True):
    """An action of agreed minutes: proposed, until an amendment makes it an obligation. `due_day` None: unknown or not agreed."""

    reference: str
    minutes: str
    item: int
    meeting: str
    body: str
    agreement: str
    clause: str
    text: Texts
    owed_by: str
    office: str
    owed_to: tuple[str, ...]
    due: str
    due_day: dt.date | None
    follows: str
    signed: dict[str, Mark]
    dissents: tuple[Objection, ...]


def fold_body(text: BodyText, joins: Iterable[Mark], changes: Iterable[Change]) -> Body:
    """The body as its parties have joined it and named their own sides."""
    parties = {side.party for side in text.sides}
    ordered = tuple(sorted(changes, key=lambda change: change.mark))
    sides = {side.party: side for side in text.sides}
    sides |= {change.mark.party: change.side for change in ordered if change.mark.party in parties}
    joined: dict[str, Mark] = {}
    for mark in sorted(joins):
        if mark.party in parties:
            joined.setdefault(mark.party, mark)
    state: BodyState = "formed" if parties <= set(joined) else "proposed"
    return Body(text.mark.reference, state, text, sides, joined, ordered)


def fold_meeting(invitation: Invitation, answers: Iterable[Answer], others: Iterable[Invitation] = ()) -> Meeting:
    """The meeting as each side speaks of it. `others`: invitations to the same body, which may have crossed with it."""
    inviter = invitation.mark.party
    sides = {inviter, *invitation.to}
    said: dict[str, dict[str, Answer]] = {each: {} for each in ("accepted", "declined", "held", "cancelled")}
    delegations = {inviter: invitation.delegation} if invitation.delegation else {}
    hijri = {inviter: invitation.hijri} if invitation.hijri else {}
    for answer in sorted(answers, key=lambda each: each.mark):
        party = answer.mark.party
        if party not in sides:
            continue
        said[answer.what].setdefault(party, answer)
        if answer.what == "accepted":
            said["declined"].pop(party, None)
        if answer.delegation:
            delegations[party] = answer.delegation
        if answer.hijri and answer.what == "accepted":
            hijri[party] = answer.hijri
    crossed = _crossed(invitation, said, others)
    return Meeting(
        invitation.mark.reference, _state(invitation, said), invitation,
        said["accepted"], said["declined"], said["held"], said["cancelled"], crossed, delegations, hijri,
    )  # fmt: skip


def _state(invitation: Invitation, said: Mapping[str, Mapping[str, Answer]]) -> MeetingState:
    if said["held"]:
        return "held"
    remaining = [each for each in invitation.to if each not in said["declined"] and each not in said["cancelled"]]
    if invitation.mark.party in said["cancelled"] or (not remaining and said["cancelled"]):
        return "cancelled"
    if not remaining:
        return "declined"
    return "accepted" if all(each in said["accepted"] for each in remaining) else "invited"


def _crossed(
    invitation: Invitation, said: Mapping[str, Mapping[str, Answer]], others: Iterable[Invitation]
) -> tuple[str, ...]:
    found = {answer.mark.reference for answer in said["cancelled"].values()} if said["held"] else set()
    for other in others:
        same = invitation.body and other.body == invitation.body and other.day == invitation.day
        if same and other.mark.party != invitation.mark.party and other.day_precision == invitation.day_precision:
            found.add(other.mark.reference)
    return tuple(sorted(found))


def fold_minutes(
    texts: Sequence[MinutesText], signatures: Iterable[Signature], dissents: Iterable[Objection]
) -> list[MinutesStanding]:
    """All minutes of one meeting, in the order of party and place. Signatures count for the text, whoever proposed it."""
    texts = sorted(texts, key=lambda text: text.mark)
    signed: dict[str, dict[str, Mark]] = {text.hash: {} for text in texts}
    for signature in sorted(signatures, key=lambda each: each.mark):
        signed.get(signature.hash, {}).setdefault(signature.mark.party, signature.mark)
    hashes = {text.mark.reference: text.hash for text in texts}
    against: dict[str, dict[int, tuple[Objection, ...]]] = {text.hash: {} for text in texts}
    for dissent in sorted(dissents, key=lambda each: each.mark):
        if dissent.minutes in hashes:
            of = against[hashes[dissent.minutes]]
            of[dissent.item] = (*of.get(dissent.item, ()), dissent)
    agreed = {text.hash for text in texts if all(party in signed[text.hash] for party in text.sides)}
    replaced: dict[str, list[str]] = {}
    for text in texts:
        for reference in text.replaces if text.hash in agreed else ():
            replaced.setdefault(hashes.get(reference, ""), []).append(text.mark.reference)
    found = []
    for text in texts:
        own = text.mark.reference
        same = tuple(reference for reference, each in hashes.items() if each == text.hash and reference != own)
        later = tuple(sorted(replaced.get(text.hash, ())))
        state: MinutesState = "replaced" if later else "agreed" if text.hash in agreed else "proposed"
        in_sides = {party: signed[text.hash][party] for party in text.sides if party in signed[text.hash]}
        found.append(MinutesStanding(own, state, text, in_sides, against[text.hash], same, later))
    return found


def proposed_obligations(meeting: Meeting, minutes: Iterable[MinutesStanding]) -> list[ProposedObligation]:
    """What the agreed minutes of a meeting ask each side to do; one text proposed twice gives them once."""
    found = []
    for each in minutes:
        if each.state != "agreed" or any(other < each.reference for other in each.same_text):
            continue
        for item in each.text.items:
            if item.kind != "action":
                continue
            others = tuple(party for party in each.text.sides if party != item.owed_by)
            found.append(
                ProposedObligation(
                    f"{each.reference}:{item.number}",
                    each.reference,
                    item.number,
                    meeting.reference,
                    meeting.invitation.body,
                    meeting.invitation.agreement,
                    meeting.invitation.clause,
                    item.text,
                    item.owed_by,
                    item.office,
                    (item.owed_to,) if item.owed_to else others,
                    item.due,
                    due_day(item.due, meeting.held_on),
                    item.obligation,
                    each.signed,
                    each.dissents.get(item.number, ()),
                )
            )
    return found


def month_end(day: dt.date) -> dt.date:
    """The last day of the month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def due_day(due: str, start: dt.date | None) -> dt.date | None:
    """The last day for an action: of a month its end, of a period counted from `start`; None where it is unknown.

    Raises ValueError for a day that no calendar has.
    """
    period = _PERIOD.fullmatch(due)
    if period is None:
        if not due:
            return None
        return dt.date.fromisoformat(due) if len(due) == 10 else month_end(dt.date.fromisoformat(f"{due}-01"))
    if start is None:
        return None
    count, unit = int(period[1]), period[2]
    try:
        if unit in "DW":
            return start + dt.timedelta(days=count * (7 if unit == "W" else 1))
        months = start.year * 12 + start.month - 1 + count * (12 if unit == "Y" else 1)
        first = dt.date(months // 12, months % 12 + 1, 1)
    except (OverflowError, ValueError):
        return None  # beyond the year 9999: no day that a calendar here can write
    return min(month_end(first), first.replace(day=min(start.day, 28)) + dt.timedelta(days=max(0, start.day - 28)))
