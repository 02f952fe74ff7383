"""What the program says to people, in Arabic, Persian and English.

The sentences live in `locale/*/LC_MESSAGES/mithaq.po` and are read from there at first use: no compiled catalogue that
could differ from its source. The msgid of a refusal is its code, that of any other sentence is its English wording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from mithaq.kernel import calendars
from mithaq.kernel.text import digits

LANGUAGES: Final = ("ar", "fa", "en")
DEFAULT: Final = "en"

_ENVIRONMENT = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""In the order in which gettext asks them (GNU gettext manual, 2.3)."""
_LONGEST_HEADER = 1000
_PLACE = re.compile(r"\{(\w+)\}")
_RIGHT_TO_LEFT = frozenset({"ar", "fa"})
_FSI, _PDI = "\u2068", "\u2069"
_ABSENT = "—"
_PLURAL_ORDER = {"ar": ("zero", "one", "two", "few", "many", "other"), "fa": ("one", "other"), "en": ("one", "other")}
_SEPARATORS = {"ar": ("\u066c", "\u066b"), "fa": ("\u066c", "\u066b"), "en": (",", ".")}
_LIST_COMMA = {"ar": "، ", "fa": "، ", "en": ", "}
_LIST_SEMICOLON = {"ar": "؛ ", "fa": "؛ ", "en": "; "}
_UNITS = {
    "ar": ("بايت", "كيلوبايت", "ميغابايت", "غيغابايت", "تيرابايت"),
    "fa": ("بایت", "کیلوبایت", "مگابایت", "گیگابایت", "ترابایت"),
    "en": ("bytes", "KiB", "MiB", "GiB", "TiB"),
}
_UNIT_STEP = 1024


class _Catalogue(NamedTuple):
    sentences: dict[str, str]
    plurals: dict[str, tuple[str, ...]]


@cache
def _catalogue(lang: str) -> _Catalogue:
    from babel.messages.pofile import read_po  # here: a node that says nothing to people never loads it

    source = resources.files("mithaq") / "locale" / lang / "LC_MESSAGES" / "mithaq.po"
    found = _Catalogue({}, {})
    with source.open("rb") as file:
        for message in read_po(file, locale=lang):
            if not message.id or not message.string or message.fuzzy:
                continue
            if isinstance(message.id, str):
                found.sentences[message.id] = str(message.string)
            else:
                found.plurals[message.id[0]] = tuple(message.string)
    return found


def language(
    explicit: str | None = None, *, accept: str | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """Choose one of `LANGUAGES`: what was asked for, else the Accept-Language header, else the locale, else English.

    A tag that is none of the three is passed over, not an error: a person with another locale still reads English.
    """
    wanted = [explicit or ""]
    if accept:
        wanted += _by_weight(accept[:_LONGEST_HEADER])
    if environ is not None:
        wanted += [tag for name in _ENVIRONMENT for tag in environ.get(name, "").split(":")]
    for tag in wanted:
        primary = re.split(r"[-_.@]", tag.strip().lower(), maxsplit=1)[0]
        if primary in LANGUAGES:
            return primary
    return DEFAULT


def _by_weight(accept: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in accept.split(","):
        tag, _, parameter = part.partition(";")
        weight = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameter)
        q = float(weight[1]) if weight else 1.0
        if q > 0:
            weighted.append((-q, tag))
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]


def known(code: str) -> bool:
    """Say whether a code has its sentence in all three languages."""
    return all(code in _catalogue(lang).sentences for lang in LANGUAGES)


def codes() -> tuple[str, ...]:
    """List every msgid of the English catalogue: codes and sentences."""
    return tuple(_catalogue("en").sentences)


def sentence(code: str, facts: Mapping[str, object], lang: str, *, isolate: bool = False) -> str:
    """Say in `lang` what the code means with these facts; a code without a sentence is said as it stands.

    Facts that are numbers are written in the digits of the language, dates with the month's name; texts (references,
    codes, names) stay as written. `isolate` puts them between U+2068 and U+2069, so that a reference does not tear a
    right-to-left line apart; HTML uses `<bdi>` in place of it.
    """
    template = _translated(code, lang)
    if template is None:
        said = ", ".join(f"{name}={value}" for name, value in sorted(facts.items()))
        return f"{code} ({said})" if said else code
    return _filled(template, facts, lang, isolate=isolate)


