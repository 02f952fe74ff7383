"""What a command says: sentences in the reader's language for people, or one JSON object as the last line for programs."""

from __future__ import annotations

import datetime as dt
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from mithaq.kernel import calendars, words
from mithaq.kernel.errors import MithaqError
from mithaq.kernel.text import digits

_FSI: Final = "\u2068"
_LRI: Final = "\u2066"
_PDI: Final = "\u2069"
_LRM: Final = "\u200e"
_JOINERS: Final = {"\u200c", "\u200d"}
_HIDDEN: Final = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_SOLAR: Final = "fa"
_UNITS: Final = {
    "D": "period of {n} day",
    "W": "period of {n} week",
    "M": "period of {n} month",
    "Y": "period of {n} year",
}
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


class Ready(str):
    """A text that was put together here, of cleaned parts: as a fact of a sentence it is isolated, not cleaned again."""

    __slots__ = ()


class Output:
    """Where a command speaks. With `as_json` only `result` and `record` reach standard output; notes go to standard error."""

    def __init__(self, lang: str, *, as_json: bool) -> None:
        self.lang: Final = lang
        self.as_json: Final = as_json
        self.right_to_left: Final = words.direction(lang) == "rtl"

    # --- for people ---------------------------------------------------------------------------------------------

    def word(self, msgid: str, **facts: object) -> str:
        """A sentence of the interface, by its English wording, with references and names isolated."""
        return words.say(msgid, self.lang, isolate=True, **self._dated(_cleaned(facts)))

    def counted(self, msgid: str, n: int) -> str:
        """How many, with the plural forms of the language: `{n} entry`."""
        return words.plural(msgid, n, self.lang, isolate=True)

    def sentence(self, code: str, facts: Mapping[str, object]) -> Ready:
        """The sentence of a code."""
        return Ready(words.sentence(code, self._dated(_cleaned(facts)), self.lang, isolate=True))

    def line(self, msgid: str, **facts: object) -> None:
        """Say a sentence; nothing when a program is listening."""
        self.text(self.word(msgid, **facts))

    def text(self, text: str = "") -> None:
        """Print a line that is put together already; nothing when a program is listening."""
        if not self.as_json:
            print(text)

    def note(self, msgid: str, **facts: object) -> None:
        """Say something beside the result: progress, a warning. Standard error, for people and programs alike."""
        print(self.word(msgid, **facts), file=sys.stderr)

    def isolated(self, text: str) -> str:
        """A text as written, kept from tearing a right-to-left line apart."""
        shown = cleaned(text)
        return f"{_FSI}{shown}{_PDI}" if self.right_to_left or not shown.isascii() else shown

    def code(self, text: str) -> str:
        """A code, a reference or a path: always left to right."""
        return f"{_LRI}{cleaned(text)}{_PDI}" if self.right_to_left else cleaned(text)

    def digits(self, text: str) -> str:
        """Digits to be read aloud, in the reader's own, in the order in which they are said."""
        return f"{_LRI}{self.groups(text)}{_PDI}" if self.right_to_left else self.groups(text)

    def groups(self, text: str) -> Ready:
        """The same, as a fact of a sentence, which isolates it.

        A mark before each space keeps the groups from left to right: between two groups of Arabic digits a space counts
        as right to left even in a left-to-right isolate (UAX #9, rule N1), and the groups would change places.
        """
        shown = digits(cleaned(text), self.lang)
        return Ready(shown.replace(" ", f"{_LRM} ") if self.right_to_left else shown)

    def moment(self, at: dt.datetime | str | int) -> Ready:
        """A moment in the reader's language; a stored ISO text is read as such.

        Persian readers count by the Solar Hijri year: the Gregorian day stands beside it, for it is the one of the texts.
        """
        if isinstance(at, dt.datetime):
            when = at
        elif isinstance(at, int):
            when = dt.datetime.fromtimestamp(at, dt.UTC)
        else:
            try:
                when = dt.datetime.fromisoformat(at).astimezone(dt.UTC)
            except ValueError:
                return Ready(cleaned(at))
        if self.lang != _SOLAR:
            return Ready(words.moment(when, self.lang))
        said = words.moment(when, self.lang, "solar_hijri")
        return Ready(f"{said} ({calendars.written(when.date(), 'gregorian', self.lang)})")

    def day(self, day: dt.date) -> Ready:
        """A day in the reader's language and calendar."""
        gregorian = calendars.written(day, "gregorian", self.lang)
        if self.lang != _SOLAR:
            return Ready(gregorian)
        return Ready(f"{calendars.written(day, 'solar_hijri', self.lang)} ({gregorian})")

    def _dated(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Days and moments among the facts, in the reader's calendar."""
        found = dict(facts)
        for name, value in facts.items():
            if isinstance(value, dt.datetime):
                found[name] = self.moment(value)
            elif isinstance(value, dt.date):
                found[name] = self.day(value)
        return found

    def period(self, period: str) -> str:
        """A period such as `P6M`, in words: six months."""
        count, unit = int(period[1:-1]), period[-1]
        return self.counted(_UNITS[unit], count)

    def chosen(self, texts: Mapping[str, str]) -> str:
        """The reader's language of a text, else English, else whichever is there: never a translation of ours."""
        text = texts.get(self.lang) or texts.get("en") or next(iter(texts.values()), "")
        return self.isolated(text)

    # --- for programs -------------------------------------------------------------------------------------------

    def result(self, value: Mapping[str, object]) -> None:
        """The one JSON object, on the last line; nothing for people, who were told already."""
        if self.as_json:
            self.record(value)

    def record(self, value: Mapping[str, object]) -> None:
        """One JSON object on a line, whoever listens."""
        print(msgspec.json.encode(value, enc_hook=str).decode("utf-8", "replace"))

    # --- endings ------------------------------------------------------------------------------------------------

    def problem(self, reason: MithaqError, code: int) -> None:
        """An error: its sentence, then in brackets its code, with clause and field where they are known."""
        facts = _cleaned(reason.facts)
        form = facts.get("form")  # in words, by their English wording, or such as YYYY-MM-DD
        told = {**facts, "form": Ready(self.word(form))} if isinstance(form, str) else facts
        if facts.get("clause") or facts.get("field"):
            message = words.explained(reason.code, self._dated(told), self.lang, isolate=True)
        else:
            message = f"{self.sentence(reason.code, told)} [{self.code(reason.code)}]"
        self._ended(reason.code, message, facts, code)

    def usage(self, usage: str, message: str, code: int) -> None:
        """A command line that cannot be read: how it should look, and what is wrong with this one."""
        if usage and not self.as_json:
            print(usage.rstrip(), file=sys.stderr)
        self._ended("cli.usage", message, {}, code)

    def _ended(self, code: str, message: str, facts: Mapping[str, object], status: int) -> None:
        if self.as_json:
            self.record({"code": code, "message": message, "facts": facts, "exit": status})
        else:
            print(f"mithaq: {message}", file=sys.stderr)


def cleaned(text: str) -> str:
    """Text for a terminal: what a reader cannot see or what would steer the terminal is shown as U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in _JOINERS or unicodedata.category(character) not in _HIDDEN else _REPLACED
        for character in text
    )


def lines_of(text: str) -> Sequence[str]:
    """A text with line breaks as lines, each cleaned."""
    return [cleaned(line) for line in text.splitlines()]


def _cleaned(facts: Mapping[str, object]) -> dict[str, Any]:
    return {name: _clean(value) for name, value in facts.items()}


def _clean(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return cleaned(value) if isinstance(value, str) and not isinstance(value, Ready) else value
