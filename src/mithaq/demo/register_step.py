"""The story's step about the register: a duty whose day is past is claimed as carried out, answered, and verified together.

The duty and its day are those of report 001, and so is the claim of 23 September 2023. What the other side answers and what
both find is made up to show the register, and the step says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mithaq.demo.side import Side
from mithaq.kernel import words

if TYPE_CHECKING:
    from mithaq.demo.story import Story

TITLE: Final = "A duty is past its day: it is claimed as carried out, answered, and verified by both sides"
_Saying = tuple[str, str, str, Mapping[str, Any], str]
PLACE: Final = ("security-pact", "2", 1)
"""The agreement, the clause and the duty in it that report 001 gives a day."""
CLAIMED: Final = dt.date(2023, 9, 23)
"""When the side that owes said, as report 001 tells, that it had carried out everything."""
_LEVELS: Final = ("not begun", "carried out minimally", "carried out halfway", "carried out in full")
_SAYINGS: Final[tuple[_Saying, ...]] = (
    ("IQ", "foreign-affairs", "claim", {"level": 3}, "All that was due is carried out."),
    ("IR", "foreign-affairs", "answer", {"answer": "partly", "level": 2}, "A part of it is still open."),
    ("IR", "foreign-affairs", "answer", {"answer": "verify"}, "Let both sides look at it together."),
    ("IQ", "interior", "find", {"level": 2}, "Seen together: a part of it is still open."),
    ("IR", "interior", "find", {"level": 2}, "Seen together: a part of it is still open."),
)
"""Who says what, in this order: party, office, act, its fields, its text."""

_DONE: Final = {"claim": "obligations.claimed", "answer": "obligations.answered", "find": "obligations.found"}
"""Act -> what the clause's history calls it."""


class FollowUp:
    """One obligation of the story, and what is said about it."""

    def __init__(self, story: Story) -> None:
        name, number, place = PLACE
        self._story: Final = story
        self._clause: Final = f"{story.references[name]}/{number}"
        self._obligation: Final = f"{self._clause}:{place}"
        self._path: Final = f"/api/v1/register/clause?clause={self._clause}"

    def tell(self) -> None:
        """Say what is not said yet, and show after each saying what IS, what the sides SAY and what the clock says."""
        story = self._story
        history = story.ir.get(self._path)
        line = self._line(history)
        due = dt.date.fromisoformat(line["due"])
        story.show(f"{story.code(self._obligation)}  {line['what'].get(story.lang, line['what']['en'])}")
        story.tell("Report 001: due on {due}; on {said} it was said to be carried out.", due=due, said=CLAIMED)
        story.tell("What the sides answer and find here is illustrative, and no report tells of it.")
        story.tell("The pact is in force here from this demonstration on: what is said is as of then.")
        known = [self._known(history["entries"], saying) for saying in _SAYINGS]
        if all(known):
            story.tell("All was said when the demonstration was started before; so it stands:")
            return self._layers(story.ir.get(self._path))
        self._layers(history)
        for saying, reference in zip(_SAYINGS, known, strict=True):
            if not reference:
                self._say(*saying)
        return None

    def _known(self, entries: Sequence[Mapping[str, Any]], saying: _Saying) -> str:
        """The reference of a saying that was said before; empty when it was not."""
        party, _, act, fields, _ = saying
        for each in entries:
            same = (each["by"].partition("/")[0], each["do"], each["about"]) == (party, _DONE[act], self._obligation)
            if same and each["value"] == fields.get("answer", each["value"]):
                return str(each["reference"])
        return ""

    def _say(self, party: str, office: str, act: str, fields: Mapping[str, Any], msgid: str) -> None:
        story, by = self._story, f"{party}/{office}"
        speaker = next(side for side in story.sides if side.party == party)
        line, text = self._line(speaker.get(self._path)), story.written(msgid)
        said: dict[str, Any] = {"do": f"obligations.{act}", **fields, "text": text}
        if act == "answer":
            said["claim"] = line["claim"]
        else:
            as_of = line["as_of"] or dt.datetime.now(dt.UTC).date().isoformat()
            said |= {"obligation": self._obligation, "as_of": as_of}
        reference = speaker.say(said, self._clause, by)
        for side in story.sides:
            side.wait_for(self._path, lambda found: any(each["reference"] == reference for each in found["entries"]))
        story.tell("{by} says {reference}: {text}", by=story.named(by), reference=reference, text=text)
        self._layers(speaker.get(self._path))

    def _line(self, history: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(
            each for each in history["obligations"] if each["obligation"] == self._obligation
        )
        return found

    def _layers(self, history: Mapping[str, Any]) -> None:
        """The three layers beside one another, once both nodes give the same answer."""
        story, line = self._story, self._line(history)
        for side in story.sides:
            self._wait_for_the_same(side, history)
        says = words.say(f"register/says_{line['says']}", story.lang)
        if line["as_of"]:
            level = words.say(_LEVELS[line["level"]], story.lang)
            as_of = dt.date.fromisoformat(line["as_of"])
            says = words.say("{says} ({level}, as of {day})", story.lang, says=says, level=level, day=as_of)
        late = words.plural("overdue by {n} day", -int(line["days"]), story.lang)
        story.tell("It is: {life}", deeper=True, life=words.say(f"register/life_{line['life']}", story.lang))
        story.tell("The sides say: {says}", deeper=True, says=says)
        story.tell("The clock says: {clock}", deeper=True, clock=late)

    def _wait_for_the_same(self, side: Side, history: Mapping[str, Any]) -> None:
        side.wait_for(self._path, lambda found: found["obligations"] == history["obligations"])