def explained(code: str, facts: Mapping[str, object], lang: str, *, isolate: bool = False) -> str:
    """Say the sentence, and after it in brackets the rule and, where they are known, the clause and the field."""
    named: list[tuple[str, Mapping[str, object]]] = [("Rule: {rule}", {"rule": code})]
    if facts.get("clause"):
        named.append(("Clause: {clause}", facts))
    if facts.get("field"):
        named.append(("Field: {field}", facts))
    parts = [sentence(msgid, given, lang, isolate=isolate) for msgid, given in named]
    return f"{sentence(code, facts, lang, isolate=isolate)} [{_LIST_SEMICOLON.get(lang, '; ').join(parts)}]"


def say(msgid: str, lang: str, *, isolate: bool = False, **facts: object) -> str:
    """Say a sentence of the interface, known by its English wording, which is also said when it is not translated."""
    return _filled(_translated(msgid, lang) or msgid, facts, lang, isolate=isolate)


def plural(msgid: str, n: int, lang: str, *, isolate: bool = False, **facts: object) -> str:
    """Say how many: `plural("{n} statement", 3, "ar")`, with the plural forms of the language (CLDR; Arabic has six)."""
    forms = _catalogue(lang).plurals.get(msgid) if lang in LANGUAGES else None
    template = msgid
    if forms:
        from babel import Locale

        template = forms[_PLURAL_ORDER[lang].index(Locale(lang).plural_form(n))]
    return _filled(template, {**facts, "n": n}, lang, isolate=isolate)


def _translated(msgid: str, lang: str) -> str | None:
    found = _catalogue(lang).sentences.get(msgid) if lang in LANGUAGES else None
    return found or _catalogue(DEFAULT).sentences.get(msgid)


def _filled(template: str, facts: Mapping[str, object], lang: str, *, isolate: bool) -> str:
    return _PLACE.sub(lambda place: _shown(facts.get(place[1]), lang, isolate=isolate), template)


def _shown(value: object, lang: str, *, isolate: bool) -> str:
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, lang)
    if isinstance(value, datetime):
        return moment(value, lang)
    if isinstance(value, date):
        return calendars.written(value, "gregorian", lang)
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return _LIST_COMMA.get(lang, ", ").join(_shown(item, lang, isolate=isolate) for item in items)
    text = str(value)
    return f"{_FSI}{text}{_PDI}" if isolate and (lang in _RIGHT_TO_LEFT or not text.isascii()) else text


def number(n: float, lang: str) -> str:
    """Write a number for people: groups of three, the separators and digits of the language."""
    group, point = _SEPARATORS.get(lang, _SEPARATORS[DEFAULT])
    plain = f"{n:,}".translate({ord(","): group, ord("."): point})
    return digits(plain, lang)


def size(count: int, lang: str) -> str:
    """Write a number of bytes in the largest unit (1,024 of the one below) that leaves at least one, to one decimal."""
    units = _UNITS.get(lang, _UNITS[DEFAULT])
    amount, unit = float(count), 0
    while amount >= _UNIT_STEP and unit < len(units) - 1:
        amount, unit = amount / _UNIT_STEP, unit + 1
    rounded = round(amount, 1)
    return f"{number(int(rounded) if rounded == int(rounded) else rounded, lang)} {units[unit]}"


def moment(at: datetime | str | int, lang: str, calendar: str = "gregorian") -> str:
    """Write a moment (a datetime, a statement's time or Unix seconds) as day and UTC time, the way the language does."""
    text = calendars.moment_text(at) if isinstance(at, int) else at
    when = calendars.moment(text) if isinstance(text, str) else text
    clock = digits(f"{when:%H:%M}", lang)
    return f"{calendars.written(when.date(), calendar, lang)}{_LIST_COMMA.get(lang, ', ')}{clock} UTC"


def direction(lang: str) -> str:
    """Give the writing direction for HTML: `rtl` or `ltr`."""
    return "rtl" if lang in _RIGHT_TO_LEFT else "ltr"
