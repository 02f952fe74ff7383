"""What the sides say about one obligation: claims with the answers to them, and findings that all have made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

FULL: Final = 3

SaysWord = Literal[
    "unclaimed",
    "claimed",
    "partly_confirmed",
    "confirmed",
    "tacitly_confirmed",
    "disputed",
    "verification_asked",
    "jointly_found",
    "withdrawn",
]


class Told(msgspec.Struct, frozen=True, gc=False):
    """One thing that a party said about an obligation: what the fold reads of a row of `obligations_said`.

    `what`: claimed, withdrawn, answered, found, assessed, due_set, event_noted, discharged, closed, reopened. `day` is the
    as-of day, the due day or month, or the event's day; `level` is -1 where none was said.
    """

    party: str
    n: int
    reference: str
    what: str
    obligation: str
    claim: str
    at: str
    clause: str
    occurrence: int = 0
    level: int = -1
    day: str = ""
    answer: str = ""
    text: str = ""
    seen: str = ""


class Answered(msgspec.Struct, frozen=True, gc=False):
    """One answer to the claim that stands."""

    party: str
    answer: str
    level: int | None
    text: str
    reference: str


class Says(msgspec.Struct, frozen=True, gc=False):
    """What the sides say. `word` for the whole; what it is made of beside it, so that nothing is merged away.

    `who` said what the word is about; `claim` is the claim that stands; `disputed` when a creditor disputes it, in whole or
    in part; `verification` names who asked for it and has not confirmed since; `unanswered` the creditors that are silent.
    """

    word: SaysWord
    level: int | None = None
    as_of: dt.date | None = None
    who: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    claim: str = ""
    claimed: bool = False
    disputed: bool = False
    verification: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    answers: tuple[Answered, ...] = ()

    @property
    def fulfils(self) -> bool:
        """Full implementation, established by debtor and every creditor, or tacitly where the clause says so."""
        return self.level == FULL and self.word in {"confirmed", "tacitly_confirmed", "jointly_found"}


def fold(told: Sequence[Told], creditors: Sequence[str], debtor: str, tacit_days: int, today: dt.date) -> Says:
    """What the sides say by these, ordered by party and position: the same whatever order they came in.

    The claim that stands is one that fulfils, else the debtor's newest that is not withdrawn. A joint finding holds over a
    claim unless the claim is as of a later day.
    """
    withdrawn = {each.claim: each for each in told if each.what == "withdrawn"}
    answers: dict[str, list[Told]] = {}
    for each in told:
        if each.what == "answered" and each.party in creditors:
            answers.setdefault(each.claim, []).append(each)
    claims = [each for each in told if each.what == "claimed" and each.party == debtor]
    standing = [each for each in claims if each.reference not in withdrawn]
    weighed = [
        _weigh(each, answers.get(each.reference, []), creditors, tacit_days, today)
        for place, each in enumerate(standing, 1)
        if each.level == FULL or place == len(standing)  # no other can be the one that stands
    ]
    found = joint_findings([each for each in told if each.what == "found"], (debtor, *creditors))
    full = [each for each in (*weighed, *found) if each.fulfils]
    if full:
        return min(full, key=lambda each: (each.as_of or today, each.references))
    current = weighed[-1] if weighed else None
    joint = found[-1] if found else None
    if joint and current and (joint.as_of or today) >= (current.as_of or today):
        return msgspec.structs.replace(joint, claim=current.claim, claimed=True, answers=current.answers)
    either = current or joint
    if either:
        return either
    if not claims:
        return Says("unclaimed")
    last = claims[-1]
    references = (last.reference, withdrawn[last.reference].reference)
    return Says("withdrawn", last.level, dt.date.fromisoformat(last.day), (debtor,), references)


def _weigh(claim: Told, given: Sequence[Told], creditors: Sequence[str], tacit_days: int, today: dt.date) -> Says:
    """One claim with what the creditors answered to it; of each, the newest answer counts."""
    newest = {each.party: each for each in given}
    asked: dict[str, Told] = {}
    positions: dict[str, Told] = {}
    for each in given:
        if each.answer == "verify":
            asked[each.party] = each
        else:
            positions[each.party] = each
            if each.answer == "confirm":
                asked.pop(each.party, None)
    silent = tuple(each for each in creditors if each not in newest)
    word, who = _word(claim, newest, creditors, tacit_days, today)
    return Says(
        word,
        claim.level,
        dt.date.fromisoformat(claim.day),
        who or (claim.party,),
        (claim.reference, *(each.reference for each in given)),
        claim=claim.reference,
        claimed=True,
        disputed=any(each.answer in {"dispute", "partly"} for each in positions.values()),
        verification=tuple(sorted(asked)),
        unanswered=silent,
        answers=tuple(
            Answered(each.party, each.answer, None if each.level < 0 else each.level, each.text, each.reference)
            for each in given
        ),
    )


def _word(
    claim: Told, newest: dict[str, Told], creditors: Sequence[str], tacit_days: int, today: dt.date
) -> tuple[SaysWord, tuple[str, ...]]:
    said = {party: each.answer for party, each in newest.items()}
    words: tuple[tuple[str, SaysWord], ...] = (
        ("dispute", "disputed"),
        ("verify", "verification_asked"),
        ("partly", "partly_confirmed"),
    )
    for answer, word in words:
        who = tuple(sorted(party for party, each in said.items() if each == answer))
        if who:
            return word, who
    if creditors and all(said.get(each) == "confirm" for each in creditors):
        return "confirmed", tuple(sorted(said))
    # Only silence that the clause itself gives a meaning to; an answer, however late, ends it: nobody but the creditor can
    # say when a claim reached it, and a debtor could hold back its log until the days are over.
    ends = dt.date.fromisoformat(claim.at[:10]) + dt.timedelta(days=tacit_days)
    if tacit_days and claim.level == FULL and today > ends and creditors:
        return "tacitly_confirmed", tuple(sorted(each for each in creditors if each not in said))
    return "claimed", ()


def joint_findings(found: Iterable[Told], concerned: Sequence[str]) -> list[Says]:
    """What debtor and every creditor have found alike, by as-of day; each side's newest finding as of a day counts."""
    newest: dict[str, dict[str, Told]] = {}
    for each in found:
        newest.setdefault(each.day, {})[each.party] = each
    joint = []
    for day in sorted(newest):
        sides = newest[day]
        if all(party in sides for party in concerned) and len({sides[party].level for party in concerned}) == 1:
            level = sides[concerned[0]].level
            references = tuple(sides[party].reference for party in concerned)
            joint.append(Says("jointly_found", level, dt.date.fromisoformat(day), tuple(concerned), references))
    return joint
