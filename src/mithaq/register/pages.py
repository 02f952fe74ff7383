"""What the printed pages share: the templates, which escape everything, and the words and days of a language."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mithaq.kernel import calendars, words
from mithaq.kernel.text import digits

_FOLDER: Final = Path(__file__).parent / "templates"


class Chosen(NamedTuple):
    """A text in one of its languages, and which: the reader's, else English, else the first."""

    text: str
    lang: str
    dir: str


def label(key: str, lang: str, **facts: str | int) -> str:
    """A word of the register's pages; the key itself where there is none."""
    msgid = f"register/{key}"
    said = words.say(msgid, lang, isolate=False, **facts)
    return key if said == msgid else said


def choose(texts: Mapping[str, str], lang: str) -> Chosen:
    """The reader's language of a text, never a translation of ours."""
    found = lang if lang in texts else words.DEFAULT if words.DEFAULT in texts else next(iter(sorted(texts)), lang)
    return Chosen(texts.get(found, ""), found, words.direction(found))


def written(day: dt.date | str | None, lang: str) -> str:
    """A day in three calendars; a month, or what is no day, as it stands; a dash for none."""
    if isinstance(day, str):
        try:
            day = dt.date.fromisoformat(day)
        except ValueError:
            return digits(str(day), lang)
    return " · ".join(calendars.three(day, lang)) if day else "—"


def short(day: dt.date | str | None, lang: str) -> str:
    """A day in the Gregorian calendar alone, for tables."""
    if isinstance(day, str):
        day = dt.date.fromisoformat(day[:10]) if day else None
    return calendars.written(day, "gregorian", lang) if day else "—"


@cache
def environment() -> Environment:
    """The templates: autoescape everywhere, and a name that is not there is an error and not an empty place."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(choose=choose, written=written, short=short, direction=words.direction, label=label)
    return made


def render(template: str, lang: str, **given: Any) -> str:
    """A page in one language; `w` in the template is a word of that language."""

    def w(key: str, **facts: str | int) -> str:
        return label(key, lang, **facts)

    return (
        environment()
        .get_template(template)
        .render(lang=lang, dir=words.direction(lang), w=w, n=lambda value: digits(str(value), lang), **given)
    )


def style() -> str:
    """The style sheet: logical properties, so that one sheet serves both directions of writing."""
    return (_FOLDER / "style.css").read_text("utf-8")
